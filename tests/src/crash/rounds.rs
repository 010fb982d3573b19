//! Rounds of writing, killing, starting and asking.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::Mutex;

use super::{
    Plan, Subject, Tally,
    check::{acknowledged, settled},
    life::Life,
    subject::{ALL, Publication, Write},
};
use crate::{Outcome, dice::Dice};

/// A service is killed after at most so many acknowledgements of a round.
const MOST: u64 = 80;

/// Writes waiting beyond those, so that the clients are busy when the kill comes.
const BEYOND: u64 = 400;

/// Kills the service so often, and in the end looks at every acknowledged write once more.
pub(super) async fn rounds<S: Subject>(
    subject: S,
    plan: &Plan,
    mut life: Life,
    tally: &mut Tally,
) -> Outcome<Life> {
    let mut dice = Dice::new(plan.seed, 0);
    let mut all = Vec::new();
    let mut serial = 0;
    for _ in 0..plan.rounds {
        let limit = 1 + dice.below(MOST);
        let writes: VecDeque<_> = (serial + 1..=serial + limit + BEYOND)
            .map(|serial| Write::new(plan.seed, serial))
            .collect();
        let feed = Arc::new(Mutex::new(writes));
        let sent = life.spend(subject, &feed, limit).await?;
        tally.kills += 1;
        if let Some(sabotage) = plan.sabotage {
            sabotage.strike(&plan.dir)?;
        }
        life = tally.start::<S>(plan).await?;
        for one in sent {
            serial = serial.max(one.write.serial);
            all.extend(settled(subject, &life.channel, one, tally).await?);
        }
    }
    for (write, _) in all {
        let found = acknowledged(subject, &life.channel, write, ALL, tally).await?;
        match found.publication {
            Some(Publication::Verified) => tally.verified += 1,
            Some(Publication::Failed) => tally.failed += 1,
            Some(Publication::Unverified) | None => {}
        }
    }
    Ok(life)
}

impl Tally {
    /// Starts the service again, and counts it where that fails.
    pub(super) async fn start<S: Subject>(&mut self, plan: &Plan) -> Outcome<Life> {
        let life = Life::start::<S::Service>(plan).await;
        self.failed_starts += u64::from(life.is_err());
        life
    }
}
