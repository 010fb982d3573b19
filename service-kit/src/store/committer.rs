//! The one thread that writes: it runs the transactions of a group, makes them durable together,
//! and only then answers them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::entry::Pair;
use super::error::StoreError;
use super::group::Group;
use super::high::{High, HighWriter};
use super::index;
use super::queue::{Job, Next, Queue};
use super::seal;
use super::shared::{Health, Shared};
use super::space::Space;
use super::time::Clock;
use super::tip::Tip;
use super::transaction::Transaction;
use super::writer::{LogWriter, NotAppended};

/// Bytes of log after which a group is closed. What takes its place behind a large one waits for all
/// of it, and a group that nobody waits for any more is not written.
const GROUP_BYTES: usize = 128 << 10;
/// The longest that a group waits for as many callers as the one before had.
const GATHER_LIMIT: Duration = Duration::from_millis(1);
/// How long an acknowledged commit may be without a synced high-water mark. The mark only tells a
/// damaged end of the log from a torn one; the log itself is durable before anything is answered.
const MARK_DELAY: Duration = Duration::from_millis(50);

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    /// Keeps the directory locked until the thread ends.
    pub(super) directory: Directory,
    pub(super) log: LogWriter,
    pub(super) high: HighWriter,
    pub(super) space: Space,
    pub(super) clock: Clock,
    pub(super) checkpoint_bytes: u64,
    pub(super) idle: Duration,
    /// The uid that is handed out next, including to transactions that then fail.
    pub(super) next_uid: u64,
    /// Bytes of log since the index was flushed.
    pub(super) unflushed: u64,
    /// When the high-water mark was synced.
    pub(super) marked: Instant,
    pub(super) failed: Option<StoreError>,
}

impl Committer {
    /// Serves the queue until it is closed, then closes the store.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        let mut expected = 1;
        let mut gather = Duration::ZERO;
        loop {
            let limit = if self.high.unsynced() {
                MARK_DELAY
            } else {
                self.idle
            };
            match self.queue.take(limit, expected, gather) {
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
                    if self.high.unsynced() {
                        self.mark();
                    } else {
                        self.look();
                        self.checkpoint();
                    }
                }
                Next::Closed => return self.close(),
            }
        }
    }

    fn serve(&mut self, jobs: Vec<Box<dyn Job>>) {
        self.look();
        let mut group = self.begin_group();
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
                group = self.begin_group();
            }
        }
        self.commit(group);
        self.look();
        if self.high.unsynced() && self.marked.elapsed() >= MARK_DELAY {
            self.mark();
        }
        if self.unflushed >= self.checkpoint_bytes {
            self.checkpoint();
        }
    }

    /// Notices that the index has failed, before anything is written that it could not take. A
    /// reader may have met it first.
    fn look(&mut self) {
        // What it answers is in the health, too.
        drop(self.shared.engine(|engine| engine.check()));
        if let Health::Failed { reason } = self.shared.health() {
            self.fail(reason);
        }
    }

    fn begin_group(&self) -> Group {
        Group::new(self.shared.published().tip, (self.clock)())
    }

    fn run_job(&mut self, mut job: Box<dyn Job>, group: &mut Group) {
        let (revision, time) = (group.tip.revision.next(), group.time);
        let base = self.shared.published().tip.revision;
        let mut transaction = Transaction::new(
            &self.shared,
            base,
            &group.layer,
            (revision, time),
            &mut self.next_uid,
        );
        let committing = job.run(&mut transaction);
        match transaction.finish() {
            Err(error) if committing => job.answer(Err(error)),
            Ok(outcome) if committing && (!outcome.writes.is_empty() || outcome.allocated) => {
                if let Err(full) = self.space.check() {
                    return job.answer(Err(full));
                }
                group.add(outcome, self.next_uid);
                group.answers.push((job, revision, time));
            }
            _ if group.commits == 0 => job.answer(Ok((group.tip.revision, group.tip.time))),
            // Nothing to commit, but what it answers may come from commits of this group.
            _ => group
                .answers
                .push((job, group.tip.revision, group.tip.time)),
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
            // All who are there have left meanwhile: as if none had come.
            None if !answers.iter().any(|(job, ..)| job.wanted()) => return,
            None => self.make_durable(tip, frames, pairs),
        };
        let durable = self.shared.published().tip.revision;
        for (job, revision, time) in answers {
            job.answer(match &outcome {
                // Whoever read nothing of this group is answered in any case.
                Err(error) if revision > durable => Err(error.clone()),
                _ => Ok((revision, time)),
            });
        }
    }

    /// The order is the promise: log, durably; then high-water mark, index, readers.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] if nothing was written, [`StoreError::Failed`] if nobody knows.
    fn make_durable(
        &mut self,
        tip: Tip,
        frames: Vec<u8>,
        pairs: Vec<Pair>,
    ) -> Result<(), StoreError> {
        let bytes = frames.len() as u64;
        match self.log.append(frames, &self.shared.published().tip) {
            Ok(()) => {}
            Err(NotAppended::Undone(full)) => {
                self.space.refused(&full);
                return Err(full);
            }
            Err(NotAppended::Unknown(error)) => return Err(self.fail(error.to_string())),
        }
        self.space.took(bytes);
        self.unflushed += bytes;
        // From here on the commits are durable, whatever happens to their callers' answers.
        self.make_visible(tip, pairs)
            .map_err(|error| self.fail(error.to_string()))
    }

    fn make_visible(&mut self, tip: Tip, mut pairs: Vec<Pair>) -> Result<(), StoreError> {
        let high = High {
            tip,
            position: self.log.position(),
        };
        self.high.write(&high)?;
        self.shared.feed.record(&pairs);
        // Last, so that an index that says how far it is has all before.
        pairs.push(index::applied(&tip));
        self.shared.engine(|engine| engine.insert(pairs))?;
        self.shared.publish(high);
        Ok(())
    }

    /// Makes the high-water mark durable.
    fn mark(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.high.sync() {
            self.fail(error.to_string());
        }
        self.marked = Instant::now();
    }

    /// Hands the index to the operating system, so that a restart has little to replay. While there
    /// may be no room for it, it stays in memory: a flush that fails ends the store.
    fn checkpoint(&mut self) {
        if self.unflushed == 0 || self.failed.is_some() || !self.space.has(self.unflushed) {
            return;
        }
        self.unflushed = 0;
        let high = self.shared.published();
        let flushed = self
            .high
            .write_both(&high)
            .and_then(|()| self.shared.engine(|engine| engine.flush()));
        if let Err(error) = flushed {
            self.fail(error.to_string());
        }
    }

    /// From here on no write is taken: nobody knows what is on the disk. Gives the answer to those
    /// that are under way.
    fn fail(&mut self, reason: String) -> StoreError {
        if let Some(failed) = &self.failed {
            return failed.clone();
        }
        tracing::error!(%reason, "the store no longer accepts writes");
        self.shared.set_health(Health::Failed {
            reason: reason.clone(),
        });
        let failed = StoreError::Failed { reason };
        self.failed.insert(failed).clone()
    }

    /// Closes the index and, if all went well, seals it.
    fn close(mut self) -> Result<(), StoreError> {
        let high = self.shared.published();
        let marked = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.log.trim().and_then(|()| self.high.write_both(&high)),
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
