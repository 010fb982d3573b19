//! The layer around every call: request ID, log line, its place among those that run, its deadline,
//! panics contained, and transport errors answered with a reason.

use std::{
    any::Any,
    convert::Infallible,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use almanac_proto::common::v1::ErrorReason;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{
    answer::Answer,
    deadline::{Ending, Phase, deadline, draining},
    fault::Fault,
    pool::Pool,
};

/// How the paths of the service's own methods begin; those of health and reflection do not.
const OWN_METHODS: &str = "/almanac.";
/// When a caller that was turned away may find a place.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The metadata entry that carries the request ID, both ways.
pub const REQUEST_ID: &str = "x-request-id";

/// Wraps a server; `domain` is the error domain of the service (`ranking.almanac`).
#[derive(Debug, Clone)]
pub struct GuardLayer {
    /// The error domain of the service.
    pub domain: &'static str,
    /// Most bytes of a request message, for the text of the refusal.
    pub max_message_bytes: usize,
    /// Where the calls compute.
    pub pool: Pool,
    /// How far the service is with ending.
    pub phase: watch::Receiver<Phase>,
    /// How long a call may take, if there is a limit.
    pub max_deadline: Option<Duration>,
    /// A permit for each call and stream of the service's own methods.
    pub calls: Arc<Semaphore>,
    /// How many permits there are, for the text of the refusal.
    pub max_calls: usize,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            settings: Arc::new(self.clone()),
        }
    }
}

/// See [`GuardLayer`].
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    settings: Arc<GuardLayer>,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let id = request_id(&request);
        let method = request.uri().path().to_owned();
        let span = tracing::info_span!("call", request_id = %id, %method);
        let started = Instant::now();
        let settings = Arc::clone(&self.settings);
        let (place, mut ending) = match settings.admit(&request) {
            Ok(admitted) => admitted,
            Err(fault) => {
                let turn_away = async move { Ok(finish(settings.refuse(fault), &id, started)) };
                return Box::pin(turn_away.instrument(span));
            }
        };
        let pool = settings.pool.clone();
        let call = AssertUnwindSafe(pool.clone().scope(self.inner.call(request))).catch_unwind();
        let answer = async move {
            // What the call still does when this ends, ends with it.
            let outcome = tokio::select! {
                biased;
                outcome = call => outcome,
                fault = poll_fn(|context| ending.poll(context)) => Ok(Ok(settings.refuse(fault))),
            };
            let response = match outcome {
                Ok(Ok(response)) => settings.explain(&method, response),
                Ok(Err(never)) => match never {},
                Err(panic) => settings.refuse(Fault::internal(&panic_text(panic.as_ref()))),
            };
            let response = response
                .map(|body| Body::new(Answer::new(body, ending, pool, settings.domain, place)));
            Ok(finish(response, &id, started))
        };
        Box::pin(answer.instrument(span))
    }
}

impl GuardLayer {
    /// Replaces errors that tonic makes by itself, which carry no reason.
    fn explain(&self, method: &str, response: Response<Body>) -> Response<Body> {
        let Some(status) = Status::from_header_map(response.headers()) else {
            return response;
        };
        if !status.details().is_empty() {
            return response;
        }
        let fault = match transport_fault(&status, self.max_message_bytes) {
            Some(fault) => fault,
            None if status.code() == Code::Unimplemented => Fault::new(
                Code::Unimplemented,
                ErrorReason::MethodUnknown,
                format!("there is no method {method}; reflection lists those there are"),
            ),
            None => return response,
        };
        self.refuse(fault)
    }

    /// Whether a call may run: its place among those that do, and what ends it early.
    fn admit(
        &self,
        request: &Request<Body>,
    ) -> Result<(Option<OwnedSemaphorePermit>, Ending), Fault> {
        let phase = self.phase.clone();
        if !request.uri().path().starts_with(OWN_METHODS) {
            // Health and reflection answer at any time, and keep no service from ending.
            return Ok((None, Ending::new(None, phase, Phase::Draining)));
        }
        if *phase.borrow() != Phase::Serving {
            return Err(draining());
        }
        let deadline = deadline(request.headers(), self.max_deadline)?;
        let place = Arc::clone(&self.calls).try_acquire_owned();
        let place = place.map_err(|_| self.too_many())?;
        Ok((Some(place), Ending::new(deadline, phase, Phase::Over)))
    }

    fn too_many(&self) -> Fault {
        let most = self.max_calls.to_string();
        Fault::new(
            Code::ResourceExhausted,
            ErrorReason::TooManyCalls,
            format!("{most} calls and streams run, and no more may; try again a little later"),
        )
        .with("max_calls", most)
        .retry_after(RETRY_AFTER)
    }

    fn refuse(&self, fault: Fault) -> Response<Body> {
        fault.into_status(self.domain).into_http()
    }
}

/// Marks the answer with the request ID and logs it.
fn finish(mut response: Response<Body>, id: &str, started: Instant) -> Response<Body> {
    if let Ok(mut id) = HeaderValue::from_str(id) {
        // Not a secret, but never the same again: it must not push what is out of the table by
        // which HTTP/2 shortens headers.
        id.set_sensitive(true);
        response.headers_mut().insert(REQUEST_ID, id);
    }
    log(&response, started);
    response
}

/// What a message that could not be read is answered; none for other errors of the transport.
pub(crate) fn transport_fault(status: &Status, limit: usize) -> Option<Fault> {
    let text = status.message();
    match status.code() {
        Code::OutOfRange if text.contains("message length too large") => {
            let text = format!("the request message is larger than {limit} bytes; split it");
            let fault = Fault::new(Code::ResourceExhausted, ErrorReason::MessageTooLarge, text);
            Some(fault.with("limit_bytes", limit.to_string()))
        }
        Code::Internal if text.contains("decode") => Some(Fault::new(
            Code::InvalidArgument,
            ErrorReason::MessageMalformed,
            "the bytes are not a message of the method's request type",
        )),
        _ => None,
    }
}

/// The caller's request ID if it is a sane one, else a new one.
fn request_id(request: &Request<Body>) -> String {
    let sane =
        |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let given = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(sane);
    given.map_or_else(new_id, str::to_owned)
}

/// An ID that no other call has: of this process, whose part is random, and of the call. Asking the
/// system for randomness each time would cost more than all else here.
fn new_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{call:x}", *PROCESS)
}

fn log(response: &Response<Body>, started: Instant) {
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => {
            let code = format!("{:?}", status.code());
            tracing::info!(milliseconds, code, error = status.message(), "refused");
        }
        _ => tracing::info!(milliseconds, "answered"),
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests;
