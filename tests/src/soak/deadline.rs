//! Deadlines shorter than what is asked for: answered in time, and nothing goes on computing.

use std::time::{Duration, Instant};

use tonic::Code;

use super::{
    Finding, Plan, Tell,
    machine::after,
    stage::{Stage, tell_busy},
    work::Long,
};
use crate::{
    Outcome,
    refusal::Refusal,
    service::{Forecast, Ranking},
};

/// The answer must come so soon after the deadline.
const LATE: Duration = Duration::from_millis(20);

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    one::<Ranking>(plan, tell).await?;
    one::<Forecast>(plan, tell).await
}

async fn one<L: Long>(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let mut stage = Stage::<L>::set(plan, 1).await?;
    let (program, process) = (L::PROGRAM.name, stage.process());
    let mut calls = L::calls();
    calls.retain(|call| call.ends_with_its_caller);
    let share = (plan.deadlines / 2).div_ceil(calls.len());
    let (mut wrong, mut all) = (0, 0);
    for call in &calls {
        let length = stage.length(call).await?;
        let (mut late, mut busy) = (Vec::new(), Vec::new());
        while late.len() < share {
            let timeout = stage.part(length, (20, 50));
            let ask = stage.ask(Some(timeout));
            // What is sent is made before the clock runs: chunks of an import take it a while.
            let pending = (call.begin)(stage.client.clone(), &ask);
            let begun = Instant::now();
            let answer = pending.await;
            let end = begun.elapsed();
            stage.was_over(answer.is_ok(), call)?;
            let Err(status) = answer else { continue };
            let reason = Refusal::from(&status).reason;
            if (status.code(), reason.as_str()) != (Code::DeadlineExceeded, "DEADLINE_EXCEEDED") {
                wrong += 1;
            }
            late.push(end.saturating_sub(timeout));
            busy.push(after(process, begun + timeout).await?);
        }
        all += late.len() as u64;
        let name = format!("{program}, {}", call.name);
        late.sort_unstable();
        let median = late.get(late.len() / 2).copied().unwrap_or_default();
        tell(Finding::time(&format!("{name}: answer late p50"), median));
        let most = late.last().copied();
        tell(Finding::within(
            &format!("{name}: answer late at most"),
            most,
            LATE,
        ));
        tell_busy(&name, call.writes, &busy, tell);
    }
    tell(Finding::none(
        &format!("{program}, passed deadlines not answered DEADLINE_EXCEEDED"),
        wrong,
        all,
    ));
    Ok(())
}
