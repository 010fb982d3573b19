//! Durable small writes by many callers at once: the store by turns with the engine alone under the
//! plainest group commit.

use std::{
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use almanac_service_kit::store::{
    Store, StoreError, StoreOptions, TransactError,
    reference::{RawEngine, raw_pair},
};
use ranking_service::{
    domain::selection::CellState,
    store::{OBSERVATIONS, Observation, ObservationKey},
};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    Outcome,
    loadgen::{Report, closed_loop},
};

/// Entities, indicators and years of a million observations.
pub const SHAPE: (usize, usize, usize) = (1000, 50, 20);
/// The first of the years.
pub const FIRST_YEAR: usize = 2000;

/// What came of each round.
#[derive(Debug, Default)]
pub struct Rounds {
    /// Of the store.
    pub store: Vec<Report>,
    /// Of the engine alone, as far as its own flush makes writes durable.
    pub raw: Vec<Report>,
    /// Of the engine alone, each group synced to the disk too.
    pub durable: Vec<Report>,
}

/// The observation of this number; beyond the first million the entities go on.
#[must_use]
pub fn observation(row: usize) -> (ObservationKey, Observation) {
    let (cell, year) = (row / SHAPE.2, row % SHAPE.2);
    let key = (
        (cell % SHAPE.1) as u64,
        (cell / SHAPE.1) as u64,
        i64::try_from(FIRST_YEAR + year).unwrap_or(0),
    );
    let observation = Observation {
        state: CellState::Value(row as f64 / 7.0),
        missing_reason: 0,
        state_note: String::new(),
        source: String::new(),
        note: String::new(),
        status: 0,
        release_time: None,
    };
    (key, observation)
}

/// So many callers write one observation after the other, `time` long and so often to each, into
/// new directories in `dir`.
///
/// # Errors
/// If a write failed.
pub async fn small_writes(
    dir: &Path,
    callers: usize,
    time: Duration,
    rounds: u32,
) -> Outcome<Rounds> {
    let dirs = [(); 3].map(|()| TempDir::new_in(dir));
    let [ours, theirs, synced] = dirs;
    let (ours, theirs, synced) = (ours?, theirs?, synced?);
    let options = StoreOptions::default();
    let raw = Arc::new(RawEngine::open(theirs.path(), options.cache_bytes)?);
    let durable = Arc::new(RawEngine::durable(synced.path(), options.cache_bytes)?);
    let store = Store::open(ours.path(), options)?;
    let next = Arc::new(AtomicUsize::new(0));
    let row = move || observation(next.fetch_add(1, Ordering::Relaxed));
    let mut done = Rounds::default();
    for _ in 0..rounds {
        let new = row.clone();
        let write = move |raw: Arc<RawEngine>| {
            let (key, value) = new();
            async move { raw.write(raw_pair(&OBSERVATIONS, &key, &value)?).await }
        };
        done.raw
            .push(load(&raw, callers, time, write.clone()).await?);
        done.durable
            .push(load(&durable, callers, time, write).await?);
        let new = row.clone();
        let write = move |store: Store| {
            let (key, value) = new();
            async move {
                let put = store.transact(move |tx| tx.put(&OBSERVATIONS, &key, &value));
                put.await.map(|_| ()).map_err(store_error)
            }
        };
        done.store.push(load(&store, callers, time, write).await?);
    }
    store.close()?;
    Ok(done)
}

async fn load<C, R>(
    to: &C,
    callers: usize,
    time: Duration,
    write: impl Fn(C) -> R + Clone + Send + 'static,
) -> Outcome<Report>
where
    C: Clone + Send + 'static,
    R: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let call = move |to: C| {
        let written = write(to);
        async move { written.await.map_or(Code::Internal, |()| Code::Ok) }
    };
    let report = closed_loop(std::slice::from_ref(to), callers, time, call).await?;
    if report.count(Code::Internal) > 0 {
        return Err("a write failed".into());
    }
    Ok(report)
}

/// The fault of a transaction, whichever part of the store it is of.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
#[must_use]
pub fn store_error(error: TransactError<StoreError>) -> StoreError {
    StoreError::Failed {
        reason: error.to_string(),
    }
}
