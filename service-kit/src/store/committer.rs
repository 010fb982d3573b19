//! The one thread that writes: it runs the transactions of a group, makes them durable together,
//! and only then answers them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::entry::{self, Commit, Pair};
use super::error::StoreError;
use super::frame;
use super::high::{High, HighWriter};
use super::queue::{Job, Next, Queue};
use super::scan::GroupLayer;
use super::seal;
use super::shared::{Health, Shared};
use super::time::{Clock, CommitTime, Revision};
use super::tip::Tip;
use super::transaction::{self, Outcome, Transaction};
use super::writer::LogWriter;

/// Bytes of log after which a group is closed.
const GROUP_BYTES: usize = 8 << 20;
/// The longest that a group waits for as many callers as the one before had.
const GATHER_LIMIT: Duration = Duration::from_millis(1);

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    /// Keeps the directory locked until the thread ends.
    pub(super) directory: Directory,
    pub(super) log: LogWriter,
    pub(super) high: HighWriter,
    pub(super) clock: Clock,
    pub(super) checkpoint_bytes: u64,
    pub(super) idle: Duration,
    /// The uid that is handed out next, including to transactions that then fail.
    pub(super) next_uid: u64,
    /// Bytes of log since the index was flushed.
    pub(super) unflushed: u64,
    pub(super) failed: Option<StoreError>,
}

/// Transactions that become durable together.
struct Group {
    tip: Tip,
    frames: Vec<u8>,
    pairs: Vec<Pair>,
    layer: GroupLayer,
    answers: Vec<(Box<dyn Job>, Revision, CommitTime)>,
}

impl Group {
    fn after(tip: Tip) -> Self {
        Self {
            tip,
            frames: Vec::new(),
            pairs: Vec::new(),
            layer: GroupLayer::default(),
            answers: Vec::new(),
        }
    }

    /// Takes over what a closure wrote; the commit that it becomes.
    fn add(&mut self, outcome: Outcome, revision: Revision, time: CommitTime, next_uid: u64) {
        let commit = Commit {
            revision,
            time,
            next_uid,
            writes: transaction::writes(&outcome.writes),
        };
        let mut next = Tip {
            revision,
            time,
            next_uid,
            ..self.tip
        };
        let mut pairs = entry::pairs(&commit, &mut next.set);
        next.pairs += pairs.len() as u64;
        self.pairs.append(&mut pairs);
        self.tip = frame::encode(&commit, next, &self.tip.digest, &mut self.frames);
        self.layer.absorb(outcome.writes);
    }
}

impl Committer {
    /// Serves the queue until it is closed, then closes the store.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        let mut expected = 1;
        let mut gather = Duration::ZERO;
        loop {
            match self.queue.take(self.idle, expected, gather) {
                Next::Jobs(jobs) => {
                    let start = Instant::now();
                    expected = jobs.len();
                    self.serve(jobs);
                    // Who was answered just now often comes back at once. Waiting a little for
                    // them costs less than a sync for each half of them.
                    gather = (start.elapsed() / 8).min(GATHER_LIMIT);
                }
                Next::Idle => {
                    expected = 1;
                    self.checkpoint();
                }
                Next::Closed => return self.close(),
            }
        }
    }

    fn serve(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut group = Group::after(self.shared.published().tip);
        for job in jobs {
            if let Some(error) = &self.failed {
                job.answer(Err(error.clone()));
                continue;
            }
            if job.wanted() {
                self.run_job(job, &mut group);
            }
            if group.frames.len() >= GROUP_BYTES {
                self.commit(group);
                group = Group::after(self.shared.published().tip);
            }
        }
        self.commit(group);
        if self.unflushed >= self.checkpoint_bytes {
            self.checkpoint();
        }
    }

    fn run_job(&mut self, mut job: Box<dyn Job>, group: &mut Group) {
        let revision = group.tip.revision.next();
        let time = (self.clock)().max(group.tip.time);
        let base = self.shared.published().tip.revision;
        let mut transaction = Transaction::new(
            &self.shared,
            base,
            &group.layer,
            (revision, time),
            &mut self.next_uid,
        );
        if !job.run(&mut transaction) {
            return;
        }
        match transaction.finish() {
            Err(error) => job.answer(Err(error)),
            Ok(outcome) if outcome.writes.is_empty() && !outcome.allocated => {
                group
                    .answers
                    .push((job, group.tip.revision, group.tip.time));
            }
            Ok(outcome) => {
                group.add(outcome, revision, time, self.next_uid);
                group.answers.push((job, revision, time));
            }
        }
    }

    fn commit(&mut self, group: Group) {
        let Group {
            tip,
            frames,
            pairs,
            answers,
            ..
        } = group;
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None if frames.is_empty() => Ok(()),
            None => self.make_durable(tip, &frames, pairs),
        };
        if let Err(error) = &outcome {
            self.fail(error);
        }
        for (job, revision, time) in answers {
            job.answer(match &self.failed {
                Some(error) => Err(error.clone()),
                None => Ok((revision, time)),
            });
        }
    }

    /// The order is the promise: log, high-water mark, index, readers.
    fn make_durable(
        &mut self,
        tip: Tip,
        frames: &[u8],
        mut pairs: Vec<Pair>,
    ) -> Result<(), StoreError> {
        self.log.append(frames, &self.shared.published().tip)?;
        let high = High {
            tip,
            position: self.log.position(),
        };
        self.high.write(&high)?;
        pairs.push(super::index::applied(&tip));
        self.shared.engine(|engine| engine.apply(pairs))?;
        self.shared.publish(high);
        self.unflushed += frames.len() as u64;
        Ok(())
    }

    /// Hands the index to the operating system, so that a restart has little to replay.
    fn checkpoint(&mut self) {
        if self.unflushed == 0 || self.failed.is_some() {
            return;
        }
        self.unflushed = 0;
        let high = self.shared.published();
        let flushed = self
            .high
            .write_both(&high)
            .and_then(|()| self.shared.engine(|engine| engine.flush()));
        if let Err(error) = flushed {
            self.fail(&error);
        }
    }

    /// From here on no write is taken: nobody knows what is on the disk.
    fn fail(&mut self, error: &StoreError) {
        if self.failed.is_some() {
            return;
        }
        let reason = error.to_string();
        tracing::error!(%reason, "the store no longer accepts writes");
        self.shared.set_health(Health::Failed {
            reason: reason.clone(),
        });
        self.failed = Some(StoreError::Failed { reason });
    }

    /// Closes the index and, if all went well, seals it.
    fn close(mut self) -> Result<(), StoreError> {
        let high = self.shared.published();
        let marked = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.high.write_both(&high),
        };
        let closed = match self.shared.take_engine() {
            Some(engine) => engine.close().map_err(|error| StoreError::Engine(error.0)),
            None => Err(StoreError::Closed),
        };
        self.shared.set_health(Health::Closed);
        marked.and(closed)?;
        seal::write(
            &self.directory.seal(),
            &self.directory.index(),
            high.tip.revision,
            &high.tip.digest,
        )
    }
}
