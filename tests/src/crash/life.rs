//! One life of a service: from its start to its kill.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{Mutex, Notify},
    task::JoinSet,
};
use tonic::{Status, transport::Channel};

use super::{
    Plan, Subject,
    subject::{Cut, Write},
};
use crate::{
    Outcome,
    process::Signal,
    refusal::Refusal,
    service::Kind as Service,
    spawned::{Ended, Spawned},
};

/// Number of clients that write at once.
pub(super) const CLIENTS: u64 = 8;

/// The running service and a connection to it.
#[derive(Debug)]
pub(crate) struct Life {
    service: Spawned,
    pub(crate) channel: Channel,
}

impl From<Spawned> for Life {
    fn from(service: Spawned) -> Self {
        let channel = service.channel.clone();
        Self { service, channel }
    }
}

/// A write that was sent, and its receipt where it was acknowledged.
pub(crate) struct Sent {
    pub(crate) write: Write,
    pub(crate) answer: Result<String, Cut>,
}

/// The writes to be sent, first one first.
pub(super) type Feed = Arc<Mutex<VecDeque<Write>>>;

impl Life {
    /// Starts the service and waits until it is SERVING.
    pub(super) async fn start<K: Service>(plan: &Plan) -> Outcome<Self> {
        Spawned::start::<K>(&plan.binary, &plan.dir, &[])
            .await
            .map(Self::from)
    }

    /// Starts the service with further settings and waits until it is SERVING, or has ended.
    pub(crate) async fn try_start<K: Service>(
        binary: &Path,
        dir: &Path,
        settings: &[&str],
    ) -> Outcome<Result<Self, Ended>> {
        let started = Spawned::try_start::<K>(binary, dir, settings).await?;
        Ok(started.map(Self::from))
    }

    /// SIGKILL: the process gets no chance to write anything more. Gives what it said.
    pub(crate) fn kill(self) -> Outcome<Vec<String>> {
        Ok(self.end(Signal::KILL)?.said)
    }

    /// Ends the service with a signal.
    pub(crate) fn end(self, signal: Signal) -> Outcome<Ended> {
        self.service.end(signal)
    }

    /// Sends the feed's writes from [`CLIENTS`] clients, kills the service once so many are
    /// acknowledged or none is left, and says what was sent.
    pub(super) async fn spend<S: Subject>(
        self,
        subject: S,
        feed: &Feed,
        acknowledgements: u64,
    ) -> Outcome<Vec<Sent>> {
        let count = Arc::new(AtomicU64::new(0));
        let enough = Arc::new(Notify::new());
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (channel, feed) = (self.channel.clone(), Arc::clone(feed));
            let (count, enough) = (Arc::clone(&count), Arc::clone(&enough));
            clients.spawn(async move {
                let mut sent = Vec::new();
                loop {
                    let Some(write) = feed.lock().await.pop_front() else {
                        break;
                    };
                    let answer = subject.send(channel.clone(), write).await;
                    let done = answer.is_ok();
                    let gone = answer.as_ref().is_err_and(|cut| unanswered(&cut.status));
                    sent.push(Sent { write, answer });
                    if done && count.fetch_add(1, Ordering::Relaxed) + 1 == acknowledgements {
                        enough.notify_one();
                    }
                    if gone {
                        break;
                    }
                }
                sent
            });
        }
        let mut sent = Vec::new();
        loop {
            tokio::select! {
                () = enough.notified() => break,
                ended = clients.join_next() => match ended {
                    Some(ended) => sent.extend(ended?),
                    None => break,
                },
            }
        }
        self.kill()?;
        while let Some(ended) = clients.join_next().await {
            sent.extend(ended?);
        }
        Ok(sent)
    }
}

/// Whether the connection broke: whatever the service itself says comes with a reason.
pub(crate) fn unanswered(status: &Status) -> bool {
    Refusal::from(status).reason.is_empty()
}

/// Whether the service works on another sending, which this one gave way to.
pub(super) fn running(status: &Status) -> bool {
    ["REQUEST_RUNNING", "IMPORT_TAKEN_OVER"].contains(&&*Refusal::from(status).reason)
}
