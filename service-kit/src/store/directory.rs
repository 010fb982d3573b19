//! The data directory: its lock and its format.
//!
//! `LOCK` is locked as long as the store is open and holds the process id in decimal. `FORMAT` is
//! text, written last when a store is created:
//!
//! ```text
//! almanac-store 1
//! incarnation 00112233445566778899aabbccddeeff
//! service ranking-service
//! restored 1234 ffeeddccbbaa99887766554433221100
//! check 0011223344556677
//! ```
//!
//! The line `service` says whose tables there are: another service must not write its own among them.
//! There is a line `restored` for each time it was restored from a backup: the last revision in
//! that, and the name of the store from there on. A store that was compacted has format 2 and a line
//! `compacted` with the oldest revision that can still be read. The check is the first eight bytes
//! of the BLAKE3 hash of the lines before it.
//!
//! Compaction builds a whole store in `compact/` and renames that to `compacted/`. Its `FORMAT` taking
//! the place of the old one decides: from then on a release that knows no compaction refuses the
//! directory, and whoever else locks it next, if only after a crash, puts the other parts in place.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::disk;
use super::error::StoreError;
use super::high;
use super::lineage::Lineage;
use super::segment::{self, HEADER};
use super::table::hex;
use super::time::Revision;

/// The newest format that this release reads. It writes the oldest that says everything.
const FORMAT: u32 = 2;
const TITLE: &str = "almanac-store ";
const SERVICE: &str = "service ";
const RESTORED: &str = "restored ";
const COMPACTED: &str = "compacted ";

/// A data directory, locked but for reading beside the process that holds it.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) root: PathBuf,
    /// Unlocked when it is dropped.
    _lock: Option<File>,
}

impl Directory {
    /// Locks the directory, creating it if it may be.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when it is locked already, [`StoreError::Absent`].
    pub(super) fn lock(root: &Path, create: bool) -> Result<Self, StoreError> {
        if !create && !root.is_dir() {
            return Err(StoreError::Absent {
                dir: root.to_owned(),
            });
        }
        disk::create_dir(root)?;
        let io = |error| StoreError::io("lock LOCK", error);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("LOCK"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = lock.read_to_string(&mut pid);
                return Err(StoreError::InUse {
                    dir: root.to_owned(),
                    pid: read.ok().and_then(|_| pid.trim().parse().ok()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io)?;
        let directory = Self {
            root: root.to_owned(),
            _lock: Some(lock),
        };
        disk::remove(&directory.building())?;
        directory.finish_compaction()?;
        Ok(directory)
    }

    /// The directory without its lock, for reading what no longer changes.
    pub(super) fn beside(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _lock: None,
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(super) fn high(&self) -> PathBuf {
        self.root.join("HIGH")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(super) fn seal(&self) -> PathBuf {
        self.root.join("index.sum")
    }

    /// Where compaction builds the new store.
    pub(super) fn building(&self) -> PathBuf {
        self.root.join("compact")
    }

    /// The new store once it is whole; without its `FORMAT` it is decided.
    fn whole(&self) -> PathBuf {
        self.root.join("compacted")
    }

    /// Whether a compaction is under way, by whoever has the lock.
    pub(super) fn is_compacting(&self) -> bool {
        self.building().exists() || self.whole().exists()
    }

    /// Replaces the store by the one that was built.
    pub(super) fn decide_compaction(&self) -> Result<(), StoreError> {
        disk::rename(&self.building(), &self.whole())?;
        let built = Self::beside(&self.whole());
        disk::rename(&built.format(), &self.format())?;
        self.finish_compaction()
    }

    /// Puts the parts of a decided compaction in place, and removes one that is not decided. May be
    /// cut short and begun again anywhere.
    fn finish_compaction(&self) -> Result<(), StoreError> {
        let built = Self::beside(&self.whole());
        if !built.root.exists() {
            return Ok(());
        }
        // The old store may have been written to since, by a release that looks nowhere else. Where it
        // is no longer whole, a build that moved `FORMAT` last had decided.
        if built.format().exists() && built.log().exists() && self.is_whole()? {
            // Under a name that never counts: a part of it must not look like one that is decided.
            disk::rename(&built.root, &self.building())?;
            return disk::remove(&self.building());
        }
        disk::remove(&self.seal())?;
        disk::remove(&self.index())?;
        if built.log().exists() {
            disk::remove(&self.log())?;
            disk::rename(&built.log(), &self.log())?;
        }
        for (from, to) in [(built.high(), self.high()), (built.format(), self.format())] {
            if from.exists() {
                disk::rename(&from, &to)?;
            }
        }
        disk::remove(&built.root)
    }

    /// Whether all files of the log are there.
    fn is_whole(&self) -> Result<bool, StoreError> {
        let Some(lineage) = self.lineage()? else {
            return Ok(false);
        };
        let last = high::read(&self.high(), &lineage.incarnation)?
            .high
            .position
            .segment;
        let log = self.log();
        Ok((1..=last).all(|number| segment::path(&log, number).exists()))
    }

    fn format(&self) -> PathBuf {
        self.root.join("FORMAT")
    }

    /// The lineage of the store; `None` when there is no store here yet.
    ///
    /// # Errors
    /// [`StoreError::NewerFormat`]; [`StoreError::Corrupt`] when the file is damaged, or absent
    /// beside data.
    pub(super) fn lineage(&self) -> Result<Option<Lineage>, StoreError> {
        match disk::read_if_present(&self.format())? {
            Some(bytes) => parse(&bytes).map(Some),
            None if self.holds_data()? => Err(StoreError::corrupt(
                "FORMAT",
                "the file is missing and the directory holds data",
            )),
            None => Ok(None),
        }
    }

    /// As [`Directory::lineage`], of a store that is of this service, as far as both say one.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], and those of [`Directory::lineage`].
    pub(super) fn lineage_of(&self, owner: &str) -> Result<Option<Lineage>, StoreError> {
        let lineage = self.lineage()?;
        let found = lineage.as_ref().map_or("", |lineage| &lineage.owner);
        if found.is_empty() || owner.is_empty() || found == owner {
            return Ok(lineage);
        }
        Err(StoreError::Foreign {
            dir: self.root.clone(),
            found: found.to_owned(),
            wanted: owner.to_owned(),
        })
    }

    /// Makes the directory a store. Everything in it must be in place and durable.
    pub(super) fn write_format(&self, lineage: &Lineage) -> Result<(), StoreError> {
        disk::sync_name(&self.root)?;
        disk::write_atomically(&self.format(), render(lineage).as_bytes())
    }

    /// Removes what a creation left that did not reach its end.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        disk::remove(&self.high())?;
        disk::remove(&self.log())
    }

    /// Whether there is more than an unfinished creation leaves.
    fn holds_data(&self) -> Result<bool, StoreError> {
        if self.index().exists() || self.seal().exists() {
            return Ok(true);
        }
        let log = self.log();
        if !log.exists() {
            return Ok(false);
        }
        let io = |error| StoreError::io("list the log", error);
        for entry in fs::read_dir(log).map_err(io)? {
            let length = entry.and_then(|entry| entry.metadata()).map_err(io)?.len();
            if length > HEADER as u64 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn render(lineage: &Lineage) -> String {
    let incarnation = hex(&lineage.incarnation);
    let compacted = lineage.floor > Revision::ZERO;
    let version = if compacted { 2 } else { 1 };
    let mut head = format!("{TITLE}{version}\nincarnation {incarnation}\n");
    if !lineage.owner.is_empty() {
        head += &format!("{SERVICE}{}\n", lineage.owner);
    }
    for (last, name) in &lineage.restored {
        head += &format!("{RESTORED}{} {}\n", last.get(), hex(name));
    }
    if compacted {
        head += &format!("{COMPACTED}{}\n", lineage.floor.get());
    }
    let check = hex(&blake3::hash(head.as_bytes()).as_bytes()[..8]);
    format!("{head}check {check}\n")
}

pub(super) fn parse(bytes: &[u8]) -> Result<Lineage, StoreError> {
    let damaged = || StoreError::corrupt("FORMAT", "the file is damaged");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix(TITLE)?.parse::<u32>().ok())
        .ok_or_else(damaged)?;
    if version > FORMAT {
        return Err(StoreError::NewerFormat {
            found: version,
            supported: FORMAT,
        });
    }
    let incarnation = lines
        .next()
        .and_then(|line| unhex(line.strip_prefix("incarnation ")?))
        .ok_or_else(damaged)?;
    let mut lineage = Lineage::new(incarnation);
    for line in lines {
        if let Some(owner) = line.strip_prefix(SERVICE) {
            lineage = lineage.owned_by(owner);
        }
        if let Some(floor) = line.strip_prefix(COMPACTED) {
            let floor = floor.parse().map_err(|_| damaged())?;
            lineage = lineage.compacted_below(Revision::new(floor));
        }
        let Some(line) = line.strip_prefix(RESTORED) else {
            continue;
        };
        let (last, name) = line.split_once(' ').ok_or_else(damaged)?;
        let last = last.parse().map_err(|_| damaged())?;
        let name = unhex(name).ok_or_else(damaged)?;
        lineage = lineage.restored_at(Revision::new(last), name);
    }
    if render(&lineage) != text {
        return Err(damaged());
    }
    Ok(lineage)
}

fn unhex(digits: &str) -> Option<[u8; 16]> {
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok()
}
