//! Typed tables: an id, a name, the type of the keys and the type of the values.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::error::StoreError;
use super::key::{AsKey, Key, Prefix, decode_whole};

/// Bytes that most keys have room in; others grow.
const KEY_BYTES: usize = 64;

/// A value that can be stored; encoded with postcard, under a version.
///
/// Postcard has no field names: any change of the fields is a new [`Record::VERSION`] and an arm
/// in [`Record::migrate`].
pub trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// The version that is written. Raise it with every change of the encoded form.
    const VERSION: u16 = 1;

    /// Reads a value that an older release wrote under `version`, which is below
    /// [`Record::VERSION`].
    ///
    /// # Errors
    /// [`RecordError::Unsupported`] unless overridden; [`RecordError::Malformed`] when the bytes
    /// do not hold what that version wrote.
    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, RecordError> {
        let _ = (version, bytes);
        Err(RecordError::Unsupported)
    }
}

/// A record whose first field can be read without the rest of it.
pub trait Led: Record {
    /// The type of the field that is encoded first, in the version that is written.
    type First: DeserializeOwned;

    /// That field, of a value that an older release wrote.
    fn into_first(self) -> Self::First;
}

/// Why stored bytes are not a value of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The version is one that this release does not read.
    #[error("the version is not supported")]
    Unsupported,
    /// The bytes do not decode.
    #[error("{0}")]
    Malformed(String),
}

/// Decodes the whole of `bytes`: for [`Record::migrate`], with the type of the older version.
///
/// # Errors
/// [`RecordError::Malformed`] when the bytes do not decode, or some are left over.
pub fn decode_record<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(RecordError::Malformed(format!(
            "{} bytes are left over",
            rest.len()
        ))),
        Err(error) => Err(RecordError::Malformed(error.to_string())),
    }
}

impl Record for () {}
impl Record for u64 {}
impl Record for String {}

/// A table of the store, normally a constant:
///
/// ```
/// use almanac_service_kit::store::Table;
///
/// /// By dataset uid and name: how many readers.
/// const READERS: Table<(u64, String), u64> = Table::new(3, "readers");
/// ```
///
/// The id is in every key on disk and never changes; the name appears in errors only.
pub struct Table<K, V> {
    id: u8,
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {:?})", self.id, self.name)
    }
}

impl<K: Key, V: Record> Table<K, V> {
    /// A table under an id of its own, 1 to 254; 0 and 255 are the store's.
    ///
    /// # Panics
    /// When the id is reserved: at compile time for a constant.
    #[must_use]
    pub const fn new(id: u8, name: &'static str) -> Self {
        assert!(id != 0 && id != 255, "table ids 0 and 255 are reserved");
        Self {
            id,
            name,
            types: PhantomData,
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn key_bytes<Q: AsKey<K> + ?Sized>(&self, key: &Q) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        bytes.push(self.id);
        key.encode(&mut bytes);
        bytes
    }

    pub(super) fn prefix_bytes<P: Prefix<K> + ?Sized>(&self, prefix: &P) -> Vec<u8> {
        let mut bytes = vec![self.id];
        prefix.encode_prefix(&mut bytes);
        bytes
    }

    /// Reads a key back from table id and key bytes.
    pub(super) fn decode_key(&self, bytes: &[u8]) -> Result<K, StoreError> {
        decode_whole(bytes.get(1..).unwrap_or_default())
            .map_err(|error| self.corrupt(bytes, &error))
    }

    pub(super) fn encode_value(&self, value: &V) -> Result<Vec<u8>, StoreError> {
        postcard::to_allocvec(value).map_err(|error| StoreError::Encode {
            table: self.name.to_owned(),
            detail: error.to_string(),
        })
    }

    /// Decodes a value found under `key` (table id and key bytes).
    pub(super) fn decode_value(
        &self,
        key: &[u8],
        version: u16,
        payload: &[u8],
    ) -> Result<V, StoreError> {
        let decoded = match version.cmp(&V::VERSION) {
            std::cmp::Ordering::Equal => decode_record(payload),
            std::cmp::Ordering::Less => V::migrate(version, payload),
            std::cmp::Ordering::Greater => Err(RecordError::Unsupported),
        };
        decoded.map_err(|error| match error {
            RecordError::Unsupported => StoreError::ValueVersion {
                table: self.name.to_owned(),
                key: self.readable(key),
                found: version,
                supported: V::VERSION,
            },
            RecordError::Malformed(_) => self.corrupt(key, &error),
        })
    }

    /// As [`Table::decode_value`], of the first field only.
    pub(super) fn decode_first(
        &self,
        key: &[u8],
        version: u16,
        payload: &[u8],
    ) -> Result<V::First, StoreError>
    where
        V: Led,
    {
        if version == V::VERSION {
            let first = postcard::take_from_bytes(payload).map(|(first, _)| first);
            return first.map_err(|error| self.corrupt(key, &error));
        }
        let value = self.decode_value(key, version, payload)?;
        Ok(value.into_first())
    }

    pub(super) fn corrupt(&self, key: &[u8], detail: &dyn fmt::Display) -> StoreError {
        StoreError::CorruptValue {
            table: self.name.to_owned(),
            key: self.readable(key),
            detail: detail.to_string(),
        }
    }

    fn readable(&self, key: &[u8]) -> String {
        match decode_whole::<K>(key.get(1..).unwrap_or_default()) {
            Ok(key) => format!("{key:?}"),
            Err(_) => hex(key),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
