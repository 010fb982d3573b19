//! A service with much data and a caller of its long calls: what the checks of cancelled calls and of
//! passed deadlines share.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    Finding, Plan, Tell,
    machine::After,
    work::{Ask, Call, Long, Streams, caller},
};
use crate::{
    Outcome,
    dice::Dice,
    spawned::{Spawned, binary},
};

/// The process must be idle so soon after nobody waits any more.
const IDLE: Duration = Duration::from_millis(50);
/// And its store so soon: by then it has finished one commit, of a whole chunk of an import, and begun
/// no other. Under full load such a commit was seen to take 130 ms. A flush of the index may come
/// behind it, and of its own, so that where nothing is written there is no goal.
const COMMITTED: Duration = Duration::from_millis(150);
/// A call of which more is not waited for is long enough.
const LONG: Duration = Duration::from_secs(1);
/// So many times in a row a call may be over too soon.
const PATIENCE: usize = 100;

/// A service that serves.
pub(super) struct Stage<L: Long> {
    /// A client of it.
    pub(super) client: L::Caller,
    /// Of all choices.
    pub(super) dice: Dice,
    service: Spawned,
    streams: Streams,
    /// Calls so far.
    number: u64,
    /// Calls in a row that were over too soon.
    over: usize,
    _dir: TempDir,
}

impl<L: Long> Stage<L> {
    /// Starts it and writes what the calls compute with.
    pub(super) async fn set(plan: &Plan, choices: u64) -> Outcome<Self> {
        let dir = TempDir::new_in(&plan.dir)?;
        let service = Spawned::start::<L>(&binary::<L>()?, dir.path(), &[]).await?;
        L::prepare(service.channel.clone(), plan.size).await?;
        Ok(Self {
            client: caller::<L>(service.address)?,
            streams: Streams::connect(service.address).await?,
            dice: Dice::new(plan.seed, choices),
            service,
            number: 0,
            over: 0,
            _dir: dir,
        })
    }

    /// The number of its process.
    pub(super) fn process(&self) -> u32 {
        self.service.process.id()
    }

    /// Asks for something that no call before asked for.
    pub(super) fn ask(&mut self, timeout: Option<Duration>) -> Ask {
        self.number += 1;
        Ask {
            number: self.number,
            timeout,
            streams: self.streams.clone(),
        }
    }

    /// How long a call takes, or [`LONG`].
    pub(super) async fn length(&mut self, call: &Call<L::Caller>) -> Outcome<Duration> {
        let mut length = LONG;
        // What the service keeps decoded is there from the first one on.
        for _ in 0..2 {
            let pending = (call.begin)(self.client.clone(), &self.ask(None));
            let begun = Instant::now();
            match timeout(LONG, pending).await {
                Ok(answer) => answer?,
                Err(_) => return Ok(LONG),
            }
            length = begun.elapsed();
        }
        Ok(length)
    }

    /// A part of a length, in percent, by chance.
    pub(super) fn part(&mut self, length: Duration, (least, span): (u64, u64)) -> Duration {
        length.mul_f64((least + self.dice.below(span)) as f64 / 100.0)
    }

    /// Notes whether a call was over before it could be left.
    ///
    /// # Errors
    /// If that was so too often.
    pub(super) fn was_over(&mut self, over: bool, call: &Call<L::Caller>) -> Outcome<()> {
        self.over = if over { self.over + 1 } else { 0 };
        if self.over > PATIENCE {
            return Err(format!("{} is too short; try a larger --size", call.name).into());
        }
        Ok(())
    }
}

/// Tells the median and the worst of how long the process went on after calls were left, and how long
/// its store did: a commit that has begun is finished.
pub(super) fn tell_busy(name: &str, writes: bool, after: &[After], tell: Tell<'_>) {
    let mut busy: Vec<_> = after.iter().map(|after| after.busy).collect();
    busy.sort_unstable();
    let median = busy.get(busy.len() / 2).copied().unwrap_or_default();
    tell(Finding::time(&format!("{name}: busy p50"), median));
    let most = busy.last().copied();
    tell(Finding::within(
        &format!("{name}: busy at most"),
        most,
        IDLE,
    ));
    let committing = after.iter().map(|after| after.committing).max();
    let name = format!("{name}: store busy at most");
    tell(match writes {
        true => Finding::within(&name, committing, COMMITTED),
        false => Finding::time(&name, committing.unwrap_or_default()),
    });
}
