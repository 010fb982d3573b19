//! Callers that leave in the middle of a computation: what they asked for must stop at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    Finding, Plan, Tell,
    machine::{After, after, cpu_time},
    work::{Ask, Long, Pending, caller, length},
};
use crate::{
    Outcome,
    dice::Dice,
    service::{Forecast, Ranking},
    spawned::{Spawned, binary},
};

/// The process must be idle so soon after its callers left.
const LIMIT: Duration = Duration::from_millis(50);
/// So many callers leave at the same moment: one for each thread on the smallest machine.
const TOGETHER: usize = 2;
/// A process that has used less than this for calls was not computing for them yet.
const WORK: Duration = Duration::from_millis(2);
/// So many times in a row a call may be over before it is cancelled.
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
    let mut run = Run {
        dice: Dice::new(plan.seed, 0),
        number: 0,
        over: 0,
    };
    let calls = L::calls();
    let share = (plan.calls / 2).div_ceil(calls.len() * TOGETHER);
    let mut busy: BTreeMap<&str, Vec<After>> = BTreeMap::new();
    for call in &calls {
        let length = length(call, &client, run.ask()).await?;
        let times = busy.entry(call.name).or_default();
        while times.len() < share {
            let (one, other) = (run.ask(), run.ask());
            let pair = [
                (call.begin)(client.clone(), one),
                (call.begin)(client.clone(), other),
            ];
            if run.leave(process, pair, length).await? {
                times.push(after(process, Instant::now()).await?);
            }
        }
        times.sort_unstable();
        let program = L::PROGRAM.name;
        let name = format!(
            "{program}, {}, {} calls of {:.0} ms: busy p50",
            call.name,
            times.len() * TOGETHER,
            length.as_secs_f64() * 1e3
        );
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        tell(Finding::time(&name, median.busy));
        let used = times
            .iter()
            .map(|after| after.used)
            .max()
            .unwrap_or_default();
        let name = format!("{program}, {}: processor time used, at most", call.name);
        tell(Finding::time(&name, used));
        let name = format!("{program}, {}: busy at most", call.name);
        tell(Finding::within(
            &name,
            times.last().map(|after| after.busy),
            LIMIT,
        ));
    }
    let cancelled = busy.values().map(Vec::len).sum::<usize>() * TOGETHER;
    let name = format!("{}, calls cancelled in mid-computation", L::PROGRAM.name);
    tell(Finding::note(&name, cancelled));
    Ok(())
}

struct Run {
    dice: Dice,
    number: u64,
    /// Calls in a row that were over too soon.
    over: usize,
}

impl Run {
    fn ask(&mut self) -> Ask {
        self.number += 1;
        Ask {
            number: self.number,
            timeout: None,
        }
    }

    /// Waits for a part of `length` while the calls are under way, and drops them. Says whether
    /// none was answered before, and the process was computing.
    ///
    /// # Errors
    /// If a call failed, or they are too short to be cancelled in their middle.
    async fn leave(
        &mut self,
        process: u32,
        calls: [Pending; TOGETHER],
        length: Duration,
    ) -> Outcome<bool> {
        let before = cpu_time(process)?;
        let part = length.mul_f64((10 + self.dice.below(70)) as f64 / 100.0);
        let [mut one, mut other] = calls;
        let first = async {
            tokio::select! {
                answer = &mut one => answer,
                answer = &mut other => answer,
            }
        };
        let answered = timeout(part, first).await;
        let computing = cpu_time(process)?.saturating_sub(before) >= WORK;
        drop((one, other));
        match answered {
            Ok(answer) => answer?,
            Err(_) if computing => {
                self.over = 0;
                return Ok(true);
            }
            Err(_) => {}
        }
        self.over += 1;
        if self.over > PATIENCE {
            return Err(format!("calls of {length:?} are too short; try a larger --size").into());
        }
        // What is left of them must not count for the next.
        after(process, Instant::now()).await?;
        Ok(false)
    }
}
