//! Bringing the index in line with the log.

use std::ops::ControlFlow;

use super::directory::Directory;
use super::disk::{self, Disk};
use super::engine::{Engine, EngineError};
use super::entry::{self, Pair, SetHash};
use super::error::StoreError;
use super::frame::Frame;
use super::high::High;
use super::log::Log;
use super::seal::Seal;
use super::sled_engine::SledEngine;
use super::time::Revision;
use super::tip::{TIP_BYTES, Tip};

/// Bytes of log that are applied at once when commits are replayed.
const REPLAY_BYTES: usize = 1 << 20;
const APPLIED: [u8; 2] = [0, b'a'];
/// Behind every key of the index.
const END: [u8; 1] = [0xFF];

/// The pair that says how far the index is.
pub(super) fn applied(tip: &Tip) -> Pair {
    let mut value = tip.to_bytes().to_vec();
    entry::seal(&APPLIED, &mut value);
    (APPLIED.to_vec(), value)
}

/// How far an index says that it is; `None` when it does not, or wrongly.
fn applied_tip(engine: &dyn Engine) -> Option<Tip> {
    let value = engine.get(&APPLIED).ok()??;
    let (body, _) = entry::unseal(&APPLIED, &value).ok()?;
    <&[u8; TIP_BYTES]>::try_from(body).ok().map(Tip::from_bytes)
}

/// An index that is open and known to be right as far as it goes.
pub(super) struct Index {
    engine: Box<dyn Engine>,
    extent: Extent,
}

/// How far an index goes.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// The last commit that it has whole.
    tip: Tip,
    /// The newest commit that it has pairs of, where the process died while they went in.
    begun: Option<Revision>,
}

impl Index {
    /// Opens the index that is there, checking it as far as it is not trusted. `None` when it
    /// has to be rebuilt. The log is left as it is, so that nothing is lost if this fails.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the index knows of commits that the log has lost;
    /// [`StoreError::DiskFull`].
    pub(super) fn adopt(
        directory: &Directory,
        log_end: &High,
        trust: Trust,
        (disk, cache_bytes): (&dyn Disk, u64),
    ) -> Result<Option<Self>, StoreError> {
        let dir = directory.index();
        if log_end.tip.revision == Revision::ZERO && !dir.exists() {
            return Ok(None);
        }
        if trust == Trust::Nothing || !dir.is_dir() {
            rebuilding("it is missing or differs from its seal");
            return Ok(None);
        }
        // From here on the files change: the seal must not outlive what it is about.
        disk::remove(&directory.seal())?;
        let engine = match SledEngine::open(&dir, cache_bytes) {
            Ok(engine) => Box::new(engine),
            Err(error) => {
                rebuild(error.0, directory, disk)?;
                return Ok(None);
            }
        };
        match check(&*engine, &log_end.tip, trust) {
            Ok(extent) => match extent.begun.unwrap_or(extent.tip.revision) {
                newest if newest > log_end.tip.revision => Err(lost(newest, log_end)),
                _ => Ok(Some(Self { engine, extent })),
            },
            Err(reason) => {
                rebuilding(&reason);
                close(engine);
                Ok(None)
            }
        }
    }

    /// The engine of an index that holds exactly what the log does: the adopted one, with what it
    /// lacks, or a new one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::DiskFull`], [`StoreError::Io`],
    /// [`StoreError::Engine`].
    pub(super) fn complete(
        adopted: Option<Self>,
        directory: &Directory,
        log: &Log<'_>,
        high: &High,
        (disk, cache_bytes): (&dyn Disk, u64),
    ) -> Result<Box<dyn Engine>, StoreError> {
        if let Some(Self { engine, extent }) = adopted {
            match replay(&*engine, log, extent, high) {
                Ok(()) => return Ok(engine),
                Err(StoreError::Engine(reason)) => rebuild(reason, directory, disk)?,
                Err(error) => return Err(error),
            }
            close(engine);
        }
        disk::remove(&directory.seal())?;
        let dir = directory.index();
        disk::remove(&dir)?;
        disk::create_dir(&dir)?;
        let engine = SledEngine::open(&dir, cache_bytes).map_err(failed)?;
        fill(&engine, log, high)?;
        Ok(Box::new(engine))
    }
}

/// Lets an index be rebuilt that could not be written, but not for want of room: it would be gone,
/// and a new one needs no less.
fn rebuild(reason: String, directory: &Directory, disk: &dyn Disk) -> Result<(), StoreError> {
    if disk::little_left(disk, &directory.root) {
        return Err(StoreError::DiskFull { detail: reason });
    }
    rebuilding(&reason);
    Ok(())
}

fn rebuilding(reason: &str) {
    tracing::warn!(reason, "the index is rebuilt from the log");
}

/// Closes an index that is not used: its threads must be done with the directory before that is
/// removed.
fn close(engine: Box<dyn Engine>) {
    if let Err(error) = engine.close() {
        tracing::warn!(error = %error.0, "a rejected index did not close");
    }
}

/// How far an open index is, having checked what is not trusted; or why it is worthless.
fn check(engine: &dyn Engine, log_end: &Tip, trust: Trust) -> Result<Extent, String> {
    let tip = applied_tip(engine).ok_or("it does not say how far it is")?;
    let begun = if trust == Trust::Sealed && tip == *log_end {
        None
    } else {
        Survey::of(engine, &tip)?.beyond
    };
    Ok(Extent { tip, begun })
}

/// How much an index is believed before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Its files are exactly those of the last clean close.
    Sealed,
    /// The process ended without closing it.
    Unsealed,
    /// Its files changed after the clean close.
    Nothing,
}

/// What the seal says about the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inspection {
    trust: Trust,
    /// The revision at the last clean close, if it is known.
    sealed: Option<Revision>,
}

/// Compares the index with its seal, reading all its files and changing nothing.
pub(super) fn inspect(directory: &Directory, high: &High) -> Result<Inspection, StoreError> {
    let seal = Seal::read(&directory.seal())?;
    let trust = match &seal {
        None if !directory.seal().exists() => Trust::Unsealed,
        Some(seal) if seal.is_of(&high.tip) && seal.matches(&directory.index())? => Trust::Sealed,
        _ => Trust::Nothing,
    };
    Ok(Inspection {
        trust,
        sealed: seal.map(|seal| seal.revision),
    })
}

impl Inspection {
    /// How much to believe the index, having made sure that the log still holds what was sealed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it has lost commits.
    pub(super) fn compare(self, log_end: &High) -> Result<Trust, StoreError> {
        match self.sealed {
            Some(revision) if revision > log_end.tip.revision => Err(lost(revision, log_end)),
            _ => Ok(self.trust),
        }
    }
}

fn lost(revision: Revision, log_end: &High) -> StoreError {
    StoreError::corrupt(
        format!(
            "log segment {}, offset {}",
            log_end.position.segment, log_end.position.offset
        ),
        format!(
            "the log ends with revision {}, but {revision} had been committed",
            log_end.tip.revision
        ),
    )
}

/// What a reading of all pairs of an index found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Pairs of the commits that were asked about.
    pub(super) pairs: u64,
    set: SetHash,
    /// The newest commit after them that there are pairs of.
    pub(super) beyond: Option<Revision>,
}

impl Survey {
    /// Checks each pair, and that those of the commits up to `tip` are all that there were.
    ///
    /// # Errors
    /// In words, the first pair that is damaged, what is missing, or the failure of the engine.
    pub(super) fn of(engine: &dyn Engine, tip: &Tip) -> Result<Self, String> {
        let (mut found, mut broken) = (Self::default(), None);
        let mut visit = |key: &[u8], value: &[u8]| {
            let taken = found.take(key, value, tip.revision);
            broken = taken.err();
            match broken {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        };
        engine
            .visit(&[], &END, &mut visit)
            .map_err(|error| error.0)?;
        match broken {
            Some(broken) => Err(broken),
            None if (found.pairs, found.set) == (tip.pairs, tip.set) => Ok(found),
            None => Err(format!(
                "it holds {} pairs instead of {}, or others",
                found.pairs, tip.pairs
            )),
        }
    }

    fn take(&mut self, key: &[u8], value: &[u8], to: Revision) -> Result<(), String> {
        if key == APPLIED {
            return Ok(());
        }
        let (_, hash) = entry::unseal(key, value)
            .map_err(|detail| format!("key {}: {detail}", super::table::hex(key)))?;
        match entry::split_version_key(key) {
            Some((_, revision)) if revision > to => self.beyond = self.beyond.max(Some(revision)),
            _ => {
                self.pairs += 1;
                self.set.add(&hash);
            }
        }
        Ok(())
    }
}

/// Brings the index to the end of the log: the commits after those that it has.
fn replay(
    engine: &dyn Engine,
    log: &Log<'_>,
    extent: Extent,
    high: &High,
) -> Result<(), StoreError> {
    if extent.tip != high.tip {
        add(engine, log, &extent.tip, high)?;
    }
    if extent.begun.is_none() {
        return Ok(());
    }
    // What was there of commits that were begun has to be what the log has of them.
    match Survey::of(engine, &high.tip) {
        Ok(whole) if whole.beyond.is_none() => Ok(()),
        Ok(_) => Err(StoreError::Engine("it is beyond the log".to_owned())),
        Err(reason) => Err(StoreError::Engine(reason)),
    }
}

/// Inserts the commits after `from`, after making sure that `from` is in the log.
fn add(engine: &dyn Engine, log: &Log<'_>, from: &Tip, high: &High) -> Result<(), StoreError> {
    let mut met = from.revision == Revision::ZERO;
    let mut batch = Vec::new();
    let mut bytes = 0;
    log.walk(from.revision, (&high.tip, high.position), &mut |frame| {
        if frame.tip.revision <= from.revision {
            met |= frame.tip == *from;
            return Ok(());
        }
        add_pairs(frame, &mut batch)?;
        bytes += frame.bytes.len();
        if bytes >= REPLAY_BYTES {
            let mut pairs = std::mem::take(&mut batch);
            pairs.push(applied(&frame.tip));
            bytes = 0;
            engine.insert(pairs).map_err(failed)?;
        }
        Ok(())
    })?;
    if !met {
        return Err(StoreError::Engine(
            "the index does not belong to this log".to_owned(),
        ));
    }
    batch.push(applied(&high.tip));
    engine.insert(batch).map_err(failed)
}

/// Inserts all commits into an empty engine. What a crash leaves of it does not say how far it is,
/// and is rebuilt.
fn fill(engine: &dyn Engine, log: &Log<'_>, high: &High) -> Result<(), StoreError> {
    if high.tip.revision == Revision::ZERO {
        return Ok(());
    }
    let end = (&high.tip, high.position);
    log.walk(Revision::ZERO, end, &mut |frame| {
        let mut pairs = Vec::new();
        add_pairs(frame, &mut pairs)?;
        engine.insert(pairs).map_err(failed)
    })?;
    engine.insert(vec![applied(&high.tip)]).map_err(failed)?;
    // Whatever it has no room for is told now.
    engine.flush().map_err(failed)
}

fn add_pairs(frame: &Frame<'_>, pairs: &mut Vec<Pair>) -> Result<(), StoreError> {
    let writes = frame.writes().map_err(|error| {
        let place = format!("log, revision {}", frame.tip.revision);
        StoreError::corrupt(place, error.text())
    })?;
    let writes = writes.into_iter();
    entry::pairs(&frame.head(), writes, &mut SetHash::default(), pairs);
    Ok(())
}

fn failed(EngineError(text): EngineError) -> StoreError {
    StoreError::Engine(text)
}
