//! What a transaction's closure works with.

use std::fmt;
use std::sync::Arc;

use super::entry::{Encoded, Write};
use super::error::StoreError;
use super::frame::{MAX_WRITES, WRITE_OVERHEAD};
use super::key::{AsKey, Key};
use super::read::{Read, View};
use super::scan::{GroupLayer, Layer};
use super::shared::{RawVersion, Shared};
use super::table::{Record, Table};
use super::time::{CommitTime, Revision};

/// Reads of the newest state, and writes that become visible together or not at all.
///
/// The closure runs alone: between what it reads and what it writes nothing else is committed.
/// It runs on the store's one committer thread, so it should only read, decide and write, and
/// must not wait for another transaction.
pub struct Transaction<'a> {
    shared: &'a Arc<Shared>,
    at: Revision,
    /// Earlier transactions of the same group.
    group: &'a GroupLayer,
    revision: Revision,
    time: CommitTime,
    next_uid: &'a mut u64,
    allocated: bool,
    writes: Layer,
    bytes: usize,
    refused: Option<StoreError>,
}

/// What a closure left behind.
pub(super) struct Outcome {
    pub(super) writes: Layer,
    pub(super) allocated: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        at: Revision,
        group: &'a GroupLayer,
        (revision, time): (Revision, CommitTime),
        next_uid: &'a mut u64,
    ) -> Self {
        Self {
            shared,
            at,
            group,
            revision,
            time,
            next_uid,
            allocated: false,
            writes: Layer::new(),
            bytes: 0,
            refused: None,
        }
    }

    /// The revision that this transaction gets if it writes.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The commit time that this transaction gets if it writes.
    #[must_use]
    pub fn time(&self) -> CommitTime {
        self.time
    }

    /// A number that this store never hands out again once the transaction has committed.
    ///
    /// A transaction that allocated one commits even if it writes nothing else.
    pub fn allocate_uid(&mut self) -> u64 {
        let uid = *self.next_uid;
        *self.next_uid += 1;
        self.allocated = true;
        uid
    }

    /// Stores a value under a key.
    ///
    /// # Errors
    /// [`StoreError::Encode`], [`StoreError::TooLarge`]. After either the transaction cannot
    /// commit, even if the closure ignores it.
    pub fn put<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
        &mut self,
        table: &Table<K, V>,
        key: &Q,
        value: &V,
    ) -> Result<(), StoreError> {
        let payload = table
            .encode_value(value)
            .inspect_err(|error| self.refused = Some(error.clone()))?;
        let encoded = Encoded {
            version: V::VERSION,
            payload: payload.into(),
        };
        self.write(table.key_bytes(key), Some(encoded))
    }

    /// Deletes what is under a key. Its earlier versions remain in the history.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
        &mut self,
        table: &Table<K, V>,
        key: &Q,
    ) -> Result<(), StoreError> {
        self.write(table.key_bytes(key), None)
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Encoded>) -> Result<(), StoreError> {
        self.bytes += size(&key, value.as_ref());
        let version = RawVersion {
            revision: self.revision,
            time: self.time,
            value,
        };
        let length = key.len();
        if let Some(replaced) = self.writes.insert(key, version) {
            let payload = replaced.value.map_or(0, |value| value.payload.len());
            self.bytes -= length + payload + WRITE_OVERHEAD;
        }
        if self.bytes > MAX_WRITES {
            let error = StoreError::TooLarge {
                bytes: self.bytes,
                limit: MAX_WRITES,
            };
            self.refused = Some(error.clone());
            return Err(error);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Outcome, StoreError> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(Outcome {
                writes: self.writes,
                allocated: self.allocated,
            }),
        }
    }
}

fn size(key: &[u8], value: Option<&Encoded>) -> usize {
    key.len() + value.map_or(0, |value| value.payload.len()) + WRITE_OVERHEAD
}

/// The writes of a finished transaction in key order.
pub(super) fn writes(layer: &Layer) -> impl ExactSizeIterator<Item = Write<'_>> {
    layer.iter().map(|(key, version)| Write {
        key,
        value: version
            .value
            .as_ref()
            .map(|value| (value.version, &value.payload[..])),
    })
}

impl Read for Transaction<'_> {
    fn view(&self) -> View<'_> {
        View {
            shared: self.shared,
            at: self.at,
            layers: vec![&self.writes, &self.group.newest],
            group: Some(self.group),
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Transaction({}, {} writes)",
            self.revision,
            self.writes.len()
        )
    }
}
