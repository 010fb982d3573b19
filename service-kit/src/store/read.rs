//! Reading, the same in a snapshot and in a transaction.

use std::sync::Arc;

use super::error::StoreError;
use super::key::{AsKey, Key, Prefix};
use super::scan::{GroupLayer, Layer, Scan};
use super::shared::{RawError, RawVersion, Shared};
use super::table::{Record, Table};
use super::time::{CommitTime, Revision};

/// A value and the commit that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<V> {
    /// The value.
    pub value: V,
    /// The revision that wrote it.
    pub revision: Revision,
    /// When that revision was committed.
    pub time: CommitTime,
}

/// Where a reader reads: sealed, for [`super::Snapshot`] and [`super::Transaction`].
#[doc(hidden)]
pub struct View<'a> {
    pub(super) shared: &'a Arc<Shared>,
    /// The revision that the index is read at.
    pub(super) at: Revision,
    /// What is newer than that, the newest layer first.
    pub(super) layers: Vec<&'a Layer>,
    /// The group that the last layer belongs to.
    pub(super) group: Option<&'a GroupLayer>,
}

/// Reads of one state of the store. Everything a reader sees belongs to one revision.
pub trait Read {
    #[doc(hidden)]
    fn view(&self) -> View<'_>;

    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError::CorruptValue`], [`StoreError::ValueVersion`], [`StoreError::Engine`],
    /// [`StoreError::Closed`].
    fn get<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        key: &Q,
    ) -> Result<Option<Versioned<V>>, StoreError> {
        let view = self.view();
        let key = table.key_bytes(key);
        let pending = view.layers.iter().find_map(|layer| layer.get(&key));
        let newest = match pending {
            Some(version) => Some(version.clone()),
            None => {
                // A transaction reads a key once, and an import a million of them.
                let read = match view.group {
                    Some(_) => Shared::newest,
                    None => Shared::recall,
                };
                read(view.shared, &key, view.at).map_err(|error| table.raw_error(error))?
            }
        };
        let Some(newest) = newest else {
            return Ok(None);
        };
        let Versioned {
            value,
            revision,
            time,
        } = table.decode_version(&key, &newest)?;
        Ok(value.map(|value| Versioned {
            value,
            revision,
            time,
        }))
    }

    /// The records whose keys begin with `prefix`, in key order: `&()` for the whole table,
    /// `&(first,)` for a table with keys `(first, second)`. Narrow it with [`Scan::after`],
    /// [`Scan::starting_at`] and [`Scan::before`].
    fn scan<K: Key, V: Record, P: Prefix<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        prefix: &P,
    ) -> Scan<'_, K, V> {
        let view = self.view();
        let prefix = table.prefix_bytes(prefix);
        Scan::new(*table, &prefix, view.shared, view.at, view.layers)
    }

    /// All versions of a record, newest first; `None` where it was deleted.
    ///
    /// # Errors
    /// As [`Read::get`].
    fn history<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        key: &Q,
    ) -> Result<Vec<Versioned<Option<V>>>, StoreError> {
        let view = self.view();
        let key = table.key_bytes(key);
        let mut versions: Vec<RawVersion> = view
            .layers
            .iter()
            .filter_map(|layer| layer.get(&key).cloned())
            .collect();
        let replaced = view.group.and_then(|group| group.replaced.get(&key));
        versions.extend(replaced.into_iter().flatten().rev().cloned());
        view.shared
            .versions(&key, view.at, |version| {
                versions.push(version);
                true
            })
            .map_err(|error| table.raw_error(error))?;
        versions
            .iter()
            .map(|version| table.decode_version(&key, version))
            .collect()
    }
}

impl<K: Key, V: Record> Table<K, V> {
    pub(super) fn raw_error(&self, error: RawError) -> StoreError {
        match error {
            RawError::Store(error) => error,
            RawError::Value(key, detail) => self.corrupt(&key, &detail),
        }
    }

    fn decode_version(
        &self,
        key: &[u8],
        version: &RawVersion,
    ) -> Result<Versioned<Option<V>>, StoreError> {
        let value = version
            .value
            .as_ref()
            .map(|value| self.decode_value(key, value.version, &value.payload))
            .transpose()?;
        Ok(Versioned {
            value,
            revision: version.revision,
            time: version.time,
        })
    }
}
