//! Stores to be damaged.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use almanac_service_kit::store::{CommitTime, Keep, Rules, Store, StoreOptions, backup, compact};

use super::Content;
use crate::Outcome;

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 300 commits of 3 records.
    Small,
    /// 120 commits of 1,000 records, and some large values.
    Large,
}

/// In what state it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Closed.
    Closed,
    /// As SIGKILL leaves it: copied from below a store that is open.
    Killed,
    /// As a loss of power leaves it: the same, with the high-water mark of some commits before.
    Unmarked,
    /// A backup.
    Backup,
    /// Compacted up to the end of its first half, opened and closed.
    Compacted,
    /// A backup of that.
    CompactedBackup,
}

impl State {
    /// Whether it is not opened but restored.
    pub(super) fn is_backup(self) -> bool {
        matches!(self, Self::Backup | Self::CompactedBackup)
    }
}

/// The plan of a size.
struct Plan {
    commits: u64,
    width: u64,
    segment_bytes: u64,
    checkpoint_bytes: u64,
    /// Every so many commits has a large value.
    large: Option<u64>,
}

/// How many commits follow the mark of [`State::Unmarked`].
const UNMARKED: u64 = 4;

impl Size {
    fn plan(self) -> Plan {
        match self {
            Self::Small => Plan {
                commits: 300,
                width: 3,
                segment_bytes: 32 << 10,
                checkpoint_bytes: 64 << 10,
                large: None,
            },
            Self::Large => Plan {
                commits: 120,
                width: 1000,
                segment_bytes: 2 << 20,
                checkpoint_bytes: 4 << 20,
                large: Some(50),
            },
        }
    }
}

/// A store whose content is known, with a backup of it as it was earlier.
#[derive(Debug)]
pub struct Specimen {
    /// How much it holds.
    pub size: Size,
    /// How it was left.
    pub state: State,
    /// The data directory, never opened again.
    pub dir: PathBuf,
    /// What it has to answer.
    pub content: Content,
    /// The backup.
    pub backup: PathBuf,
    /// What that has to answer.
    pub kept: Content,
}

impl fmt::Display for Specimen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.size, self.state)
    }
}

/// How specimens of a size are opened.
pub(super) fn options(size: Size) -> StoreOptions {
    let plan = size.plan();
    StoreOptions {
        segment_bytes: plan.segment_bytes,
        checkpoint_bytes: plan.checkpoint_bytes,
        // So that nothing happens below a store that is copied.
        idle: Duration::from_secs(3600),
        ..StoreOptions::default()
    }
}

impl Specimen {
    /// Makes a store of the size below `dir`, and its specimens.
    ///
    /// # Errors
    /// What the store or the file system said.
    pub async fn all(size: Size, dir: &Path) -> Outcome<Vec<Self>> {
        let plan = size.plan();
        let at = |name: &str| dir.join(name);
        let (live, copy) = (at("live"), at("backup"));
        let mut content = Content::default();
        let commits = [
            0..plan.commits / 2,
            plan.commits / 2..plan.commits - UNMARKED,
            plan.commits - UNMARKED..plan.commits,
        ];
        let large = |number: u64| plan.large.is_some_and(|every| number % every == every / 2);
        let [first, second, last] = commits;

        let store = Store::open(&live, options(size))?;
        for number in first {
            content
                .commit(&store, number, plan.width, large(number))
                .await?;
        }
        content.keep(&store);
        store.close()?;
        let half = backup(&live, &copy)?;
        let kept = content.clone();

        // Opened again, so that the index has what sled writes at an open.
        let store = Store::open(&live, options(size))?;
        for number in second {
            content
                .commit(&store, number, plan.width, large(number))
                .await?;
        }
        content.keep(&store);
        let (marked, mark) = (content.clone(), fs::read(live.join("HIGH"))?);
        for number in last {
            content.commit(&store, number, plan.width, false).await?;
            content.keep(&store);
        }
        copy_all(&live, &at("killed"))?;
        copy_all(&live, &at("unmarked"))?;
        fs::write(at("unmarked").join("HIGH"), mark)?;
        store.close()?;
        compacted(size, &live, &at("compacted"), half.time)?;
        backup(&at("compacted"), &at("compacted-backup"))?;
        let unmarked = content.clone().or_ending_with(&marked);

        let specimen = |state, name: &str, content: &Content| Self {
            size,
            state,
            dir: at(name),
            content: content.clone(),
            backup: copy.clone(),
            kept: kept.clone(),
        };
        Ok(vec![
            specimen(State::Closed, "live", &content),
            specimen(State::Killed, "killed", &content),
            specimen(State::Unmarked, "unmarked", &unmarked),
            specimen(State::Backup, "backup", &kept),
            Self {
                backup: at("compacted-backup"),
                kept: content.clone(),
                ..specimen(State::Compacted, "compacted", &content)
            },
            specimen(State::CompactedBackup, "compacted-backup", &content),
        ])
    }
}

/// Compacts a copy of a closed store, and opens and closes it, so that it has an index.
fn compacted(size: Size, from: &Path, to: &Path, before: CommitTime) -> Outcome<()> {
    copy_all(from, to)?;
    let rules = Rules {
        of: &|_| Keep::Readable,
        before,
        now: before,
        segment_bytes: size.plan().segment_bytes,
    };
    let report = compact(to, &rules)?;
    if report.dropped == 0 || report.after.segments < 2 {
        return Err(format!("this shows nothing: {report:?}").into());
    }
    Ok(Store::open(to, options(size))?.close()?)
}

/// Copies a directory with all in it.
pub(super) fn copy_all(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
