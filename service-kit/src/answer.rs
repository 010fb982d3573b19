//! The body of an answer, watched until its last byte: it ends with the call's deadline, and with
//! it ends the call's place among those that run.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::{fault::Fault, guard::Call};

/// The body of one answer.
pub(crate) struct Answer {
    /// None once it was cut off.
    inner: Option<Body>,
    call: Call,
}

impl Answer {
    /// Watches `inner`, the answer to `call`.
    pub(crate) fn new(inner: Body, call: Call) -> Self {
        Self {
            inner: Some(inner),
            call,
        }
    }

    /// Stops what makes the messages, and says why in the trailers.
    fn cut(&mut self, fault: Fault) -> Frame<<Body as HttpBody>::Data> {
        self.inner = None;
        tracing::info!(reason = fault.reason(), "an answer was cut off");
        let mut trailers = HeaderMap::new();
        if let Err(error) = self.call.status(fault).add_header(&mut trailers) {
            tracing::error!(%error, "a status that is no header");
        }
        Frame::trailers(trailers)
    }
}

impl HttpBody for Answer {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        // One that always has a next message must end at its deadline too.
        if !this.call.is_late() {
            let pool = this.call.pool();
            let next = pool.within(|| Pin::new(inner).poll_frame(context));
            if next.is_ready() {
                return next;
            }
        }
        let ended = this.call.poll_end(context);
        ended.map(|fault| Some(Ok(this.cut(fault))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
