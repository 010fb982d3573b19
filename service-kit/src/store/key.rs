//! Keys as bytes: the order of the bytes is the order of the keys, and a key says where it ends.
//!
//! | type | bytes |
//! |---|---|
//! | `u8`, `u16`, `u32`, `u64` | big-endian |
//! | `i32`, `i64` | big-endian with the sign bit flipped |
//! | `bool` | 0 or 1 |
//! | `String` | UTF-8 with every 0x00 written as 0x00 0xFF, then 0x00 0x00 |
//! | `[u8; N]` | as they are |
//! | tuple | its members one after the other |
//!
//! Because every key ends itself, no key is a prefix of another one of its type, and the bytes of
//! a tuple's first members are a prefix of exactly the tuples that begin with them.

use std::fmt::Debug;

use thiserror::Error;

/// Bytes that are not a key of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a key: {0}")]
pub struct KeyError(pub String);

/// Something that has the bytes of a key of type `K`, such as `&str` for `String`.
pub trait AsKey<K> {
    /// Appends the bytes of the key.
    ///
    /// They must order as the keys do, and no key's bytes may be a prefix of another's.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A type that can be the key of a table.
///
/// For a type of your own, write both traits out of the implementations for its parts:
///
/// ```
/// use almanac_service_kit::store::{AsKey, Key, KeyError, KeyReader};
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Quarter { year: i32, quarter: u8 }
///
/// impl AsKey<Quarter> for Quarter {
///     fn encode(&self, out: &mut Vec<u8>) {
///         AsKey::<(i32, u8)>::encode(&(self.year, self.quarter), out);
///     }
/// }
///
/// impl Key for Quarter {
///     fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
///         let (year, quarter) = Key::decode(input)?;
///         Ok(Self { year, quarter })
///     }
/// }
/// ```
pub trait Key: AsKey<Self> + Debug + Sized + Send + 'static {
    /// Reads a key back.
    ///
    /// # Errors
    /// [`KeyError`] when the bytes are no key of this type.
    fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError>;
}

/// The first members of a key of type `K`: `()` for none of them, `(a,)` for the first, and so on.
pub trait Prefix<K> {
    /// Appends the bytes that all keys with this prefix start with.
    fn encode_prefix(&self, out: &mut Vec<u8>);
}

impl<K: Key> Prefix<K> for () {
    fn encode_prefix(&self, _out: &mut Vec<u8>) {}
}

/// Reads key bytes from the front.
#[derive(Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`KeyError`] when there are fewer.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| KeyError(format!("{} bytes left, {N} needed", self.rest.len())))?;
        self.rest = rest;
        Ok(*head)
    }

    fn finish(self) -> Result<(), KeyError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(KeyError(format!("{} bytes too many", self.rest.len())))
    }
}

/// Decodes bytes that are one whole key.
pub(super) fn decode_whole<K: Key>(bytes: &[u8]) -> Result<K, KeyError> {
    let mut reader = KeyReader::new(bytes);
    let key = K::decode(&mut reader)?;
    reader.finish()?;
    Ok(key)
}

macro_rules! unsigned_keys {
    ($($type:ty),*) => {$(
        impl AsKey<$type> for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Key for $type {
            fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                input.take().map(<$type>::from_be_bytes)
            }
        }
    )*};
}
unsigned_keys!(u8, u16, u32, u64);

macro_rules! signed_keys {
    ($($type:ty),*) => {$(
        impl AsKey<$type> for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ <$type>::MIN).to_be_bytes());
            }
        }
        impl Key for $type {
            fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                input.take().map(|bytes| <$type>::from_be_bytes(bytes) ^ <$type>::MIN)
            }
        }
    )*};
}
signed_keys!(i32, i64);

impl AsKey<bool> for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for bool {
    fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        match input.take::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(KeyError(format!("{other} is no bool"))),
        }
    }
}

impl<const N: usize> AsKey<[u8; N]> for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Key for [u8; N] {
    fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        input.take()
    }
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    for (place, piece) in text.as_bytes().split(|&byte| byte == 0).enumerate() {
        if place > 0 {
            out.extend_from_slice(&[0, 0xFF]);
        }
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0, 0]);
}

impl AsKey<String> for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }
}

impl AsKey<String> for &str {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }
}

impl AsKey<String> for str {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }
}

impl Key for String {
    fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        let mut bytes = Vec::new();
        loop {
            let [byte] = input.take()?;
            if byte != 0 {
                bytes.push(byte);
                continue;
            }
            match input.take()? {
                [0] => break,
                [0xFF] => bytes.push(0),
                [other] => return Err(KeyError(format!("0x00 0x{other:02x} inside text"))),
            }
        }
        Self::from_utf8(bytes).map_err(|error| KeyError(error.to_string()))
    }
}

macro_rules! tuple_keys {
    ($(($($type:ident $query:ident $index:tt),+))*) => {$(
        impl<$($type,)+ $($query: AsKey<$type>),+> AsKey<($($type,)+)> for ($($query,)+) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)+
            }
        }
        impl<$($type: Key),+> Key for ($($type,)+) {
            fn decode(input: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                Ok(($($type::decode(input)?,)+))
            }
        }
    )*};
}
tuple_keys! {
    (A QA 0)
    (A QA 0, B QB 1)
    (A QA 0, B QB 1, C QC 2)
    (A QA 0, B QB 1, C QC 2, D QD 3)
    (A QA 0, B QB 1, C QC 2, D QD 3, E QE 4)
}

macro_rules! tuple_prefixes {
    ($(($($type:ident $query:ident $index:tt),+; $($rest:ident),+))*) => {$(
        impl<$($type,)+ $($rest,)+ $($query: AsKey<$type>),+> Prefix<($($type,)+ $($rest,)+)>
            for ($($query,)+)
        {
            fn encode_prefix(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)+
            }
        }
    )*};
}
tuple_prefixes! {
    (A QA 0; B)
    (A QA 0; B, C)
    (A QA 0; B, C, D)
    (A QA 0; B, C, D, E)
    (A QA 0, B QB 1; C)
    (A QA 0, B QB 1; C, D)
    (A QA 0, B QB 1; C, D, E)
    (A QA 0, B QB 1, C QC 2; D)
    (A QA 0, B QB 1, C QC 2; D, E)
    (A QA 0, B QB 1, C QC 2, D QD 3; E)
}
