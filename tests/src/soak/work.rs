//! Calls that compute for long, and a connection that leaves deadlines to the service.

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tonic::{Request, Status, body::Body, transport::Channel};

use crate::{Outcome, service::Kind};

mod forecast;
mod ranking;
mod stream;

pub(super) use stream::Streams;

/// A connection that does not end a call by itself: tonic's own ends it at its deadline, so that
/// what the service answers is never seen.
pub(super) type Patient = Client<HttpConnector, Body>;

/// What is asked of a call.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// Makes its arguments differ from those of other calls.
    pub(super) number: u64,
    /// Its deadline.
    pub(super) timeout: Option<Duration>,
    /// Where it streams, if it does.
    pub(super) streams: Streams,
}

impl Ask {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }
}

/// A call under way.
pub(super) type Pending = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// A call that computes for long.
pub(super) struct Call<C> {
    /// What it does.
    pub(super) name: &'static str,
    /// Begins it.
    pub(super) begin: fn(C, &Ask) -> Pending,
    /// Whether what it began ends with it: what is stored as begun does not, it has to be cancelled.
    pub(super) ends_with_its_caller: bool,
    /// Whether it commits while it is under way.
    pub(super) writes: bool,
}

impl<C> Call<C> {
    fn new(name: &'static str, begin: fn(C, &Ask) -> Pending) -> Self {
        Self {
            name,
            begin,
            ends_with_its_caller: true,
            writes: false,
        }
    }

    /// Of a call that commits what it is sent.
    fn writing(name: &'static str, begin: fn(C, &Ask) -> Pending) -> Self {
        Self {
            writes: true,
            ..Self::new(name, begin)
        }
    }

    /// Of a call that cancels what it began when it is dropped.
    fn cancelled(name: &'static str, begin: fn(C, &Ask) -> Pending) -> Self {
        Self {
            ends_with_its_caller: false,
            ..Self::new(name, begin)
        }
    }
}

/// A service with calls that compute for long.
pub(super) trait Long: Kind {
    /// Its generated client over a [`Patient`] connection.
    type Caller: Clone + Send + Sync + 'static;

    /// The calls.
    fn calls() -> Vec<Call<Self::Caller>>;

    /// A client.
    fn caller(connection: Patient, origin: http::Uri) -> Self::Caller;

    /// Writes what the calls compute with: so many entities or series.
    fn prepare(channel: Channel, size: usize) -> impl Future<Output = Outcome<()>> + Send;
}

/// A client on a connection of its own.
pub(super) fn caller<L: Long>(address: SocketAddr) -> Outcome<L::Caller> {
    let mut connector = HttpConnector::new();
    // As tonic's own has it: a call after one that was left would wait 40 ms for its first bytes.
    connector.set_nodelay(true);
    let connection = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let origin = format!("http://{address}").parse()?;
    Ok(L::caller(connection, origin))
}

/// Drops what a call answers.
pub(super) fn pending<T, F>(call: F) -> Pending
where
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    Box::pin(async move { call.await.map(drop) })
}

/// Sends a call when it is dropped, which nobody waits for.
struct OnDrop<F: Future<Output: Send> + Send + 'static>(Option<F>);

impl<F: Future<Output: Send> + Send + 'static> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            tokio::spawn(call);
        }
    }
}

/// Waits for a call that begins something, and cancels that if it is left before.
fn begun<T, F, C>(call: F, cancel: C) -> Pending
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
    C: Future<Output: Send> + Send + 'static,
{
    Box::pin(async move {
        let mut cancel = OnDrop(Some(cancel));
        call.await?;
        cancel.0 = None;
        Ok(())
    })
}
