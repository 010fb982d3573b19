//! Copies of a store: taken while it runs or stands still, checked, and brought back.
//!
//! A copy is a data directory without an index: `FORMAT`, `HIGH` and the log up to the last
//! acknowledged commit. Every byte of it lies under the checksums of those files, and `FORMAT` is
//! written last, so that a copy that was cut short is not one.

use std::fs;
use std::path::Path;

use super::directory::Directory;
use super::disk::{self, SystemDisk};
use super::error::StoreError;
use super::frame::Frame;
use super::high::{self, High, HighWriter};
use super::lineage::Lineage;
use super::log::Log;
use super::open::check_log;
use super::segment;
use super::time::{CommitTime, Revision};

/// How often a mark that is being written is read again before the older one is taken.
const READINGS: usize = 100;

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyReport {
    /// The last commit in it.
    pub revision: Revision,
    /// When that was committed.
    pub time: CommitTime,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log.
    pub bytes: u64,
}

/// Copies the store in `from` to `to`, which is absent or empty. Another process may have the
/// store open and go on writing: the copy has everything acknowledged before this began.
///
/// Reads the log twice and writes it once; blocks for as long as that takes.
///
/// # Errors
/// [`StoreError::Absent`], [`StoreError::NotEmpty`], [`StoreError::Corrupt`] for either side,
/// [`StoreError::Io`].
pub fn backup(from: &Path, to: &Path) -> Result<CopyReport, StoreError> {
    let source = match Directory::lock(from, false) {
        // Beside the process that holds it: what it has acknowledged no longer changes.
        Err(StoreError::InUse { .. }) if !Directory::beside(from).is_compacting() => {
            Source::open(Directory::beside(from), false)?
        }
        locked => Source::open(locked?, true)?,
    };
    source.copy(to, &source.lineage)
}

/// Makes sure that the store or backup in `dir` is of this service, as far as it says.
///
/// # Errors
/// [`StoreError::Foreign`], [`StoreError::Corrupt`], [`StoreError::NewerFormat`].
pub fn check_owner(dir: &Path, owner: &str) -> Result<(), StoreError> {
    Directory::beside(dir).lineage_of(owner).map(drop)
}

/// Makes a store in `to`, which is absent or empty, from a backup. It goes on as a store of its
/// own: tokens of revisions in the backup hold, those of later ones are refused.
///
/// # Errors
/// As [`backup`].
pub fn restore(from: &Path, to: &Path) -> Result<CopyReport, StoreError> {
    let source = Source::open(Directory::beside(from), false)?;
    let name = uuid::Uuid::new_v4().into_bytes();
    let lineage = source.lineage.clone();
    source.copy(to, &lineage.restored_at(source.end.tip.revision, name))
}

/// Checks every byte of a backup, or of the log of a store that no process has open, and changes
/// nothing.
///
/// # Errors
/// [`StoreError::Absent`], [`StoreError::Corrupt`] with the file, offset and revision.
pub fn check(dir: &Path) -> Result<CopyReport, StoreError> {
    if Directory::beside(dir).is_compacting() {
        // What a crash left half done is brought to its end.
        drop(Directory::lock(dir, false)?);
    }
    let source = Source::open(Directory::beside(dir), true)?;
    source.check(&source.directory.log())?;
    source.report()
}

/// Whether `path`, which need not exist, is `dir` or in it.
fn is_inside(path: &Path, dir: &Path) -> Result<bool, StoreError> {
    let io = |error| StoreError::io(format!("find {}", path.display()), error);
    let (path, dir) = (
        std::path::absolute(path).map_err(io)?,
        fs::canonicalize(dir).map_err(io)?,
    );
    let mut known = path
        .ancestors()
        .filter_map(|part| fs::canonicalize(part).ok());
    Ok(known.next().is_some_and(|known| known.starts_with(&dir)))
}

/// A store whose log is read as it is.
pub(super) struct Source {
    pub(super) directory: Directory,
    pub(super) lineage: Lineage,
    pub(super) end: High,
}

impl Source {
    /// `still`: nobody writes, so that whole commits after the mark count as well.
    pub(super) fn open(directory: Directory, still: bool) -> Result<Self, StoreError> {
        let absent = || StoreError::Absent {
            dir: directory.root.clone(),
        };
        let lineage = directory.lineage()?.ok_or_else(absent)?;
        let read = || high::read(&directory.high(), &lineage.incarnation);
        let mut found = read()?;
        for _ in 0..READINGS {
            if still || !found.damaged {
                break;
            }
            found = read()?;
        }
        let dir = directory.log();
        let log = Log {
            dir: &dir,
            incarnation: lineage.incarnation,
        };
        let end = if still {
            check_log(&log, &found)?.end
        } else {
            let end = (&found.high.tip, found.high.position);
            log.walk(Revision::ZERO, end, &mut |_| Ok(()))?;
            found.high
        };
        Ok(Self {
            directory,
            lineage,
            end,
        })
    }

    pub(super) fn copy(&self, to: &Path, lineage: &Lineage) -> Result<CopyReport, StoreError> {
        if is_inside(to, &self.directory.root)? {
            return Err(StoreError::Inside { dir: to.to_owned() });
        }
        disk::create_dir(to)?;
        let io = |error| StoreError::io(format!("list {}", to.display()), error);
        if fs::read_dir(to).map_err(io)?.next().is_some() {
            return Err(StoreError::NotEmpty { dir: to.to_owned() });
        }
        let target = Directory::lock(to, true)?;
        disk::create_dir(&target.log())?;
        let copied = self.copy_log(&target.log());
        if self.is_replaced()? {
            return Err(StoreError::InUse {
                dir: self.directory.root.clone(),
                pid: None,
            });
        }
        copied?;
        let name = lineage.incarnation;
        HighWriter::open(&target.high(), name, &SystemDisk, &self.end, false)?;
        disk::sync_dir(to)?;
        target.write_format(lineage)?;
        self.report()
    }

    fn copy_log(&self, to: &Path) -> Result<(), StoreError> {
        for number in 1..=self.end.position.segment {
            disk::write_new(&segment::path(to, number), &self.segment(number)?)?;
        }
        disk::sync_dir(to)?;
        self.check(to)
    }

    /// Whether a compaction has put another log in the place of this one, or is about to: the
    /// process that has the store may have ended since, and its successor compact it.
    fn is_replaced(&self) -> Result<bool, StoreError> {
        let compacting = self.directory.is_compacting();
        Ok(compacting || self.directory.lineage()?.as_ref() != Some(&self.lineage))
    }

    /// The bytes of a segment, up to the end.
    fn segment(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        let path = segment::path(&self.directory.log(), number);
        let missing = || StoreError::corrupt(disk::name(&path), "the segment is missing");
        let mut bytes = disk::read_if_present(&path)?.ok_or_else(missing)?;
        if number == self.end.position.segment {
            let end = usize::try_from(self.end.position.offset).unwrap_or(usize::MAX);
            bytes.truncate(end);
        }
        Ok(bytes)
    }

    /// Calls with each frame of the log.
    pub(super) fn walk(
        &self,
        on_frame: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.walk_in(&self.directory.log(), on_frame)
    }

    fn walk_in(
        &self,
        dir: &Path,
        on_frame: &mut dyn FnMut(&Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let log = Log {
            dir,
            incarnation: self.lineage.incarnation,
        };
        let end = (&self.end.tip, self.end.position);
        log.walk(Revision::ZERO, end, on_frame)
    }

    /// Whether the log in `dir` leads to the end.
    pub(super) fn check(&self, dir: &Path) -> Result<(), StoreError> {
        self.walk_in(dir, &mut |frame| {
            let writes = frame.writes().map(|_| ());
            writes.map_err(|error| {
                StoreError::corrupt(
                    format!("log, revision {}", frame.tip.revision),
                    error.text(),
                )
            })
        })
    }

    pub(super) fn report(&self) -> Result<CopyReport, StoreError> {
        let mut bytes = self.end.position.offset;
        for number in 1..self.end.position.segment {
            let path = segment::path(&self.directory.log(), number);
            let length = fs::metadata(&path).map(|data| data.len());
            bytes += length
                .map_err(|error| StoreError::io(format!("measure {}", disk::name(&path)), error))?;
        }
        Ok(CopyReport {
            revision: self.end.tip.revision,
            time: self.end.tip.time,
            segments: self.end.position.segment,
            bytes,
        })
    }
}
