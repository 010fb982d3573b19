//! What durability costs: the store against the engine alone, and starts over much data.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use almanac_service_kit::store::{
    Store, StoreError, StoreOptions,
    reference::{RawEngine, raw_pair},
};
use almanac_tests::{
    Outcome,
    group_commit::{self, SHAPE, observation, store_error},
    loadgen::Report,
    service::{Ranking, Running},
    table, wire,
};
use ranking_service::store::OBSERVATIONS;
use tempfile::TempDir;

use crate::{import, row::Row, serve::median};

const CALLERS: usize = 64;
/// How long a repetition of small writes lasts, and how many there are of each kind.
const TIME: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 5;
/// How many observations are imported.
pub(crate) const ROWS: usize = SHAPE.0 * SHAPE.1 * SHAPE.2;
const BATCH: usize = 10_000;

/// The rows of the group.
pub(crate) async fn rows() -> Outcome<Vec<Row>> {
    let mut rows = Vec::from(small_writes().await?);
    let raw = raw_import()?;
    let name = "import of 1 M observations, Store::transact; raw batches";
    rows.push(Row::rate(name, store_import().await?, raw, 0.5));
    let dir = TempDir::new()?;
    let served = service_import(dir.path()).await?;
    let name = "import of 1 M observations, WriteObservations; raw batches";
    rows.push(Row::rate(name, served, raw, 0.5));
    rows.extend(import::rows(raw).await?);
    rows.extend(start(dir.path())?);
    Ok(rows)
}

/// Durable writes of one observation each, by turns to the store and to the engine alone.
async fn small_writes() -> Outcome<[Row; 2]> {
    let dir = TempDir::new()?;
    let rounds = group_commit::small_writes(dir.path(), CALLERS, TIME, ROUNDS).await?;
    let rates = |of: &[Report]| median(of.iter().map(Report::throughput).collect());
    let row = |name, reference| Row::rate(name, rates(&rounds.store), rates(reference), 0.8);
    Ok([
        row(
            "durable small writes, 64 callers; raw group commit, unsynced",
            &rounds.raw,
        ),
        row(
            "durable small writes, 64 callers; raw group commit, synced",
            &rounds.durable,
        ),
    ])
}

/// Rows per second of flushed batches into the engine alone.
fn raw_import() -> Outcome<f64> {
    let dir = TempDir::new()?;
    let raw = RawEngine::open(dir.path(), StoreOptions::default().cache_bytes)?;
    let start = Instant::now();
    for first in (0..ROWS).step_by(BATCH) {
        let pairs = (first..first + BATCH).map(|row| {
            let (key, value) = observation(row);
            raw_pair(&OBSERVATIONS, &key, &value)
        });
        raw.write_batch(pairs.collect::<Result<_, _>>()?)?;
    }
    let rate = ROWS as f64 / start.elapsed().as_secs_f64();
    raw.close()?;
    Ok(rate)
}

/// Rows per second of transactions of the same batches.
async fn store_import() -> Outcome<f64> {
    let dir = TempDir::new()?;
    let store = Store::open(dir.path(), StoreOptions::default())?;
    let start = Instant::now();
    for first in (0..ROWS).step_by(BATCH) {
        let write = store.transact(move |tx| {
            for row in first..first + BATCH {
                let (key, value) = observation(row);
                tx.put(&OBSERVATIONS, &key, &value)?;
            }
            Ok::<_, StoreError>(())
        });
        write.await.map_err(store_error)?;
    }
    let rate = ROWS as f64 / start.elapsed().as_secs_f64();
    store.close()?;
    Ok(rate)
}

/// Rows per second through the service's WriteObservations, one batch after the other.
async fn service_import(dir: &Path) -> Outcome<f64> {
    let service = Running::<Ranking>::start(dir).await?;
    let mut client = service.client();
    let indicators: Vec<String> = (0..SHAPE.1).map(|of| format!("indicator-{of}")).collect();
    let entities: Vec<String> = (0..SHAPE.0).map(|of| format!("entity-{of}")).collect();
    table::create(&mut client, &indicators, &entities, "2019").await?;
    let begun = Instant::now();
    for first in (0..ROWS).step_by(BATCH) {
        let batch = (first..first + BATCH).map(|row| {
            let ((indicator, entity, year), _) = observation(row);
            wire::observation(
                &format!("indicator-{indicator}"),
                &format!("entity-{entity}"),
                &year.to_string(),
                row as f64 / 7.0,
            )
        });
        table::write(&mut client, batch.collect()).await?;
    }
    let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
    service.stop().await?;
    Ok(rate)
}

/// A start over a million observations after a clean stop, and the first ranking after it: in a
/// process of its own, as a start is.
fn start(dir: &Path) -> Outcome<[Row; 2]> {
    let mut process = Command::new(std::env::current_exe()?);
    let output = process.arg(START).arg(dir).output()?;
    let told = String::from_utf8(output.stdout)?;
    let seconds: Vec<f64> = told
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [serving, ranked] = seconds[..] else {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    };
    let [serving, ranked] = [serving, ranked].map(Duration::from_secs_f64);
    let (one, three) = (Duration::from_secs(1), Duration::from_secs(3));
    Ok([
        Row::time("start to SERVING, 1 M observations", serving, one),
        Row::time("first ranking after it, 1,000 x 50", ranked, three),
    ])
}

/// What the process that measures a start is told first; the directory follows.
pub(crate) const START: &str = "--start";

/// The seconds that a start and the first ranking after it take in this process.
pub(crate) async fn start_here(dir: &Path) -> Outcome<[f64; 2]> {
    let begun = Instant::now();
    let service = Running::<Ranking>::start(dir).await?;
    let serving = begun.elapsed();
    let begun = Instant::now();
    service
        .client()
        .list_ranking_results(table::ranking(&[]))
        .await?;
    let ranked = begun.elapsed();
    service.stop().await?;
    Ok([serving, ranked].map(|time| time.as_secs_f64()))
}
