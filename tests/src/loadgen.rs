//! Load on a service: callers over connections, in a closed loop (each calls again when it is
//! answered) or an open one (calls begin at a rate, whatever the answers do).

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tonic::Code;

use crate::Outcome;

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// From the first call's beginning to the last one's end.
    pub elapsed: Duration,
    /// The longest time in which no call came to OK, beginning and end of the load included.
    pub longest_gap: Duration,
    /// Calls by what they came to.
    pub codes: BTreeMap<i32, u64>,
    /// Latencies by what calls came to, in ascending order.
    latencies: BTreeMap<i32, Vec<Duration>>,
}

/// A call that was answered.
struct Sample {
    code: Code,
    latency: Duration,
    /// When, counted from the beginning of the load.
    end: Duration,
}

impl Report {
    fn of(mut samples: Vec<Sample>, elapsed: Duration) -> Self {
        let mut report = Self {
            elapsed,
            ..Self::default()
        };
        samples.sort_unstable_by_key(|sample| sample.end);
        let mut last = Duration::ZERO;
        for sample in samples.iter().filter(|sample| sample.code == Code::Ok) {
            report.longest_gap = report.longest_gap.max(sample.end - last);
            last = sample.end;
        }
        report.longest_gap = report.longest_gap.max(elapsed.saturating_sub(last));
        samples.sort_unstable_by_key(|sample| sample.latency);
        for Sample { code, latency, .. } in samples {
            let code = i32::from(code);
            *report.codes.entry(code).or_default() += 1;
            report.latencies.entry(code).or_default().push(latency);
        }
        report
    }

    /// Calls that came to this code.
    #[must_use]
    pub fn count(&self, code: Code) -> u64 {
        self.codes.get(&i32::from(code)).copied().unwrap_or(0)
    }

    /// Calls that came to OK, per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.count(Code::Ok) as f64 / self.elapsed.as_secs_f64()
    }

    /// The least latency that `percent` of the calls that came to OK do not exceed (nearest rank,
    /// 1 to 100); none without such calls.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        self.percentile_of(Code::Ok, percent)
    }

    /// As [`Report::percentile`], of the calls that came to `code`.
    #[must_use]
    pub fn percentile_of(&self, code: Code, percent: usize) -> Option<Duration> {
        let latencies = self.latencies.get(&i32::from(code))?;
        let rank = (latencies.len() * percent).div_ceil(100);
        latencies.get(rank.checked_sub(1)?).copied()
    }
}

/// `callers` on each of the clients call for as long as `time`.
///
/// # Errors
/// If a call panicked.
pub async fn closed_loop<C, F, R>(
    clients: &[C],
    callers: usize,
    time: Duration,
    call: F,
) -> Outcome<Report>
where
    C: Clone + Send + 'static,
    F: Fn(C) -> R + Clone + Send + 'static,
    R: Future<Output = Code> + Send + 'static,
{
    let start = Instant::now();
    let mut running = JoinSet::new();
    for client in clients
        .iter()
        .flat_map(|client| (0..callers).map(move |_| client))
    {
        let (client, call) = (client.clone(), call.clone());
        running.spawn(async move {
            let mut samples = Vec::new();
            while start.elapsed() < time {
                let begun = Instant::now();
                let code = call(client.clone()).await;
                let (latency, end) = (begun.elapsed(), start.elapsed());
                samples.push(Sample { code, latency, end });
            }
            samples
        });
    }
    let mut samples = Vec::new();
    while let Some(of_caller) = running.join_next().await {
        samples.extend(of_caller?);
    }
    Ok(Report::of(samples, start.elapsed()))
}

/// A call begins every `period`, `calls` in all, on the clients in turn. Latencies count from when
/// a call was due, so that one that had to wait is not flattered.
///
/// # Errors
/// If a call panicked.
pub async fn open_loop<C, F, R>(
    clients: &[C],
    period: Duration,
    calls: usize,
    call: F,
) -> Outcome<Report>
where
    C: Clone + Send + 'static,
    F: Fn(C) -> R + Clone + Send + 'static,
    R: Future<Output = Code> + Send + 'static,
{
    let start = Instant::now();
    let mut due = interval(period);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    for client in clients.iter().cycle().take(calls) {
        let due = due.tick().await;
        let answer = call(client.clone());
        running.spawn(async move {
            let code = answer.await;
            let (latency, end) = (due.elapsed(), start.elapsed());
            Sample { code, latency, end }
        });
    }
    let mut samples = Vec::new();
    while let Some(sample) = running.join_next().await {
        samples.push(sample?);
    }
    Ok(Report::of(samples, start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(code: Code, latency: u64, end: u64) -> Sample {
        let (latency, end) = (Duration::from_millis(latency), Duration::from_millis(end));
        Sample { code, latency, end }
    }

    #[test]
    fn percentiles_are_of_the_answered_calls_by_nearest_rank() {
        let mut samples: Vec<_> = (1..=10).rev().map(|ms| sample(Code::Ok, ms, ms)).collect();
        samples.push(sample(Code::Unavailable, 9000, 9000));
        let report = Report::of(samples, Duration::from_secs(2));
        assert_eq!(report.percentile(50), Some(Duration::from_millis(5)));
        assert_eq!(report.percentile(51), Some(Duration::from_millis(6)));
        assert_eq!(report.percentile(100), Some(Duration::from_millis(10)));
        let refused = report.percentile_of(Code::Unavailable, 1);
        assert_eq!(refused, Some(Duration::from_secs(9)));
        assert_eq!(report.throughput().to_bits(), 5.0f64.to_bits());
        assert_eq!(report.count(Code::Unavailable), 1);
        assert_eq!(Report::default().percentile(50), None);
    }

    #[test]
    fn the_longest_gap_counts_what_came_to_ok_and_both_ends() {
        let gap = |samples: &[(Code, u64)]| {
            let samples = samples.iter().map(|(code, end)| sample(*code, 1, *end));
            let report = Report::of(samples.collect(), Duration::from_millis(100));
            report.longest_gap.as_millis()
        };
        assert_eq!(gap(&[]), 100);
        assert_eq!(gap(&[(Code::Ok, 70), (Code::Ok, 20)]), 50);
        assert_eq!(
            gap(&[(Code::Ok, 10), (Code::Internal, 50), (Code::Ok, 95)]),
            85
        );
        assert_eq!(gap(&[(Code::Ok, 40), (Code::Ok, 45)]), 55);
    }
}
