//! Many callers at a time, and closures that misbehave.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::support::{CITIES, content, fill, filled, open};
use crate::store::{Read, Revision, Store, StoreError, StoreOptions, Table, TransactError};

const COUNTS: Table<(u64,), u64> = Table::new(4, "counts");

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_lose_no_write() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        queue: 16,
        segment_bytes: 16 << 10,
        checkpoint_bytes: 32 << 10,
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let start = Arc::new(Barrier::new(64));
    let callers: Vec<_> = (0..64_u64)
        .map(|caller| {
            let (store, start) = (store.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                for _ in 0..20 {
                    let count = move |tx: &mut crate::store::Transaction<'_>| {
                        let all = tx.get(&COUNTS, &(0,))?.map_or(0, |found| found.value);
                        tx.put(&COUNTS, &(0,), &(all + 1))?;
                        tx.put(&COUNTS, &(1_000_000 + caller * 10_000 + all,), &all)?;
                        Ok::<_, StoreError>(all)
                    };
                    let committed = store.transact(count).await.unwrap();
                    // Whoever was answered reads its own write.
                    let seen = store.latest().get(&COUNTS, &(0,)).unwrap().unwrap();
                    assert!(seen.value > committed.value);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let check = |store: &Store| {
        let total = store.latest().get(&COUNTS, &(0,)).unwrap().unwrap();
        assert_eq!((total.value, total.revision), (1280, Revision::new(1280)));
        assert_eq!(store.latest().scan(&COUNTS, &()).count(), 1281);
        let history = store.latest().history(&COUNTS, &(0,)).unwrap();
        let values: Vec<_> = history
            .iter()
            .map(|version| version.value.unwrap())
            .collect();
        assert_eq!(values, (1..=1280).rev().collect::<Vec<_>>());
        assert!(store.verify().unwrap().segments > 3);
    };
    check(&store);
    store.close().unwrap();
    check(&open(dir.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_is_of_one_revision_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..60_u64 {
                let write = move |tx: &mut crate::store::Transaction<'_>| {
                    for key in 0..200 {
                        tx.put(&COUNTS, &(key * (1 + round % 3),), &round)?;
                    }
                    tx.put(&COUNTS, &(u64::MAX,), &round)
                };
                store.transact(write).await.unwrap();
            }
        }
    });
    let mut kept = Vec::new();
    while !writer.is_finished() {
        let (kept_now, seen) = tokio::task::spawn_blocking({
            let store = store.clone();
            move || {
                let snapshot = store.latest();
                let seen: Vec<_> = snapshot
                    .scan(&COUNTS, &())
                    .map(|item| item.unwrap())
                    .collect();
                (snapshot, seen)
            }
        })
        .await
        .unwrap();
        if let Some((_, last)) = seen.last() {
            assert_eq!(last.revision, kept_now.revision());
            let of_last = seen.iter().filter(|(_, v)| v.value == last.value).count();
            assert_eq!(of_last, 201);
        }
        kept.push((kept_now, seen));
    }
    writer.await.unwrap();
    for (snapshot, seen) in kept {
        let again: Vec<_> = snapshot
            .scan(&COUNTS, &())
            .map(|item| item.unwrap())
            .collect();
        assert_eq!(again, seen);
    }
}

#[tokio::test]
async fn a_closure_that_fails_or_panics_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..2).await;
    let failed = store.transact(|tx| {
        tx.delete(&CITIES, &(0, "c0")).unwrap();
        Err::<(), _>("no")
    });
    let panicked = store.transact(|tx| -> Result<(), StoreError> {
        tx.delete(&CITIES, &(0, "c0")).unwrap();
        panic!("at the disco");
    });
    let fine = fill(&store, 2..3);
    let (failed, panicked, ()) = tokio::join!(failed, panicked, fine);
    assert!(matches!(failed, Err(TransactError::Aborted("no"))));
    assert!(matches!(panicked, Err(TransactError::Panicked(text)) if text == "at the disco"));
    assert_eq!(content(&store.latest()).unwrap(), filled(3));
    assert_eq!(store.latest().revision(), Revision::new(3));
    store.verify().unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_too_large_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = store
        .transact(|tx| {
            let big = "x".repeat(33 << 20);
            tx.put(&CITIES, &(0, "a"), &big)?;
            // Ignoring the error does not help.
            assert!(tx.put(&CITIES, &(0, "b"), &big).is_err());
            Ok::<_, StoreError>(())
        })
        .await;
    assert!(matches!(
        refused,
        Err(TransactError::Store(StoreError::TooLarge { .. }))
    ));
    assert_eq!(content(&store.latest()).unwrap(), []);
}

#[tokio::test]
async fn the_last_handle_may_go_inside_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let inner = store.clone();
    let call = tokio::spawn(async move {
        store
            .transact(move |tx| {
                tx.put(&CITIES, &(1, "a"), &"kept".to_owned())?;
                drop(inner);
                Ok::<_, StoreError>(())
            })
            .await
    });
    call.await.unwrap().unwrap();
    let store = loop {
        match Store::open(dir.path(), StoreOptions::default()) {
            Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(content(&store.latest()).unwrap().len(), 1);
}
