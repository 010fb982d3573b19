//! What is left of the writes after a restart.

use tonic::{Code, transport::Channel};

use super::{
    Subject, Tally,
    life::{Sent, running, unanswered},
    subject::{Found, Publication, Write},
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
            acknowledged(subject, channel, write, tally).await?;
            Some(receipt)
        }
        Err(status) if unanswered(&status) => {
            tally.in_flight += 1;
            let found = subject.found(channel.clone(), write).await?;
            if found.present > 0 && found.present < found.whole {
                tally.half_done += 1;
                tally.fault("half done", write, &found);
            }
            None
        }
        Err(status) => return Err(format!("{write:?} was refused: {status:?}").into()),
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
        acknowledged(subject, channel, write, tally).await?;
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
            Err(status) if running(&status) => tokio::task::yield_now().await,
            Err(status) if status.code() == Code::AlreadyExists => {
                tally.duplicated += 1;
                tally.fault("a repetition was refused", write, &status);
                return Ok(None);
            }
            Err(status) => return Err(format!("{write:?} sent again: {status:?}").into()),
        }
    }
}

/// Counts what is wrong with a write that was acknowledged.
pub(crate) async fn acknowledged<S: Subject>(
    subject: S,
    channel: &Channel,
    write: Write,
    tally: &mut Tally,
) -> Outcome<Found> {
    let found = subject.found(channel.clone(), write).await?;
    if found.present == 0 {
        tally.lost += 1;
        tally.fault("lost", write, &found);
    } else if found.present < found.whole {
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
