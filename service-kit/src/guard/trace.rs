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

    /// As [`Trace::finish`], for a call that was turned away before it was read. Of those that came to
    /// `turned_away`, because there was no room, one a second has a line: under overload a line for
    /// each would take from those that are answered.
    pub(super) fn turn_away(
        self,
        response: Response<Body>,
        method: &str,
        turned_away: Option<&TurnedAway>,
    ) -> Response<Body> {
        let more = turned_away.map_or(Some(0), |turned_away| turned_away.line(uptime()));
        match more {
            Some(more) => {
                let span = tracing::info_span!("call", request_id = self.id(), %method, more);
                span.in_scope(|| self.finish(response))
            }
            None if self.is_callers => self.tell_id(response),
            None => response,
        }
    }

    /// Logs how the call ended. The answer carries the ID where the log has it, or the caller gave
    /// it: reading an ID that leads nowhere would cost a caller as much as reading a small answer.
    pub(super) fn finish(self, response: Response<Body>) -> Response<Body> {
        match log(&response, self.started) || self.is_callers {
            true => self.tell_id(response),
            false => response,
        }
    }

    fn tell_id(&self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(mut id) = HeaderValue::from_str(&self.id) {
            // Not a secret, but never the same again: it must not push what is out of the table by
            // which HTTP/2 shortens headers.
            id.set_sensitive(true);
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

/// The lines of calls that were turned away.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    /// In which second of the process the last one was; 0 before the first.
    second: AtomicU64,
    /// How many calls there were since, without a line.
    more: AtomicU64,
}

impl TurnedAway {
    /// Notes one in this second. If it is the first of it, it gets a line, which says how many there
    /// were without one.
    fn line(&self, second: u64) -> Option<u64> {
        let last = self.second.load(Ordering::Relaxed);
        let taken = |last| {
            let order = Ordering::Relaxed;
            let exchange = self.second.compare_exchange(last, second, order, order);
            exchange.is_ok()
        };
        if second > last && taken(last) {
            return Some(self.more.swap(0, Ordering::Relaxed));
        }
        self.more.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// The second of the process, from 1 on.
fn uptime() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    1 + START.elapsed().as_secs()
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
            tracing::enabled!(Level::INFO)
        }
        _ => {
            tracing::debug!(milliseconds = milliseconds(), "answered");
            tracing::enabled!(Level::DEBUG)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_gets_a_line_that_counts_the_others() {
        let turned_away = TurnedAway::default();
        let lines: Vec<_> = [1, 1, 1, 2, 2, 4, 3, 9]
            .map(|second| turned_away.line(second))
            .into();
        let told = [Some(0), None, None, Some(2), None, Some(1), None, Some(1)];
        assert_eq!(lines, told);
    }
}
