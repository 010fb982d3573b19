//! What a generation of columns is, and who pays for it.

use std::{
    collections::BTreeMap,
    sync::{Barrier, atomic::AtomicBool},
};

use proptest::prelude::*;

use super::*;
use crate::{
    plain::control::Unlimited,
    store::{Read, Store, StoreError, StoreOptions, Table},
    write::store_fault,
};

const NUMBERS: Table<(u64, String), u64> = Table::new(1, "numbers");

/// The numbers of a container; how it was made.
#[derive(Debug, Clone, PartialEq)]
struct Numbers {
    numbers: BTreeMap<String, u64>,
    advanced: usize,
}

impl Decoded for Numbers {
    fn load(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault> {
        control.report(1, 1);
        control.check()?;
        let rows = read.scan(&NUMBERS, &(uid,));
        let rows = rows.map(|row| row.map(|((_, name), found)| (name, found.value)));
        let numbers = rows
            .collect::<Result<_, _>>()
            .map_err(|e| store_fault(&e))?;
        Ok(Self {
            numbers,
            advanced: 0,
        })
    }

    fn unchanged_since(read: &Snapshot, uid: u64) -> Revision {
        read.unchanged_since(&NUMBERS, &(uid,))
    }

    fn advance(
        &self,
        read: &Snapshot,
        uid: u64,
        since: Revision,
        _control: &dyn Control,
    ) -> Result<Advance<Self>, Fault> {
        let changes = read
            .changed_keys(&NUMBERS, &(uid,), since)
            .map_err(|e| store_fault(&e))?;
        let Some(changes) = changes else {
            return Ok(Advance::Unknown);
        };
        let Some(newest) = changes.newest else {
            return Ok(Advance::Same);
        };
        let mut next = self.clone();
        next.advanced += 1;
        for key in changes.keys {
            match read.get(&NUMBERS, &key).map_err(|e| store_fault(&e))? {
                Some(found) => next.numbers.insert(key.1, found.value),
                None => next.numbers.remove(&key.1),
            };
        }
        Ok(Advance::Changed(next, newest))
    }

    fn bytes(&self) -> usize {
        100 * self.numbers.len()
    }
}

/// Counts loads; stops them where told to.
#[derive(Default)]
struct Watch {
    loads: AtomicUsize,
    stop: AtomicBool,
}

impl Control for Watch {
    fn check(&self) -> Result<(), Stopped> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Stopped),
            false => Ok(()),
        }
    }

    fn report(&self, _done: u64, _total: u64) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }
}

impl Watch {
    fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }
}

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), StoreOptions::default()).unwrap()
}

/// Writes numbers, or deletes them where there is none.
fn put(store: &Store, writes: Vec<(u64, String, Option<u64>)>) -> Snapshot {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let write = store.transact(move |tx| {
        for (uid, name, number) in &writes {
            let key = (*uid, name.clone());
            match number {
                Some(number) => tx.put(&NUMBERS, &key, number)?,
                None => tx.delete(&NUMBERS, &key)?,
            }
        }
        Ok::<_, StoreError>(())
    });
    runtime.block_on(write).unwrap();
    store.latest()
}

fn fill(store: &Store, uid: u64, count: u64) -> Snapshot {
    put(
        store,
        (0..count)
            .map(|n| (uid, format!("n{n}"), Some(n)))
            .collect(),
    )
}

#[test]
fn what_changed_is_brought_forward_and_what_did_not_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (columns, watch) = (Columns::<Numbers>::new(10_000), Watch::default());
    let first = fill(&store, 1, 3);
    let loaded = columns.at(&first, 1, &watch).unwrap();
    let elsewhere = fill(&store, 2, 1);
    let same = columns.at(&elsewhere, 1, &watch).unwrap();
    assert!(Arc::ptr_eq(&loaded, &same));
    let changed = put(
        &store,
        vec![(1, "n0".to_owned(), None), (1, "x".to_owned(), Some(7))],
    );
    let next = columns.at(&changed, 1, &watch).unwrap();
    assert_eq!((next.advanced, watch.loads()), (1, 1));
    assert_eq!(next.numbers.keys().collect::<Vec<_>>(), ["n1", "n2", "x"]);
    // The generation before is still there, for who began to read before the write.
    assert!(Arc::ptr_eq(
        &loaded,
        &columns.at(&elsewhere, 1, &watch).unwrap()
    ));
    // Further back, a read decodes for itself.
    fill(&store, 1, 9);
    columns.at(&store.latest(), 1, &watch).unwrap();
    let old = columns.at(&elsewhere, 1, &watch).unwrap();
    assert_eq!((&old.numbers, watch.loads()), (&loaded.numbers, 2));
}

#[test]
fn a_load_holds_for_revisions_before_it_that_changed_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (columns, watch) = (Columns::<Numbers>::new(10_000), Watch::default());
    let before = fill(&store, 1, 3);
    let after = fill(&store, 2, 1);
    columns.at(&after, 1, &watch).unwrap();
    columns.at(&before, 1, &watch).unwrap();
    assert_eq!(watch.loads(), 1);
}

#[test]
fn a_hundred_readers_at_once_load_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let read = fill(&store, 1, 50);
    let (columns, watch) = (Columns::<Numbers>::new(10_000), Watch::default());
    let barrier = Barrier::new(100);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                barrier.wait();
                let found = columns.at(&read, 1, &watch).unwrap();
                assert_eq!(found.numbers.len(), 50);
            });
        }
    });
    assert_eq!(watch.loads(), 1);
}

#[test]
fn a_load_that_was_stopped_leaves_the_next_reader_to_load() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let read = fill(&store, 1, 5);
    let (columns, watch) = (Columns::<Numbers>::new(10_000), Watch::default());
    watch.stop.store(true, Ordering::Relaxed);
    let stopped = columns.at(&read, 1, &watch).unwrap_err();
    assert_eq!(stopped.reason(), "COMPUTATION_STOPPED");
    assert_eq!(columns.at(&read, 1, &Unlimited).unwrap().numbers.len(), 5);
}

#[test]
fn a_load_is_wanted_as_long_as_anybody_waits_for_it() {
    let (watch, waiting) = (Watch::default(), AtomicUsize::new(1));
    watch.stop.store(true, Ordering::Relaxed);
    let wanted = Wanted {
        control: &watch,
        waiting: &waiting,
    };
    assert_eq!(wanted.check(), Ok(()));
    waiting.store(0, Ordering::Relaxed);
    assert_eq!(wanted.check(), Err(Stopped));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for uid in 1..=3 {
        fill(&store, uid, 4);
    }
    let read = store.latest();
    let (columns, watch) = (Columns::<Numbers>::new(1000), Watch::default());
    for uid in [1, 2, 1, 3] {
        columns.at(&read, uid, &watch).unwrap();
    }
    assert_eq!((watch.loads(), columns.bytes()), (3, 800));
    columns.at(&read, 1, &watch).unwrap();
    assert_eq!(watch.loads(), 3);
    columns.at(&read, 2, &watch).unwrap();
    assert_eq!((watch.loads(), columns.bytes()), (4, 800));
}

#[test]
fn what_is_larger_than_the_budget_is_answered_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let read = fill(&store, 1, 11);
    let (columns, watch) = (Columns::<Numbers>::new(1000), Watch::default());
    for _ in 0..3 {
        assert_eq!(columns.at(&read, 1, &watch).unwrap().numbers.len(), 11);
    }
    assert_eq!((watch.loads(), columns.bytes()), (3, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn brought_forward_is_as_loaded(
        commits in proptest::collection::vec(
            proptest::collection::vec((1..3_u64, "[a-d]", proptest::option::of(0..9_u64)), 1..4),
            1..20,
        )
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let columns = Columns::<Numbers>::new(10_000);
        for writes in commits {
            let read = put(&store, writes);
            for uid in 1..3 {
                let kept = columns.at(&read, uid, &Unlimited).unwrap();
                let fresh = Numbers::load(&read, uid, &Unlimited).unwrap();
                prop_assert_eq!(&kept.numbers, &fresh.numbers);
            }
        }
    }
}
