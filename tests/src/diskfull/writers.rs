//! Clients that write until they are told that there is no room.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{sync::Notify, task::JoinSet};

use crate::{
    Outcome,
    crash::{
        Subject,
        life::{Life, Sent},
        subject::Write,
    },
};

/// Number of clients that write at once.
const CLIENTS: u64 = 8;

/// What the clients have come to.
#[derive(Default)]
struct Counts {
    serial: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    changed: Notify,
}

/// Clients at work.
pub(super) struct Writers {
    counts: Arc<Counts>,
    clients: JoinSet<Vec<Sent>>,
}

impl Writers {
    /// Lets clients send the writes after `serial`, until so many are refused.
    pub(super) fn start<S: Subject>(
        subject: S,
        life: &Life,
        (seed, serial): (u64, u64),
        refusals: u64,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        counts.serial.store(serial, Ordering::SeqCst);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (channel, counts) = (life.channel.clone(), Arc::clone(&counts));
            clients.spawn(async move {
                let mut sent = Vec::new();
                while counts.refused.load(Ordering::SeqCst) < refusals {
                    let serial = counts.serial.fetch_add(1, Ordering::SeqCst) + 1;
                    let write = Write::new(seed, serial);
                    let answer = subject.send(channel.clone(), write).await;
                    let count = match answer {
                        Ok(_) => &counts.acknowledged,
                        Err(_) => &counts.refused,
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    counts.changed.notify_one();
                    sent.push(Sent { write, answer });
                }
                sent
            });
        }
        Self { counts, clients }
    }

    /// Waits until so many writes are acknowledged, or so many refused; whether the latter.
    pub(super) async fn until(&self, acknowledged: u64, refused: u64) -> bool {
        loop {
            let changed = self.counts.changed.notified();
            if self.counts.refused.load(Ordering::SeqCst) >= refused {
                return true;
            }
            if self.counts.acknowledged.load(Ordering::SeqCst) >= acknowledged {
                return false;
            }
            changed.await;
        }
    }

    /// Waits for every answer.
    pub(super) async fn end(mut self) -> Outcome<Vec<Sent>> {
        let mut all = Vec::new();
        while let Some(sent) = self.clients.join_next().await {
            all.extend(sent?);
        }
        all.sort_by_key(|sent| sent.write.serial);
        Ok(all)
    }
}
