//! SIGTERM under load: every call that was in flight is answered, the process ends with exit code
//! 0, and starts again.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tonic::{Code, Status};

use super::{Finding, Plan, Tell};
use crate::{
    Outcome,
    dice::Dice,
    process::Signal,
    refusal::Refusal,
    service::{Forecast, Ranking, connect},
    spawned::{Spawned, binary},
};

mod load;

use load::Load;

/// A call that began so long before the signal, and was not answered by then, is in flight: its
/// request has reached the service.
const ARRIVAL: Duration = Duration::from_millis(20);
/// The load lasts from so long before the signal to so long before it.
const BEFORE: (u64, u64) = (150, 450);
/// Callers go on so long after the signal unless they are refused.
const AFTER: Duration = Duration::from_secs(5);

/// A call, or a chunk of a stream, as its caller saw it.
struct Seen {
    what: &'static str,
    begin: Instant,
    end: Instant,
    answer: Result<(), Status>,
}

pub(super) async fn run(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    one::<Ranking>(plan, tell).await?;
    one::<Forecast>(plan, tell).await
}

/// What was counted over all signals.
#[derive(Default)]
struct Count {
    in_flight: u64,
    failed: u64,
    /// Calls at the door when the signal came, or after it, that were refused in the right way.
    refused: u64,
    /// And those that were refused in another way.
    refused_otherwise: u64,
    bad_ends: u64,
    longest_end: Duration,
    faults: Vec<String>,
}

async fn one<L: Load>(plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    let dir = TempDir::new_in(&plan.dir)?;
    let mut dice = Dice::new(plan.seed, 2);
    let mut count = Count::default();
    for time in 0..plan.times {
        let mut service = Spawned::start::<L>(&binary::<L>()?, dir.path(), &[]).await?;
        if time == 0 {
            L::prepare(service.channel.clone(), plan.size).await?;
        }
        let (stop, stopped) = watch::channel(false);
        let mut callers = callers::<L>(&service, &stopped).await?;
        let (least, most) = BEFORE;
        let before = Duration::from_millis(least + dice.below(most - least));
        if let Ok(Some(seen)) = timeout(before, callers.join_next()).await {
            let last = seen?.pop().and_then(|seen| seen.answer.err());
            return Err(format!("a caller ended before the signal: {last:?}").into());
        }
        let signal = Instant::now();
        service.process.signal(Signal::TERM)?;
        let mut seen = Vec::new();
        let ended = async {
            while let Some(of_caller) = callers.join_next().await {
                seen.extend(of_caller?);
            }
            Outcome::Ok(())
        };
        if timeout(AFTER, ended).await.is_err() {
            stop.send_replace(true);
        }
        while let Some(of_caller) = callers.join_next().await {
            seen.extend(of_caller?);
        }
        let status = service.process.wait()?;
        count.longest_end = count.longest_end.max(signal.elapsed());
        if status.code() != Some(0) {
            count.bad_ends += 1;
            count.faults.push(format!("ended with {status}"));
        }
        for call in seen {
            count.add(&call, signal);
        }
    }
    // It starts again after the last signal too.
    Spawned::start::<L>(&binary::<L>()?, dir.path(), &[]).await?;
    count.tell(L::PROGRAM.name, plan.times as u64, tell);
    Ok(())
}

async fn callers<L: Load>(
    service: &Spawned,
    stopped: &watch::Receiver<bool>,
) -> Outcome<JoinSet<Vec<Seen>>> {
    let mut callers = JoinSet::new();
    for (what, many, call) in L::load() {
        let channel = connect(service.address).await?;
        for number in 0..many {
            let (channel, stopped) = (channel.clone(), stopped.clone());
            callers.spawn(async move {
                let mut seen = Vec::new();
                let mut number = number << 32;
                while !*stopped.borrow() {
                    number += 1;
                    let begin = Instant::now();
                    let answer = call(channel.clone(), number).await;
                    let end = Instant::now();
                    let over = answer.is_err();
                    seen.push(Seen {
                        what,
                        begin,
                        end,
                        answer,
                    });
                    if over {
                        break;
                    }
                }
                seen
            });
        }
    }
    let channel = connect(service.address).await?;
    callers.spawn(L::stream(channel, stopped.clone()));
    Ok(callers)
}

impl Count {
    fn add(&mut self, call: &Seen, signal: Instant) {
        let in_flight = call.begin + ARRIVAL <= signal && call.end > signal;
        self.in_flight += u64::from(in_flight);
        let Err(status) = &call.answer else {
            return;
        };
        let refusal = Refusal::from(status);
        let note = |why| {
            let begin = signal.saturating_duration_since(call.begin);
            format!(
                "{why}: {}, begun {begin:?} before the signal: {refusal}",
                call.what
            )
        };
        if call.begin + ARRIVAL <= signal {
            self.failed += 1;
            self.faults.push(note("failed"));
        } else if status.code() == Code::Unavailable || refusal.reason.is_empty() {
            // Without a reason it comes from the caller's own side: there is no connection.
            self.refused += 1;
        } else {
            self.refused_otherwise += 1;
            self.faults.push(note("refused otherwise"));
        }
    }

    fn tell(&self, program: &str, times: u64, tell: Tell<'_>) {
        tell(Finding::none(
            &format!("{program}, {times} x SIGTERM: calls in flight that failed"),
            self.failed,
            self.in_flight,
        ));
        tell(Finding::note(
            &format!("{program}, calls that came too late, UNAVAILABLE or not sent"),
            self.refused,
        ));
        tell(Finding::none(
            &format!("{program}, calls that came too late and were told otherwise"),
            self.refused_otherwise,
            self.refused + self.refused_otherwise,
        ));
        tell(Finding::none(
            &format!("{program}, ends with another exit code than 0"),
            self.bad_ends,
            times,
        ));
        tell(Finding::time(
            &format!("{program}, longest from the signal to the end"),
            self.longest_end,
        ));
        for fault in self.faults.iter().take(20) {
            tell(Finding::note(fault, ""));
        }
    }
}
