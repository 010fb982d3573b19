//! Work that outlives the call that asked for it: creating editions and forecasts.

mod commit;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use crate::{
    fault::{Fault, Violations},
    plain::control::{Control, Stopped},
    pool::{self, Pool},
};

/// How long a call waits for its job unless told otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// How long a call waits for its job at most.
pub const MAX_WAIT: Duration = Duration::from_secs(600);

/// The `wait` of a request; a violation where it is negative or too long.
pub fn wait(wait: Option<&prost_types::Duration>, violations: &mut Violations) -> Duration {
    let Some(wait) = wait else {
        return DEFAULT_WAIT;
    };
    // Not by prost's own conversion, which overflows where the seconds are i64::MIN.
    let parts = u64::try_from(wait.seconds)
        .ok()
        .zip(u32::try_from(wait.nanos).ok());
    let told = parts
        .filter(|(_, nanos)| *nanos < 1_000_000_000)
        .map(|(seconds, nanos)| Duration::new(seconds, nanos));
    match told {
        Some(wait) if wait <= MAX_WAIT => wait,
        _ => {
            let text = format!("must be 0 to {} seconds", MAX_WAIT.as_secs());
            violations.push("wait", ErrorReason::FieldInvalid, text);
            DEFAULT_WAIT
        }
    }
}

/// The jobs that run, by the name of the resource they make.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    running: Arc<Mutex<BTreeMap<String, Running>>>,
}

#[derive(Debug)]
struct Running {
    job: Arc<Job>,
    done: watch::Receiver<bool>,
}

/// One job, as its computation sees it.
#[derive(Debug)]
pub struct Job {
    state: AtomicU8,
    changed: Notify,
    /// Where commits are waited for.
    runtime: Handle,
}

const GOING: u8 = 0;
const SHUT_DOWN: u8 = 1;
/// The highest: what a caller cancelled is not resumed, even where the service ends meanwhile.
const CANCELLED: u8 = 2;

impl Job {
    /// Whether a caller cancelled it; otherwise a stop means that the service is shutting down
    /// and the job is to be resumed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CANCELLED
    }

    /// Runs `work` on the threads for jobs once it is this job's turn. One that is told to stop
    /// while it waits ends at once.
    ///
    /// # Errors
    /// What `work` answers, CANCELLED (COMPUTATION_STOPPED) if it was told to stop before, or
    /// INTERNAL if `work` panics.
    pub async fn compute<T, F>(self: &Arc<Self>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    {
        let pool = Pool::current()?;
        let slot = tokio::select! {
            slot = pool.job_slot() => slot?,
            () = self.stopped() => return Err(Stopped.into()),
        };
        let job = Arc::clone(self);
        let work = move || {
            job.check()?;
            work(&job)
        };
        pool.run(slot, work).await
    }

    /// Tells the job to stop.
    fn stop(&self, state: u8) {
        self.state.fetch_max(state, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until the job is told to stop.
    async fn stopped(&self) {
        loop {
            let changed = self.changed.notified();
            if self.check().is_err() {
                return;
            }
            changed.await;
        }
    }
}

impl Control for Job {
    fn check(&self) -> Result<(), Stopped> {
        if self.state.load(Ordering::Relaxed) == GOING {
            Ok(())
        } else {
            Err(Stopped)
        }
    }

    fn report(&self, _done: u64, _total: u64) {}
}

impl Jobs {
    /// Starts the job `name`, unless it runs.
    pub fn start<F>(&self, name: &str, work: impl FnOnce(Arc<Job>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut running = self.lock();
        if running.contains_key(name) {
            return;
        }
        let job = Arc::new(Job {
            state: AtomicU8::new(GOING),
            changed: Notify::new(),
            runtime: Handle::current(),
        });
        let (ended, done) = watch::channel(false);
        let future = work(Arc::clone(&job));
        running.insert(name.to_owned(), Running { job, done });
        drop(running);
        let (jobs, name) = (self.clone(), name.to_owned());
        // Its own task, so that a panic of the work ends the job and nothing else.
        let work = pool::spawn(future);
        tokio::spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(%error, job = name, "a job failed");
            }
            jobs.lock().remove(&name);
            ended.send_replace(true);
        });
    }

    /// Waits until the job `name` has ended, or for `limit`.
    pub async fn wait(&self, name: &str, limit: Duration) {
        let done = self.lock().get(name).map(|running| running.done.clone());
        if let Some(mut done) = done {
            // Running out of time is an answer too: the caller reads the state anew.
            let ended = tokio::time::timeout(limit, done.wait_for(|done| *done)).await;
            tracing::debug!(job = name, ended = ended.is_ok(), "waited");
        }
    }

    /// Tells the job `name` to stop.
    pub fn cancel(&self, name: &str) {
        if let Some(running) = self.lock().get(name) {
            running.job.stop(CANCELLED);
        }
    }

    /// Gives up what the job `name` makes, whether the job runs or not: `end` says so in the store.
    ///
    /// # Errors
    /// What `end` answers.
    pub async fn give_up(
        &self,
        name: &str,
        end: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        // Before, so that it does not compute on while the end is committed, and after, since one
        // that was started meanwhile may not have found that end yet.
        self.cancel(name);
        end.await?;
        self.cancel(name);
        Ok(())
    }

    /// Tells every job to stop, to be resumed by the next start of the service.
    pub fn shut_down(&self) {
        for running in self.lock().values() {
            running.job.stop(SHUT_DOWN);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        // The map is whole between any two statements, also after a panic elsewhere.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_wait_is_told() {
        for (seconds, nanos, good) in [
            (0, 0, true),
            (600, 0, true),
            (0, 999_999_999, true),
            (600, 1, false),
            (-1, 0, false),
            (0, -1, false),
            (0, 1_000_000_000, false),
            (i64::MIN, 0, false),
            (i64::MIN, i32::MIN, false),
            (i64::MAX, i32::MAX, false),
        ] {
            let mut violations = Violations::new();
            wait(
                Some(&prost_types::Duration { seconds, nanos }),
                &mut violations,
            );
            assert_eq!(violations.is_empty(), good, "{seconds} s {nanos} ns");
        }
    }
    use crate::{limits::Limits, pool::PoolSettings};

    #[tokio::test]
    async fn a_cancelled_job_ends_and_is_forgotten() {
        let jobs = Jobs::default();
        let (started, is_started) = tokio::sync::oneshot::channel();
        jobs.start("a", |job| async move {
            started.send(()).unwrap();
            while job.check().is_ok() {
                tokio::task::yield_now().await;
            }
            assert!(job.is_cancelled());
        });
        is_started.await.unwrap();
        jobs.cancel("a");
        jobs.wait("a", Duration::from_secs(60)).await;
        assert!(jobs.lock().is_empty());
    }

    #[tokio::test]
    async fn a_job_that_waits_for_a_thread_is_cancelled_at_once() {
        let settings = PoolSettings {
            threads: 1,
            queue: 0,
            memory_bytes: 1 << 30,
        };
        let pool = Pool::new(settings, Limits::default()).unwrap();
        let taken = pool.job_slot().await.unwrap();
        let (ended, outcome) = tokio::sync::oneshot::channel();
        let test = async {
            let jobs = Jobs::default();
            jobs.start("a", |job| async move {
                let done = job.compute(|_| -> Result<(), Fault> { panic!("ran") });
                ended.send((done.await, job.is_cancelled())).unwrap();
            });
            jobs.cancel("a");
            jobs.shut_down();
            let (done, cancelled) = outcome.await.unwrap();
            assert_eq!(done.unwrap_err().reason(), "COMPUTATION_STOPPED");
            assert!(cancelled, "the end of the service undid it");
        };
        pool.scope(test).await;
        drop(taken);
    }

    #[tokio::test]
    async fn a_job_that_starts_while_it_is_given_up_stops_too() {
        let jobs = Jobs::default();
        let start = async {
            jobs.start("a", |job| async move { job.stopped().await });
            Ok(())
        };
        jobs.give_up("a", start).await.unwrap();
        jobs.wait("a", Duration::from_secs(60)).await;
        assert!(jobs.lock().is_empty());
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_only() {
        let jobs = Jobs::default();
        jobs.start("a", |_| async { panic!("on purpose") });
        jobs.wait("a", Duration::from_secs(60)).await;
        jobs.start("a", |_| async {});
        jobs.wait("a", Duration::from_secs(60)).await;
        assert!(jobs.lock().is_empty());
    }
}
