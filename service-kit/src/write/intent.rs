//! What a write request says about itself, and the memory that makes it take effect once.

use std::time::Duration;

use almanac_proto::common::v1::ErrorReason;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::store_fault;
use crate::{
    fault::{Fault, Violations},
    store::{Claim, Keep, Read, Record, Store, StoreError, Table, Transaction},
};

/// How long a `request_id` is remembered.
pub const REQUEST_ID_HOURS: i64 = 24;
const REQUEST_ID_NANOSECONDS: i64 = REQUEST_ID_HOURS * 3_600_000_000_000;
/// How soon to ask again while a call with the same `request_id` runs.
const RUNNING_RETRY: Duration = Duration::from_millis(100);
/// Most forgotten requests that one write sweeps: more than it adds, so that they become fewer.
const SWEEP: usize = 4;

/// By method and request ID: what was asked, and the answer to give again. Written in the same
/// commit as the effect.
pub(super) const REQUESTS: Table<(String, String), Answered> = Table::new(250, "requests");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    request: [u8; 32],
    response: Vec<u8>,
    time: i64,
}

impl Record for Answered {}

impl Answered {
    fn decode<T: Message + Default>(&self) -> Result<T, Fault> {
        T::decode(&self.response[..]).map_err(|error| Fault::internal(&error))
    }
}

/// The same requests by the time of their answer, for sweeping those that are past keeping.
const REQUESTS_BY_TIME: Table<(i64, String, String), ()> = Table::new(249, "requests by time");

/// What compaction keeps of the tables of this module; none for other tables.
pub(crate) fn keep(table: u8) -> Option<Keep> {
    let own = [REQUESTS.id(), REQUESTS_BY_TIME.id()];
    let hours = REQUEST_ID_HOURS.unsigned_abs();
    own.contains(&table)
        .then(|| Keep::Newest(Duration::from_hours(hours)))
}

/// What every write request says about itself.
#[derive(Debug)]
pub struct Intent {
    method: &'static str,
    request_id: String,
    validate_only: bool,
    request: [u8; 32],
    /// Held while the request is worked on.
    claim: Option<Claim>,
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
            claim: None,
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

    /// Begins the request: the answer to give again if it has been answered before.
    ///
    /// A method that reads or computes before it [`write`]s calls this first, so that what has
    /// changed since does not turn a repeated request into a refusal. Whether an ID is used with
    /// another request is left to the write, whose time says if the ID is still kept.
    ///
    /// # Errors
    /// ABORTED (REQUEST_RUNNING) while another call with the ID is at work; a fault of the store.
    pub fn begin<T: Message + Default>(&mut self, store: &Store) -> Result<Option<T>, Fault> {
        self.claim(store)?;
        let latest = store.latest();
        match self.recall(&latest)? {
            Some(answered) if answered.request == self.request => answered.decode().map(Some),
            _ => Ok(None),
        }
    }

    fn claim(&mut self, store: &Store) -> Result<(), Fault> {
        if !self.request_id.is_empty() && self.claim.is_none() {
            let name = format!("{} {}", self.method, self.request_id);
            self.claim = Some(store.claim(name).ok_or_else(running)?);
        }
        Ok(())
    }

    /// Keeps others with the ID from working until what this answers is dropped.
    pub(super) fn hold(&mut self, store: &Store) -> Result<Option<Claim>, Fault> {
        self.claim(store)?;
        Ok(self.claim.take())
    }

    fn recall(&self, read: &impl Read) -> Result<Option<Answered>, Fault> {
        if self.request_id.is_empty() {
            return Ok(None);
        }
        let found = read.get(&REQUESTS, &self.key());
        Ok(found.map_err(|e| store_fault(&e))?.map(|found| found.value))
    }

    /// The answer to the same request, while it is kept.
    pub(super) fn earlier<T: Message + Default>(
        &self,
        tx: &Transaction<'_>,
    ) -> Result<Option<T>, Fault> {
        let Some(answered) = self.recall(tx)? else {
            return Ok(None);
        };
        let age = tx.time().nanoseconds().saturating_sub(answered.time);
        if age > REQUEST_ID_NANOSECONDS {
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
        answered.decode().map(Some)
    }

    pub(super) fn remember(
        &self,
        tx: &mut Transaction<'_>,
        response: &impl Message,
    ) -> Result<(), Fault> {
        if self.request_id.is_empty() {
            return Ok(());
        }
        let time = tx.time().nanoseconds();
        let answered = Answered {
            request: self.request,
            response: response.encode_to_vec(),
            time,
        };
        self.put(tx, &answered).map_err(|e| store_fault(&e))?;
        sweep(tx, time).map_err(|e| store_fault(&e))
    }

    fn put(&self, tx: &mut Transaction<'_>, answered: &Answered) -> Result<(), StoreError> {
        let (method, id) = self.key();
        if let Some(before) = tx.get(&REQUESTS, &self.key())? {
            tx.delete(
                &REQUESTS_BY_TIME,
                &(before.value.time, method.clone(), id.clone()),
            )?;
        }
        tx.put(&REQUESTS_BY_TIME, &(answered.time, method, id), &())?;
        tx.put(&REQUESTS, &self.key(), answered)
    }
}

/// Forgets the oldest requests that are no longer kept at the time `now`.
fn sweep(tx: &mut Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let end = now.saturating_sub(REQUEST_ID_NANOSECONDS);
    let mut past = Vec::new();
    for found in tx.scan(&REQUESTS_BY_TIME, &()).take(SWEEP) {
        let (key, ()) = found.map(|(key, found)| (key, found.value))?;
        if key.0 >= end {
            break;
        }
        past.push(key);
    }
    for (time, method, id) in past {
        tx.delete(&REQUESTS, &(method.clone(), id.clone()))?;
        tx.delete(&REQUESTS_BY_TIME, &(time, method, id))?;
    }
    Ok(())
}

fn running() -> Fault {
    Fault::new(
        tonic::Code::Aborted,
        ErrorReason::RequestRunning,
        "a call with this request_id is at work; send the request again to have its answer",
    )
    .retry_after(RUNNING_RETRY)
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

/// For fuzzing: an answered request read and written again.
#[cfg(feature = "fuzz")]
pub fn again(version: u16, bytes: &[u8]) -> crate::fuzz::Again {
    crate::fuzz::value(&REQUESTS, version, bytes)
}
