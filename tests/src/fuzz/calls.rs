//! Targets that call a method with any request: what the transport decodes goes through the
//! converters and whatever comes after them. Nothing is written: where a method could, the request
//! is made `validate_only`.

use std::sync::OnceLock;

use almanac_service_kit::{
    fault::{MAX_VIOLATION_BYTES, MAX_VIOLATIONS},
    fuzz::with_place,
};
use prost::encoding::encode_varint;
use prost_types::field_descriptor_proto::Type;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    memory::bounded,
    schema::Schema,
    stored::named,
    wire::{self, Value},
    world::World,
};
use crate::Outcome;

/// Most bytes that a call may take, whatever the request: the small world is read, ranked,
/// forecast and listed in it, and figures are solved.
const ROOM: usize = 48 << 20;
/// And so many for each byte of the request.
const FACTOR: usize = 512;
/// Most bytes of an answer; callers take no longer messages unless told to.
const MOST_ANSWER: usize = 4 << 20;
/// What common clients take as trailers.
const MOST_TRAILERS: usize = 8 << 10;

/// The ranking service, made at first use.
///
/// # Panics
/// If it cannot be made.
pub(super) fn ranking_world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| made(World::ranking()))
}

/// The forecast service, made at first use.
///
/// # Panics
/// If it cannot be made.
pub(super) fn forecast_world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| made(World::forecast()))
}

fn made(world: Outcome<World>) -> World {
    match world {
        Ok(world) => world,
        Err(error) => unreachable!("no world to call: {error}"),
    }
}

/// Methods of the ranking service: the method's name, the request.
pub(super) fn ranking(input: &[u8]) -> bool {
    call(ranking_world(), input)
}

/// Methods of the forecast service: the method's name, the request.
pub(super) fn forecast(input: &[u8]) -> bool {
    call(forecast_world(), input)
}

/// Whether the service took it.
fn call(world: &World, input: &[u8]) -> bool {
    let Some((method, request)) = named(input) else {
        return false;
    };
    let Some(shape) = world.schema.methods.get(method) else {
        return false;
    };
    let (request, place) = match shape.streams {
        true => (trial_stream(world, &shape.input, request), None),
        false => trial(&world.schema, &shape.input, request),
    };
    let answer = bounded(input, ROOM, FACTOR, || world.call(method, request.clone()));
    let answer = match &answer {
        Err(status) => {
            refused(world.domain, status);
            return false;
        }
        Ok(answer) => answer,
    };
    answered(&world.schema, &shape.output, answer);
    let Some(next) =
        place.and_then(|place| next_page(&world.schema, &shape.output, answer, &place))
    else {
        return true;
    };
    let mut request = request;
    set(
        &world.schema,
        &shape.input,
        "page_token",
        next.into(),
        &mut request,
    );
    match bounded(input, ROOM, FACTOR, || world.call(method, request)) {
        Err(status) => refused(world.domain, &status),
        Ok(answer) => answered(&world.schema, &shape.output, &answer),
    }
    true
}

/// The request as one that writes nothing; a list's from its first page, with the place that its
/// page token asks to go on at.
fn trial(schema: &Schema, input: &str, request: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut bytes = request.to_vec();
    if let Some(field) = schema.field(input, "validate_only") {
        // The last of several counts.
        encode_varint(u64::from(field.number) << 3, &mut bytes);
        bytes.push(1);
    }
    let Some(token) = schema.field(input, "page_token") else {
        return (bytes, None);
    };
    let fields = wire::read(request).unwrap_or_default();
    let place = fields
        .into_iter()
        .rev()
        .find_map(|(number, value)| match value {
            Value::Bytes(text) if number == token.number => String::from_utf8(text).ok(),
            _ => None,
        });
    if place.is_some() {
        set(
            schema,
            input,
            "page_token",
            Value::Bytes(Vec::new()),
            &mut bytes,
        );
        set(schema, input, "page_size", Value::Varint(1), &mut bytes);
    }
    (bytes, place)
}

/// Sets a field of a message, which has it once.
fn set(schema: &Schema, message: &str, field: &str, value: Value, bytes: &mut Vec<u8>) {
    if let Some(field) = schema.field(message, field) {
        bytes.extend(wire::write(&vec![(field.number, value)]));
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

/// The frames of an import, with a start that writes nothing.
fn trial_stream(world: &World, input: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let start = world.schema.field(input, "start");
    for frame in super::world::frames(request) {
        let mut frame = frame;
        if let (Some(start), Some(mut fields)) = (start, wire::read(&frame)) {
            for (number, value) in &mut fields {
                if let (true, Value::Bytes(bytes)) = (*number == start.number, value) {
                    let only = Value::Varint(1);
                    set(&world.schema, &start.message, "validate_only", only, bytes);
                }
            }
            frame = wire::write(&fields);
        }
        encode_varint(frame.len() as u64, &mut stream);
        stream.extend(frame);
    }
    stream
}

/// The token of an answer's next page, made to go on at another place.
fn next_page(schema: &Schema, output: &str, answer: &[u8], place: &str) -> Option<String> {
    let field = schema.field(output, "next_page_token")?;
    let fields = wire::read(answer)?;
    let token = fields.into_iter().find_map(|(number, value)| match value {
        Value::Bytes(text) if number == field.number => String::from_utf8(text).ok(),
        _ => None,
    })?;
    with_place(&token, place)
}

/// A refusal says why, with a reason and where, in few enough bytes.
fn refused(domain: &str, status: &Status) {
    if status.code() == Code::DeadlineExceeded && status.message().is_empty() {
        // Longer than a target waits.
        return;
    }
    // The transport's own words for bytes that are no message.
    if status.details().is_empty() {
        let transport = status.message().contains("decode") || status.message().contains("Missing");
        assert!(transport, "no reason: {status:?}");
        return;
    }
    let details = status.get_error_details();
    let info = details
        .error_info()
        .map(|info| (&info.domain[..], &info.reason[..]));
    let Some((found, reason)) = info else {
        unreachable!("no ErrorInfo: {status:?}");
    };
    assert_eq!(found, domain, "{status:?}");
    assert!(!reason.is_empty(), "{status:?}");
    let solver = reason == "SOLVER_FAILED";
    let internal = matches!(
        status.code(),
        Code::Internal | Code::Unknown | Code::DataLoss
    );
    assert!(!internal || solver, "{status:?}");
    assert!(status.details().len() < MOST_TRAILERS, "{status:?}");
    let violations = details
        .bad_request()
        .map_or(&[][..], |bad| &bad.field_violations);
    assert!(violations.len() <= MAX_VIOLATIONS, "{status:?}");
    let bytes: usize = violations
        .iter()
        .map(|violation| violation.description.len())
        .sum();
    assert!(bytes <= MAX_VIOLATION_BYTES, "{status:?}");
    if status.code() == Code::InvalidArgument {
        let named = violations
            .iter()
            .all(|violation| !violation.field.is_empty());
        assert!(named, "no place: {status:?}");
    }
}

/// An answer is a message of its type, of a size that callers take, with finite numbers only.
fn answered(schema: &Schema, output: &str, answer: &[u8]) {
    assert!(
        answer.len() <= MOST_ANSWER,
        "an answer of {} bytes",
        answer.len()
    );
    finite(schema, output, answer);
}

fn finite(schema: &Schema, message: &str, bytes: &[u8]) {
    let Some(fields) = wire::read(bytes) else {
        unreachable!("an answer that is no {message}");
    };
    for (number, value) in fields {
        let known = schema.fields(message).iter();
        let Some(field) = known.into_iter().find(|field| field.number == number) else {
            unreachable!("{message} has no field {number}");
        };
        match (field.kind, value) {
            (Type::Message, Value::Bytes(inner)) if field.message != ".google.protobuf.Any" => {
                finite(schema, &field.message, &inner);
            }
            (Type::Double, Value::Eight(double)) => {
                assert!(
                    f64::from_le_bytes(double).is_finite(),
                    "{message}.{}",
                    field.name
                );
            }
            (Type::Double, Value::Bytes(doubles)) => {
                let (doubles, _) = doubles.as_chunks::<8>();
                let good = doubles
                    .iter()
                    .all(|double| f64::from_le_bytes(*double).is_finite());
                assert!(good, "{message}.{}", field.name);
            }
            _ => {}
        }
    }
}
