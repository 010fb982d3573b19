//! Every text, list and map of every request, made too large in a request that is good otherwise.
//!
//! What is tried follows from the descriptors, so a field that is added is tried as well.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::field_descriptor_proto::Type;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    schema::{Field, Method, Schema},
    wire::{self, Fields, Value},
    world::{self, World},
};
use crate::{Outcome, refusal::Refusal};

/// More bytes than any text may have.
const BYTES: usize = 16_385;
/// More items than any list may have.
const ITEMS: usize = 100_001;
/// How a list is refused for its size.
const TOO_MANY: [&str; 4] = [
    "DIMENSIONS_TOO_LARGE",
    "FIGURES_TOO_MANY",
    "FRAMEWORK_TOO_LARGE",
    "TOO_MANY_ITEMS",
];
/// How a map is refused whose keys are names that the service knows: at the first it does not.
const UNKNOWN: [&str; 2] = ["DIMENSION_UNKNOWN", "SERIES_UNKNOWN"];

/// What came of making a field too large.
#[derive(Debug, PartialEq, Eq)]
enum Outcomes {
    /// It was refused, by its name.
    Refused,
    /// Something else was refused, so the request was not good otherwise.
    Otherwise(String),
    /// It was taken.
    Taken,
}

/// What came of each field: `CreateMarket market.unit`, and what is wrong, if anything is.
pub type Tried = BTreeMap<String, Option<String>>;

/// Tries every field of the ranking service that `output_only` does not name (`Market.uid`).
///
/// # Errors
/// If the service cannot be made, or a method has no sample.
pub fn ranking(output_only: &BTreeSet<String>) -> Outcome<Tried> {
    audit(&World::ranking()?, output_only)
}

/// As [`ranking`], of the forecast service.
///
/// # Errors
/// If the service cannot be made, or a method has no sample.
pub fn forecast(output_only: &BTreeSet<String>) -> Outcome<Tried> {
    audit(&World::forecast()?, output_only)
}

fn audit(world: &World, output_only: &BTreeSet<String>) -> Outcome<Tried> {
    let mut tried = BTreeMap::new();
    for (name, shape) in &world.schema.methods {
        let attempt = Attempt {
            world,
            name,
            shape,
            output_only,
        };
        let mut found: BTreeMap<String, Vec<Outcomes>> = BTreeMap::new();
        for (_, sample) in world.samples.iter().filter(|(of, _)| of == name) {
            attempt.sample(sample, &mut found);
        }
        if found.is_empty() {
            return Err(format!("{name} has no sample, or no field").into());
        }
        let judged = found.into_iter().map(|(path, outcomes)| {
            let fault = judge(outcomes);
            (format!("{name} {path}"), fault)
        });
        tried.extend(judged);
    }
    Ok(tried)
}

/// A field must be refused in one of the samples and be taken in none.
fn judge(outcomes: Vec<Outcomes>) -> Option<String> {
    if outcomes.contains(&Outcomes::Taken) {
        return Some("was taken".to_owned());
    }
    let refused = outcomes.contains(&Outcomes::Refused);
    let first = outcomes.into_iter().next().filter(|_| !refused);
    first.map(|outcome| format!("{outcome:?}"))
}

struct Attempt<'a> {
    world: &'a World,
    name: &'a str,
    shape: &'a Method,
    output_only: &'a BTreeSet<String>,
}

/// A message in a request.
struct Place<'a> {
    message: &'a str,
    /// What it is called in field paths; empty for the request.
    path: String,
    /// What the sample says of it; several where it is a list.
    samples: Vec<Fields>,
    /// The messages around it, which are not gone into again.
    around: Vec<&'a str>,
}

/// A changed request, and where the change is.
struct Change {
    path: String,
    list: bool,
    request: Vec<u8>,
}

impl Attempt<'_> {
    /// Tries every field with a sample around it.
    fn sample(&self, sample: &[u8], found: &mut BTreeMap<String, Vec<Outcomes>>) {
        let frames = match self.shape.streams {
            true => world::frames(sample),
            false => vec![sample.to_vec()],
        };
        for (row, frame) in frames.iter().enumerate() {
            let place = Place {
                message: &self.shape.input,
                path: String::new(),
                samples: vec![wire::read(frame).unwrap_or_default()],
                around: Vec::new(),
            };
            for change in self.changes(&place) {
                let request = match self.shape.streams {
                    true => self.stream(&frames[..row], &change.request),
                    false => self.alone(&change.path, &change.request),
                };
                let outcome = outcome(&change, self.world.call(self.name, request));
                found.entry(change.path).or_default().push(outcome);
            }
        }
    }

    /// The request as one that writes nothing, that was not made before and that changes every
    /// field it names.
    fn alone(&self, path: &str, request: &[u8]) -> Vec<u8> {
        let mut fields = wire::read(request).unwrap_or_default();
        for field in self.world.schema.fields(&self.shape.input) {
            match &field.name[..] {
                "validate_only" => fields.push((field.number, Value::Varint(1))),
                "request_id" | "update_mask" if !path.starts_with(&field.name) => {
                    fields.retain(|(number, _)| *number != field.number);
                }
                _ => {}
            }
        }
        wire::write(&fields)
    }

    /// The frames of an import up to one that was changed, as one that writes nothing and stops at
    /// what is wrong.
    fn stream(&self, before: &[Vec<u8>], changed: &[u8]) -> Vec<u8> {
        let schema = &self.world.schema;
        let mut stream = Vec::new();
        for frame in before.iter().take(1).map(Vec::as_slice).chain([changed]) {
            let mut frame = frame.to_vec();
            if let Some(start) = schema.field(&self.shape.input, "start") {
                let mut fields = wire::read(&frame).unwrap_or_default();
                for (number, value) in &mut fields {
                    let Value::Bytes(bytes) = value else { continue };
                    for (name, value) in [("validate_only", 1), ("on_error", 2)] {
                        let field = schema.field(&start.message, name);
                        let Some(field) = field.filter(|_| *number == start.number) else {
                            continue;
                        };
                        bytes.extend(wire::write(&vec![(field.number, Value::Varint(value))]));
                    }
                }
                frame = wire::write(&fields);
            }
            prost::encoding::encode_varint(frame.len() as u64, &mut stream);
            stream.extend(frame);
        }
        stream
    }

    /// The message with each of its fields, and those of the messages in it, too large.
    fn changes(&self, place: &Place<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        for field in self.world.schema.fields(place.message) {
            let short = place.message.rsplit('.').next().unwrap_or_default();
            if !self
                .output_only
                .contains(&format!("{short}.{}", field.name))
            {
                self.field(place, field, &mut changes);
            }
        }
        changes
    }

    fn field(&self, place: &Place<'_>, field: &Field, changes: &mut Vec<Change>) {
        let schema = &self.world.schema;
        let holds = |sample: &&Fields| sample.iter().any(|(number, _)| *number == field.number);
        let first = place.samples.iter().find(holds);
        // A stream's frames are one message each, and another one would be out of order.
        if place.path.is_empty() && self.shape.streams && first.is_none() {
            return;
        }
        let around = first.or(place.samples.first()).cloned().unwrap_or_default();
        let path = match &place.path[..] {
            "" => field.name.clone(),
            path => format!("{path}.{}", field.name),
        };
        let item = match field.repeated && !is_map(schema, field) {
            true => format!("{path}[0]"),
            false => path.clone(),
        };
        if field.repeated {
            let request = with(&around, field, items(schema, field));
            changes.push(Change {
                path,
                list: true,
                request,
            });
        }
        let known = place.around.contains(&&field.message[..]) || field.message == place.message;
        match field.kind {
            Type::String | Type::Bytes => {
                let text = vec![Value::Bytes(vec![b'x'; BYTES])];
                changes.push(Change {
                    path: item,
                    list: false,
                    request: with(&around, field, text),
                });
            }
            Type::Message if !known => {
                let inner = Place {
                    message: &field.message,
                    path: item,
                    samples: inner(&around, field),
                    around: [&place.around[..], &[place.message]].concat(),
                };
                changes.extend(self.changes(&inner).into_iter().map(|change| Change {
                    request: with(&around, field, vec![Value::Bytes(change.request)]),
                    ..change
                }));
            }
            _ => {}
        }
    }
}

/// A map's entries are messages of key and value.
fn is_map(schema: &Schema, field: &Field) -> bool {
    let fields = schema.fields(&field.message).iter();
    field.message.ends_with("Entry") && fields.map(|field| &field.name[..]).eq(["key", "value"])
}

/// A message with these values of the field alone.
fn with(around: &Fields, field: &Field, values: Vec<Value>) -> Vec<u8> {
    let mut fields = around.clone();
    fields.retain(|(number, _)| *number != field.number);
    fields.extend(values.into_iter().map(|value| (field.number, value)));
    wire::write(&fields)
}

/// The messages that a field holds.
fn inner(around: &Fields, field: &Field) -> Vec<Fields> {
    let found = around.iter().filter_map(|(number, value)| match value {
        Value::Bytes(bytes) if *number == field.number => wire::read(bytes),
        _ => None,
    });
    found.collect()
}

/// Too many items: small ones, all different where they are a map's.
fn items(schema: &Schema, field: &Field) -> Vec<Value> {
    match (field.kind, schema.field(&field.message, "key")) {
        (Type::Message, Some(key)) if is_map(schema, field) => {
            let entry = |row: usize| {
                let key = (key.number, Value::Bytes(format!("k{row}").into_bytes()));
                Value::Bytes(wire::write(&vec![key]))
            };
            (0..ITEMS).map(entry).collect()
        }
        (Type::Message | Type::String | Type::Bytes, _) => vec![Value::Bytes(Vec::new()); ITEMS],
        (Type::Double, _) => vec![Value::Bytes(vec![0; 8 * ITEMS])],
        _ => vec![Value::Bytes(vec![0; ITEMS])],
    }
}

fn outcome(change: &Change, answer: Result<Vec<u8>, Status>) -> Outcomes {
    let status = match answer {
        Ok(_) => return Outcomes::Taken,
        Err(status) => status,
    };
    let refusal = Refusal::from(&status);
    let bad_request = status.get_error_details().bad_request().is_some();
    let told = refusal.fields.iter().any(|(field, reason, _)| {
        if change.list {
            let large = TOO_MANY.contains(&&reason[..]);
            let unknown = UNKNOWN.contains(&&reason[..]) && field.ends_with(".members");
            return is_at(&change.path, field) && (large || unknown);
        }
        is_at(&change.path, field)
    });
    match status.code() == Code::InvalidArgument && bad_request && told {
        true => Outcomes::Refused,
        false => Outcomes::Otherwise(refusal.to_string()),
    }
}

/// Whether a field is told as the one at a path. Rows are told by their place in the chunk. What is
/// wrong with an entry of a map is told of the
/// map, and what is wrong with a mask or a consistency may be told of the whole.
fn is_at(path: &str, field: &str) -> bool {
    let path = path
        .strip_prefix("chunk.")
        .filter(|_| !field.starts_with("chunk."))
        .unwrap_or(path);
    let rest = path.strip_prefix(field);
    let whole = ["consistency.", "update_mask."];
    rest.is_some_and(|rest| matches!(rest, "" | ".key" | ".value"))
        || whole
            .iter()
            .any(|whole| path.starts_with(whole) && whole.starts_with(field))
}
