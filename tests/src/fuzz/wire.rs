//! Messages as trees of fields, read and written without their types.

use prost::encoding::{decode_varint, encode_varint};

/// What a field holds, as the wire knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Integers, booleans and enums.
    Varint(u64),
    /// Doubles.
    Eight([u8; 8]),
    /// Floats.
    Four([u8; 4]),
    /// Texts, messages and packed numbers.
    Bytes(Vec<u8>),
}

/// The fields of a message, in order.
pub(super) type Fields = Vec<(u32, Value)>;

/// Takes a message apart; none where the bytes are no message.
#[must_use]
pub(super) fn read(mut bytes: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = decode_varint(&mut bytes).ok()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let value = match tag & 7 {
            0 => Value::Varint(decode_varint(&mut bytes).ok()?),
            1 => Value::Eight(take(&mut bytes)?),
            2 => {
                let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            5 => Value::Four(take(&mut bytes)?),
            _ => return None,
        };
        fields.push((number, value));
    }
    Some(fields)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Puts a message together.
#[must_use]
pub(super) fn write(fields: &Fields) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        let tag = u64::from(*number) << 3;
        match value {
            Value::Varint(number) => {
                encode_varint(tag, &mut bytes);
                encode_varint(*number, &mut bytes);
            }
            Value::Eight(value) => {
                encode_varint(tag | 1, &mut bytes);
                bytes.extend_from_slice(value);
            }
            Value::Bytes(value) => {
                encode_varint(tag | 2, &mut bytes);
                encode_varint(value.len() as u64, &mut bytes);
                bytes.extend_from_slice(value);
            }
            Value::Four(value) => {
                encode_varint(tag | 5, &mut bytes);
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}
