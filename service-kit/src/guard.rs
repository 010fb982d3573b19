//! The layer around every call: request ID, log line, its place among those that run, its deadline,
//! panics contained, and transport errors answered with a reason.

use std::{
    any::Any,
    convert::Infallible,
    future::{Future, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use futures_util::FutureExt as _;
use http::{Request, Response};
use tokio::sync::watch;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use self::trace::{Trace, TurnedAway};
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

/// Wraps a server; `domain` is the error domain of the service (`ranking.almanac`).
#[derive(Debug, Clone)]
pub struct GuardLayer {
    /// The error domain of the service.
    pub domain: &'static str,
    /// Most bytes of a request message, for the text of the refusal.
    pub max_message_bytes: usize,
    /// Where the calls compute.
    pub pool: Pool,
    /// The service's own methods (`ListPoints`) that have nothing to answer without computing: where
    /// there is no place for that, their calls are refused before they are read. What refusals cost
    /// under overload is missing where answers are computed.
    pub computing: &'static [&'static str],
    /// How far the service is with ending.
    pub phase: watch::Receiver<Phase>,
    /// How long a call may take, if there is a limit.
    pub max_deadline: Option<Duration>,
    /// Calls and streams of the service's own methods that may run at a time.
    pub max_calls: usize,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            server: Arc::new(Server {
                settings: self.clone(),
                running: AtomicUsize::new(0),
                turned_away: TurnedAway::default(),
            }),
        }
    }
}

/// What all calls of a server share. A call has one reference to it, not one to each part: other
/// processors write to these counts of references all the time.
#[derive(Debug)]
struct Server {
    settings: GuardLayer,
    /// Calls and streams of the service's own methods that run.
    running: AtomicUsize,
    /// Calls that were turned away before they were read.
    turned_away: TurnedAway,
}

/// See [`GuardLayer`].
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    server: Arc<Server>,
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
        let trace = Trace::new(&request);
        let server = &self.server;
        let mut call = match server.admit(&request) {
            Ok(call) => call,
            Err(fault) => {
                let for_load = !fault.is(ErrorReason::DeadlineInvalid);
                let response = server.refuse(fault);
                let turned_away = for_load.then_some(&server.turned_away);
                let response = trace.turn_away(response, request.uri().path(), turned_away);
                return Box::pin(ready(Ok(response)));
            }
        };
        let method = request.uri().path().to_owned();
        let span = tracing::info_span!("call", request_id = trace.id(), %method);
        let work = call.pool().scope(self.inner.call(request));
        let work = AssertUnwindSafe(work).catch_unwind();
        let answer = async move {
            // What the call still does when this ends, ends with it.
            let outcome = tokio::select! {
                biased;
                outcome = work => outcome,
                fault = poll_fn(|context| call.poll_end(context)) => {
                    Ok(Ok(call.server.refuse(fault)))
                }
            };
            let response = match outcome {
                Ok(Ok(response)) => call.server.explain(&method, response),
                Ok(Err(never)) => match never {},
                Err(panic) => call
                    .server
                    .refuse(Fault::internal(&panic_text(panic.as_ref()))),
            };
            let response = response.map(|body| Body::new(Answer::new(body, call)));
            Ok(trace.finish(response))
        };
        Box::pin(answer.instrument(span))
    }
}

/// A call that runs, until its answer was read: its place among those that do, and what ends it
/// early.
pub(crate) struct Call {
    server: Arc<Server>,
    ending: Ending,
    has_place: bool,
}

impl Call {
    /// Whether its deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.ending.is_late()
    }

    /// The fault of the call, once it is to end early.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Fault> {
        self.ending.poll(&self.server.settings.phase, context)
    }

    /// Where it computes.
    pub(crate) fn pool(&self) -> Pool {
        self.server.settings.pool.clone()
    }

    /// How it is told a fault.
    pub(crate) fn status(&self, fault: Fault) -> Status {
        fault.into_status(self.server.settings.domain)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.has_place {
            self.server.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Server {
    /// Replaces errors that tonic makes by itself, which carry no reason.
    fn explain(&self, method: &str, response: Response<Body>) -> Response<Body> {
        let Some(status) = Status::from_header_map(response.headers()) else {
            return response;
        };
        if !status.details().is_empty() {
            return response;
        }
        let fault = match transport_fault(&status, self.settings.max_message_bytes) {
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

    /// Lets a call run, if it may.
    fn admit(self: &Arc<Self>, request: &Request<Body>) -> Result<Call, Fault> {
        let own = request.uri().path().starts_with(OWN_METHODS);
        let ending = if own {
            // While it drains, HTTP/2 tells callers to go elsewhere. What was on its way by then comes
            // here, and is answered. A phase that has not changed is the first.
            let phase = &self.settings.phase;
            if phase.has_changed().unwrap_or(true) && *phase.borrow() == Phase::Over {
                return Err(draining());
            }
            let deadline = deadline(request.headers(), self.settings.max_deadline)?;
            self.take_place()?;
            Ending::new(deadline, Phase::Over)
        } else {
            // Health and reflection answer at any time, and keep no service from ending.
            Ending::new(None, Phase::Draining)
        };
        let call = Call {
            server: Arc::clone(self),
            ending,
            has_place: own,
        };
        if own {
            self.find_thread(request.uri().path())?;
        }
        Ok(call)
    }

    /// Refuses a call that could only be refused later, when it asks for a thread to compute on.
    fn find_thread(&self, path: &str) -> Result<(), Fault> {
        let pool = &self.settings.pool;
        let method = path.rsplit('/').next().unwrap_or_default();
        if pool.has_place() || !self.settings.computing.contains(&method) {
            return Ok(());
        }
        Err(pool.busy())
    }

    fn take_place(&self) -> Result<(), Fault> {
        let most = self.settings.max_calls;
        let one_more = |running| (running < most).then_some(running + 1);
        let taken = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.map(drop).map_err(|_| self.too_many())
    }

    fn too_many(&self) -> Fault {
        let most = self.settings.max_calls.to_string();
        Fault::new(
            Code::ResourceExhausted,
            ErrorReason::TooManyCalls,
            format!("{most} calls and streams run, and no more may; try again a little later"),
        )
        .with("max_calls", most)
        .retry_after(RETRY_AFTER)
    }

    fn refuse(&self, fault: Fault) -> Response<Body> {
        fault.into_status(self.settings.domain).into_http()
    }
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

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests;
mod trace;
