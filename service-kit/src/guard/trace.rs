//! What is told of a call: its ID to the caller, and how it ended to the log.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderValue, Request, Response};
use tonic::{Code, Status, body::Body};
use tracing::Level;

use crate::hex;

/// The metadata entry that carries the request ID, both ways.
const REQUEST_ID: &str = "x-request-id";

/// One call.
pub(super) struct Trace {
    id: String,
    is_callers: bool,
    started: Instant,
}

impl Trace {
    /// A call that begins now, under the caller's ID if that is a sane one, else a new one.
    pub(super) fn new(request: &Request<Body>) -> Self {
        let sane = |id: &&str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = request
            .headers()
            .get(REQUEST_ID)
            .and_then(|id| id.to_str().ok())
            .filter(sane);
        Self {
            id: given.map_or_else(new_id, str::to_owned),
            is_callers: given.is_some(),
            started: Instant::now(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Logs how the call ended. The answer carries the ID where the log has it, or the caller gave
    /// it: reading an ID that leads nowhere would cost a caller as much as reading a small answer.
    pub(super) fn finish(self, mut response: Response<Body>) -> Response<Body> {
        let is_logged = log(&response, self.started);
        if !is_logged && !self.is_callers {
            return response;
        }
        if let Ok(mut id) = HeaderValue::from_str(&self.id) {
            // Not a secret, but never the same again: it must not push what is out of the table by
            // which HTTP/2 shortens headers.
            id.set_sensitive(true);
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

/// An ID that no other call has: of this process, whose part is random, and of the call. Asking the
/// system for randomness each time would cost more than all else here.
fn new_id() -> String {
    static PROCESS: LazyLock<String> =
        LazyLock::new(|| hex::padded(uuid::Uuid::new_v4().as_u64_pair().0));
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut id = String::with_capacity(33);
    id.push_str(&PROCESS);
    id.push('-');
    hex::push(&mut id, CALLS.fetch_add(1, Ordering::Relaxed));
    id
}

/// Refusals for whoever runs the service, answers for whoever looks for something: a line for each
/// would cost more than most answers. Whether there is a line.
fn log(response: &Response<Body>, started: Instant) -> bool {
    let milliseconds = || started.elapsed().as_secs_f64() * 1e3;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => {
            let code = format!("{:?}", status.code());
            tracing::info!(
                milliseconds = milliseconds(),
                code,
                error = status.message(),
                "refused"
            );
            true
        }
        _ => {
            tracing::debug!(milliseconds = milliseconds(), "answered");
            tracing::enabled!(Level::DEBUG)
        }
    }
}
