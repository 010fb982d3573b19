//! The engine alone, without log, versions or checksums: what the goals bench measures the store
//! against. Only with the feature `bench`, which no service turns on.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::engine::{Engine as _, EngineError};
use super::entry::Pair;
use super::error::StoreError;
use super::key::{AsKey, Key};
use super::sled_engine::SledEngine;
use super::table::{Record, Table};

/// Most writes of one group.
const MAX_GROUP: usize = 1024;

/// A write that waits for its group.
struct Waiting {
    pair: Pair,
    done: oneshot::Sender<Result<(), EngineError>>,
}

/// Raw sled with the plainest group commit: one thread takes whatever waits, applies it as one
/// batch, flushes, and answers all of it. `flush` is sled's own, whatever it makes durable.
pub struct RawEngine {
    engine: Arc<SledEngine>,
    queue: mpsc::Sender<Waiting>,
    committer: JoinHandle<()>,
}

impl RawEngine {
    /// Opens or creates the tree in a directory.
    ///
    /// # Errors
    /// What sled says.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        Self::start(dir, cache_bytes, false)
    }

    /// As [`RawEngine::open`]; the groups of [`RawEngine::write`] are synced to the disk as well,
    /// so that they survive the loss of power, as those of the store do.
    ///
    /// # Errors
    /// What sled says.
    pub fn durable(dir: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        Self::start(dir, cache_bytes, true)
    }

    fn start(dir: &Path, cache_bytes: u64, synced: bool) -> Result<Self, StoreError> {
        let engine = Arc::new(SledEngine::open(dir, cache_bytes).map_err(failed)?);
        let file = synced.then(|| File::open(dir.join("db"))).transpose();
        let file = file.map_err(|error| failed(EngineError(error.to_string())))?;
        let (queue, waiting) = mpsc::channel();
        let committed = Arc::clone(&engine);
        let committer = thread::spawn(move || commit_groups(&committed, file.as_ref(), &waiting));
        Ok(Self {
            engine,
            queue,
            committer,
        })
    }

    /// Writes a pair and returns when the flush of its group has.
    ///
    /// # Errors
    /// What sled says.
    pub async fn write(&self, pair: (Vec<u8>, Vec<u8>)) -> Result<(), StoreError> {
        let ended = || failed(EngineError("the committer has ended".to_owned()));
        let (done, answer) = oneshot::channel();
        self.queue
            .send(Waiting { pair, done })
            .map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?.map_err(failed)
    }

    /// Applies a batch and flushes it.
    ///
    /// # Errors
    /// What sled says.
    pub fn write_batch(&self, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        self.engine
            .apply_batch(pairs)
            .and_then(|()| self.engine.flush())
            .map_err(failed)
    }

    /// Ends the committer and lets go of the files.
    ///
    /// # Errors
    /// What sled says.
    pub fn close(self) -> Result<(), StoreError> {
        drop(self.queue);
        let joined = self.committer.join();
        let engine = Arc::into_inner(self.engine).filter(|_| joined.is_ok());
        let engine = engine.ok_or_else(|| failed(EngineError("still in use".to_owned())))?;
        Box::new(engine).close().map_err(failed)
    }
}

/// The bytes of a key and a value as the store encodes them, without what it adds.
///
/// # Errors
/// [`StoreError::Encode`].
pub fn raw_pair<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
    table: &Table<K, V>,
    key: &Q,
    value: &V,
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let value = postcard::to_stdvec(value).map_err(|error| StoreError::Encode {
        table: table.name().to_owned(),
        detail: error.to_string(),
    })?;
    Ok((table.key_bytes(key), value))
}

fn commit_groups(engine: &SledEngine, file: Option<&File>, waiting: &mpsc::Receiver<Waiting>) {
    let sync = || {
        let synced = file.map_or(Ok(()), File::sync_data);
        synced.map_err(|error| EngineError(error.to_string()))
    };
    while let Ok(first) = waiting.recv() {
        let mut pairs = vec![first.pair];
        let mut callers = vec![first.done];
        for next in waiting.try_iter().take(MAX_GROUP - 1) {
            pairs.push(next.pair);
            callers.push(next.done);
        }
        let result = engine.apply_batch(pairs).and_then(|()| engine.flush());
        let result = result.and_then(|()| sync());
        for caller in callers {
            // A caller that has gone wants no answer.
            drop(caller.send(result.clone()));
        }
    }
}

fn failed(error: EngineError) -> StoreError {
    StoreError::Failed { reason: error.0 }
}
