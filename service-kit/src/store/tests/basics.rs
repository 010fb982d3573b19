//! The everyday life of a store.

use crate::store::{Read, Revision, Store, StoreError, StoreOptions, Table};

const CITIES: Table<(u64, String), String> = Table::new(3, "cities");

async fn put(store: &Store, key: (u64, &'static str), value: &'static str) -> Revision {
    store
        .transact(move |tx| tx.put(&CITIES, &key, &value.to_owned()))
        .await
        .unwrap()
        .revision
}

fn names(read: &impl Read, prefix: (u64,)) -> Vec<String> {
    read.scan(&CITIES, &prefix)
        .map(|item| item.unwrap().1.value)
        .collect()
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let first = put(&store, (1, "sh"), "Shanghai").await;
    put(&store, (1, "bj"), "Beijing").await;
    put(&store, (2, "sg"), "Singapore").await;
    put(&store, (1, "sh"), "SHANGHAI").await;
    store.close().unwrap();
    assert!(matches!(
        store.latest().get(&CITIES, &(1, "sh")),
        Err(StoreError::Closed)
    ));
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(names(&store.latest(), (1,)), ["Beijing", "SHANGHAI"]);
    assert_eq!(names(&store.at(first).unwrap(), (1,)), ["Shanghai"]);
    store.verify().unwrap();
}
