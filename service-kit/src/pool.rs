//! The threads that computations share, and the bounded queue before them.
//!
//! Calls and jobs run side by side on one rayon pool, each with threads of its own: up to
//! `threads` calls and up to half as many jobs at a time. So a long edition never keeps a call
//! waiting, and no number of calls keeps an edition from being made; where both are busy the
//! operating system shares the processors among them. Calls beyond the threads wait in a queue of
//! `queue` places, and beyond that are refused. Jobs wait in order for as long as it takes,
//! because each is a promise that is already stored.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::JoinHandle,
};
use tonic::Code;

use crate::{fault::Fault, guard::panic_text, limits::Limits, memory::Memory, sizes::Sizes};

/// What is added to the niceness of threads that compute.
const NICENESS: i32 = 10;
/// When a refused caller may find a free place.
const RETRY_AFTER: Duration = Duration::from_millis(200);

tokio::task_local! {
    /// The pool of the server whose call or job this is.
    static POOL: Pool;
}

/// Spawns a task that computes on the pool of the one that spawns it.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match POOL.try_with(Pool::clone) {
        Ok(pool) => tokio::spawn(pool.scope(future)),
        Err(_) => tokio::spawn(future),
    }
}

/// How large a [`Pool`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Computations of calls that run at a time; 0 for one each processor.
    pub threads: usize,
    /// Computations of calls that wait for a thread.
    pub queue: usize,
    /// What all computations that run may be estimated to allocate together, in bytes.
    pub memory_bytes: u64,
}

/// Computes for calls and jobs. Clones share the threads.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    threads: ThreadPool,
    size: usize,
    queue: usize,
    memory: Arc<Memory>,
    limits: Limits,
    /// A permit for each call that runs or waits.
    admitted: Arc<Semaphore>,
    /// A permit for each call that runs.
    calls: Arc<Semaphore>,
    /// A permit for each job that runs.
    jobs: Arc<Semaphore>,
}

/// The right to run one computation, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    // Dropped in this order: where a thread is free, so is the place before it.
    _admitted: Option<OwnedSemaphorePermit>,
    _running: OwnedSemaphorePermit,
    /// Whether it waits for memory that others hold, rather than to be refused.
    waits: bool,
}

impl Pool {
    /// Starts the threads for a server that has these limits.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn new(settings: PoolSettings, limits: Limits) -> Result<Self, ThreadPoolBuildError> {
        let processors = || available_parallelism().map_or(1, usize::from);
        let size = match settings.threads {
            0 => processors(),
            threads => threads,
        };
        let jobs = size.div_ceil(2);
        let threads = ThreadPoolBuilder::new()
            .num_threads(size + jobs)
            .thread_name(|number| format!("compute-{number}"))
            .start_handler(|_| stand_back())
            .build()?;
        Ok(Self(Arc::new(Inner {
            threads,
            size,
            queue: settings.queue,
            memory: Memory::new(settings.memory_bytes),
            limits,
            admitted: Arc::new(Semaphore::new(size + settings.queue)),
            calls: Arc::new(Semaphore::new(size)),
            jobs: Arc::new(Semaphore::new(jobs)),
        })))
    }

    /// The limits of the server that computes here.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Runs `future` such that [`Pool::current`] finds this pool in it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        POOL.scope(self, future)
    }

    /// Calls `work` such that [`Pool::current`] finds this pool in it.
    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        POOL.sync_scope(self, work)
    }

    /// The pool of the server whose call or job this is.
    ///
    /// # Errors
    /// INTERNAL outside of [`Pool::scope`].
    pub(crate) fn current() -> Result<Self, Fault> {
        let current = POOL.try_with(Self::clone);
        current.map_err(|_| Fault::internal(&"a computation outside of a server"))
    }

    /// The sizes that the server allows whose call or job this is; outside of one, the defaults.
    pub(crate) fn current_sizes() -> Sizes {
        POOL.try_with(|pool| pool.0.limits.sizes)
            .unwrap_or_default()
    }

    /// Whether a call could run or wait here now.
    pub(crate) fn has_place(&self) -> bool {
        self.0.admitted.available_permits() > 0
    }

    /// Waits for the turn of a call. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (COMPUTE_BUSY) where the queue is full.
    pub(crate) async fn call_slot(&self) -> Result<Slot, Fault> {
        let admitted = Arc::clone(&self.0.admitted).try_acquire_owned();
        let admitted = admitted.map_err(|_| self.busy())?;
        turn(&self.0.calls, Some(admitted), false).await
    }

    /// Waits for the turn of a part of a stream, which is never refused: streams bound their parts
    /// themselves. The future must be driven, as in a task: an idle one can hold a turn.
    ///
    /// # Errors
    /// INTERNAL, if the pool is gone.
    pub(crate) async fn part_slot(&self) -> Result<Slot, Fault> {
        turn(&self.0.calls, None, true).await
    }

    /// Waits for the turn of a job.
    ///
    /// # Errors
    /// INTERNAL, if the pool is gone.
    pub(crate) async fn job_slot(&self) -> Result<Slot, Fault> {
        turn(&self.0.jobs, None, true).await
    }

    /// What a call is told for which there is no place.
    pub(crate) fn busy(&self) -> Fault {
        let (threads, queue) = (self.0.size, self.0.queue);
        Fault::new(
            Code::ResourceExhausted,
            ErrorReason::ComputeBusy,
            format!("{threads} computations run and {queue} wait; try again a little later"),
        )
        .with("compute_threads", threads.to_string())
        .with("compute_queue", queue.to_string())
        .retry_after(RETRY_AFTER)
    }

    /// Runs `work` on a thread of the pool. The slot is free again before its result is told.
    ///
    /// # Errors
    /// What `work` answers, or INTERNAL if it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        slot: Slot,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        let pool = self.clone();
        self.0.threads.spawn(move || {
            let memory = Arc::clone(&pool.0.memory);
            let work = || memory.lend(slot.waits, || span.in_scope(work));
            let work = || pool.within(work);
            let done = catch_unwind(AssertUnwindSafe(work));
            let done =
                done.unwrap_or_else(|panic| Err(Fault::internal(&panic_text(panic.as_ref()))));
            drop(slot);
            // Nobody listens any more where the call was dropped.
            drop(answer.send(done));
        });
        let done = answered.await;
        done.unwrap_or_else(|error| Err(Fault::internal(&error)))
    }

    /// Waits until nothing runs, or for `limit`; says whether nothing does.
    pub(crate) async fn idle(&self, limit: Duration) -> bool {
        let idle = async {
            let calls = u32::try_from(self.0.size).unwrap_or(u32::MAX);
            let calls = self.0.calls.acquire_many(calls).await;
            let jobs = u32::try_from(self.0.size.div_ceil(2)).unwrap_or(u32::MAX);
            let jobs = self.0.jobs.acquire_many(jobs).await;
            calls.is_ok() && jobs.is_ok()
        };
        tokio::time::timeout(limit, idle).await == Ok(true)
    }
}

/// Lowers the priority of this thread: one that answers, refuses or commits is waited for by many
/// and needs little, and must not wait until a computation has used up its time slice.
fn stand_back() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "computations run at the priority of all else");
    }
}

/// Waits in order for one of the places to run.
async fn turn(
    places: &Arc<Semaphore>,
    admitted: Option<OwnedSemaphorePermit>,
    waits: bool,
) -> Result<Slot, Fault> {
    let running = Arc::clone(places).acquire_owned().await;
    Ok(Slot {
        _running: running.map_err(|error| Fault::internal(&error))?,
        _admitted: admitted,
        waits,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::Pin,
        sync::mpsc::{Receiver, Sender, channel},
        task::Poll,
    };

    use super::*;
    use crate::{compute::compute, plain::control::Control as _};

    async fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
    }

    fn pool(threads: usize, queue: usize) -> Pool {
        let memory_bytes = 1 << 30;
        let settings = PoolSettings {
            threads,
            queue,
            memory_bytes,
        };
        Pool::new(settings, Limits::default()).unwrap()
    }

    /// A computation that says that it runs and then waits to be let go.
    fn gated() -> (
        impl Future<Output = Result<u8, Fault>>,
        Receiver<()>,
        Sender<()>,
    ) {
        let (runs, is_running) = channel();
        let (go, gate) = channel::<()>();
        let work = compute(move |_| {
            runs.send(()).unwrap();
            gate.recv().unwrap();
            Ok(7)
        });
        (work, is_running, go)
    }

    #[tokio::test]
    async fn beyond_threads_and_queue_a_call_is_refused_at_once() {
        let pool = pool(1, 1);
        let test = async {
            let (first, is_running, go) = gated();
            let mut first = Box::pin(first);
            assert!(poll(&mut first).await.is_pending());
            is_running.recv().unwrap();
            let mut second = Box::pin(compute(|_| Ok(8)));
            assert!(poll(&mut second).await.is_pending());

            let third = poll(&mut Box::pin(compute(|_| Ok(9)))).await;
            let Poll::Ready(Err(fault)) = third else {
                panic!("not refused: {third:?}");
            };
            assert_eq!(fault.reason(), "COMPUTE_BUSY");
            assert_eq!(fault.code(), Code::ResourceExhausted);
            let status = fault.into_status("kit.almanac");
            let details = tonic_types::StatusExt::get_error_details(&status);
            assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_AFTER));

            go.send(()).unwrap();
            assert_eq!(first.await, Ok(7));
            assert_eq!(second.await, Ok(8));
        };
        pool.scope(test).await;
    }

    #[tokio::test]
    async fn a_waiting_call_that_leaves_frees_its_place_and_never_runs() {
        let pool = pool(1, 1);
        let test = async {
            let (first, is_running, go) = gated();
            let mut first = Box::pin(first);
            assert!(poll(&mut first).await.is_pending());
            is_running.recv().unwrap();
            let mut second = Box::pin(compute(|_| -> Result<u8, Fault> {
                panic!("ran after its caller had left")
            }));
            assert!(poll(&mut second).await.is_pending());
            drop(second);
            let mut third = Box::pin(compute(|_| Ok(9)));
            assert!(poll(&mut third).await.is_pending());
            go.send(()).unwrap();
            assert_eq!(first.await, Ok(7));
            assert_eq!(third.await, Ok(9));
        };
        pool.scope(test).await;
    }

    #[tokio::test]
    async fn calls_and_jobs_do_not_take_each_others_threads() {
        let pool = pool(1, 0);
        let inner = pool.clone();
        let test = async {
            let (call, is_running, go) = gated();
            let mut call = Box::pin(call);
            assert!(poll(&mut call).await.is_pending());
            is_running.recv().unwrap();
            // The only thread for calls is taken, and a job runs all the same.
            let slot = inner.job_slot().await.unwrap();
            assert_eq!(inner.run(slot, || Ok(1)).await, Ok(1));
            go.send(()).unwrap();
            assert_eq!(call.await, Ok(7));

            // And the other way round.
            let slot = inner.job_slot().await.unwrap();
            assert_eq!(compute(|_| Ok(2)).await, Ok(2));
            drop(slot);
        };
        pool.scope(test).await;
    }

    #[tokio::test]
    async fn a_dropped_call_stops_and_the_pool_is_idle_again() {
        let pool = pool(1, 0);
        let inner = pool.clone();
        let test = async {
            let (runs, is_running) = channel();
            let mut call = Box::pin(compute(move |caller| -> Result<(), Fault> {
                runs.send(()).unwrap();
                while caller.check().is_ok() {
                    std::thread::yield_now();
                }
                Ok(())
            }));
            assert!(poll(&mut call).await.is_pending());
            is_running.recv().unwrap();
            drop(call);
            assert!(inner.idle(Duration::from_secs(60)).await);
            assert_eq!(compute(|_| Ok(3)).await, Ok(3));
        };
        pool.scope(test).await;
    }

    #[tokio::test]
    async fn outside_of_a_server_nothing_is_computed() {
        let fault = compute(|_| Ok(())).await.unwrap_err();
        assert_eq!(fault.reason(), "INTERNAL");
    }
}
