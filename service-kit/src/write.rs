//! Writes: one transaction a call, exactly once under a `request_id`, or checked and not done.

use almanac_proto::common::v1::ErrorReason;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, Violations},
    store::{Read as _, Record, Store, Table, TransactError, Transaction},
};

/// How long a `request_id` is remembered.
pub const REQUEST_ID_HOURS: i64 = 24;

/// By method and request ID: what was asked, and the answer to give again. Written in the same
/// commit as the effect.
const REQUESTS: Table<(String, String), Answered> = Table::new(250, "requests");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answered {
    request: [u8; 32],
    response: Vec<u8>,
    time: i64,
}

impl Record for Answered {}

/// What every write request says about itself.
#[derive(Debug, Clone)]
pub struct Intent {
    method: &'static str,
    request_id: String,
    validate_only: bool,
    request: [u8; 32],
}

impl Intent {
    /// Of a request to `method`; notes a `request_id` that is no UUID.
    pub fn new(
        method: &'static str,
        request: &impl Message,
        request_id: &str,
        validate_only: bool,
        violations: &mut Violations,
    ) -> Self {
        violations.request_id(request_id);
        let request = if request_id.is_empty() {
            [0; 32]
        } else {
            fingerprint(request, request_id)
        };
        // UUIDs are compared without regard to case.
        Self {
            method,
            request_id: request_id.to_lowercase(),
            validate_only,
            request,
        }
    }

    /// Whether everything is checked and nothing written.
    #[must_use]
    pub fn validate_only(&self) -> bool {
        self.validate_only
    }

    fn key(&self) -> (String, String) {
        (self.method.to_owned(), self.request_id.clone())
    }

    fn earlier<T: Message + Default>(&self, tx: &Transaction<'_>) -> Result<Option<T>, Fault> {
        if self.request_id.is_empty() {
            return Ok(None);
        }
        let Some(answered) = tx
            .get(&REQUESTS, &self.key())
            .map_err(|e| store_fault(&e))?
        else {
            return Ok(None);
        };
        let answered = answered.value;
        let age = tx.time().nanoseconds().saturating_sub(answered.time);
        if age > REQUEST_ID_HOURS * 3_600_000_000_000 {
            return Ok(None);
        }
        if answered.request != self.request {
            let text = "was used before with another request; use a new UUID";
            return Err(Fault::field(
                "request_id",
                ErrorReason::RequestIdReused,
                text,
            ));
        }
        T::decode(&answered.response[..])
            .map(Some)
            .map_err(|error| Fault::internal(&error))
    }

    fn remember(&self, tx: &mut Transaction<'_>, response: &impl Message) -> Result<(), Fault> {
        if self.request_id.is_empty() {
            return Ok(());
        }
        let answered = Answered {
            request: self.request,
            response: response.encode_to_vec(),
            time: tx.time().nanoseconds(),
        };
        tx.put(&REQUESTS, &self.key(), &answered)
            .map_err(|e| store_fault(&e))
    }
}

/// The hash of a request; the case in which its UUID is written does not count.
fn fingerprint(request: &impl Message, request_id: &str) -> [u8; 32] {
    let mut bytes = request.encode_to_vec();
    let found = bytes
        .windows(request_id.len())
        .position(|part| part == request_id.as_bytes());
    if let Some(at) = found {
        bytes[at..at + request_id.len()].make_ascii_lowercase();
    }
    *blake3::hash(&bytes).as_bytes()
}

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
pub async fn write<T, F>(store: &Store, intent: Intent, effect: F) -> Result<T, Fault>
where
    T: Message + Default + Send + 'static,
    F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
{
    let outcome = store
        .transact(move |tx| {
            if let Some(answer) = intent.earlier(tx).map_err(Abort::Fault)? {
                return Err(Abort::Answer(answer));
            }
            let answer = effect(tx).map_err(Abort::Fault)?;
            if intent.validate_only {
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

/// Runs `effect` in one transaction that no request asked for.
///
/// # Errors
/// What `effect` answers, or a fault of the store; then nothing was written.
pub async fn transact(
    store: &Store,
    effect: impl FnOnce(&mut Transaction<'_>) -> Result<(), Fault> + Send + 'static,
) -> Result<(), Fault> {
    match store.transact(effect).await {
        Ok(_) => Ok(()),
        Err(TransactError::Aborted(fault)) => Err(fault),
        Err(TransactError::Store(error)) => Err(store_fault(&error)),
        Err(TransactError::Panicked(text)) => Err(Fault::internal(&text)),
    }
}

/// How a caller is told of a fault of the store.
#[must_use]
pub fn store_fault(error: &crate::store::StoreError) -> Fault {
    use tonic::Code;

    use crate::store::StoreError as E;
    match error {
        E::RevisionUnknown => Fault::field(
            "consistency",
            ErrorReason::RevisionUnknown,
            "the revision is not one of this store",
        ),
        E::RevisionCompacted { .. } => Fault::new(
            Code::FailedPrecondition,
            ErrorReason::RevisionCompacted,
            format!("{error}; read a newer revision"),
        ),
        E::TooLarge { .. } => Fault::new(
            Code::InvalidArgument,
            ErrorReason::TooManyItems,
            format!("{error}; split the request"),
        ),
        E::Failed { .. } | E::Closed => {
            tracing::error!(%error, "write refused");
            let text = "the store takes no writes at the moment; its log says why";
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

fn corrupt(place: &str) -> Fault {
    let text = "stored data are damaged; restore them from a backup";
    Fault::new(tonic::Code::DataLoss, ErrorReason::StoreCorrupt, text).with("place", place)
}
