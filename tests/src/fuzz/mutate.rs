//! Changes to inputs: of bytes, of texts, and of the fields of messages.

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::Type;

use super::{
    schema::{Field, Schema},
    wire::{self, Fields, Value},
};
use crate::dice::Dice;

/// Texts that programs stumble over.
const TEXTS: [&str; 44] = [
    "",
    " ",
    "\0",
    "\n",
    "a",
    "A",
    "-",
    "--",
    "*",
    "*/*",
    "/",
    "//",
    "..",
    "\"",
    "'",
    "\\",
    "(",
    ")",
    ":",
    "=",
    "NOT ",
    " AND ",
    " OR ",
    "id",
    "labels.",
    "labels",
    "0",
    "-0",
    "-1",
    "1e309",
    "NaN",
    "9223372036854775807",
    "2023",
    "0001",
    "9999",
    "9999-W53",
    "2023-Q2",
    "2023-02-29",
    "9999-12-31T23",
    "2023-S1",
    "é",
    "\u{202e}",
    "\u{fffd}",
    "1,000.5",
];
/// Doubles that computations stumble over.
const DOUBLES: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    0.1,
    1e-12,
    100.0,
    1e15,
    1e99,
    1e100,
    -1e100,
    1e101,
    1e308,
    f64::MIN_POSITIVE,
    5e-324,
    f64::NAN,
    f64::INFINITY,
];
/// Integers at the ends of types and of what is allowed.
const INTEGERS: [i64; 18] = [
    0,
    1,
    2,
    3,
    7,
    50,
    63,
    64,
    999,
    1000,
    1001,
    10_000,
    10_001,
    -1,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];
/// Most bytes that a change makes of an input.
const MOST: usize = 64 * 1024;

/// What changes draw from.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// Whole inputs.
    pub inputs: Vec<Vec<u8>>,
    /// Texts of messages by the name of their field.
    texts: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Dictionary {
    /// Of these inputs.
    #[must_use]
    pub(super) fn of(inputs: Vec<Vec<u8>>) -> Self {
        Self {
            inputs,
            texts: BTreeMap::new(),
        }
    }

    /// Learns the texts of a message.
    pub(super) fn learn(&mut self, schema: &Schema, message: &str, bytes: &[u8]) {
        for (number, value) in wire::read(bytes).unwrap_or_default() {
            let fields = schema.fields(message);
            let Some(field) = fields.iter().find(|field| field.number == number) else {
                continue;
            };
            match (field.kind, value) {
                (Type::Message, Value::Bytes(inner)) => self.learn(schema, &field.message, &inner),
                (Type::String, Value::Bytes(text)) => {
                    let texts = self.texts.entry(field.name.clone()).or_default();
                    if !texts.contains(&text) {
                        texts.push(text);
                    }
                }
                _ => {}
            }
        }
    }
}

fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> Option<&'a T> {
    from.get(index(dice, from.len().max(1)))
}

/// A number below `end`, which must not be 0.
fn index(dice: &mut Dice, end: usize) -> usize {
    // Below a usize.
    usize::try_from(dice.below(end as u64)).unwrap_or_default()
}

fn token(dice: &mut Dice) -> Vec<u8> {
    match dice.below(3) {
        0 => {
            let number = pick(dice, &INTEGERS).copied().unwrap_or_default();
            let size = 1 << dice.below(4);
            number.to_le_bytes()[..size].to_vec()
        }
        _ => pick(dice, &TEXTS).map_or_else(Vec::new, |text| text.as_bytes().to_vec()),
    }
}

/// One change of bytes.
pub(super) fn bytes(input: &mut Vec<u8>, dictionary: &Dictionary, dice: &mut Dice) {
    let at = index(dice, input.len() + 1);
    let end = (at + 1 + index(dice, 16)).min(input.len());
    match dice.below(8) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = u8::try_from(dice.below(256)).unwrap_or_default(),
        2 => input.truncate(at),
        3 => {
            drop(input.splice(at..end, []));
        }
        4 => {
            let copy = input[at..end].to_vec();
            let times = 1 + index(dice, 8);
            drop(input.splice(at..at, copy.repeat(times)));
        }
        5 => {
            let other = pick(dice, &dictionary.inputs).cloned().unwrap_or_default();
            let from = index(dice, other.len() + 1);
            let length = index(dice, other.len() - from + 1);
            drop(input.splice(at..end, other[from..from + length].iter().copied()));
        }
        6 => {
            drop(input.splice(at..at, token(dice)));
        }
        _ => {
            let token = token(dice);
            let end = (at + token.len()).min(input.len());
            drop(input.splice(at..end, token));
        }
    }
    input.truncate(MOST);
}

/// One change of a message, by its fields.
pub(super) fn message(
    input: &mut Vec<u8>,
    schema: &Schema,
    name: &str,
    dictionary: &Dictionary,
    dice: &mut Dice,
) {
    let Some(mut fields) = wire::read(input) else {
        return bytes(input, dictionary, dice);
    };
    change(&mut fields, schema, name, dictionary, dice, 0);
    *input = wire::write(&fields);
    input.truncate(MOST);
}

/// How deep messages are made and changed.
const DEEP: u32 = 6;

fn change(
    fields: &mut Fields,
    schema: &Schema,
    name: &str,
    dictionary: &Dictionary,
    dice: &mut Dice,
    depth: u32,
) {
    let known = schema.fields(name);
    let at = index(dice, fields.len().max(1));
    match dice.below(10) {
        0 if at < fields.len() => {
            fields.remove(at);
        }
        1 if at < fields.len() => {
            let copy = fields[at].clone();
            let times = 1 + index(dice, 12);
            let _ = fields.splice(at..at, vec![copy; times]).count();
        }
        2 | 3 => {
            if let Some(field) = pick(dice, known) {
                let value = make(field, schema, dictionary, dice, depth);
                let at = index(dice, fields.len() + 1);
                fields.insert(at, (field.number, value));
            }
        }
        _ if at < fields.len() => {
            let (number, value) = &mut fields[at];
            match known.iter().find(|field| field.number == *number) {
                Some(field) => alter(value, field, schema, dictionary, dice, depth),
                None => *number = 1 + u32::try_from(dice.below(30)).unwrap_or_default(),
            }
        }
        _ => {}
    }
}

fn alter(
    value: &mut Value,
    field: &Field,
    schema: &Schema,
    dictionary: &Dictionary,
    dice: &mut Dice,
    depth: u32,
) {
    match (field.kind, &mut *value) {
        (Type::Message, Value::Bytes(inner)) if depth < DEEP => match wire::read(inner) {
            Some(mut fields) => {
                change(
                    &mut fields,
                    schema,
                    &field.message,
                    dictionary,
                    dice,
                    depth + 1,
                );
                *inner = wire::write(&fields);
            }
            None => bytes(inner, dictionary, dice),
        },
        (Type::String, Value::Bytes(text)) if dice.below(3) == 0 => {
            bytes(text, dictionary, dice);
            // Text that is no UTF-8 ends in the transport.
            *text = String::from_utf8_lossy(text).into_owned().into_bytes();
        }
        _ => *value = make(field, schema, dictionary, dice, depth),
    }
}

/// A value for a field.
fn make(
    field: &Field,
    schema: &Schema,
    dictionary: &Dictionary,
    dice: &mut Dice,
    depth: u32,
) -> Value {
    match field.kind {
        Type::Message => {
            let mut fields = Fields::new();
            if depth < DEEP {
                for field in schema.fields(&field.message) {
                    if dice.below(3) > 0 {
                        let value = make(field, schema, dictionary, dice, depth + 1);
                        fields.push((field.number, value));
                    }
                }
            }
            Value::Bytes(wire::write(&fields))
        }
        Type::String => {
            let learned = dictionary.texts.get(&field.name);
            let learned = learned.filter(|_| dice.below(4) > 0);
            let text = learned.and_then(|texts| pick(dice, texts));
            Value::Bytes(text.cloned().unwrap_or_else(|| {
                let text = pick(dice, &TEXTS).copied().unwrap_or_default();
                let times = if dice.below(8) == 0 { 300 } else { 1 };
                text.repeat(times).into_bytes()
            }))
        }
        Type::Double if field.repeated => {
            let numbers = (0..dice.below(40)).flat_map(|_| double(dice));
            Value::Bytes(numbers.collect())
        }
        Type::Double => Value::Eight(double(dice)),
        Type::Bool => Value::Varint(dice.below(2)),
        Type::Enum => Value::Varint(dice.below(9)),
        // Two's complement, as the wire has it.
        _ => Value::Varint(
            pick(dice, &INTEGERS)
                .copied()
                .unwrap_or_default()
                .cast_unsigned(),
        ),
    }
}

fn double(dice: &mut Dice) -> [u8; 8] {
    let number = match dice.below(3) {
        // Fewer than 53 bits.
        0 => libm::ldexp(dice.below(1 << 20) as f64, -10),
        _ => pick(dice, &DOUBLES).copied().unwrap_or_default(),
    };
    number.to_le_bytes()
}

/// One change of a stream of length-delimited messages.
pub(super) fn stream(
    input: &mut Vec<u8>,
    schema: &Schema,
    name: &str,
    dictionary: &Dictionary,
    dice: &mut Dice,
) {
    let mut frames = super::world::frames(input);
    if frames.is_empty() {
        return;
    }
    let at = index(dice, frames.len());
    match dice.below(8) {
        0 => drop(frames.remove(at)),
        1 => frames.insert(at, frames[at].clone()),
        _ => message(&mut frames[at], schema, name, dictionary, dice),
    }
    input.clear();
    for frame in frames {
        // A slice always has room.
        prost::encoding::encode_varint(frame.len() as u64, input);
        input.extend(frame);
    }
}
