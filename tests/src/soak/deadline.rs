//! Deadlines shorter than what is asked for: answered in time, and nothing goes on computing.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tonic::Code;

use super::{
    Finding, Plan, Tell,
    machine::after,
    work::{Ask, Long, caller, length},
};
use crate::{
    Outcome,
    dice::Dice,
    refusal::Refusal,
    service::{Forecast, Ranking},
    spawned::{Spawned, binary},
};

/// The answer must come so soon after the deadline.
const LATE: Duration = Duration::from_millis(20);
/// The process must be idle so soon after the deadline.
const BUSY: Duration = Duration::from_millis(50);
/// A part of as many calls as are cancelled.
const PART: usize = 5;
/// So many times in a row a call may be answered before its deadline.
const PATIENCE: usize = 100;

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    one::<Ranking>(plan, tell).await?;
    one::<Forecast>(plan, tell).await
}

async fn one<L: Long>(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let dir = TempDir::new_in(&plan.dir)?;
    let service = Spawned::start::<L>(&binary::<L>()?, dir.path(), &[]).await?;
    L::prepare(service.channel.clone(), plan.size).await?;
    let process = service.process.id();
    let client = caller::<L>(service.address)?;
    let mut dice = Dice::new(plan.seed, 1);
    let calls = L::calls();
    let share = (plan.calls / PART / 2).div_ceil(calls.len());
    let (mut late, mut busy) = (Vec::new(), Vec::new());
    let (mut wrong, mut number) = (0, 0);
    for call in &calls {
        let length = length(call, &client, Ask::default()).await?;
        let (mut done, mut early) = (0, 0);
        while done < share {
            number += 1;
            let timeout = length.mul_f64((20 + dice.below(50)) as f64 / 100.0);
            let ask = Ask {
                number,
                timeout: Some(timeout),
            };
            let begun = Instant::now();
            let answer = (call.begin)(client.clone(), ask).await;
            let end = begun.elapsed();
            let Err(status) = answer else {
                early += 1;
                if early > PATIENCE {
                    let name = call.name;
                    return Err(format!("{name} takes {length:?}; try a larger --size").into());
                }
                continue;
            };
            done += 1;
            let reason = Refusal::from(&status).reason;
            if (status.code(), reason.as_str()) != (Code::DeadlineExceeded, "DEADLINE_EXCEEDED") {
                wrong += 1;
            }
            late.push(end.saturating_sub(timeout));
            busy.push(after(process, begun + timeout).await?.busy);
        }
    }
    late.sort_unstable();
    busy.sort_unstable();
    let program = L::PROGRAM.name;
    let median = late.get(late.len() / 2).copied().unwrap_or_default();
    tell(Finding::none(
        &format!("{program}, passed deadlines not answered DEADLINE_EXCEEDED"),
        wrong,
        late.len() as u64,
    ));
    tell(Finding::time(
        &format!("{program}, answer after the deadline, p50"),
        median,
    ));
    tell(Finding::within(
        &format!("{program}, answer after the deadline, at most"),
        late.last().copied(),
        LATE,
    ));
    tell(Finding::within(
        &format!("{program}, busy after the deadline, at most"),
        busy.last().copied(),
        BUSY,
    ));
    Ok(())
}
