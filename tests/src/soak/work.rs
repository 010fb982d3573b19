//! Calls that compute for long, and a connection that leaves deadlines to the service.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;
use tonic::{Request, Status, body::Body, transport::Channel};

use crate::{Outcome, service::Kind};

mod forecast;
mod ranking;

/// A connection that does not end a call by itself: tonic's own ends it at its deadline, so that
/// what the service answers is never seen.
pub(super) type Patient = Client<HttpConnector, Body>;

/// What is asked of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ask {
    /// Makes its arguments differ from those of other calls.
    pub(super) number: u64,
    /// Its deadline.
    pub(super) timeout: Option<Duration>,
}

impl Ask {
    fn request<T>(self, message: T) -> Request<T> {
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
    pub(super) begin: fn(C, Ask) -> Pending,
}

/// A call of which more is not waited for is long enough.
const LONG: Duration = Duration::from_secs(1);

/// How long a call takes, or [`LONG`].
pub(super) async fn length<C: Clone>(call: &Call<C>, client: &C, ask: Ask) -> Outcome<Duration> {
    let mut length = LONG;
    // What the service keeps decoded is there from the first one on.
    for _ in 0..2 {
        let begun = Instant::now();
        match timeout(LONG, (call.begin)(client.clone(), ask)).await {
            Ok(answer) => answer?,
            Err(_) => return Ok(LONG),
        }
        length = begun.elapsed();
    }
    Ok(length)
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
    let connection = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
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
