//! Transactions on their way to the committer, and the answers on their way back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::error::{StoreError, TransactError, panic_text};
use super::time::{CommitTime, Revision};
use super::transaction::Transaction;

/// What a transaction returned, and the commit that it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The revision that holds the writes; for a transaction without writes, the one it read.
    pub revision: Revision,
    /// When that revision was committed.
    pub time: CommitTime,
}

/// A transaction in the queue.
pub(super) trait Job: Send {
    /// Whether the caller still waits.
    fn wanted(&self) -> bool;

    /// Runs the closure; `false` if it refused or panicked, which its caller is told by an answer
    /// that nothing went wrong.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;

    /// Answers the caller with the outcome of the commit; of one that refused, with the outcome of
    /// the commits that it may have read.
    fn answer(self: Box<Self>, outcome: Result<(Revision, CommitTime), StoreError>);
}

pub(super) type Answer<T, E> = Result<Committed<T>, TransactError<E>>;

pub(super) struct Call<T, E, F> {
    closure: Option<F>,
    /// What the closure answered, once it ran.
    answered: Option<Result<T, TransactError<E>>>,
    reply: Option<oneshot::Sender<Answer<T, E>>>,
}

impl<T, E, F> Call<T, E, F> {
    pub(super) fn new(closure: F) -> (Self, oneshot::Receiver<Answer<T, E>>) {
        let (reply, answer) = oneshot::channel();
        let call = Self {
            closure: Some(closure),
            answered: None,
            reply: Some(reply),
        };
        (call, answer)
    }
}

impl<T, E, F> Job for Call<T, E, F>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        let Some(closure) = self.closure.take() else {
            return false;
        };
        let answered = match catch_unwind(AssertUnwindSafe(|| closure(transaction))) {
            Ok(answered) => answered.map_err(TransactError::Aborted),
            Err(payload) => Err(TransactError::Panicked(panic_text(payload.as_ref()))),
        };
        self.answered.insert(answered).is_ok()
    }

    fn answer(mut self: Box<Self>, outcome: Result<(Revision, CommitTime), StoreError>) {
        let answer = match (outcome, self.answered.take()) {
            (Ok((revision, time)), Some(answered)) => answered.map(|value| Committed {
                value,
                revision,
                time,
            }),
            (Err(error), _) => Err(TransactError::Store(error)),
            (Ok(_), None) => return,
        };
        if let Some(reply) = self.reply.take() {
            // Who no longer waits needs no answer.
            reply.send(answer).ok();
        }
    }
}

/// What the committer finds in the queue.
pub(super) enum Next {
    Jobs(Vec<Box<dyn Job>>),
    /// Nothing came in the time given.
    Idle,
    /// Nothing is left and nothing more will come.
    Closed,
}

/// A bounded queue with any number of async senders and one blocking receiver.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: Semaphore,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
    /// How many jobs the committer waits for: it is woken once, not by each of them.
    awaited: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            room: Semaphore::new(capacity.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Waits for room and queues the job.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub(super) async fn send(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let permit = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        state.jobs.push_back(job);
        // The committer gives the permit back when it takes the job.
        SemaphorePermit::forget(permit);
        let wake = state.jobs.len() == state.awaited;
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Refuses further jobs; those queued are still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    /// Drops what is queued: their callers learn that the committer is gone.
    pub(super) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.lock().jobs);
        drop(jobs);
    }

    /// Takes all that is queued, waiting for the first up to `limit`. Once something is there,
    /// waits up to `gather` for there to be `expected` of them.
    pub(super) fn take(&self, limit: Duration, expected: usize, gather: Duration) -> Next {
        let mut state = self.wait_until(self.lock(), limit, 1);
        if state.jobs.len() < expected && !state.jobs.is_empty() {
            state = self.wait_until(state, gather, expected);
        }
        let jobs: Vec<_> = state.jobs.drain(..).collect();
        let closed = state.closed;
        drop(state);
        self.room.add_permits(jobs.len());
        match (jobs.is_empty(), closed) {
            (false, _) => Next::Jobs(jobs),
            (true, true) => Next::Closed,
            (true, false) => Next::Idle,
        }
    }

    fn wait_until<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        limit: Duration,
        jobs: usize,
    ) -> MutexGuard<'a, State> {
        let start = Instant::now();
        state.awaited = jobs;
        while state.jobs.len() < jobs && !state.closed {
            let Some(left) = limit.checked_sub(start.elapsed()) else {
                break;
            };
            state = match self.arrived.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
