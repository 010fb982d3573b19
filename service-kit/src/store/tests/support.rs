//! What the tests share: a table, a store with a few commits, copies and damage.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::high::{self, Found};
use crate::store::log::{Log, Tail};
use crate::store::open::check_log;
use crate::store::{Read, Store, StoreError, StoreOptions, Table};

pub(super) const CITIES: Table<(u64, String), String> = Table::new(3, "cities");

pub(super) type Content = Vec<((u64, String), String)>;

pub(super) fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions::default()).unwrap()
}

/// Commits once for each number in the range.
pub(super) async fn fill(store: &Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store
            .transact(move |tx| {
                let name = format!("city {number}");
                tx.put(&CITIES, &(number % 3, format!("c{number}")), &name)?;
                tx.put(&CITIES, &(9, "latest".to_owned()), &name)
            })
            .await
            .unwrap();
    }
}

/// What [`fill`] leaves after its first commits.
pub(super) fn filled(commits: u64) -> Content {
    let mut content: Content = (0..commits)
        .map(|n| ((n % 3, format!("c{n}")), format!("city {n}")))
        .collect();
    if commits > 0 {
        let latest = format!("city {}", commits - 1);
        content.push(((9, "latest".to_owned()), latest));
    }
    content.sort();
    content
}

pub(super) fn content(read: &impl Read) -> Result<Content, StoreError> {
    read.scan(&CITIES, &())
        .map(|item| item.map(|(key, found)| (key, found.value)))
        .collect()
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A fresh copy of a store.
pub(super) fn copied(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    dir
}

/// The first segment of the log.
pub(super) fn segment(dir: &Path) -> PathBuf {
    dir.join("log/00000001")
}

/// Flips a bit in place: rewriting whole files thousands of times is slow.
pub(super) fn flip(file: &Path, bit: usize) {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit as u64 / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit as u64 / 8).unwrap();
}

/// Makes a file hold these bytes, in place.
pub(super) fn rewrite(file: &Path, bytes: &[u8]) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// What an open would make of the log and the high-water mark of a directory.
pub(super) fn check(dir: &Path) -> Result<(Found, Tail), StoreError> {
    let format = fs::read_to_string(dir.join("FORMAT")).unwrap();
    let (_, digits) = format.split_once("incarnation ").unwrap();
    let mut incarnation = [0; 16];
    let digits = &digits.as_bytes()[..32];
    data_encoding::HEXLOWER
        .decode_mut(digits, &mut incarnation)
        .unwrap();
    let found = high::read(&dir.join("HIGH"), &incarnation)?;
    let log = dir.join("log");
    let log = Log {
        dir: &log,
        incarnation,
    };
    check_log(&log, &found).map(|tail| (found, tail))
}

/// A store as the loss of power leaves it: `synced` commits under a synced high-water mark, all
/// `commits` in the log, each of them a group, and an index that is as old as the mark.
pub(super) async fn crashed(synced: u64, commits: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..synced).await;
    store.close().unwrap();
    let old = copied(dir.path());
    let store = open(dir.path());
    fill(&store, synced..commits).await;
    store.close().unwrap();
    let new = fs::read(segment(dir.path())).unwrap();
    fs::write(segment(old.path()), new).unwrap();
    fs::remove_file(old.path().join("index.sum")).unwrap();
    old
}
