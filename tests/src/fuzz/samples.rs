//! Requests that fill a small store and ask about it: each is answered with OK, in this order.

use prost::Message;

mod forecast;
mod ranking;
mod standard;

pub(super) use forecast::forecast;
pub(super) use ranking::ranking;

/// Methods and requests.
pub(super) type Samples = Vec<(&'static str, Vec<u8>)>;

fn add(samples: &mut Samples, method: &'static str, request: &impl Message) {
    samples.push((method, request.encode_to_vec()));
}

/// A stream as one input: its messages, length-delimited.
fn add_stream(samples: &mut Samples, method: &'static str, requests: &[impl Message]) {
    let frames = requests
        .iter()
        .flat_map(Message::encode_length_delimited_to_vec);
    samples.push((method, frames.collect()));
}

/// A request ID, one of its own for each number.
fn request_id(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}
