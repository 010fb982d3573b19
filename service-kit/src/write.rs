//! Writes: one transaction a call, exactly once under a `request_id`, or checked and not done.

mod intent;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use almanac_proto::common::v1::ErrorReason;
use prost::Message;

#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use intent::again;
pub(crate) use intent::keep;
pub use intent::{Intent, REQUEST_ID_HOURS};

use crate::{
    fault::Fault,
    pool,
    store::{Store, StoreError, TransactError, Transaction},
};

/// Most bytes of an answer: what clients read unless they are told otherwise.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// How soon a caller may try again to write to a disk that is full.
const RETRY: Duration = Duration::from_secs(5);
/// How often the work of a job tries again.
const AGAIN: Duration = Duration::from_secs(1);

enum Abort<T> {
    Fault(Fault),
    /// The answer to a request that only wanted to know, or that was answered before.
    Answer(T),
}

/// Runs `effect` in one transaction and answers what it answers.
///
/// With a `request_id` seen before, the first answer is given again and nothing is done. With
/// `validate_only` the answer is computed and nothing is written.
///
/// # Errors
/// What `effect` answers, or a fault of the store; then nothing was written.
pub async fn write<T, F>(store: &Store, mut intent: Intent, effect: F) -> Result<T, Fault>
where
    T: Message + Default + Send + 'static,
    F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
{
    // Held until the answer; if the call is given up before, the transaction takes effect at most
    // once.
    let _claim = intent.hold(store)?;
    let outcome = store
        .transact(move |tx| {
            if let Some(answer) = intent.earlier(tx).map_err(Abort::Fault)? {
                return Err(Abort::Answer(answer));
            }
            let answer = effect(tx).map_err(Abort::Fault)?;
            readable(&answer).map_err(Abort::Fault)?;
            if intent.validate_only() {
                return Err(Abort::Answer(answer));
            }
            intent.remember(tx, &answer).map_err(Abort::Fault)?;
            Ok(answer)
        })
        .await;
    match outcome {
        Ok(committed) => Ok(committed.value),
        Err(TransactError::Aborted(Abort::Answer(answer))) => Ok(answer),
        Err(TransactError::Aborted(Abort::Fault(fault))) => Err(fault),
        Err(TransactError::Store(error)) => Err(store_fault(&error)),
        Err(TransactError::Panicked(text)) => Err(Fault::internal(&text)),
    }
}

/// As [`write`], and then calls `then`, unless the request only wants to know: also where the caller
/// has left meanwhile, so that what is committed is never left without what follows from it.
///
/// # Errors
/// See [`write`].
pub async fn write_then<T, F>(
    store: &Store,
    intent: Intent,
    effect: F,
    then: impl FnOnce() + Send + 'static,
) -> Result<T, Fault>
where
    T: Message + Default + Send + 'static,
    F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
{
    let store = store.clone();
    let written = pool::spawn(async move {
        let validate_only = intent.validate_only();
        let answer = write(&store, intent, effect).await?;
        if !validate_only {
            then();
        }
        Ok(answer)
    });
    written.await.map_err(|error| Fault::internal(&error))?
}

/// Whether a client that was not told otherwise reads an answer of this size. One that it does not
/// would leave its caller without knowing what was done.
fn readable(answer: &impl Message) -> Result<(), Fault> {
    let bytes = answer.encoded_len();
    if bytes <= MAX_ANSWER_BYTES {
        return Ok(());
    }
    let text = format!(
        "the answer would have {bytes} bytes, and clients read up to {MAX_ANSWER_BYTES}; nothing \
         was written: split the request, or shorten its texts"
    );
    let fault = Fault::new(
        tonic::Code::InvalidArgument,
        ErrorReason::TooManyItems,
        text,
    );
    Err(fault.with("limit_bytes", MAX_ANSWER_BYTES.to_string()))
}

/// Runs `effect` in one transaction that no request asked for.
///
/// # Errors
/// What `effect` answers, or a fault of the store; then nothing was written.
pub async fn commit(
    store: &Store,
    effect: impl FnOnce(&mut Transaction<'_>) -> Result<(), Fault> + Send + 'static,
) -> Result<(), Fault> {
    let done = store.transact(effect).await;
    done.map(|_| ()).map_err(|error| match error {
        TransactError::Aborted(fault) => fault,
        TransactError::Store(error) => store_fault(&error),
        TransactError::Panicked(text) => Fault::internal(&text),
    })
}

/// Whether a fault is a full disk, which may have room again.
#[must_use]
pub fn is_disk_full(fault: &Fault) -> bool {
    fault.is(ErrorReason::DiskFull)
}

/// As [`commit`]. While the disk is full it waits and tries again, since nobody else would: for what
/// is small, since it is held meanwhile. Ends when the store closes.
///
/// # Errors
/// What `effect` answers, or another fault of the store; then nothing was written.
pub async fn transact(
    store: &Store,
    effect: impl Fn(&mut Transaction<'_>) -> Result<(), Fault> + Send + Sync + 'static,
) -> Result<(), Fault> {
    let effect = Arc::new(effect);
    loop {
        let again = Arc::clone(&effect);
        match commit(store, move |tx| again(tx)).await {
            Err(full) if is_disk_full(&full) => tokio::time::sleep(AGAIN).await,
            ended => return ended,
        }
    }
}

/// How a caller is told of a fault of the store.
#[must_use]
pub fn store_fault(error: &StoreError) -> Fault {
    use tonic::Code;

    use StoreError as E;
    match error {
        E::RevisionUnknown => Fault::field(
            "consistency",
            ErrorReason::RevisionUnknown,
            "the revision is not one of this store",
        ),
        E::RevisionCompacted { .. } => Fault::new(
            Code::FailedPrecondition,
            ErrorReason::RevisionCompacted,
            "the state at that revision has been compacted away; read a newer one",
        ),
        E::TooLarge { .. } => Fault::new(
            Code::InvalidArgument,
            ErrorReason::TooManyItems,
            format!("{error}; split the request"),
        ),
        E::DiskFull { .. } => disk_full(),
        E::Failed { .. } | E::Closed => {
            tracing::error!(%error, "write refused");
            let text = "the store takes no writes at the moment; its log says why";
            Fault::new(Code::Unavailable, ErrorReason::StoreUnavailable, text)
        }
        E::Engine(_) => {
            tracing::error!(%error, "the index cannot be read");
            let text = "the store cannot answer at the moment; its log says why";
            Fault::new(Code::Unavailable, ErrorReason::StoreUnavailable, text)
        }
        E::Corrupt { place, .. } => {
            tracing::error!(%error, "damaged data");
            corrupt(place)
        }
        E::CorruptValue { table, key, .. } | E::ValueVersion { table, key, .. } => {
            tracing::error!(%error, "damaged data");
            corrupt(&format!("table {table}, key {key}"))
        }
        _ => Fault::internal(error),
    }
}

/// Why is in the log once, when the refusals begin.
fn disk_full() -> Fault {
    let text = "the disk of the service is full: nothing was written, reads go on; retry once there \
                is room again";
    Fault::new(tonic::Code::ResourceExhausted, ErrorReason::DiskFull, text).retry_after(RETRY)
}

fn corrupt(place: &str) -> Fault {
    let text = "stored data are damaged; restore them from a backup";
    Fault::new(tonic::Code::DataLoss, ErrorReason::StoreCorrupt, text).with("place", place)
}
