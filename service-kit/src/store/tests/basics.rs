//! The everyday life of a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::support::{CITIES, content, fill, filled, open};
use crate::store::{
    CommitTime, Health, Read, RecordError, Revision, Store, StoreError, StoreOptions, Table,
    TransactError, Transaction,
};

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..5).await;
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(content(&store.latest()).unwrap(), filled(5));
    for revision in 0..=5 {
        let snapshot = store.at(Revision::new(revision)).unwrap();
        assert_eq!(content(&snapshot).unwrap(), filled(revision));
    }
    let report = store.verify().unwrap();
    assert_eq!(report.revision, Revision::new(5));
    // Two records and a group for each commit.
    assert_eq!(report.pairs, 15);
}

#[tokio::test]
async fn an_old_snapshot_does_not_move() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..2).await;
    let old = store.latest();
    fill(&store, 2..6).await;
    assert_eq!(content(&old).unwrap(), filled(2));
    assert!(matches!(
        store.at(Revision::new(7)),
        Err(StoreError::RevisionUnknown)
    ));
}

#[tokio::test]
async fn history_is_newest_first_and_keeps_deletions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = (1, "sh");
    for name in ["one", "two"] {
        let put = move |tx: &mut Transaction<'_>| tx.put(&CITIES, &key, &name.to_owned());
        store.transact(put).await.unwrap();
    }
    store
        .transact(move |tx| tx.delete(&CITIES, &key))
        .await
        .unwrap();
    let snapshot = store.latest();
    assert_eq!(snapshot.get(&CITIES, &key).unwrap(), None);
    assert_eq!(content(&snapshot).unwrap(), []);
    let values = |snapshot: &dyn Fn() -> crate::store::Snapshot| -> Vec<_> {
        let history = snapshot().history(&CITIES, &key).unwrap();
        history
            .into_iter()
            .map(|version| (version.revision.get(), version.value))
            .collect()
    };
    let (one, two) = (Some("one".to_owned()), Some("two".to_owned()));
    assert_eq!(
        values(&|| store.latest()),
        [(3, None), (2, two.clone()), (1, one.clone())]
    );
    assert_eq!(
        values(&|| store.at(Revision::new(2)).unwrap()),
        [(2, two), (1, one)]
    );
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..4).await;
    let committed = store
        .transact(|tx| {
            tx.delete(&CITIES, &(0, "c0"))?;
            tx.put(&CITIES, &(0, "new"), &"new".to_owned())?;
            tx.put(&CITIES, &(9, "latest"), &"mine".to_owned())?;
            tx.put(&CITIES, &(9, "latest"), &"mine again".to_owned())?;
            let history = tx.history(&CITIES, &(9, "latest"))?.len();
            assert_eq!(tx.get(&CITIES, &(0, "c0"))?, None);
            assert_eq!(tx.revision(), Revision::new(5));
            Ok::<_, StoreError>((content(tx)?, history))
        })
        .await
        .unwrap();
    assert_eq!(committed.revision, Revision::new(5));
    assert_eq!(committed.value.0, content(&store.latest()).unwrap());
    assert_eq!(committed.value.1, 5);
    let keys: Vec<_> = committed
        .value
        .0
        .iter()
        .map(|(key, _)| &key.1[..])
        .collect();
    assert_eq!(keys, ["c3", "new", "c1", "c2", "latest"]);
}

#[tokio::test]
async fn scans_take_prefixes_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .transact(|tx| {
            for number in 0..5000_u64 {
                tx.put(
                    &CITIES,
                    &(number % 2, format!("{number:05}")),
                    &String::new(),
                )?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let snapshot = store.latest();
    let names = |scan: crate::store::Scan<'_, (u64, String), String>| -> Vec<String> {
        scan.map(|item| item.unwrap().0.1).collect()
    };
    let odd = names(snapshot.scan(&CITIES, &(1,)));
    let expected: Vec<_> = (0..2500).map(|n| format!("{:05}", 2 * n + 1)).collect();
    assert_eq!(odd, expected);
    let mut paged = Vec::new();
    loop {
        let mut scan = snapshot.scan(&CITIES, &(1,));
        if let Some(last) = paged.last() {
            scan = scan.after(&(1, String::clone(last)));
        }
        let before = paged.len();
        paged.extend(scan.take(700).map(|item| item.unwrap().0.1));
        if paged.len() == before {
            break;
        }
    }
    assert_eq!(paged, expected);
    let part = snapshot
        .scan(&CITIES, &(1,))
        .starting_at(&(1, "00010"))
        .before(&(1, "00015"));
    assert_eq!(names(part), ["00011", "00013"]);
    let none = snapshot.scan(&CITIES, &(1,)).after(&(2, ""));
    assert_eq!(names(none), [""; 0]);
}

#[tokio::test]
async fn a_transaction_without_writes_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..3).await;
    let read = store
        .transact(|tx| content(tx).map(|content| content.len()))
        .await
        .unwrap();
    assert_eq!((read.value, read.revision), (4, Revision::new(3)));
    assert_eq!(store.latest().revision(), Revision::new(3));
}

#[tokio::test]
async fn uids_are_never_handed_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..3 {
        let store = open(dir.path());
        for _ in 0..4 {
            let committed = store
                .transact(|tx| Ok::<_, StoreError>([tx.allocate_uid(), tx.allocate_uid()]))
                .await
                .unwrap();
            for uid in committed.value {
                assert!(seen.insert(uid), "{uid} in round {round}");
            }
        }
        let aborted: Result<_, _> = store.transact(|tx| Err::<(), _>(tx.allocate_uid())).await;
        assert!(matches!(aborted, Err(TransactError::Aborted(uid)) if !seen.contains(&uid)));
        store.close().unwrap();
    }
}

#[tokio::test]
async fn time_never_goes_back_and_tells_the_revision() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&now);
    let options = StoreOptions {
        clock: Arc::new(move || CommitTime::from_nanoseconds(clock.load(Ordering::SeqCst))),
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), options.clone()).unwrap();
    let mut times = Vec::new();
    for (number, time) in (0..).zip([100, 200, 150, 200, 300, -5]) {
        now.store(time, Ordering::SeqCst);
        fill(&store, number..number + 1).await;
        times.push(store.latest().time().nanoseconds());
    }
    assert_eq!(times, [100, 200, 200, 200, 300, 300]);
    store.close().unwrap();
    let store = Store::open(dir.path(), options).unwrap();
    let as_of = |time| {
        let snapshot = store.as_of(CommitTime::from_nanoseconds(time)).unwrap();
        assert_eq!(
            content(&snapshot).unwrap(),
            filled(snapshot.revision().get())
        );
        snapshot.revision().get()
    };
    assert_eq!(as_of(99), 0);
    assert_eq!(as_of(100), 1);
    assert_eq!(as_of(199), 1);
    assert_eq!(as_of(200), 4);
    assert_eq!(as_of(299), 4);
    assert_eq!(as_of(300), 6);
    assert_eq!(as_of(i64::MAX), 6);
    fill(&store, 6..7).await;
    assert_eq!(store.latest().time().nanoseconds(), 300);
}

#[tokio::test]
async fn a_token_is_good_in_its_own_store_only() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (open(one.path()), open(two.path()));
    let token = one.token(Revision::new(3));
    assert_eq!(one.parse_token(&token).unwrap(), Revision::new(3));
    let mut bent = token.clone().into_bytes();
    bent[4] = if bent[4] == b'A' { b'B' } else { b'A' };
    let bent = String::from_utf8(bent).unwrap();
    for (store, token) in [(&two, &token[..]), (&one, &bent), (&one, "3"), (&one, "")] {
        assert!(matches!(
            store.parse_token(token),
            Err(StoreError::RevisionUnknown)
        ));
    }
    assert!(one.wait_for(Revision::ZERO).await.is_ok());
    assert!(one.wait_for(Revision::new(3)).await.is_err());
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = Store::open(dir.path(), StoreOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(store);
    open(dir.path());
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_then_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..1).await;
    let snapshot = store.latest();
    store.close().unwrap();
    store.close().unwrap();
    assert_eq!(store.health(), Health::Closed);
    assert!(matches!(content(&snapshot), Err(StoreError::Closed)));
    assert!(matches!(store.verify(), Err(StoreError::Closed)));
    let refused = store.transact(|tx| tx.delete(&CITIES, &(1, ""))).await;
    assert!(matches!(
        refused,
        Err(TransactError::Store(StoreError::Closed))
    ));
}

/// Runs a transaction that puts something, and has its caller leave before it becomes durable.
async fn left(store: &Store) {
    let (begins, begun) = tokio::sync::oneshot::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let of = store.clone();
    let call = tokio::spawn(async move {
        of.transact(move |tx| {
            begins.send(()).unwrap();
            gate.recv().unwrap();
            tx.put(&CITIES, &(9, "left"), &"never".to_owned())
        })
        .await
    });
    begun.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..2).await;
    left(&store).await;
    fill(&store, 2..3).await;
    assert_eq!(store.latest().revision(), Revision::new(3));
    assert_eq!(content(&store.latest()).unwrap(), filled(3));
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(content(&store.latest()).unwrap(), filled(3));
    store.verify().unwrap();
}

#[test]
fn an_absent_store_is_created_only_if_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        create: false,
        ..StoreOptions::default()
    };
    for path in [dir.path().to_owned(), dir.path().join("below")] {
        assert!(matches!(
            Store::open(&path, options.clone()),
            Err(StoreError::Absent { .. })
        ));
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Old(u32);
impl crate::store::Record for Old {}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct New(u64, bool);
impl crate::store::Record for New {
    const VERSION: u16 = 2;
    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, RecordError> {
        match version {
            1 => crate::store::decode_record(bytes).map(|Old(n)| Self(n.into(), false)),
            _ => Err(RecordError::Unsupported),
        }
    }
}

/// Only the first field of [`New`].
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Short(u64);
impl crate::store::Record for Short {
    const VERSION: u16 = 2;
}

impl crate::store::Led for New {
    type First = u64;
    fn into_first(self) -> u64 {
        self.0
    }
}

#[tokio::test]
async fn the_first_field_is_read_alone_in_every_version() {
    const OLD: Table<(u8,), Old> = Table::new(7, "things");
    const NEW: Table<(u8,), New> = Table::new(7, "things");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let written = store.transact(|tx| {
        tx.put(&OLD, &(1,), &Old(5))?;
        tx.put(&NEW, &(2,), &New(600, true))?;
        tx.put(&NEW, &(3,), &New(7, true))?;
        tx.delete(&NEW, &(3,))
    });
    written.await.unwrap();
    // The rest is not even looked at.
    const SHORT: Table<(u8,), Short> = Table::new(7, "things");
    let written = store.transact(|tx| tx.put(&SHORT, &(5,), &Short(700)));
    written.await.unwrap();
    let snapshot = store.latest();
    let first = |key| snapshot.get_first(&NEW, &(key,)).unwrap();
    let expected = [Some(5), Some(600), None, None, Some(700)];
    assert_eq!([1, 2, 3, 4, 5].map(first), expected);
    assert!(snapshot.get(&NEW, &(5,)).is_err());
}

#[tokio::test]
async fn older_values_are_migrated_and_newer_ones_refused() {
    const OLD: Table<(u8,), Old> = Table::new(7, "things");
    const NEW: Table<(u8,), New> = Table::new(7, "things");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .transact(|tx| {
            tx.put(&OLD, &(1,), &Old(5))?;
            tx.put(&NEW, &(2,), &New(6, true))
        })
        .await
        .unwrap();
    let snapshot = store.latest();
    let migrated = snapshot.get(&NEW, &(1,)).unwrap().unwrap();
    assert_eq!(migrated.value, New(5, false));
    let error = snapshot.get(&OLD, &(2,)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "value in table things, key (2,) has version 2; this release reads 1"
    );
}
