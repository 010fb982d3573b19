//! Many callers who write at once and wait until it is durable: through the service, and the store
//! against the engine alone.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use almanac_proto::ranking::v1 as pb;
use tempfile::TempDir;
use tonic::Code;

use super::{Finding, Plan, Tell};
use crate::{
    Outcome,
    group_commit::small_writes,
    loadgen::{Report, closed_loop},
    service::{Ranking, connect},
    spawned::{Spawned, binary},
    table, wire,
};

const CALLERS: usize = 64;
/// Connections that the callers of the service share.
const CONNECTIONS: usize = 4;
const ENTITIES: u64 = 1000;
/// By turns so often each.
const ROUNDS: u32 = 6;
/// What is asked of the store, in percent of the engine alone.
const PART: f64 = 80.0;
/// A caller who waits longer than this hangs.
const HANG: Duration = Duration::from_secs(2);

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    store(plan, tell).await?;
    service(plan, tell).await
}

async fn store(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let rounds = small_writes(&plan.dir, CALLERS, plan.time / (3 * ROUNDS), ROUNDS).await?;
    let rate = |of: &[Report]| {
        let written: u64 = of.iter().map(|report| report.count(Code::Ok)).sum();
        let time: Duration = of.iter().map(|report| report.elapsed).sum();
        written as f64 / time.as_secs_f64()
    };
    let (ours, theirs) = (rate(&rounds.store), rate(&rounds.raw));
    tell(Finding::note(
        "engine alone, 64 writers",
        format!("{theirs:.0} /s"),
    ));
    tell(Finding::note("store, 64 writers", format!("{ours:.0} /s")));
    let part = 100.0 * ours / theirs;
    tell(Finding::at_least(
        "store, of the engine alone",
        part,
        "%",
        PART,
    ));
    let synced = rate(&rounds.durable);
    tell(Finding::note(
        "engine alone, each group synced",
        format!("{synced:.0} /s"),
    ));
    tell(Finding::at_least(
        "store, of the engine alone synced",
        100.0 * ours / synced,
        "%",
        PART,
    ));
    hangs("store", &rounds.store, tell);
    Ok(())
}

/// Whether a caller hung.
fn hangs(what: &str, reports: &[Report], tell: Tell<'_>) {
    let latencies = reports.iter().filter_map(|report| report.percentile(100));
    let name = format!("{what}, longest write");
    tell(Finding::within(&name, latencies.max(), HANG));
    let gaps = reports.iter().map(|report| report.longest_gap);
    let name = format!("{what}, longest time without a write");
    tell(Finding::within(&name, gaps.max(), HANG));
}

async fn service(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let dir = TempDir::new_in(&plan.dir)?;
    let service = Spawned::start::<Ranking>(&binary::<Ranking>()?, dir.path(), &[]).await?;
    let mut client = table::Client::new(service.channel.clone());
    let entities: Vec<_> = (0..ENTITIES).map(|of| format!("e{of}")).collect();
    table::create(&mut client, &["i0".to_owned()], &entities, "2024").await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(table::Client::new(connect(service.address).await?));
    }
    let report = closed_loop(&clients, CALLERS / CONNECTIONS, plan.time, write).await?;
    let written = report.count(Code::Ok);
    let all = report.codes.values().sum::<u64>();
    let rate = format!("{:.0} /s", report.throughput());
    tell(Finding::note("WriteObservations, 64 writers", rate));
    let failed = all - written;
    tell(Finding::none(
        "WriteObservations, refused or failed",
        failed,
        all,
    ));
    hangs("WriteObservations", &[report], tell);
    Ok(())
}

/// One figure, each in a cell of its own for as long as there are cells.
async fn write(mut client: table::Client) -> Code {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let entity = format!("e{}", number % ENTITIES);
    let year = (1000 + number / ENTITIES % 9000).to_string();
    let request = pb::WriteObservationsRequest {
        parent: table::DATASET.to_owned(),
        observations: vec![wire::observation("i0", &entity, &year, number as f64)],
        ..Default::default()
    };
    let answer = client.write_observations(request).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}
