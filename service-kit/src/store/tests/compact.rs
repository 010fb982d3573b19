//! Compaction: what crashes leave of it, what it keeps beside versions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::support::{CITIES, content, copied, fill, filled, open};
use crate::store::backup::Source;
use crate::store::directory::Directory;
use crate::store::{
    CommitTime, CompactReport, Keep, Read as _, Revision, Rules, StoreError, StoreOptions, backup,
    compact, restore,
};

const LATER: CommitTime = CommitTime::from_nanoseconds(i64::MAX);

fn all_but_latest(dir: &Path, keep: Keep) -> CompactReport {
    let rules = Rules {
        of: &|_| keep,
        before: LATER,
        now: LATER,
        segment_bytes: 1000,
    };
    compact(dir, &rules).unwrap()
}

#[tokio::test]
async fn tokens_uids_and_times_stay_and_old_reads_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let store = open(&dir);
    fill(&store, 0..40).await;
    let tokens: Vec<_> = (0..=40).map(|n| store.token(Revision::new(n))).collect();
    let time = store.latest().time();
    let uid = store.transact(|tx| Ok::<_, StoreError>(tx.allocate_uid()));
    let uid = uid.await.unwrap().value;
    store.close().unwrap();
    let report = all_but_latest(&dir, Keep::Readable);
    // "latest" was written 40 times.
    assert_eq!((report.dropped, report.floor), (39, Revision::new(41)));
    assert!(report.after.bytes < report.before.bytes && report.after.segments > 1);

    let copy = root.path().join("copy");
    let back = root.path().join("back");
    backup(&dir, &copy).unwrap();
    restore(&copy, &back).unwrap();
    for dir in [&dir, &back] {
        let store = open(dir);
        for (revision, token) in (0..).map(Revision::new).zip(&tokens) {
            assert_eq!(store.parse_token(token).unwrap(), revision);
            let refused = matches!(
                store.at(revision),
                Err(StoreError::RevisionCompacted { .. })
            );
            assert!(refused, "{revision}");
        }
        assert_eq!(content(&store.latest()).unwrap(), filled(40));
        let found = store
            .latest()
            .get(&CITIES, &(9, "latest".to_owned()))
            .unwrap()
            .unwrap();
        assert_eq!((found.revision, found.time), (Revision::new(40), time));
        store.verify().unwrap();
        let next = store.transact(|tx| Ok::<_, StoreError>(tx.allocate_uid()));
        assert_eq!(next.await.unwrap().value, uid + 1);
        store.close().unwrap();
    }
    // Nothing is left to drop.
    let again = all_but_latest(&dir, Keep::Readable);
    assert_eq!((again.dropped, again.floor), (0, Revision::new(41)));
    assert_eq!(again.before, again.after);
}

#[tokio::test]
async fn what_is_kept_for_a_time_goes_when_that_is_over() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0..10).await;
    store.close().unwrap();
    let now = open(root.path()).latest().time();
    let compacted = |age: u64, later: i64| {
        let rules = Rules {
            of: &|_| Keep::Newest(Duration::from_secs(age)),
            before: CommitTime::MIN,
            now: CommitTime::from_nanoseconds(now.nanoseconds() + later),
            segment_bytes: 1000,
        };
        compact(root.path(), &rules).unwrap()
    };
    assert_eq!(compacted(3600, 0).dropped, 9);
    assert_eq!(content(&open(root.path()).latest()).unwrap(), filled(10));
    assert_eq!(compacted(1, 1_000_000_000).dropped, 11);
    assert_eq!(content(&open(root.path()).latest()).unwrap(), []);
}

#[tokio::test]
async fn a_crash_leaves_the_old_store_or_the_new_one() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let store = open(&data);
    fill(&store, 0..20).await;
    store.close().unwrap();
    let old = copied(&data);
    all_but_latest(&data, Keep::Readable);
    let new = ["HIGH", "log"];

    // While it was built.
    let crashed = copied(old.path());
    fs::create_dir_all(crashed.path().join("compact/log")).unwrap();
    fs::write(crashed.path().join("compact/log/00000001"), "half").unwrap();
    let store = open(crashed.path());
    assert!(!crashed.path().join("compact").exists());
    assert!(store.at(Revision::new(1)).is_ok());
    drop(store);

    // While it was whole and not decided; another release may have written since.
    let crashed = copied(old.path());
    let whole = crashed.path().join("compacted");
    let store = open(crashed.path());
    fill(&store, 20..21).await;
    drop(store);
    super::support::copy(&data, &whole);
    let store = open(crashed.path());
    assert!(!whole.exists());
    assert!(store.at(Revision::new(1)).is_ok());
    assert_eq!(content(&store.latest()).unwrap(), filled(21));
    drop(store);

    // While that was removed, after any of its parts.
    for gone in ["FORMAT", "HIGH", "log"] {
        let crashed = copied(old.path());
        let removed = crashed.path().join("compact");
        super::support::copy(&data, &removed);
        remove(&removed.join(gone));
        let store = open(crashed.path());
        assert!(!removed.exists());
        assert!(store.at(Revision::new(1)).is_ok(), "{gone}");
        assert_eq!(content(&store.latest()).unwrap(), filled(20));
    }

    // Decided by a build that moved `FORMAT` last: the old log is not whole, or the new one moved.
    for moved in [false, true] {
        let crashed = copied(old.path());
        let decided = crashed.path().join("compacted");
        super::support::copy(&data, &decided);
        remove(&super::support::segment(crashed.path()));
        if moved {
            remove(&crashed.path().join("log"));
            fs::rename(decided.join("log"), crashed.path().join("log")).unwrap();
        }
        let store = open(crashed.path());
        let floor = store.at(Revision::new(1));
        assert!(matches!(floor, Err(StoreError::RevisionCompacted { .. })));
        assert_eq!(content(&store.latest()).unwrap(), filled(20));
        assert!(!decided.exists());
    }

    // Once it was decided: any of its parts may be in place, and the old ones partly gone.
    let gone: [&[&str]; 4] = [
        &[],
        &["index.sum"],
        &["index.sum", "index"],
        &["index.sum", "log"],
    ];
    for moved in 0..1 << new.len() {
        for gone in gone {
            let crashed = copied(old.path());
            let decided = crashed.path().join("compacted");
            fs::create_dir_all(&decided).unwrap();
            fs::copy(data.join("FORMAT"), crashed.path().join("FORMAT")).unwrap();
            for name in gone {
                remove(&crashed.path().join(name));
            }
            for (bit, name) in new.iter().enumerate() {
                let target = match moved & (1 << bit) {
                    0 => decided.join(name),
                    _ => crashed.path().join(name),
                };
                remove(&target);
                let from = data.join(name);
                match from.is_dir() {
                    true => super::support::copy(&from, &target),
                    false => drop(fs::copy(&from, &target).unwrap()),
                }
            }
            let store = open(crashed.path());
            let floor = store.at(Revision::new(1));
            assert!(matches!(floor, Err(StoreError::RevisionCompacted { .. })));
            assert_eq!(content(&store.latest()).unwrap(), filled(20));
            store.verify().unwrap();
            assert!(!decided.exists());
        }
    }
}

#[tokio::test]
async fn a_log_that_was_replaced_meanwhile_is_not_copied() {
    let root = tempfile::tempdir().unwrap();
    let (data, copy) = (root.path().join("data"), root.path().join("copy"));
    let store = open(&data);
    fill(&store, 0..20).await;
    store.close().unwrap();
    let source = Source::open(Directory::beside(&data), false).unwrap();
    all_but_latest(&data, Keep::Readable);
    let copied = source.copy(&copy, &source.lineage);
    assert!(matches!(copied, Err(StoreError::InUse { .. })));
    assert!(!copy.join("FORMAT").exists());

    // Nor one that is about to be.
    fs::create_dir(data.join("compact")).unwrap();
    let lock = fs::File::open(data.join("LOCK")).unwrap();
    lock.lock().unwrap();
    let again = backup(&data, &root.path().join("again"));
    assert!(matches!(again, Err(StoreError::InUse { .. })));
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn a_store_in_use_or_damaged_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0..5).await;
    let rules = Rules {
        of: &|_| Keep::Readable,
        before: LATER,
        now: LATER,
        segment_bytes: StoreOptions::default().segment_bytes,
    };
    let refused = compact(root.path(), &rules);
    assert!(matches!(refused, Err(StoreError::InUse { .. })));
    store.close().unwrap();
    super::support::flip(&super::support::segment(root.path()), 4000);
    let refused = compact(root.path(), &rules);
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })));
    assert!(!root.path().join("compact").exists());
    let absent = compact(&root.path().join("none"), &rules);
    assert!(matches!(absent, Err(StoreError::Absent { .. })));
}
