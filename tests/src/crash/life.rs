//! One life of a service: from its start to its kill.

use std::{
    collections::VecDeque,
    path::Path,
    process::{Command, ExitStatus},
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

use super::{Plan, Subject, subject::Write};
use crate::{
    Outcome,
    process::{Process, Signal, address_in},
    refusal::Refusal,
    service::{Kind as Service, connect, serving},
};

/// Number of clients that write at once.
pub(super) const CLIENTS: u64 = 8;

/// The running service and a connection to it.
#[derive(Debug)]
pub(crate) struct Life {
    process: Process,
    pub(crate) channel: Channel,
}

/// How a service ended by itself, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: Vec<String>,
}

/// A write that was sent, and its receipt where it was acknowledged.
pub(crate) struct Sent {
    pub(crate) write: Write,
    pub(crate) answer: Result<String, Status>,
}

/// The writes to be sent, first one first.
pub(super) type Feed = Arc<Mutex<VecDeque<Write>>>;

impl Life {
    /// Starts the service and waits until it is SERVING.
    pub(super) async fn start<K: Service>(plan: &Plan) -> Outcome<Self> {
        match Self::try_start::<K>(&plan.binary, &plan.dir, &[]).await? {
            Ok(life) => Ok(life),
            Err(Ended { status, said }) => {
                Err(format!("it ended with {status}:\n{}", said.join("\n")).into())
            }
        }
    }

    /// Starts the service with further settings and waits until it is SERVING, or has ended.
    pub(crate) async fn try_start<K: Service>(
        binary: &Path,
        dir: &Path,
        settings: &[String],
    ) -> Outcome<Result<Self, Ended>> {
        let mut command = Command::new(binary);
        command.arg("--data-dir").arg(dir);
        command.args(["--listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json", "--log-filter", "info"]);
        let mut process = Process::spawn(command.args(settings))?;
        let line = process.until("\"listening\"")?;
        let address = address_in(&line).ok_or_else(|| format!("no address in {line}"))?;
        let ready = async {
            let channel = connect(address).await?;
            serving(channel.clone(), K::PROGRAM.service).await?;
            Outcome::Ok(channel)
        };
        Ok(match ready.await {
            Ok(channel) => Ok(Self { process, channel }),
            // Its own word is the better one, and it has one: its health is told until it ends.
            Err(_) => Err(Ended {
                status: process.wait()?,
                said: std::mem::take(&mut process.seen),
            }),
        })
    }

    /// SIGKILL: the process gets no chance to write anything more. Gives what it said.
    pub(crate) fn kill(self) -> Outcome<Vec<String>> {
        Ok(self.end(Signal::KILL)?.said)
    }

    /// Ends the service with a signal.
    pub(crate) fn end(mut self, signal: Signal) -> Outcome<Ended> {
        self.process.signal(signal)?;
        Ok(Ended {
            status: self.process.wait()?,
            said: std::mem::take(&mut self.process.seen),
        })
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
                    let (done, gone) = (answer.is_ok(), answer.as_ref().is_err_and(unanswered));
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

/// Whether the service still works on an earlier sending.
pub(super) fn running(status: &Status) -> bool {
    Refusal::from(status).reason == "REQUEST_RUNNING"
}
