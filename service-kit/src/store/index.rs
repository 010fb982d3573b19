//! Bringing the index in line with the log.

use std::ops::ControlFlow;
use std::path::Path;

use super::directory::Directory;
use super::disk;
use super::engine::Engine;
use super::entry::{self, Pair, SetHash};
use super::error::StoreError;
use super::high::High;
use super::log::Log;
use super::seal::Seal;
use super::sled_engine::SledEngine;
use super::time::Revision;
use super::tip::{TIP_BYTES, Tip};

/// Pairs that are applied at once when commits are replayed.
const REPLAY_BATCH: usize = 8192;
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

/// Opens the index and makes it hold exactly what the log does.
///
/// # Errors
/// [`StoreError::Corrupt`] when the index knows of commits that the log has lost.
pub(super) fn open(
    directory: &Directory,
    log: &Log<'_>,
    high: &High,
    trust: Trust,
    cache_bytes: u64,
) -> Result<Box<dyn Engine>, StoreError> {
    let dir = directory.index();
    // From here on the files change: the seal must not outlive what it is about.
    disk::remove(&directory.seal())?;
    if trust != Trust::Nothing && dir.is_dir() {
        match reuse(&dir, cache_bytes, log, high, trust) {
            Ok(engine) => return Ok(engine),
            Err(Reject::Lost(error)) => return Err(error),
            Err(Reject::Index(reason)) => {
                tracing::warn!(%reason, "the index is rebuilt from the log");
            }
        }
    } else if high.tip.revision > Revision::ZERO {
        tracing::warn!(
            reason = "it is missing or differs from its seal",
            "the index is rebuilt from the log"
        );
    }
    disk::remove(&dir)?;
    disk::create_dir(&dir)?;
    let engine = SledEngine::open(&dir, cache_bytes).map_err(|e| StoreError::Engine(e.0))?;
    replay(&engine, log, &Tip::genesis(&log.incarnation), high)?;
    Ok(Box::new(engine))
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

/// Compares the index with its seal, reading all its files and changing nothing.
///
/// # Errors
/// [`StoreError::Corrupt`] when the seal knows of commits that the log has lost.
pub(super) fn inspect(directory: &Directory, high: &High) -> Result<Trust, StoreError> {
    let Some(seal) = Seal::read(&directory.seal())? else {
        return Ok(match directory.seal().exists() {
            true => Trust::Nothing,
            false => Trust::Unsealed,
        });
    };
    if seal.revision > high.tip.revision {
        return Err(lost(seal.revision, high));
    }
    Ok(
        match seal.is_of(&high.tip) && seal.matches(&directory.index())? {
            true => Trust::Sealed,
            false => Trust::Nothing,
        },
    )
}

fn lost(revision: Revision, high: &High) -> StoreError {
    StoreError::corrupt(
        format!(
            "log segment {}, offset {}",
            high.position.segment, high.position.offset
        ),
        format!(
            "the log ends with revision {}, but {revision} had been committed",
            high.tip.revision
        ),
    )
}

/// Why an index that is there is not used.
enum Reject {
    /// It is worthless, and nothing else is.
    Index(String),
    /// It is evidence that the log has lost something, or the log cannot be read.
    Lost(StoreError),
}

fn reuse(
    dir: &Path,
    cache_bytes: u64,
    log: &Log<'_>,
    high: &High,
    trust: Trust,
) -> Result<Box<dyn Engine>, Reject> {
    let engine = SledEngine::open(dir, cache_bytes).map_err(|error| Reject::Index(error.0))?;
    match catch_up(&engine, log, high, trust) {
        Ok(()) => Ok(Box::new(engine)),
        Err(reject) => {
            // Its threads must be done with the directory before that is removed.
            if let Err(error) = Box::new(engine).close() {
                tracing::warn!(error = %error.0, "a rejected index did not close");
            }
            Err(reject)
        }
    }
}

/// Checks an open index as far as it is not trusted, and replays what it lacks.
fn catch_up(engine: &dyn Engine, log: &Log<'_>, high: &High, trust: Trust) -> Result<(), Reject> {
    let tip = applied_tip(engine)
        .ok_or_else(|| Reject::Index("it does not say how far it is".to_owned()))?;
    if tip.revision > high.tip.revision {
        return Err(Reject::Lost(lost(tip.revision, high)));
    }
    if trust == Trust::Unsealed || tip != high.tip {
        let found = survey(engine, tip.revision, Beyond::Refused).map_err(Reject::Index)?;
        if found != (tip.pairs, tip.set) {
            return Err(Reject::Index(format!(
                "it holds {} pairs instead of {}, or others",
                found.0, tip.pairs
            )));
        }
    }
    replay(engine, log, &tip, high).map_err(|error| match error {
        StoreError::Engine(reason) => Reject::Index(reason),
        error => Reject::Lost(error),
    })
}

/// What a survey makes of pairs of later commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// They are being written just now.
    Ignored,
    /// There can be none.
    Refused,
}

/// Counts and hashes all pairs of commits up to a revision, checking each.
///
/// # Errors
/// In words, the first pair that is damaged, or the failure of the engine.
pub(super) fn survey(
    engine: &dyn Engine,
    to: Revision,
    beyond: Beyond,
) -> Result<(u64, SetHash), String> {
    let (mut pairs, mut set, mut broken) = (0, SetHash::default(), None);
    engine
        .visit(&[], &END, &mut |key, value| {
            if key == APPLIED {
                return ControlFlow::Continue(());
            }
            let later = entry::split_version_key(key).is_some_and(|(_, revision)| revision > to);
            if later && beyond == Beyond::Ignored {
                return ControlFlow::Continue(());
            }
            match entry::unseal(key, value) {
                Ok(_) if later => {
                    broken = Some(format!("a pair is from after revision {to}"));
                    ControlFlow::Break(())
                }
                Ok((_, hash)) => {
                    pairs += 1;
                    set.add(&hash);
                    ControlFlow::Continue(())
                }
                Err(detail) => {
                    broken = Some(format!("key {}: {detail}", super::table::hex(key)));
                    ControlFlow::Break(())
                }
            }
        })
        .map_err(|error| error.0)?;
    broken.map_or(Ok((pairs, set)), Err)
}

/// Applies the commits after `from`, after making sure that `from` is in the log.
fn replay(engine: &dyn Engine, log: &Log<'_>, from: &Tip, high: &High) -> Result<(), StoreError> {
    if *from == high.tip {
        return Ok(());
    }
    let mut met = from.revision == Revision::ZERO;
    let mut batch = Vec::new();
    log.walk(from.revision, (&high.tip, high.position), &mut |frame| {
        if frame.tip.revision <= from.revision {
            met |= frame.tip == *from;
            return Ok(());
        }
        let writes = frame
            .writes()
            .map_err(|error| log_error(frame.tip.revision, error.text()))?;
        let writes = writes.into_iter();
        entry::pairs(&frame.head(), writes, &mut SetHash::default(), &mut batch);
        if batch.len() >= REPLAY_BATCH {
            let mut pairs = std::mem::take(&mut batch);
            pairs.push(applied(&frame.tip));
            engine.apply(pairs).map_err(|e| StoreError::Engine(e.0))?;
        }
        Ok(())
    })?;
    if !met {
        return Err(StoreError::Engine(
            "the index does not belong to this log".to_owned(),
        ));
    }
    batch.push(applied(&high.tip));
    engine.apply(batch).map_err(|e| StoreError::Engine(e.0))
}

fn log_error(revision: Revision, detail: &str) -> StoreError {
    StoreError::corrupt(format!("log, revision {revision}"), detail)
}
