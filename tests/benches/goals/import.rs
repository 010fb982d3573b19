//! A million observations through ImportObservations, into a service that is a process of its own:
//! how fast, and how much memory it takes.

use std::{net::SocketAddr, path::Path, process::Command, time::Instant};

use almanac_tests::{
    Outcome,
    group_commit::{SHAPE, observation},
    loader::Loader,
    process::{Process, memory},
    service::{Ranking, Running, connect},
    table, wire,
};
use tempfile::TempDir;

use crate::{row::Row, store::ROWS};

/// Most memory of the service in MiB: 256 of cache, and the rest for the window's chunks, in every
/// form that they take, and for what the engine replaces in one batch.
const MEMORY: f64 = 768.0;

/// The rows; `raw` is the rate of batches into the engine alone.
pub(crate) async fn rows(raw: f64) -> Outcome<[Row; 2]> {
    let dir = TempDir::new()?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut service = Process::spawn(command.arg(SERVE).arg(dir.path()))?;
    let address: SocketAddr = service.until("127.0.0.1:")?.parse()?;
    let mut client = table::Client::new(connect(address).await?);
    let indicators: Vec<String> = (0..SHAPE.1).map(|of| format!("indicator-{of}")).collect();
    let entities: Vec<String> = (0..SHAPE.0).map(|of| format!("entity-{of}")).collect();
    table::create(&mut client, &indicators, &entities, "2019").await?;
    let observations: Vec<_> = (0..ROWS)
        .map(|row| {
            let ((indicator, entity, year), _) = observation(row);
            wire::observation(
                &format!("indicator-{indicator}"),
                &format!("entity-{entity}"),
                &year.to_string(),
                row as f64 / 7.0,
            )
        })
        .collect();
    let begun = Instant::now();
    let loaded = Loader::new(table::DATASET, &observations);
    let loaded = loaded.load(&mut client, |_| ()).await?;
    let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
    if loaded.summary.written_count != ROWS as i64 {
        return Err(format!("{:?} were written", loaded.summary).into());
    }
    let peak = memory(service.id(), "VmHWM")?;
    let name = "import of 1 M observations, ImportObservations; raw batches";
    Ok([
        Row::rate(name, rate, raw, 0.5),
        Row::memory("most memory of the service over it", peak, MEMORY),
    ])
}

/// What the process that serves is told first; the directory follows.
pub(crate) const SERVE: &str = "--serve";

/// Serves in this process until it is killed, once `tell` was told where.
pub(crate) async fn serve_here(
    dir: &Path,
    tell: impl FnOnce(SocketAddr) -> std::io::Result<()>,
) -> Outcome<()> {
    let service = Running::<Ranking>::start(dir).await?;
    tell(service.address())?;
    std::future::pending().await
}
