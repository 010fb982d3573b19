//! sled 0.34 as the engine: the only file that names it.
//!
//! sled panics where others return errors, above all on damaged files. Every call is contained:
//! a panic becomes an [`EngineError`], and the message still reaches the process' panic hook.

use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineError, Visit};
use super::entry::Pair;
use super::error::panic_text;

/// How long sled's background threads get to let go of the file after a close.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// sled counts a page by what it takes on the disk. In memory one that is being filled takes 2.5 to
/// 3 times as much (measured over imports of 1 to 6 million observations).
const MEMORY_A_BYTE: u64 = 3;

/// Pairs of a batch for each call of the collector that frees what they replaced. A call frees up to
/// 512 pages, and a pair replaces one or two.
#[cfg(feature = "bench")]
const PAIRS_A_CALL: usize = 128;

/// One sled tree in a directory of its own.
pub(super) struct SledEngine {
    /// Knows what failed in sled's threads.
    config: sled::Config,
    /// Gone once it is closed.
    db: Option<sled::Db>,
    dir: PathBuf,
}

impl SledEngine {
    /// Opens or creates the tree, with a cache of so many bytes of memory.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, EngineError> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes / MEMORY_A_BYTE)
            // Flushing is the committer's: two flushes at a time can hang each other.
            .flush_every_ms(None);
        let db = contain("open", || config.open())?;
        Ok(Self {
            config,
            db: Some(db),
            dir: dir.to_owned(),
        })
    }

    fn db(&self) -> sled::Result<&sled::Db> {
        self.db
            .as_ref()
            .ok_or_else(|| sled::Error::Unsupported("the engine is closed".to_owned()))
    }

    /// Inserts pairs as one batch of sled's, all or none: how sled is used elsewhere. sled frees what
    /// writes replaced once in 128 calls of a thread. A batch is one call, whatever its size, so that
    /// more would be left behind than is ever freed, and large ones took twice the time.
    #[cfg(feature = "bench")]
    pub(super) fn apply_batch(&self, pairs: Vec<Pair>) -> Result<(), EngineError> {
        contain("write", || {
            let (count, mut batch) = (pairs.len(), sled::Batch::default());
            for (key, value) in pairs {
                batch.insert(key, value);
            }
            self.db()?.apply_batch(batch)?;
            for _ in 0..count / PAIRS_A_CALL {
                sled::pin().flush();
            }
            Ok(())
        })
    }

    /// sled lets go of its file lock when its last background task is done.
    fn wait_for_release(dir: &Path) -> Result<(), EngineError> {
        let file = File::open(dir.join("db"))
            .map_err(|error| EngineError(format!("close: open of the file: {error}")))?;
        let start = Instant::now();
        while file.try_lock().is_err() {
            if start.elapsed() > RELEASE_LIMIT {
                return Err(EngineError("close: the file is still in use".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        contain("get", || {
            Ok(self.db()?.get(key)?.map(|value| value.to_vec()))
        })
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), EngineError> {
        if from >= to {
            return Ok(());
        }
        contain("scan", || {
            for pair in self.db()?.range(from..to) {
                let (key, value) = pair?;
                if let ControlFlow::Break(()) = visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    // Not as a batch of sled's: that goes in in no order, keeps every reader out meanwhile, holds on
    // to every page that it replaces, takes no segment for free, and takes twice the time.
    fn insert(&self, pairs: Vec<Pair>) -> Result<(), EngineError> {
        contain("write", || {
            let db = self.db()?;
            for (key, value) in pairs {
                db.insert(key, value)?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        contain("flush", || self.db()?.flush().map(|_| ()))
    }

    fn check(&self) -> Result<(), EngineError> {
        contain("background", || self.config.global_error())
    }

    fn close(mut self: Box<Self>) -> Result<(), EngineError> {
        let flushed = self.flush();
        let db = self.db.take();
        contain("close", || {
            drop(db);
            Ok(())
        })?;
        flushed?;
        Self::wait_for_release(&self.dir)
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        let db = self.db.take();
        let dropped = contain("drop", || {
            drop(db);
            Ok(())
        });
        if let Err(error) = dropped {
            tracing::error!(error = %error.0, "the engine did not end cleanly");
        }
    }
}

fn contain<T>(what: &str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EngineError(format!("{what}: {error}"))),
        Err(payload) => Err(EngineError(format!(
            "{what} panicked: {}",
            panic_text(payload.as_ref())
        ))),
    }
}
