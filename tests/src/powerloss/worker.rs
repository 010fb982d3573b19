//! What is done to the store while it is recorded, and what has to be found in it afterwards.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use almanac_service_kit::store::{
    Keep, Read as _, Rules, Store, StoreOptions, Table, backup, check as check_copy, compact,
    restore,
};

use super::recording::ACKNOWLEDGED;
use crate::Outcome;

/// Records by writer, number of the commit, and part of the commit.
const PARTS: Table<(u64, u64, u64), String> = Table::new(3, "parts");
/// How many of them each commit writes.
const WIDTH: u64 = 3;
/// The number of each writer's last commit, which leaves versions for compaction to drop.
const LAST: Table<(u64, u64), u64> = Table::new(4, "last");
const WRITERS: u64 = 8;

/// How a session of the worker goes.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Commits of each writer.
    pub commits: u64,
    /// Whether the store is closed in the end, backed up, restored elsewhere and compacted; killed if
    /// not.
    pub close: bool,
}

/// The store below the recorded root: deep, since the name of each new directory has to last, too.
fn store_dir(root: &Path) -> PathBuf {
    root.join("var/almanac/store")
}

fn options() -> StoreOptions {
    StoreOptions {
        // Small, so that segments end, the index is flushed and marks are set within a short run.
        segment_bytes: 24 << 10,
        checkpoint_bytes: 64 << 10,
        idle: Duration::from_millis(3),
        cache_bytes: 8 << 20,
        ..StoreOptions::default()
    }
}

fn text(writer: u64, number: u64, part: u64) -> String {
    let length = usize::try_from((writer * 31 + number * 7 + part * 13) % 90).unwrap_or_default();
    format!("{writer}/{number}/{part}:{}", "x".repeat(length))
}

/// What has been acknowledged by some point.
#[derive(Debug, Default, Clone)]
pub struct Acknowledged {
    /// For each writer, how many commits.
    commits: BTreeMap<u64, u64>,
    /// Copies, and the revision that each is of.
    copies: BTreeMap<String, u64>,
}

impl Acknowledged {
    /// Adds a line that the worker wrote.
    ///
    /// # Errors
    /// If it is none.
    pub fn add(&mut self, line: &str) -> Outcome<()> {
        let (what, number) = line.split_once(' ').ok_or("not an acknowledgement")?;
        let number = number.parse()?;
        match what.parse() {
            Ok(writer) => {
                let commits = self.commits.entry(writer).or_default();
                *commits = (*commits).max(number + 1);
            }
            Err(_) => {
                self.copies.insert(what.to_owned(), number);
            }
        }
        Ok(())
    }

    /// How many commits.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.values().sum()
    }

    /// How many copies.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.copies.len()
    }
}

/// Commits so often with each writer, acknowledging each; then closes the store, copies and
/// compacts it, or ends at once without.
///
/// # Errors
/// What the store said.
pub async fn work(root: &Path, session: Session) -> Outcome<()> {
    let store = Store::open(&store_dir(root), options())?;
    let mut acknowledgements = OpenOptions::new();
    let acknowledgements = acknowledgements.create(true).append(true);
    let acknowledgements = Arc::new(acknowledgements.open(root.join(ACKNOWLEDGED))?);
    let found = numbers(&store)?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let next = found.get(&writer).copied().unwrap_or_default();
        let (store, acknowledgements) = (store.clone(), Arc::clone(&acknowledgements));
        writers.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(20 + 10 * writer));
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for number in next..next + session.commits {
                commit(&store, writer, number).await?;
                acknowledge(&acknowledgements, &writer.to_string(), number)?;
                if number % 16 == writer {
                    // Long enough for the mark and the flush of an idle store.
                    pace.tick().await;
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    if !session.close {
        std::process::abort();
    }
    let now = store.latest().time();
    store.close()?;
    // A copy that was cut short stays where it is.
    let taken = |number: &u64| root.join(format!("backup-{number}")).exists();
    let number = (0_u64..).find(|number| !taken(number)).unwrap_or_default();
    let (copy, restored) = (format!("backup-{number}"), format!("restored-{number}"));
    let report = backup(&store_dir(root), &root.join(&copy))?;
    acknowledge(&acknowledgements, &copy, report.revision.get())?;
    let report = restore(&root.join(&copy), &root.join(&restored))?;
    acknowledge(&acknowledgements, &restored, report.revision.get())?;
    let rules = Rules {
        of: &|_| Keep::Readable,
        before: now,
        now,
        segment_bytes: options().segment_bytes,
    };
    compact(&store_dir(root), &rules)?;
    Ok(())
}

/// In one write, so that it is whole or not there.
fn acknowledge(mut file: &File, what: &str, number: u64) -> Outcome<()> {
    Ok(file.write_all(format!("{what} {number}\n").as_bytes())?)
}

async fn commit(store: &Store, writer: u64, number: u64) -> Outcome<()> {
    let write = store.transact(move |tx| {
        tx.put(&LAST, &(writer, 0), &number)?;
        (0..WIDTH).try_for_each(|part| {
            tx.put(&PARTS, &(writer, number, part), &text(writer, number, part))
        })
    });
    write.await?;
    Ok(())
}

/// How many commits of each writer the store holds.
///
/// # Errors
/// A commit that is half there, is not as it was written, or follows one that is missing.
fn numbers(store: &Store) -> Outcome<BTreeMap<u64, u64>> {
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    let snapshot = store.latest();
    for record in snapshot.scan(&PARTS, &()) {
        let ((writer, number, part), record) = record?;
        let parts = found.entry(writer).or_default();
        if (number, part) != (*parts / WIDTH, *parts % WIDTH) {
            return Err(format!("writer {writer}: {number}/{part} follows part {parts}").into());
        }
        if record.value != text(writer, number, part) {
            return Err(format!("writer {writer}: {number}/{part} has another value").into());
        }
        *parts += 1;
    }
    if let Some((writer, _)) = found.iter().find(|(_, parts)| *parts % WIDTH != 0) {
        return Err(format!("writer {writer}: the last commit is half there").into());
    }
    for (writer, parts) in &mut found {
        *parts /= WIDTH;
        let last = snapshot.get(&LAST, &(*writer, 0))?;
        if last.map(|last| last.value + 1) != Some(*parts) {
            return Err(format!("writer {writer}: the last commit is half there").into());
        }
    }
    Ok(found)
}

/// Opens the store and looks for what had been acknowledged; then writes to it, closes it, and
/// looks again. Answers how many acknowledged commits and copies are lost.
///
/// # Errors
/// A store that does not open, does not verify, or holds anything half.
pub async fn check(root: &Path, acknowledged: &Acknowledged) -> Outcome<u64> {
    let dir = store_dir(root);
    let store = Store::open(&dir, options())?;
    let found = numbers(&store)?;
    let missing = |(writer, commits): (&u64, &u64)| {
        commits.saturating_sub(found.get(writer).copied().unwrap_or_default())
    };
    let mut lost: u64 = acknowledged.commits.iter().map(missing).sum();
    store.verify()?;
    commit(&store, 0, found.get(&0).copied().unwrap_or_default()).await?;
    let written = numbers(&store)?;
    store.close()?;
    let again = Store::open(&dir, options())?;
    if numbers(&again)? != written {
        return Err("what was written after the start is not there after the next".into());
    }
    again.verify()?;
    again.close()?;
    for (copy, revision) in &acknowledged.copies {
        let whole = check_copy(&root.join(copy));
        let there = whole.is_ok_and(|report| report.revision.get() == *revision);
        lost += u64::from(!there);
    }
    Ok(lost)
}
