//! Damaged, torn, lost and stale files: the answer is right, or an error; never short.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use proptest::test_runner::{Config, TestRunner};

use super::support::{
    CITIES, Content, check, content, copied, copy, crashed, fill, filled, flip, open, rewrite,
    segment,
};
use crate::store::engine::Engine as _;
use crate::store::entry::{self, Pair};
use crate::store::sled_engine::SledEngine;
use crate::store::{Read, Revision, Store, StoreError, StoreOptions};

/// Opens, reads everything and closes.
fn answers(dir: &Path) -> Result<(Revision, Content), StoreError> {
    let store = Store::open(dir, StoreOptions::default())?;
    let found = (store.latest().revision(), content(&store.latest())?);
    store.verify()?;
    store.close()?;
    Ok(found)
}

async fn closed(commits: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..commits).await;
    store.close().unwrap();
    dir
}

/// One bit of each byte, another one each time.
fn bits(bytes: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    bytes.map(|byte| byte * 8 + (byte * 5 + byte / 8) % 8)
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

#[tokio::test]
async fn a_flip_at_any_byte_of_the_log_is_found() {
    let dir = closed(4).await;
    let path = segment(dir.path());
    let length = fs::metadata(&path).unwrap().len();
    for bit in bits(0..usize::try_from(length).unwrap()) {
        flip(&path, bit);
        let checked = check(dir.path());
        assert!(is_corrupt(&checked), "bit {bit}");
        flip(&path, bit);
    }
    check(dir.path()).unwrap();
    flip(&path, 4000);
    let error = answers(dir.path()).unwrap_err().to_string();
    assert!(error.contains("segment 1, offset"), "{error}");
    assert!(error.contains("revision"), "{error}");
}

#[tokio::test]
async fn a_log_cut_anywhere_before_the_mark_is_found() {
    let dir = closed(4).await;
    let path = segment(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        rewrite(&path, &whole[..length]);
        assert!(is_corrupt(&check(dir.path())), "cut at {length}");
    }
    fs::remove_file(&path).unwrap();
    assert!(is_corrupt(&check(dir.path())));
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_leaves_whole_commits() {
    let (synced, commits) = (3, 6);
    let dir = crashed(synced, commits).await;
    let path = segment(dir.path());
    let whole = fs::read(&path).unwrap();
    let start = usize::try_from(check(dir.path()).unwrap().0.high.position.offset).unwrap();
    // Where each commit after the synced ones ends.
    let mut ends = Vec::new();
    for length in start..=whole.len() {
        rewrite(&path, &whole[..length]);
        let (_, tail) = check(dir.path()).unwrap();
        assert!(tail.end.tip.revision.get() <= synced + ends.len() as u64 + 1);
        if tail.end.tip.revision.get() > synced + ends.len() as u64 {
            ends.push(length);
        }
    }
    assert_eq!(ends.len() as u64, commits - synced);
    for length in start..=whole.len() {
        for garbage in [&b""[..], &[0; 50], b"ALMF\x90\0\0\0and then something else"] {
            let torn = [&whole[..length], garbage].concat();
            rewrite(&path, &torn);
            let (_, tail) = check(dir.path()).unwrap();
            // The bytes decide, also where garbage happens to be what was cut off.
            let kept = ends.iter().filter(|&&end| torn.starts_with(&whole[..end]));
            assert_eq!(tail.end.tip.revision.get(), synced + kept.count() as u64);
            let frames: Vec<u8> = tail.frames.into_iter().flat_map(|(_, part)| part).collect();
            assert_eq!(frames, whole[start..start + frames.len()]);
        }
    }
    // And as a whole, at some of the places.
    for length in (start..=whole.len()).step_by(97) {
        let copy = copied(dir.path());
        fs::write(segment(copy.path()), &whole[..length]).unwrap();
        let (revision, found) = answers(copy.path()).unwrap();
        assert!((synced..=commits).contains(&revision.get()));
        assert_eq!(found, filled(revision.get()));
        // The cut is durable, and so is what was kept.
        assert_eq!(answers(copy.path()).unwrap(), (revision, found));
    }
}

#[tokio::test]
async fn damage_after_a_stale_mark_is_told_from_a_torn_end() {
    let dir = crashed(2, 6).await;
    let path = segment(dir.path());
    let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    let start = usize::try_from(check(dir.path()).unwrap().0.high.position.offset).unwrap();
    let last = start + (length - start) * 3 / 4;
    for bit in bits(start..length) {
        flip(&path, bit);
        match check(dir.path()) {
            // Only the last group can have been torn.
            Ok((_, tail)) => {
                assert!(bit / 8 >= last, "bit {bit} of {start}..{last}..{length}");
                assert_eq!(tail.end.tip.revision, Revision::new(5));
            }
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. })),
        }
        flip(&path, bit);
    }
}

#[tokio::test]
async fn a_flip_at_any_byte_of_the_mark_is_healed_or_found() {
    let dir = crashed(3, 5).await;
    let path = dir.path().join("HIGH");
    for bit in bits((0..168).chain(4096..4264)) {
        flip(&path, bit);
        let (found, tail) = check(dir.path()).unwrap();
        assert!(found.damaged);
        assert_eq!(found.high.tip.revision, Revision::new(3));
        assert_eq!(tail.end.tip.revision, Revision::new(5));
        flip(&path, bit);
    }
    // A slot that is damaged beside a log that is: nobody knows whether that was acknowledged.
    flip(&path, 1000);
    let log = segment(dir.path());
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 1]).unwrap();
    assert!(is_corrupt(&check(dir.path())));
    fs::write(&log, &whole).unwrap();
    assert_eq!(answers(dir.path()).unwrap().1, filled(5));
    rewrite(&path, &[7; 8192]);
    assert!(is_corrupt(&answers(dir.path())));
    fs::remove_file(&path).unwrap();
    assert!(is_corrupt(&answers(dir.path())));
}

#[tokio::test]
async fn a_flip_at_any_byte_of_the_format_is_found() {
    let dir = closed(2).await;
    let path = dir.path().join("FORMAT");
    let whole = fs::read(&path).unwrap();
    for bit in bits(0..whole.len()) {
        flip(&path, bit);
        let refused = Store::open(dir.path(), StoreOptions::default());
        assert!(
            matches!(
                refused,
                Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. })
            ),
            "bit {bit}"
        );
        flip(&path, bit);
    }
    rewrite(&path, b"almanac-store 3\nsomething else\n");
    let error = answers(dir.path()).unwrap_err().to_string();
    assert_eq!(error, "the store has format 3; this release reads up to 2");
    fs::remove_file(&path).unwrap();
    assert!(is_corrupt(&answers(dir.path())));
    fs::write(&path, &whole).unwrap();
    assert_eq!(answers(dir.path()).unwrap().1, filled(2));
}

#[tokio::test]
async fn flips_in_the_index_never_change_an_answer() {
    let dir = closed(40).await;
    let files: Vec<_> = ["index/db", "index/conf", "index.sum"]
        .into_iter()
        .filter(|name| dir.path().join(name).exists())
        .collect();
    for sealed in [true, false] {
        let mut runner = TestRunner::new(Config {
            cases: 20,
            failure_persistence: None,
            ..Config::default()
        });
        let places = (0..files.len(), 0..1_000_000_usize);
        runner
            .run(&places, |(file, place)| {
                let copy = copied(dir.path());
                let path = copy.path().join(files[file]);
                let bytes = fs::read(&path).unwrap();
                let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
                flip(&path, place % (used * 8));
                if !sealed {
                    fs::remove_file(copy.path().join("index.sum")).unwrap();
                }
                assert_eq!(answers(copy.path()).unwrap().1, filled(40));
                Ok(())
            })
            .unwrap();
    }
}

#[tokio::test]
async fn an_index_that_is_gone_older_foreign_or_rubbish_is_rebuilt() {
    let dir = closed(10).await;
    let old = copied(dir.path());
    let store = open(dir.path());
    fill(&store, 10..30).await;
    store.close().unwrap();
    let foreign = closed(30).await;

    type Damage<'a> = Box<dyn Fn(&Path) + 'a>;
    let replace = |index: &Path, with: &Path| {
        fs::remove_dir_all(index).unwrap();
        copy(&with.join("index"), index);
    };
    let rubbish = |index: &Path, bytes: &[u8]| fs::write(index.join("db"), bytes).unwrap();
    let damages: [Damage<'_>; 6] = [
        Box::new(|index| fs::remove_dir_all(index).unwrap()),
        Box::new(|index| replace(index, old.path())),
        Box::new(|index| replace(index, foreign.path())),
        Box::new(|index| rubbish(index, b"")),
        Box::new(|index| rubbish(index, &[0xA5; 100_000])),
        Box::new(|index| {
            let bytes = fs::read(index.join("db")).unwrap();
            rubbish(index, &bytes[..bytes.len() / 2]);
        }),
    ];
    for (number, damage) in damages.iter().enumerate() {
        for sealed in [true, false] {
            let copy = copied(dir.path());
            damage(&copy.path().join("index"));
            if !sealed {
                fs::remove_file(copy.path().join("index.sum")).unwrap();
            }
            let found = answers(copy.path()).unwrap();
            assert_eq!(found, (Revision::new(30), filled(30)), "{number} {sealed}");
        }
    }
}

#[tokio::test]
async fn a_log_older_than_its_index_is_found() {
    let dir = closed(10).await;
    let old = copied(dir.path());
    let store = open(dir.path());
    fill(&store, 10..12).await;
    store.close().unwrap();
    for sealed in [true, false] {
        let mixed = copied(old.path());
        fs::remove_dir_all(mixed.path().join("index")).unwrap();
        copy(&dir.path().join("index"), &mixed.path().join("index"));
        fs::remove_file(mixed.path().join("index.sum")).unwrap();
        if sealed {
            fs::copy(dir.path().join("index.sum"), mixed.path().join("index.sum")).unwrap();
        }
        let error = answers(mixed.path()).unwrap_err().to_string();
        assert!(error.contains("10, but 12 had been committed"), "{error}");
    }
}

/// An index that holds three commits of six, and pairs of the later ones in the order in which they go
/// in.
async fn half_written() -> (tempfile::TempDir, Vec<Pair>) {
    let dir = crashed(3, 6).await;
    let whole = copied(dir.path());
    assert_eq!(answers(whole.path()).unwrap().1, filled(6));
    let engine = Box::new(SledEngine::open(&whole.path().join("index"), 1 << 20).unwrap());
    let mut later: Vec<(Revision, Pair)> = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        match entry::split_version_key(key) {
            Some((_, revision)) if (4..=6).contains(&revision.get()) => {
                later.push((revision, (key.to_vec(), value.to_vec())));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    };
    engine.visit(&[], &[0xFF], &mut visit).unwrap();
    engine.close().unwrap();
    // The pair that tells the time of a commit is its last.
    later.sort_by_key(|(revision, (key, _))| (*revision, key.starts_with(&entry::GROUPS)));
    (dir, later.into_iter().map(|(_, pair)| pair).collect())
}

/// Opens a copy whose index has these pairs too. Says what it holds, and whether the index was kept.
fn with_pairs(dir: &Path, pairs: &[Pair]) -> (Result<Content, StoreError>, bool) {
    let copy = copied(dir);
    let index = copy.path().join("index");
    let engine = Box::new(SledEngine::open(&index, 1 << 20).unwrap());
    engine.insert(pairs.to_vec()).unwrap();
    engine.close().unwrap();
    // Goes with the index if that is made anew.
    fs::write(index.join("kept"), "").unwrap();
    let found = answers(copy.path()).map(|(_, content)| content);
    (found, index.join("kept").exists())
}

#[tokio::test]
async fn an_index_that_was_being_written_is_completed() {
    let (dir, later) = half_written().await;
    assert!(later.len() > 6, "{}", later.len());
    for count in 0..=later.len() {
        let (found, kept) = with_pairs(dir.path(), &later[..count]);
        assert_eq!(found.unwrap(), filled(6), "{count}");
        assert!(kept, "{count}");
    }
    // In any order, as a disk that lost power may have them.
    let (found, kept) = with_pairs(dir.path(), &later[2..]);
    assert_eq!((found.unwrap(), kept), (filled(6), true));
}

#[tokio::test]
async fn pairs_of_commits_that_the_log_has_not_are_never_read() {
    let (dir, _) = half_written().await;
    let pair = |revision| {
        let key = CITIES.key_bytes(&(9, "nowhere"));
        let key = entry::version_key(&key, Revision::new(revision));
        let mut value = vec![0; 9];
        entry::seal(&key, &mut value);
        (key, value)
    };
    // Of a commit that the log has otherwise: the index is worth nothing.
    let (found, kept) = with_pairs(dir.path(), &[pair(5)]);
    assert_eq!((found.unwrap(), kept), (filled(6), false));
    // Of one that the log has no more: that was lost, also where the index is worth nothing.
    for pairs in [&[pair(7)][..], &[pair(3), pair(7)]] {
        let (found, _) = with_pairs(dir.path(), pairs);
        let error = found.unwrap_err().to_string();
        assert!(error.contains("6, but 7 had been committed"), "{error}");
    }
}

#[tokio::test]
async fn the_index_of_a_young_store_is_kept() {
    for commits in [0, 1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        fill(&store, 0..commits).await;
        // As it is where the process dies now.
        let killed = copied(dir.path());
        store.close().unwrap();
        for dir in [dir, killed] {
            let kept = dir.path().join("index/kept");
            fs::write(&kept, "").unwrap();
            let seal = dir.path().join("index.sum");
            if seal.exists() {
                fs::remove_file(&seal).unwrap();
            }
            assert_eq!(answers(dir.path()).unwrap().1, filled(commits));
            assert!(kept.exists(), "{commits} commits");
        }
    }
}

#[tokio::test]
async fn a_damaged_end_that_the_index_knows_of_is_left_as_it_is() {
    let dir = crashed(3, 5).await;
    let newer = copied(dir.path());
    assert_eq!(answers(newer.path()).unwrap().1, filled(5));
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy(&newer.path().join("index"), &dir.path().join("index"));
    let path = segment(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 60;
    bytes[last] ^= 1;
    rewrite(&path, &bytes);
    // By the log alone the last commit may have been torn; the index had already applied it.
    let (_, tail) = check(dir.path()).unwrap();
    assert_eq!(tail.end.tip.revision, Revision::new(4));
    for _ in 0..2 {
        let error = answers(dir.path()).unwrap_err().to_string();
        assert!(error.contains("4, but 5 had been committed"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // Sealed, or with a seal that says so and an index that is gone.
    fs::copy(newer.path().join("index.sum"), dir.path().join("index.sum")).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    for _ in 0..2 {
        let error = answers(dir.path()).unwrap_err().to_string();
        assert!(error.contains("4, but 5 had been committed"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_seal_is_newer_than_a_mark_that_was_not_synced() {
    let dir = crashed(3, 5).await;
    let newer = copied(dir.path());
    answers(newer.path()).unwrap();
    fs::copy(newer.path().join("index.sum"), dir.path().join("index.sum")).unwrap();
    // The log holds what was sealed, though the mark is behind: nothing is lost.
    let found = answers(dir.path()).unwrap();
    assert_eq!(found, (Revision::new(5), filled(5)));
}

#[tokio::test]
async fn segments_are_followed_and_missed() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        segment_bytes: 600,
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    fill(&store, 0..30).await;
    let segments = store.verify().unwrap().segments;
    assert!(segments > 5);
    store.close().unwrap();
    // A crash while the next segment was begun.
    let next = dir.path().join(format!("log/{:08}", segments + 1));
    for header in [&b""[..], b"ALMANLOG and then nothing"] {
        fs::write(&next, header).unwrap();
        assert_eq!(answers(dir.path()).unwrap().1, filled(30));
        assert!(!next.exists());
    }
    let whole = dir;
    for number in 1..=segments {
        let dir = copied(whole.path());
        let path = dir.path().join(format!("log/{number:08}"));
        fs::remove_file(&path).unwrap();
        assert!(is_corrupt(&answers(dir.path())), "segment {number} missing");
        let dir = copied(whole.path());
        let path = dir.path().join(format!("log/{number:08}"));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"x").unwrap();
        let result = answers(dir.path());
        // After the last frame of all, anything is a torn write.
        assert_eq!(is_corrupt(&result), number < segments, "segment {number}");
    }
}

#[tokio::test]
async fn a_damaged_value_names_its_table_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..3).await;
    let key = CITIES.key_bytes(&(1, "c1"));
    let key = entry::version_key(&key, Revision::new(2));
    let broken = move |engine: &dyn crate::store::engine::Engine| {
        let mut value = engine.get(&key)?.unwrap();
        value[12] ^= 1;
        engine.insert(vec![(key, value)])
    };
    store.shared.engine(broken).unwrap();
    let expected = r#"corrupt value in table cities, key (1, "c1"): the checksum does not match"#;
    let snapshot = store.latest();
    let got = snapshot.get(&CITIES, &(1, "c1")).unwrap_err();
    assert_eq!(got.to_string(), expected);
    let scanned = content(&snapshot).unwrap_err();
    assert_eq!(scanned.to_string(), expected);
    assert!(snapshot.get(&CITIES, &(0, "c0")).unwrap().is_some());
    assert!(is_corrupt(&store.verify()));
}
