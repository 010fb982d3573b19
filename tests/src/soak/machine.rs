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
const WATCH: Duration = Duration::from_millis(120);
/// A process that uses less than this until the end of the watch is idle: timers and the looking
/// itself take their time too.
const IDLE: Duration = Duration::from_millis(2);

/// The processor time that the threads of a process have used, by the scheduler's own clock, which
/// is brought up to date at each of its ticks (1 to 10 ms). What ended threads used is left out.
pub(super) fn cpu_time(process: u32) -> Outcome<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while it is looked at.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let used = text.split(' ').next().ok_or("an empty schedstat")?;
        nanoseconds += used.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// What a process did after a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct After {
    /// How long it went on computing: until the first look after which it used next to nothing
    /// more for the rest of the watch.
    pub(super) busy: Duration,
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
        looks.push((at, cpu_time(process)?));
        if at >= WATCH {
            break;
        }
    }
    let last = looks.last().map_or(Duration::ZERO, |(_, used)| *used);
    let first = looks.first().map_or(Duration::ZERO, |(_, used)| *used);
    let idle = looks
        .iter()
        .find(|(_, used)| last.saturating_sub(*used) <= IDLE);
    Ok(After {
        busy: idle.map_or(WATCH, |(at, _)| *at),
        used: last.saturating_sub(first),
    })
}

/// Two processes on processors of their own, until this is dropped.
pub(super) struct Apart {
    all: Vec<usize>,
}

/// Gives a process all processors but the last, and this one the last, so that neither takes the
/// other's. With a single processor they share it.
///
/// Threads that come later stay where the others are.
pub(super) fn separate(process: u32) -> Outcome<Apart> {
    let set = sched_getaffinity(None)?;
    let there = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
    let all: Vec<usize> = there.collect();
    if let Some((last, others)) = all.split_last()
        && !others.is_empty()
    {
        confine(process, others)?;
        confine(std::process::id(), &[*last])?;
    }
    Ok(Apart { all })
}

impl Drop for Apart {
    fn drop(&mut self) {
        // What cannot be undone ends with this program.
        drop(confine(std::process::id(), &self.all));
    }
}

fn confine(process: u32, processors: &[usize]) -> Outcome<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor);
    }
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
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
        let before = cpu_time(me).unwrap();
        let mut sum = 0.0f64;
        while cpu_time(me).unwrap() < before + Duration::from_millis(20) {
            sum += (0..1000).map(f64::from).sum::<f64>();
        }
        assert!(sum > 0.0);
    }
}
