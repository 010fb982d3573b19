//! The handle of a store.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::claims::{Claim, Claims};
use super::disk::{Disk, SystemDisk};
use super::error::{StoreError, TransactError};
use super::open::{self, Opened};
use super::options::StoreOptions;
use super::queue::{Call, Committed, Queue};
use super::shared::{Health, Shared};
use super::snapshot::Snapshot;
use super::time::{CommitTime, Revision};
use super::token;
use super::transaction::Transaction;
use super::verify::{self, VerifyReport};

/// An embedded, durable, multi-version store in one directory. Cheap to clone; all clones are the
/// same store, which closes with [`Store::close`] or when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    owner: Arc<Owner>,
    claims: Claims,
}

/// What only handles hold, so that the store can close while snapshots remain.
struct Owner {
    queue: Arc<Queue>,
    thread: Mutex<Thread>,
}

enum Thread {
    Running(JoinHandle<Result<(), StoreError>>),
    Ended(Result<(), StoreError>),
}

impl Store {
    /// Opens the store in a directory, creating it if it is absent and the options allow.
    ///
    /// Blocks: it reads the whole log and makes sure that every acknowledged commit is there.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Absent`], [`StoreError::NewerFormat`],
    /// [`StoreError::Corrupt`], [`StoreError::Engine`], [`StoreError::Io`].
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_on(dir, options, &(Arc::new(SystemDisk) as Arc<dyn Disk>))
    }

    pub(super) fn open_on(
        dir: &Path,
        options: StoreOptions,
        disk: &Arc<dyn Disk>,
    ) -> Result<Self, StoreError> {
        let Opened {
            shared,
            queue,
            committer,
        } = open::open(dir, options, disk)?;
        let guard = Abandon {
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
        };
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || {
                let _guard = guard;
                committer.run()
            })
            .map_err(|error| StoreError::io("start the committer thread", error))?;
        Ok(Self {
            shared,
            owner: Arc::new(Owner {
                queue,
                thread: Mutex::new(Thread::Running(thread)),
            }),
            claims: Claims::default(),
        })
    }

    /// The newest visible revision. What [`Store::transact`] has answered is in it.
    #[must_use]
    pub fn latest(&self) -> Snapshot {
        let tip = self.shared.published().tip;
        Snapshot::new(&self.shared, tip.revision, tip.time)
    }

    /// The store as of a revision.
    ///
    /// # Errors
    /// [`StoreError::RevisionUnknown`] for one that is not there yet;
    /// [`StoreError::RevisionCompacted`] for one that is no longer kept; [`StoreError::Engine`],
    /// [`StoreError::Closed`].
    pub fn at(&self, revision: Revision) -> Result<Snapshot, StoreError> {
        if revision > self.shared.published().tip.revision {
            return Err(StoreError::RevisionUnknown);
        }
        let floor = self.shared.lineage.floor;
        if revision < floor {
            return Err(StoreError::RevisionCompacted { floor });
        }
        let time = self.shared.commit_time(revision)?;
        Ok(Snapshot::new(&self.shared, revision, time))
    }

    /// The store as it was at a time: the last revision committed at or before it; revision 0,
    /// which is empty, before the first.
    ///
    /// Repeatable for times before the newest commit. Asked for a later time, it answers with the
    /// newest commit there is, and a commit that follows may still fall before that time.
    ///
    /// # Errors
    /// [`StoreError::RevisionCompacted`], [`StoreError::Engine`], [`StoreError::Closed`].
    pub fn as_of(&self, time: CommitTime) -> Result<Snapshot, StoreError> {
        self.at(self.shared.revision_at(time)?)
    }

    /// A revision as the opaque text that callers are given.
    #[must_use]
    pub fn token(&self, revision: Revision) -> String {
        token::encode(revision, &self.shared.lineage)
    }

    /// The revision of a token that this store has given out.
    ///
    /// # Errors
    /// [`StoreError::RevisionUnknown`] for anything else.
    pub fn parse_token(&self, token: &str) -> Result<Revision, StoreError> {
        token::decode(token, &self.shared.lineage)
    }

    /// Runs a closure against the newest state and commits what it wrote. When this answers with
    /// success, the commit survives a crash and the loss of power, and is visible.
    ///
    /// Transactions run one after the other, on a thread of the store's, and are never retried.
    /// Waits while the queue is full. If the future is dropped, the closure may run or not, and what
    /// it wrote is committed whole or not at all.
    ///
    /// # Errors
    /// [`TransactError::Aborted`] with the closure's own error, [`TransactError::Panicked`], and
    /// [`TransactError::Store`]; only with [`StoreError::Failed`] may the commit have happened.
    pub async fn transact<T, E, F>(&self, closure: F) -> Result<Committed<T>, TransactError<E>>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let (call, answer) = Call::new(closure);
        self.owner.queue.send(Box::new(call)).await?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(TransactError::Store(StoreError::Failed {
                reason: "the committer has ended".to_owned(),
            })),
        }
    }

    /// Waits until a revision is visible here: a caller reads its own writes on any replica.
    ///
    /// # Errors
    /// [`StoreError::RevisionUnknown`] when it cannot become visible. This store has one writer
    /// and answers it after publishing, so that is any revision it has not published.
    pub fn wait_for(
        &self,
        revision: Revision,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let known = revision <= self.shared.published().tip.revision;
        std::future::ready(match known {
            true => Ok(()),
            false => Err(StoreError::RevisionUnknown),
        })
    }

    /// Claims a name among all handles of this store until the claim is dropped, so that two calls
    /// do not do the same work at once; `None` while another holds it. Nothing is written.
    #[must_use]
    pub fn claim(&self, name: String) -> Option<Claim> {
        self.claims.claim(name)
    }

    /// Whether the store takes writes.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// [`Store::health`], and every change of it.
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.shared.watch_health()
    }

    /// Refuses new transactions, commits those queued that are still waited for, and closes the index
    /// so that the next open is fast. Blocks until all is done. Later calls answer
    /// [`StoreError::Closed`], another `close` the same as the first.
    ///
    /// # Errors
    /// What kept the index from being closed cleanly, or the failure that had already stopped the
    /// store. No acknowledged commit is lost by it.
    pub fn close(&self) -> Result<(), StoreError> {
        self.owner.close()
    }

    /// Reads the whole log and the whole index, checks every checksum and compares the two, while
    /// others read and write. Blocks for seconds per million records.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage found, [`StoreError::Engine`],
    /// [`StoreError::Closed`], [`StoreError::Io`].
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        verify::verify(&self.shared)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.shared.published().tip.revision)
    }
}

impl Owner {
    fn close(&self) -> Result<(), StoreError> {
        self.queue.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = Thread::Ended(Err(StoreError::Closed));
        let result = match std::mem::replace(&mut *thread, ended) {
            // A closure dropped the last handle: the thread ends after it and cannot join itself.
            Thread::Running(running) if running.thread().id() == std::thread::current().id() => {
                Ok(())
            }
            Thread::Running(running) => running.join().unwrap_or_else(|_| {
                Err(StoreError::Failed {
                    reason: "the committer panicked".to_owned(),
                })
            }),
            Thread::Ended(result) => result,
        };
        *thread = Thread::Ended(result.clone());
        result
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

/// Leaves no caller waiting if the committer ends, whatever the cause.
struct Abandon {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.queue.abandon();
        if self.shared.health() == Health::Serving {
            self.shared.set_health(Health::Failed {
                reason: "the committer panicked".to_owned(),
            });
        }
    }
}
