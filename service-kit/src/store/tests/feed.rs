//! What a snapshot says about the commits since another.

use super::support::{CITIES, fill, open};
use crate::store::{Revision, Transaction};

#[tokio::test]
async fn a_snapshot_knows_what_was_written_since_the_store_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..3).await;
    store.close().unwrap();
    let store = open(dir.path());
    let before = store.latest().revision();
    let change = |tx: &mut Transaction<'_>| {
        tx.put(&CITIES, &(900, "sh"), &"Shanghai".to_owned())?;
        tx.delete(&CITIES, &(901, "tk"))
    };
    store.transact(change).await.unwrap();
    let read = store.latest();
    let changes = read
        .changed_keys(&CITIES, &(900,), before)
        .unwrap()
        .unwrap();
    assert_eq!(changes.keys, [(900, "sh".to_owned())]);
    assert_eq!(changes.newest, Some(read.revision()));
    let none = read
        .changed_keys(&CITIES, &(902,), before)
        .unwrap()
        .unwrap();
    assert_eq!((none.keys.len(), none.newest), (0, None));
    // Neither from before the start, nor from the future.
    let older = Revision::new(before.get() - 1);
    assert_eq!(read.changed_keys(&CITIES, &(), older).unwrap(), None);
    let old = store.at(before).unwrap();
    assert_eq!(
        old.changed_keys(&CITIES, &(), read.revision()).unwrap(),
        None
    );
}
