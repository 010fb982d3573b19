//! Three times as many computing calls as the service can answer: it goes on answering as many as
//! it can, refuses the others at once, and does not grow.
//!
//! The service has all processors but one, and this program that one, both while the peak is found
//! and under overload: so the load does not take from the service what is measured, and what the
//! service spends on refusals counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Code;

use super::{Finding, Plan, Tell, machine::Apart};
use crate::{
    Outcome,
    loadgen::{Report, closed_loop, open_loop},
    process::memory,
    service::{Ranking, connect},
    spawned::{Spawned, binary},
    table, wire,
};

/// Entities and indicators: a what-if over them takes a few milliseconds.
const SHAPE: (usize, usize) = (2000, 20);
const YEAR: &str = "2024";
/// Numbers of callers that the peak is looked for with. More would be refused.
const RAMP: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// How long each of them calls.
const STEP: Duration = Duration::from_secs(3);
/// So many times the peak.
const OVERLOAD: f64 = 3.0;
const CONNECTIONS: usize = 4;

/// Of the peak, in percent.
const GOODPUT: f64 = 90.0;
/// A refusal must come so soon.
const REFUSAL: Duration = Duration::from_millis(10);
/// Most memory in MiB.
const MEMORY: f64 = 256.0;
/// The mean of the last third of the time may be so much more than that of the third before it,
/// in percent.
const GROWTH: f64 = 5.0;

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let dir = TempDir::new_in(&plan.dir)?;
    let apart = Apart::for_a_child()?;
    let service = Spawned::start::<Ranking>(&binary::<Ranking>()?, dir.path(), &[]).await?;
    apart.beside_the_child()?;
    prepare(&mut table::Client::new(service.channel.clone())).await?;
    let process = service.process.id();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(table::Client::new(connect(service.address).await?));
    }
    let callers = callers(&clients).await?;
    let before = unhindered(&clients, callers, plan.time / 4).await?;
    let period = Duration::from_secs_f64(1.0 / (OVERLOAD * before));
    let calls = usize::try_from(plan.time.as_nanos() / period.as_nanos().max(1))?;
    let load = open_loop(&clients, period, calls, call);
    let (report, sizes) = beside(load, || memory(process, "VmRSS")).await?;
    let after = unhindered(&clients, callers, plan.time / 4).await?;
    drop(apart);
    let peak = f64::midpoint(before, after);
    let rate = calls as f64 / plan.time.as_secs_f64();
    findings(peak, callers, rate, &report, &sizes)
        .into_iter()
        .for_each(tell);
    Ok(())
}

async fn prepare(client: &mut table::Client) -> Outcome<()> {
    let indicators: Vec<_> = (0..SHAPE.1).map(|of| format!("i{of}")).collect();
    let entities: Vec<_> = (0..SHAPE.0).map(|of| format!("e{of}")).collect();
    table::create(client, &indicators, &entities, YEAR).await?;
    for (by, indicator) in indicators.iter().enumerate() {
        let figures = entities.iter().enumerate().map(|(of, entity)| {
            let value = ((of * 7919 + by * 104_729) % 99_991) as f64;
            wire::observation(indicator, entity, YEAR, value)
        });
        table::write(client, figures.collect()).await?;
    }
    Ok(())
}

/// A what-if that nobody asked before.
async fn call(mut client: table::Client) -> Code {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let request = table::ranking(&[("i3", 1.5 + number as f64 / 1e6)]);
    let answer = client.list_ranking_results(request).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The number of callers that get the most answers.
async fn callers(clients: &[table::Client]) -> Outcome<usize> {
    let mut best = (0.0, 0);
    for callers in RAMP {
        let rate = unhindered(clients, callers, STEP).await?;
        if rate > best.0 {
            best = (rate, callers);
        }
    }
    Ok(best.1)
}

/// The rate of answers with this many callers. What the peak is comes from a run of its own, once
/// before the overload and once after it: the best of several is better than what lasts, and a
/// machine that others share is not the same from one minute to the next.
async fn unhindered(clients: &[table::Client], callers: usize, time: Duration) -> Outcome<f64> {
    let (clients, each) = match callers / CONNECTIONS {
        0 => (&clients[..callers], 1),
        each => (clients, each),
    };
    let report = closed_loop(clients, each, time, call).await?;
    if report.codes.len() != 1 || report.count(Code::Ok) == 0 {
        return Err(format!("calls failed below the limits: {:?}", report.codes).into());
    }
    Ok(report.throughput())
}

/// Looks each second while the load goes on.
async fn beside<T>(
    load: impl Future<Output = Outcome<T>>,
    look: impl Fn() -> Outcome<f64>,
) -> Outcome<(T, Vec<f64>)> {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Vec::new();
    tokio::pin!(load);
    loop {
        tokio::select! {
            done = &mut load => return Ok((done?, seen)),
            _ = second.tick() => seen.push(look()?),
        }
    }
}

fn findings(peak: f64, callers: usize, rate: f64, report: &Report, sizes: &[f64]) -> Vec<Finding> {
    let refused = |percent| report.percentile_of(Code::ResourceExhausted, percent);
    let time = |name, time: Option<Duration>| Finding::time(name, time.unwrap_or_default());
    let answered = report.count(Code::Ok);
    let turned_away = report.count(Code::ResourceExhausted);
    let all = report.codes.values().sum::<u64>();
    let other = all - answered - turned_away;
    let third = sizes.len() / 3;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (before, last) = (
        mean(&sizes[third..2 * third]),
        mean(&sizes[sizes.len() - third..]),
    );
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    vec![
        Finding::note(
            "what-if, 2,000 entities x 20 indicators: peak",
            format!("{peak:.0} /s"),
        ),
        Finding::note("callers at the peak", callers),
        Finding::note("overload", format!("{rate:.0} /s")),
        Finding::note("answered", answered),
        Finding::note("refused", turned_away),
        Finding::none("anything else", other, all),
        Finding::at_least(
            "goodput under overload, of the peak",
            100.0 * report.throughput() / peak,
            "%",
            GOODPUT,
        ),
        time("answers, p50", report.percentile(50)),
        time("answers, p99", report.percentile(99)),
        time("refusals, p50", refused(50)),
        Finding::within("refusals, p99", refused(99), REFUSAL),
        Finding::within("refusals, at most", refused(100), REFUSAL),
        Finding::at_most("memory, at most", largest, "MiB", MEMORY),
        Finding::at_most(
            "memory, last third of the time over the third before",
            100.0 * (last / before - 1.0),
            "%",
            GROWTH,
        ),
    ]
}
