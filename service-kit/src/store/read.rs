//! Reading, the same in a snapshot and in a transaction.

use std::sync::Arc;

use super::error::StoreError;
use super::key::{AsKey, Key, Prefix};
use super::scan::{GroupLayer, Layer, Scan};
use super::shared::{RawError, RawVersion, Shared};
use super::table::{Led, Record, Table};
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

impl View<'_> {
    /// The newest version under a key, a deletion too.
    fn newest<K: Key, V: Record>(
        &self,
        table: &Table<K, V>,
        key: &[u8],
    ) -> Result<Option<RawVersion>, StoreError> {
        let pending = self.layers.iter().find_map(|layer| layer.get(key));
        if let Some(version) = pending {
            return Ok(Some(version.clone()));
        }
        // A transaction reads a key once, and an import a million of them.
        let read = match self.group {
            Some(_) => Shared::newest,
            None => Shared::recall,
        };
        read(self.shared, key, self.at).map_err(|error| table.raw_error(error))
    }
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
        let key = table.key_bytes(key);
        let Some(newest) = self.view().newest(table, &key)? else {
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

    /// The revision that last wrote what is under a key: whether it is still what was read before,
    /// without decoding it.
    ///
    /// # Errors
    /// [`StoreError::CorruptValue`] for a bad checksum, [`StoreError::Engine`],
    /// [`StoreError::Closed`].
    fn written_at<K: Key, V: Record, Q: AsKey<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        key: &Q,
    ) -> Result<Option<Revision>, StoreError> {
        let newest = self.view().newest(table, &table.key_bytes(key))?;
        let stored = newest.filter(|version| version.value.is_some());
        Ok(stored.map(|version| version.revision))
    }

    /// The first field of the value under a key, without decoding the rest.
    ///
    /// # Errors
    /// As [`Read::get`].
    fn get_first<K: Key, V: Led, Q: AsKey<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        key: &Q,
    ) -> Result<Option<V::First>, StoreError> {
        let key = table.key_bytes(key);
        let newest = self.view().newest(table, &key)?;
        let stored = newest.and_then(|version| version.value);
        stored
            .map(|value| table.decode_first(&key, value.version, &value.payload))
            .transpose()
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
