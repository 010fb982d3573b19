//! Copies: taken beside a writer or at rest, restored, damaged, cut short.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::{content, fill, filled, flip, open, segment};
use crate::store::{
    Revision, Store, StoreError, StoreOptions, backup, check, check_owner, restore,
};

/// Segments of a few commits, so that copies have several.
fn small(dir: &Path) -> Store {
    let options = StoreOptions {
        segment_bytes: 1000,
        ..StoreOptions::default()
    };
    Store::open(dir, options).unwrap()
}

#[tokio::test]
async fn a_copy_made_beside_a_writer_has_all_that_was_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, back] = places(&root);
    let store = small(&data);
    fill(&store, 0..20).await;
    let writing = store.clone();
    let writer = tokio::spawn(async move { fill(&writing, 20..200).await });
    let (from, to) = (data.clone(), copy.clone());
    let report = tokio::task::spawn_blocking(move || backup(&from, &to))
        .await
        .unwrap()
        .unwrap();
    writer.await.unwrap();
    assert!(report.revision >= Revision::new(20) && report.segments > 1);
    let commits = report.revision.get();
    let at = content(&store.at(report.revision).unwrap()).unwrap();
    assert_eq!(at, filled(commits));
    store.close().unwrap();

    assert_eq!(check(&copy).unwrap(), report);
    assert_eq!(restore(&copy, &back).unwrap(), report);
    let restored = open(&back);
    assert_eq!(content(&restored.latest()).unwrap(), filled(commits));
    restored.verify().unwrap();
}

#[tokio::test]
async fn tokens_hold_up_to_the_backup_and_no_further() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, back] = places(&root);
    let store = open(&data);
    fill(&store, 0..3).await;
    backup(&data, &copy).unwrap();
    fill(&store, 3..5).await;
    restore(&copy, &back).unwrap();
    let restored = open(&back);
    fill(&restored, 3..5).await;
    let token = |store: &Store, revision| store.token(Revision::new(revision));
    for revision in 1..=3 {
        let token = token(&store, revision);
        assert_eq!(
            restored.parse_token(&token).unwrap(),
            Revision::new(revision)
        );
    }
    for revision in 4..=5 {
        let unknown = Err::<Revision, _>(StoreError::RevisionUnknown);
        for (one, other) in [(&store, &restored), (&restored, &store)] {
            let parsed = other.parse_token(&token(one, revision));
            assert_eq!(format!("{parsed:?}"), format!("{unknown:?}"));
            assert!(one.parse_token(&token(one, revision)).is_ok());
        }
    }
    // The name survives the next start.
    let later = token(&restored, 5);
    restored.close().unwrap();
    assert_eq!(open(&back).parse_token(&later).unwrap(), Revision::new(5));
}

#[tokio::test]
async fn a_copy_at_rest_goes_up_to_the_last_commit() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, back] = places(&root);
    let store = open(&data);
    fill(&store, 0..9).await;
    store.close().unwrap();
    assert_eq!(backup(&data, &copy).unwrap().revision, Revision::new(9));
    restore(&copy, &back).unwrap();
    assert_eq!(content(&open(&back).latest()).unwrap(), filled(9));
    // Uids go on where they were.
    let uid = |dir: &Path| {
        let store = open(dir);
        async move {
            store
                .transact(|tx| Ok::<_, StoreError>(tx.allocate_uid()))
                .await
                .unwrap()
                .value
        }
    };
    assert_eq!(uid(&back).await, uid(&data).await);
}

#[tokio::test]
async fn nothing_is_copied_over_what_is_there_or_from_what_is_damaged() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, back] = places(&root);
    assert!(matches!(
        backup(&data, &copy),
        Err(StoreError::Absent { .. })
    ));
    let store = open(&data);
    fill(&store, 0..4).await;
    store.close().unwrap();
    fs::create_dir_all(&copy).unwrap();
    fs::write(copy.join("notes"), "mine").unwrap();
    assert!(matches!(
        backup(&data, &copy),
        Err(StoreError::NotEmpty { .. })
    ));
    fs::remove_file(copy.join("notes")).unwrap();
    backup(&data, &copy).unwrap();
    for file in ["FORMAT", "log/00000001"] {
        let path = copy.join(file);
        let bits = fs::metadata(&path).unwrap().len() * 8;
        for bit in (0..bits).step_by(97) {
            let bit = usize::try_from(bit).unwrap();
            flip(&path, bit);
            assert!(check(&copy).is_err(), "{file}, bit {bit}");
            let refused = restore(&copy, &back);
            assert!(refused.is_err(), "{file}, bit {bit}");
            assert!(!back.join("FORMAT").exists(), "{file}, bit {bit}");
            flip(&path, bit);
        }
    }
    check(&copy).unwrap();
    // A copy that was cut short is none.
    fs::remove_file(copy.join("FORMAT")).unwrap();
    assert!(matches!(
        restore(&copy, &back),
        Err(StoreError::Corrupt { .. })
    ));
    // Damage of the store itself is found by its backup.
    flip(&segment(&data), 4000);
    let again = root.path().join("again");
    let error = backup(&data, &again).unwrap_err().to_string();
    assert!(error.contains("segment 1, offset"), "{error}");
    assert!(!again.exists());
}

#[tokio::test]
async fn a_store_is_of_one_service_and_so_are_its_copies() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, back] = places(&root);
    let open_as = |owner| {
        let options = StoreOptions {
            owner,
            ..StoreOptions::default()
        };
        Store::open(&data, options)
    };
    let store = open_as("ranking").unwrap();
    fill(&store, 0..4).await;
    store.close().unwrap();
    backup(&data, &copy).unwrap();
    restore(&copy, &back).unwrap();
    for dir in [&data, &copy, &back] {
        let error = check_owner(dir, "forecast").unwrap_err().to_string();
        assert!(
            error.contains("is a store of ranking, not of forecast"),
            "{error}"
        );
        check_owner(dir, "ranking").unwrap();
        check_owner(dir, "").unwrap();
    }
    let foreign = open_as("forecast").map(drop);
    assert!(matches!(foreign, Err(StoreError::Foreign { .. })));
    for owner in ["", "ranking"] {
        let store = open_as(owner).unwrap();
        assert_eq!(content(&store.latest()).unwrap(), filled(4));
        store.close().unwrap();
    }
}

#[tokio::test]
async fn nothing_is_copied_into_what_it_is_of() {
    let root = tempfile::tempdir().unwrap();
    let [data, copy, _] = places(&root);
    let store = open(&data);
    fill(&store, 0..4).await;
    store.close().unwrap();
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    for inside in [
        &data,
        &data.join("log/in"),
        &data.join("new/deep"),
        &link.join("in"),
    ] {
        let refused = backup(&data, inside);
        assert!(
            matches!(refused, Err(StoreError::Inside { .. })),
            "{inside:?}"
        );
    }
    assert!(!data.join("new").exists() && !data.join("log/in").exists());
    backup(&data, &copy).unwrap();
    let refused = restore(&copy, &copy.join("back"));
    assert!(matches!(refused, Err(StoreError::Inside { .. })));
}

/// Places of a store, its backup and what is restored from it.
fn places(root: &tempfile::TempDir) -> [PathBuf; 3] {
    ["data", "copy", "back"].map(|name| root.path().join(name))
}
