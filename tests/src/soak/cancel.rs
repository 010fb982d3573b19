//! Callers that leave in the middle of a computation: what they asked for must stop at once.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    Finding, Plan, Tell,
    machine::{After, after, calls_time},
    stage::{Stage, tell_busy},
    work::{Call, Long},
};
use crate::{
    Outcome,
    service::{Forecast, Ranking},
};

/// So many callers leave at the same moment: one for each thread on the smallest machine.
const TOGETHER: usize = 2;
/// A process that has used less than this for calls was not computing for them yet.
const WORK: Duration = Duration::from_millis(2);

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    one::<Ranking>(plan, tell).await?;
    one::<Forecast>(plan, tell).await
}

async fn one<L: Long>(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let mut stage = Stage::<L>::set(plan, 0).await?;
    let program = L::PROGRAM.name;
    let calls = L::calls();
    let share = (plan.calls / 2).div_ceil(calls.len() * TOGETHER);
    let mut cancelled = 0;
    for call in &calls {
        let length = stage.length(call).await?;
        let mut times = Vec::new();
        while times.len() < share {
            let left = leave(&mut stage, call, length).await?;
            times.extend(left);
            stage.was_over(left.is_none(), call)?;
        }
        cancelled += times.len() * TOGETHER;
        let name = format!("{program}, {}", call.name);
        let count = times.len() * TOGETHER;
        let told = format!("{count} of {:.0} ms", length.as_secs_f64() * 1e3);
        tell(Finding::note(&format!("{name}: calls"), told));
        let used = times.iter().map(|after| after.used).max();
        let used = used.unwrap_or_default();
        tell(Finding::time(
            &format!("{name}: processor time, most"),
            used,
        ));
        tell_busy(&name, call.writes, &times, tell);
    }
    let name = format!("{program}, calls cancelled in mid-computation");
    tell(Finding::note(&name, cancelled));
    Ok(())
}

/// Begins calls, drops them after a part of `length`, and watches what the process does then; none
/// if one was answered before, or the process was not computing.
///
/// # Errors
/// If a call failed.
async fn leave<L: Long>(
    stage: &mut Stage<L>,
    call: &Call<L::Caller>,
    length: Duration,
) -> Outcome<Option<After>> {
    let process = stage.process();
    let before = calls_time(process)?;
    let part = stage.part(length, (10, 70));
    let mut one = (call.begin)(stage.client.clone(), &stage.ask(None));
    let mut other = (call.begin)(stage.client.clone(), &stage.ask(None));
    let first = async {
        tokio::select! {
            answer = &mut one => answer,
            answer = &mut other => answer,
        }
    };
    let answered = timeout(part, first).await;
    let computing = calls_time(process)?.saturating_sub(before) >= WORK;
    drop((one, other));
    // What is left of those that were over must not count for the next either.
    let after = after(process, Instant::now()).await?;
    match answered {
        Ok(answer) => answer.map(|()| None).map_err(Into::into),
        Err(_) => Ok(computing.then_some(after)),
    }
}
