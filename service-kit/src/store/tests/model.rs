//! Random transactions against a store and against maps in memory, which must agree at every
//! revision, whatever happens to the store in between.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use crate::store::{
    CommitTime, Keep, Read, Revision, Rules, Store, StoreError, StoreOptions, Table, Transaction,
    compact,
};

const WORDS: Table<(String, u8), String> = Table::new(1, "words");
const NUMBERS: Table<(i64,), u64> = Table::new(2, "numbers");

#[derive(Debug, Clone)]
enum Write {
    Word((String, u8), Option<String>),
    Number(i64, Option<u64>),
}

#[derive(Debug, Clone)]
enum Step {
    /// Transactions at a time; the flag says whether each fails after its writes.
    Commit(Vec<(Vec<Write>, bool)>),
    Tick(i64),
    Reopen,
    /// Close, then lose the index or its seal.
    LoseIndex,
    LoseSeal,
    /// Close, then compact with a floor so long ago.
    Compact(i64),
}

type Words = BTreeMap<(String, u8), String>;
type Numbers = BTreeMap<i64, u64>;

#[derive(Debug, Clone, Default)]
struct Model {
    words: Words,
    numbers: Numbers,
    /// The numbers that its commit wrote or deleted.
    written: Vec<i64>,
    time: i64,
}

fn word() -> impl Strategy<Value = (String, u8)> {
    (prop_oneof!["", "a", "a\0", "ab", "b"], 0..3_u8)
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (word(), proptest::option::weighted(0.7, "[a-z]{0,20}"))
            .prop_map(|(key, value)| Write::Word(key, value)),
        2 => (-3..3_i64, proptest::option::weighted(0.7, any::<u64>()))
            .prop_map(|(key, value)| Write::Number(key, value)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let transaction = (
        proptest::collection::vec(write(), 0..6),
        proptest::bool::weighted(0.2),
    );
    prop_oneof![
        10 => proptest::collection::vec(transaction, 1..5).prop_map(Step::Commit),
        3 => (-5..20_i64).prop_map(Step::Tick),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseIndex),
        1 => Just(Step::LoseSeal),
        2 => (0..30_i64).prop_map(Step::Compact),
    ]
}

fn read(read: &impl Read) -> Result<(Words, Numbers), StoreError> {
    let words = read
        .scan(&WORDS, &())
        .map(|item| item.map(|(key, found)| (key, found.value)))
        .collect::<Result<_, _>>()?;
    let numbers = read
        .scan(&NUMBERS, &())
        .map(|item| item.map(|(key, found)| (key.0, found.value)))
        .collect::<Result<_, _>>()?;
    Ok((words, numbers))
}

fn apply(writes: &[Write], words: &mut Words, numbers: &mut Numbers) {
    for write in writes.iter().cloned() {
        match write {
            Write::Word(key, Some(value)) => drop(words.insert(key, value)),
            Write::Word(key, None) => drop(words.remove(&key)),
            Write::Number(key, Some(value)) => drop(numbers.insert(key, value)),
            Write::Number(key, None) => drop(numbers.remove(&key)),
        }
    }
}

fn put(tx: &mut Transaction<'_>, writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        match write {
            Write::Word(key, Some(value)) => tx.put(&WORDS, key, value)?,
            Write::Word(key, None) => tx.delete(&WORDS, key)?,
            Write::Number(key, Some(value)) => tx.put(&NUMBERS, &(*key,), value)?,
            Write::Number(key, None) => tx.delete(&NUMBERS, &(*key,))?,
        }
    }
    Ok(())
}

struct World {
    dir: tempfile::TempDir,
    options: StoreOptions,
    now: Arc<AtomicI64>,
    store: Store,
    /// The state at each revision.
    revisions: Vec<Model>,
    /// The oldest revision that compaction has left.
    floor: usize,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now);
        let options = StoreOptions {
            segment_bytes: 700,
            checkpoint_bytes: 2000,
            clock: Arc::new(move || CommitTime::from_nanoseconds(clock.load(Ordering::SeqCst))),
            ..StoreOptions::default()
        };
        let store = Store::open(dir.path(), options.clone()).unwrap();
        let empty = Model {
            time: i64::MIN,
            ..Model::default()
        };
        Self {
            dir,
            options,
            now,
            store,
            revisions: vec![empty],
            floor: 0,
        }
    }

    fn step(&mut self, runtime: &tokio::runtime::Runtime, step: Step) {
        match step {
            Step::Commit(transactions) => runtime.block_on(self.commit(transactions)),
            Step::Tick(by) => drop(self.now.fetch_add(by, Ordering::SeqCst)),
            Step::Reopen => self.reopen(&[]),
            Step::LoseIndex => self.reopen(&["index", "index.sum"]),
            Step::LoseSeal => self.reopen(&["index.sum"]),
            Step::Compact(age) => self.compact(age),
        }
    }

    /// Drops old versions of words, and none of numbers.
    fn compact(&mut self, age: i64) {
        self.store.close().unwrap();
        let before = self.now.load(Ordering::SeqCst) - age;
        let rules = Rules {
            of: &|table| match table == WORDS.id() {
                true => Keep::Readable,
                false => Keep::All,
            },
            before: CommitTime::from_nanoseconds(before),
            now: CommitTime::from_nanoseconds(before + age),
            segment_bytes: 700,
        };
        let report = compact(self.dir.path(), &rules).unwrap();
        if report.dropped > 0 {
            let newest = self.revisions.iter().rposition(|m| m.time <= before);
            self.floor = self.floor.max(newest.unwrap());
        }
        assert_eq!(report.floor.get(), self.floor as u64);
        self.store = Store::open(self.dir.path(), self.options.clone()).unwrap();
    }

    /// Versions of words below the floor are gone, and all of numbers are there.
    fn check_history(&self) {
        let latest = self.store.latest();
        let floor = &self.revisions[self.floor];
        for key in ["", "a", "a\0", "ab", "b"].map(str::to_owned) {
            for at in 0..3 {
                let key = (key.clone(), at);
                let history = latest.history(&WORDS, &key).unwrap();
                let below = history
                    .iter()
                    .filter(|v| v.revision.get() <= self.floor as u64);
                let compacted = usize::from(floor.words.contains_key(&key));
                if self.floor > 0 {
                    assert_eq!(below.count(), compacted, "{key:?}");
                }
            }
        }
        for key in -3..3 {
            let changes = self
                .revisions
                .windows(2)
                .filter(|pair| pair[1].written.contains(&key));
            let history = latest.history(&NUMBERS, &(key,)).unwrap();
            assert_eq!(history.len(), changes.count(), "{key}");
        }
    }

    /// All at a time, so that they make groups; polled in order, so that they keep it.
    async fn commit(&mut self, transactions: Vec<(Vec<Write>, bool)>) {
        let calls = transactions.into_iter().map(|(writes, fails)| {
            let store = self.store.clone();
            let inner = writes.clone();
            let call = async move {
                let run = move |tx: &mut Transaction<'_>| {
                    let (mut words, mut numbers) = read(tx).map_err(Some)?;
                    put(tx, &inner).map_err(Some)?;
                    apply(&inner, &mut words, &mut numbers);
                    assert_eq!(read(tx).map_err(Some)?, (words, numbers));
                    if fails {
                        Err(None::<StoreError>)
                    } else {
                        Ok(())
                    }
                };
                store.transact(run).await
            };
            (writes, fails, call)
        });
        let mut set = Vec::new();
        for (writes, fails, call) in calls {
            set.push((writes, fails, tokio::spawn(call)));
        }
        for (writes, fails, call) in set {
            match call.await.unwrap() {
                Ok(committed) => {
                    assert!(!fails);
                    let last = self.revisions.last().unwrap();
                    if writes.is_empty() {
                        continue;
                    }
                    let mut next = last.clone();
                    apply(&writes, &mut next.words, &mut next.numbers);
                    next.written = writes
                        .iter()
                        .filter_map(|write| match write {
                            Write::Number(key, _) => Some(*key),
                            Write::Word(..) => None,
                        })
                        .collect();
                    next.time = self.now.load(Ordering::SeqCst).max(last.time);
                    assert_eq!(committed.time.nanoseconds(), next.time);
                    assert_eq!(committed.revision.get(), self.revisions.len() as u64);
                    self.revisions.push(next);
                }
                Err(error) => {
                    assert!(fails, "{error:?}");
                }
            }
        }
    }

    fn reopen(&mut self, lose: &[&str]) {
        self.store.close().unwrap();
        for name in lose {
            let path = self.dir.path().join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        self.store = Store::open(self.dir.path(), self.options.clone()).unwrap();
    }

    fn check(&self) {
        for (number, model) in self.revisions.iter().enumerate() {
            let snapshot = self.store.at(Revision::new(number as u64));
            if number < self.floor {
                let refused = matches!(snapshot, Err(StoreError::RevisionCompacted { .. }));
                assert!(refused, "revision {number}");
                continue;
            }
            let snapshot = snapshot.unwrap();
            let (words, numbers) = read(&snapshot).unwrap();
            assert_eq!(words, model.words, "revision {number}");
            assert_eq!(numbers, model.numbers, "revision {number}");
            assert_eq!(snapshot.time().nanoseconds(), model.time);
            let of_time = self.store.as_of(snapshot.time()).unwrap().revision().get();
            let last = self.revisions.iter().rposition(|m| m.time <= model.time);
            assert_eq!(of_time, last.unwrap() as u64);
            for key in ["", "a", "a\0", "b"].map(|word| (word.to_owned(), 1)) {
                let found = snapshot.get(&WORDS, &key).unwrap();
                assert_eq!(found.map(|found| found.value), words.get(&key).cloned());
            }
            for prefix in ["a", "a\0"] {
                let below: Words = snapshot
                    .scan(&WORDS, &(prefix,))
                    .map(|item| item.unwrap())
                    .map(|(key, found)| (key, found.value))
                    .collect();
                let mut expected = words.clone();
                expected.retain(|key, _| key.0 == prefix);
                assert_eq!(below, expected);
            }
        }
        self.check_history();
        self.store.verify().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_maps(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut world = World::new();
        for step in steps {
            world.step(&runtime, step);
        }
        world.check();
        world.reopen(&[]);
        world.check();
    }
}
