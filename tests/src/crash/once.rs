//! Requests that are each sent three times, with kills in between.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::sync::Mutex;

use super::{
    Plan, Subject, Tally,
    check::acknowledged,
    life::{Life, running, unanswered},
    subject::{ALL, Cut, Publication, Write},
};
use crate::{Outcome, dice::Dice};

/// How often each is sent.
const COPIES: u64 = 3;

/// Copies of a request lie at most so many sendings apart: some are under way together, some come
/// after one or more restarts.
const SPREAD: u64 = 600;

/// A service is killed after at most so many acknowledgements.
const MOST: u64 = 600;

/// First serial number of these writes, beyond those of any number of rounds.
const FIRST: u64 = 50_000;

/// Sends them until each sending is answered, and looks for exactly one effect of each.
pub(super) async fn exactly_once<S: Subject>(
    subject: S,
    plan: &Plan,
    mut life: Life,
    tally: &mut Tally,
) -> Outcome<Life> {
    let mut dice = Dice::new(plan.seed, u64::MAX);
    let feed = Arc::new(Mutex::new(sendings(plan, &mut dice)));
    let mut receipts: BTreeMap<u64, String> = BTreeMap::new();
    while !feed.lock().await.is_empty() {
        let sent = life.spend(subject, &feed, 1 + dice.below(MOST)).await?;
        tally.kills += 1;
        life = tally.start::<S>(plan).await?;
        for one in sent {
            let serial = one.write.serial;
            match one.answer {
                Ok(receipt) => {
                    tally.acknowledged += 1;
                    let first = receipts.entry(serial).or_insert_with(|| receipt.clone());
                    if *first != receipt {
                        tally.duplicated += 1;
                        tally.fault("answered otherwise", one.write, &(first, receipt));
                    }
                }
                Err(Cut { status, .. }) if unanswered(&status) || running(&status) => {
                    tally.in_flight += u64::from(unanswered(&status));
                    feed.lock().await.push_back(one.write);
                }
                Err(cut) => {
                    tally.duplicated += 1;
                    tally.fault("a repetition was refused", one.write, &cut);
                }
            }
        }
    }
    for serial in FIRST..FIRST + plan.exactly_once {
        let write = Write::new(plan.seed, serial);
        let found = acknowledged(subject, &life.channel, write, ALL, tally).await?;
        match found.publication {
            Some(Publication::Verified) => tally.verified += 1,
            Some(Publication::Failed) => tally.failed += 1,
            Some(Publication::Unverified) | None => {}
        }
    }
    Ok(life)
}

/// Every sending, in an order that the dice chose.
fn sendings(plan: &Plan, dice: &mut Dice) -> VecDeque<Write> {
    let mut places = Vec::new();
    for serial in FIRST..FIRST + plan.exactly_once {
        for _ in 0..COPIES {
            places.push((serial * COPIES + dice.below(SPREAD), serial));
        }
    }
    places.sort_unstable();
    places
        .into_iter()
        .map(|(_, serial)| Write::new(plan.seed, serial))
        .collect()
}
