//! What the operating system says of a process: processor time; and where it may run.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::Outcome;

/// How often a process is looked at.
const STEP: Duration = Duration::from_millis(2);
/// How long it is looked at to see that it stays idle.
const WATCH: Duration = Duration::from_millis(200);
/// A process that uses less than this until the end of the watch is idle: timers and the looking
/// itself take their time too.
const IDLE: Duration = Duration::from_millis(2);

/// How the threads of a store are named: what they do is finished once it has begun.
const STORE: [&str; 2] = ["store-", "sled-"];

/// Processor time of the threads of a process.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// Of those that answer and compute.
    calls: Duration,
    /// Of those that commit.
    store: Duration,
}

/// By the scheduler's own clock, which is brought up to date at each of its ticks (1 to 10 ms). What
/// ended threads used is left out.
fn used(process: u32) -> Outcome<Used> {
    let mut sum = Used::default();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path();
        let read = |file| fs::read_to_string(path.join(file));
        // A thread may end while it is looked at.
        let (Ok(text), Ok(name)) = (read("schedstat"), read("comm")) else {
            continue;
        };
        let used = text.split(' ').next().ok_or("an empty schedstat")?;
        let used = Duration::from_nanos(used.parse()?);
        if STORE.iter().any(|begin| name.starts_with(begin)) {
            sum.store += used;
        } else {
            sum.calls += used;
        }
    }
    Ok(sum)
}

/// The processor time that the threads of a process have used that answer and compute.
pub(super) fn calls_time(process: u32) -> Outcome<Duration> {
    Ok(used(process)?.calls)
}

/// What a process did after a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct After {
    /// How long it went on answering and computing: until the first look after which that took next
    /// to nothing more for the rest of the watch.
    pub(super) busy: Duration,
    /// The same of its store, which finishes a commit that it has begun.
    pub(super) committing: Duration,
    /// The processor time it used from the first look on, of all its threads.
    pub(super) used: Duration,
}

/// Watches what a process does after `begin`.
pub(super) async fn after(process: u32, begin: Instant) -> Outcome<After> {
    let mut looks = Vec::new();
    let mut step = interval(STEP);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        step.tick().await;
        let at = begin.elapsed();
        looks.push((at, used(process)?));
        if at >= WATCH {
            break;
        }
    }
    let last = looks.last().map_or(Used::default(), |(_, used)| *used);
    let first = looks.first().map_or(last, |(_, used)| *used);
    let idle_from = |of: fn(&Used) -> Duration| {
        let rest = |used: &Used| of(&last).saturating_sub(of(used));
        let idle = looks.iter().find(|(_, used)| rest(used) <= IDLE);
        idle.map_or(WATCH, |(at, _)| *at)
    };
    Ok(After {
        busy: idle_from(|used| used.calls),
        committing: idle_from(|used| used.store),
        used: (last.calls + last.store).saturating_sub(first.calls + first.store),
    })
}

/// Processors of their own for this process and one that it starts, until this is dropped.
pub(super) struct Apart {
    all: Vec<usize>,
}

impl Apart {
    /// Leaves this process all processors but the last. What it starts now has the same, and knows
    /// from its beginning that it has no more. With a single processor both share it.
    pub(super) fn for_a_child() -> Outcome<Self> {
        let set = sched_getaffinity(None)?;
        let there = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
        let apart = Self {
            all: there.collect(),
        };
        if let Some((_, others)) = apart.split() {
            confine(others)?;
        }
        Ok(apart)
    }

    /// Leaves this process the last processor, which its child has not.
    pub(super) fn beside_the_child(&self) -> Outcome<()> {
        match self.split() {
            Some((last, _)) => confine(&[last]),
            None => Ok(()),
        }
    }

    fn split(&self) -> Option<(usize, &[usize])> {
        let (last, others) = self.all.split_last()?;
        (!others.is_empty()).then_some((*last, others))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // What cannot be undone ends with this program.
        drop(confine(&self.all));
    }
}

/// Keeps all threads of this process, and those that they start, on these processors.
fn confine(processors: &[usize]) -> Outcome<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor);
    }
    for thread in fs::read_dir("/proc/self/task")? {
        let id = thread?.file_name().to_string_lossy().parse()?;
        let id = Pid::from_raw(id).ok_or("a thread without a number")?;
        sched_setaffinity(Some(id), &set)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_processor_time() {
        let me = std::process::id();
        let before = calls_time(me).unwrap();
        let mut sum = 0.0f64;
        while calls_time(me).unwrap() < before + Duration::from_millis(20) {
            sum += (0..1000).map(f64::from).sum::<f64>();
        }
        assert!(sum > 0.0);
    }
}
