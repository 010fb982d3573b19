//! Compaction: the log written anew without the versions that nobody can ask for any more.
//!
//! Every commit stays, with its revision, time and uids; what it wrote goes where the rule of its
//! table says so, and the chain is made anew over what is left. The new log is built beside the old
//! one, read back and checked, and only then put in its place.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::backup::{CopyReport, Source};
use super::directory::Directory;
use super::disk::{self, Disk, SystemDisk};
use super::entry::{self, Write};
use super::error::StoreError;
use super::frame::{self, Frame};
use super::high::{High, HighWriter};
use super::segment::{HEADER, Position};
use super::time::{CommitTime, Revision};
use super::tip::Tip;
use super::writer::LogWriter;

/// Bytes of log that are written at a time, where segments are larger.
const CHUNK: u64 = 8 << 20;

/// Which versions of the records of a table compaction keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of them, for ever.
    All,
    /// Those that a read of the floor or of a later revision can see.
    Readable,
    /// The newest one, unless it is older than this.
    Newest(Duration),
}

/// What compaction goes by.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The rule of a table, by its number.
    pub of: &'a dyn Fn(u8) -> Keep,
    /// The last revision committed at or before this time becomes the floor: older ones can no
    /// longer be read.
    pub before: CommitTime,
    /// What ages count back from.
    pub now: CommitTime,
    /// The size at which a segment of the log is ended and another begun, in bytes.
    pub segment_bytes: u64,
}

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactReport {
    /// The oldest revision that can still be read.
    pub floor: Revision,
    /// Versions and deletions that are gone. With 0, the store is as it was.
    pub dropped: u64,
    /// The log before.
    pub before: CopyReport,
    /// The log after.
    pub after: CopyReport,
}

/// Compacts the store in `dir`, which no process has open. A crash at any point leaves the old
/// store or the new one. Needs as much free space as the new log takes.
///
/// Reads the log three times and writes it once; takes 24 bytes or so of memory for each key in
/// tables that do not keep all.
///
/// # Errors
/// [`StoreError::Absent`], [`StoreError::InUse`], [`StoreError::Corrupt`], [`StoreError::Io`];
/// after each, the store is as it was.
pub fn compact(dir: &Path, rules: &Rules<'_>) -> Result<CompactReport, StoreError> {
    let source = Source::open(Directory::lock(dir, false)?, true)?;
    let before = source.report()?;
    let building = source.directory.building();
    // First of all: whoever would copy the log sees that it is about to be replaced.
    disk::create_dir(&building)?;
    let built = Survey::of(&source, rules).and_then(|survey| {
        let (dropped, after) = build(&source, rules, &survey, &building)?;
        Ok((survey.floor, dropped, after))
    });
    let (floor, dropped, after) = built.inspect_err(|_| {
        // The space is needed, and a leftover is removed by the next open as well.
        drop(disk::remove(&building));
    })?;
    if dropped == 0 {
        disk::remove(&building)?;
        return Ok(CompactReport {
            floor: source.lineage.floor,
            dropped,
            before,
            after: before,
        });
    }
    source.directory.decide_compaction()?;
    Ok(CompactReport {
        floor,
        dropped,
        before,
        after,
    })
}

/// Keys are told apart by this much of their BLAKE3 hash.
type KeyHash = [u8; 16];

fn hash(key: &[u8]) -> KeyHash {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(key).as_bytes()[..16]);
    short
}

/// The newest version of each key that counts: at the floor, or at all, as its rule says.
struct Survey {
    floor: Revision,
    newest: HashMap<KeyHash, Revision>,
}

impl Survey {
    fn of(source: &Source, rules: &Rules<'_>) -> Result<Self, StoreError> {
        let mut survey = Self {
            floor: source.lineage.floor,
            newest: HashMap::new(),
        };
        source.walk(&mut |frame| {
            let tip = &frame.tip;
            // Commit times never decrease, so that all up to the floor pass here.
            let below = tip.time <= rules.before || tip.revision <= survey.floor;
            if below {
                survey.floor = survey.floor.max(tip.revision);
            }
            for write in writes(frame)? {
                let counts = match rule(rules, &write) {
                    Keep::All => false,
                    Keep::Readable => below,
                    Keep::Newest(_) => true,
                };
                if counts {
                    survey.newest.insert(hash(write.key), tip.revision);
                }
            }
            Ok(())
        })?;
        Ok(survey)
    }

    /// Whether a write of a commit stays.
    fn keeps(&self, rules: &Rules<'_>, tip: &Tip, write: &Write<'_>) -> bool {
        let last = || {
            write.value.is_some()
                && self.newest.get(&hash(write.key)).copied() == Some(tip.revision)
        };
        match rule(rules, write) {
            Keep::All => true,
            Keep::Readable => tip.revision > self.floor || last(),
            Keep::Newest(age) => {
                let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
                let oldest = rules.now.nanoseconds().saturating_sub(age);
                tip.time.nanoseconds() > oldest && last()
            }
        }
    }
}

fn rule(rules: &Rules<'_>, write: &Write<'_>) -> Keep {
    // The number of its table comes first in a key; what has none is kept.
    write
        .key
        .first()
        .map_or(Keep::All, |table| (rules.of)(*table))
}

fn writes<'a>(frame: &Frame<'a>) -> Result<Vec<Write<'a>>, StoreError> {
    frame.writes().map_err(|error| {
        let place = format!("log, revision {}", frame.tip.revision);
        StoreError::corrupt(place, error.text())
    })
}

/// Makes the compacted store in `to`; how many writes it leaves out, and its log.
fn build(
    source: &Source,
    rules: &Rules<'_>,
    survey: &Survey,
    to: &Path,
) -> Result<(u64, CopyReport), StoreError> {
    let target = Directory::beside(to);
    disk::create_dir(&target.log())?;
    let mut rewrite = Rewrite::begin(&target.log(), source.lineage.incarnation, rules)?;
    let mut dropped = 0;
    source.walk(&mut |frame| {
        let mut writes = writes(frame)?;
        let all = writes.len();
        writes.retain(|write| survey.keeps(rules, &frame.tip, write));
        dropped += (all - writes.len()) as u64;
        rewrite.add(frame, writes)
    })?;
    let end = rewrite.end()?;
    disk::sync_dir(&target.log())?;
    let name = source.lineage.incarnation;
    HighWriter::open(&target.high(), name, &SystemDisk, &end, false)?;
    target.write_format(&source.lineage.clone().compacted_below(survey.floor))?;
    let built = Source::open(target, true)?;
    if built.end.tip != end.tip {
        return Err(StoreError::corrupt(
            "compact",
            "the new log is not what was written",
        ));
    }
    built.check(&built.directory.log())?;
    Ok((dropped, built.report()?))
}

/// A chain that is being made.
struct Rewrite {
    log: LogWriter,
    tip: Tip,
    /// The chain's end before `frames`.
    written: Tip,
    frames: Vec<u8>,
    /// Bytes of frames that are written at a time.
    chunk: usize,
}

impl Rewrite {
    fn begin(dir: &Path, incarnation: [u8; 16], rules: &Rules<'_>) -> Result<Self, StoreError> {
        LogWriter::create(dir, incarnation, &SystemDisk)?;
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let start = Position {
            segment: 1,
            offset: HEADER as u64,
        };
        let tip = Tip::genesis(&incarnation);
        Ok(Self {
            log: LogWriter::open(dir, incarnation, disk, start, rules.segment_bytes)?,
            tip,
            written: tip,
            frames: Vec::new(),
            chunk: usize::try_from(rules.segment_bytes.min(CHUNK)).unwrap_or(usize::MAX),
        })
    }

    /// Appends the commit of a frame with what is left of its writes.
    fn add(&mut self, frame: &Frame<'_>, writes: Vec<Write<'_>>) -> Result<(), StoreError> {
        let head = frame.head();
        let mut next = Tip {
            revision: head.revision,
            time: head.time,
            next_uid: frame.tip.next_uid,
            ..self.tip
        };
        let mut pairs = Vec::new();
        entry::pairs(&head, writes.iter().copied(), &mut next.set, &mut pairs);
        next.pairs += pairs.len() as u64;
        let before = self.tip.digest;
        self.tip = frame::encode(&head, writes.into_iter(), next, &before, &mut self.frames);
        if self.frames.len() >= self.chunk {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if !self.frames.is_empty() {
            self.log
                .append(std::mem::take(&mut self.frames), &self.written)?;
            self.written = self.tip;
        }
        Ok(())
    }

    fn end(mut self) -> Result<High, StoreError> {
        self.flush()?;
        self.log.trim()?;
        Ok(High {
            tip: self.tip,
            position: self.log.position(),
        })
    }
}
