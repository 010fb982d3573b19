//! Bringing the index in line with the log.

use std::collections::HashSet;
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

/// Bytes of log between two marks of how far the index is, when commits are replayed.
const REPLAY_BYTES: usize = 1 << 20;
/// Most pairs of commits beyond the mark of an index that are looked for in the log, for the sake of
/// memory: one with more is made anew.
const MOST_BEGUN: usize = 1 << 22;
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
#[derive(Debug)]
struct Extent {
    /// The last commit that it has whole.
    tip: Tip,
    /// What it has of the commits after, which went in when the process died.
    begun: Begun,
}

/// Pairs of commits after those that an index has whole.
#[derive(Debug, Default)]
struct Begun {
    hashes: HashSet<[u8; 32]>,
    newest: Revision,
}

impl Begun {
    fn note(&mut self, revision: Revision, hash: &blake3::Hash) {
        self.newest = self.newest.max(revision);
        if self.hashes.len() <= MOST_BEGUN {
            self.hashes.insert(*hash.as_bytes());
        }
    }

    /// Strikes off those that are among `pairs`.
    fn strike(&mut self, pairs: &[Pair]) {
        if self.hashes.is_empty() {
            return;
        }
        for (key, value) in pairs {
            if let Ok((_, hash)) = entry::unseal(key, value) {
                self.hashes.remove(hash.as_bytes());
            }
        }
    }
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
        if !dir.is_dir() {
            // As a restore leaves it.
            tracing::info!("there is no index: it is made from the log");
            return Ok(None);
        }
        if trust == Trust::Nothing {
            rebuilding("it differs from its seal");
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
        match check(&*engine, log_end, trust)? {
            Ok(extent) => Ok(Some(Self { engine, extent })),
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
            if extent.tip.revision < high.tip.revision {
                let (from, to) = (extent.tip.revision.get(), high.tip.revision.get());
                tracing::info!(from, to, "the index is brought forward to the log");
            }
            match replay(&*engine, log, extent, high) {
                Ok(true) => return Ok(engine),
                Ok(false) => rebuilding("it has pairs that the log has not"),
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
///
/// # Errors
/// [`StoreError::Corrupt`] when it knows of commits that the log has lost, whatever else is wrong
/// with it.
fn check(
    engine: &dyn Engine,
    log_end: &High,
    trust: Trust,
) -> Result<Result<Extent, String>, StoreError> {
    let Some(tip) = applied_tip(engine) else {
        return Ok(Err("it does not say how far it is".to_owned()));
    };
    let mut begun = Begun::default();
    if trust != Trust::Sealed || tip != log_end.tip {
        let survey = Survey::of(engine, tip.revision, &mut |revision, hash| {
            begun.note(revision, hash);
        });
        let newest = begun.newest.max(tip.revision);
        if newest > log_end.tip.revision {
            return Err(lost(newest, log_end));
        }
        if let Err(reason) = survey.and_then(|survey| survey.fits(&tip)) {
            return Ok(Err(reason));
        }
    }
    if begun.hashes.len() > MOST_BEGUN {
        return Ok(Err("it is far ahead of what it says".to_owned()));
    }
    Ok(Ok(Extent { tip, begun }))
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

/// What a reading of all pairs of an index found of the commits up to a revision.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) pairs: u64,
    set: SetHash,
}

impl Survey {
    /// Checks each pair, and tells the revision and the hash of those of later commits.
    ///
    /// # Errors
    /// In words, the first pair that is damaged, or the failure of the engine.
    pub(super) fn of(
        engine: &dyn Engine,
        to: Revision,
        later: &mut dyn FnMut(Revision, &blake3::Hash),
    ) -> Result<Self, String> {
        let (mut found, mut broken) = (Self::default(), None);
        let mut visit = |key: &[u8], value: &[u8]| {
            if key == APPLIED {
                return ControlFlow::Continue(());
            }
            let hash = match entry::unseal(key, value) {
                Ok((_, hash)) => hash,
                Err(detail) => {
                    broken = Some(format!("key {}: {detail}", super::table::hex(key)));
                    return ControlFlow::Break(());
                }
            };
            match entry::split_version_key(key) {
                Some((_, revision)) if revision > to => later(revision, &hash),
                _ => {
                    found.pairs += 1;
                    found.set.add(&hash);
                }
            }
            ControlFlow::Continue(())
        };
        let visited = engine.visit(&[], &END, &mut visit);
        visited.map_err(|error| error.0)?;
        broken.map_or(Ok(found), Err)
    }

    /// Makes sure that these are all pairs of the commits up to `tip`.
    ///
    /// # Errors
    /// In words, that they are not.
    pub(super) fn fits(&self, tip: &Tip) -> Result<(), String> {
        if (self.pairs, self.set) == (tip.pairs, tip.set) {
            return Ok(());
        }
        let (held, due) = (self.pairs, tip.pairs);
        Err(format!("it holds {held} pairs instead of {due}, or others"))
    }
}

/// Brings the index to the end of the log: the commits after those that it has. Says whether what it
/// had of them is what the log has.
fn replay(
    engine: &dyn Engine,
    log: &Log<'_>,
    extent: Extent,
    high: &High,
) -> Result<bool, StoreError> {
    let Extent { tip, mut begun } = extent;
    if tip != high.tip {
        add(engine, log, &tip, high, &mut begun)?;
    }
    Ok(begun.hashes.is_empty())
}

/// Inserts the commits after `from`, after making sure that `from` is in the log.
fn add(
    engine: &dyn Engine,
    log: &Log<'_>,
    from: &Tip,
    high: &High,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let mut met = from.revision == Revision::ZERO;
    let mut batch = Vec::new();
    let mut bytes = 0;
    log.walk(from.revision, (&high.tip, high.position), &mut |frame| {
        if frame.tip.revision <= from.revision {
            met |= frame.tip == *from;
            return Ok(());
        }
        let before = batch.len();
        add_pairs(frame, &mut batch)?;
        begun.strike(batch.get(before..).unwrap_or_default());
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
