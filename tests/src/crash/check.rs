//! What is left of the writes after a restart.

use tonic::{Code, transport::Channel};

use super::{
    Subject, Tally,
    life::{Sent, running, unanswered},
    subject::{ALL, Cut, Found, Part, Publication, Write},
};
use crate::Outcome;

/// An acknowledged write and its receipt.
pub(super) type Receipt = (Write, String);

/// Looks at a write before and after it is sent again, and gives its receipt.
pub(super) async fn settled<S: Subject>(
    subject: S,
    channel: &Channel,
    sent: Sent,
    tally: &mut Tally,
) -> Outcome<Option<Receipt>> {
    let write = sent.write;
    let before = match sent.answer {
        Ok(receipt) => {
            tally.acknowledged += 1;
            acknowledged(subject, channel, write, ALL, tally).await?;
            Some(receipt)
        }
        Err(Cut { status, parts }) if unanswered(&status) => {
            tally.in_flight += 1;
            tally.chunks += parts as u64;
            acknowledged(subject, channel, write, parts, tally).await?;
            None
        }
        Err(cut) => return Err(format!("{write:?} was refused: {cut:?}").into()),
    };
    // Of those acknowledged a quarter is sent again, which is enough to see a replay go wrong.
    if before.is_some() && !write.serial.is_multiple_of(4) {
        return Ok(before.map(|receipt| (write, receipt)));
    }
    let again = repeated(subject, channel, write, tally).await?;
    if let (Some(before), Some(again)) = (&before, &again)
        && before != again
    {
        tally.duplicated += 1;
        tally.fault("answered otherwise", write, &(before, again));
    }
    if again.is_some() {
        acknowledged(subject, channel, write, ALL, tally).await?;
    }
    Ok(before.or(again).map(|receipt| (write, receipt)))
}

/// Sends a write again; none where it was refused, which is a fault.
pub(crate) async fn repeated<S: Subject>(
    subject: S,
    channel: &Channel,
    write: Write,
    tally: &mut Tally,
) -> Outcome<Option<String>> {
    loop {
        match subject.send(channel.clone(), write).await {
            Ok(receipt) => return Ok(Some(receipt)),
            Err(cut) if running(&cut.status) => tokio::task::yield_now().await,
            Err(cut) if cut.status.code() == Code::AlreadyExists => {
                tally.duplicated += 1;
                tally.fault("a repetition was refused", write, &cut);
                return Ok(None);
            }
            Err(cut) => return Err(format!("{write:?} sent again: {cut:?}").into()),
        }
    }
}

/// Counts what is wrong with a write of which so many parts were acknowledged.
pub(crate) async fn acknowledged<S: Subject>(
    subject: S,
    channel: &Channel,
    write: Write,
    parts: usize,
    tally: &mut Tally,
) -> Outcome<Found> {
    let found = subject.found(channel.clone(), write).await?;
    let mut known = found.parts.iter().take(parts);
    if known.any(|part| part.present == 0) {
        tally.lost += 1;
        tally.fault("lost", write, &found);
    }
    let half = |part: &Part| part.present > 0 && part.present < part.whole;
    if found.parts.iter().any(half) {
        tally.half_done += 1;
        tally.fault("half done", write, &found);
    }
    if found.extra > 0 {
        tally.duplicated += 1;
        tally.fault("duplicated", write, &found);
    }
    if found.publication == Some(Publication::Unverified) {
        tally.unverified += 1;
        tally.fault("unverified", write, &found);
    }
    tally.resumed += u64::from(found.resumed);
    Ok(found)
}
