//! The layer around a service that never answers, or answers without an end.

use std::future::{pending, ready};

use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::sync::oneshot;
use tonic_types::StatusExt as _;

use super::*;
use crate::{limits::Limits, pool::PoolSettings};

type Answered = Result<Response<Body>, Infallible>;

/// A service whose answers come from a function.
#[derive(Clone)]
struct Inner<F>(F);

impl<F, R> Service<Request<Body>> for Inner<F>
where
    F: FnMut() -> R,
    R: Future<Output = Answered> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> R {
        (self.0)()
    }
}

/// A body that says one frame and then nothing, until `_ends` tells that it was dropped.
struct Endless {
    first: Option<Frame<<Body as http_body::Body>::Data>>,
    _ends: oneshot::Sender<()>,
}

impl http_body::Body for Endless {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        match self.first.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Pending,
        }
    }
}

/// The layer with places for this many calls, and what tells it how far the service is.
fn layer(max_calls: usize) -> (GuardLayer, watch::Sender<Phase>) {
    let (tell, phase) = watch::channel(Phase::Serving);
    let settings = PoolSettings {
        threads: 1,
        queue: 0,
        memory_bytes: 1 << 30,
    };
    let layer = GuardLayer {
        domain: "kit.almanac",
        max_message_bytes: 1,
        pool: Pool::new(settings, Limits::default()).unwrap(),
        computing: &["Compute"],
        phase,
        max_deadline: None,
        max_calls,
    };
    (layer, tell)
}

fn request(timeout: Option<&str>) -> Request<Body> {
    request_to("Do", timeout)
}

fn request_to(method: &str, timeout: Option<&str>) -> Request<Body> {
    let path = format!("/almanac.kit.v1.KitService/{method}");
    let mut request = Request::builder().uri(path);
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(Body::empty()).unwrap()
}

/// Code and reason that headers or trailers tell.
fn told(headers: &HeaderMap) -> (Code, String) {
    let status = Status::from_header_map(headers).unwrap();
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

async fn frame(body: &mut Body) -> Option<Frame<<Body as http_body::Body>::Data>> {
    let next = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
    next.map(Result::unwrap)
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_its_work_is_dropped() {
    let (layer, _tell) = layer(1);
    let (work, mut ends) = oneshot::channel::<()>();
    let mut work = Some(work);
    let mut guarded = layer.layer(Inner(move || {
        let work = work.take();
        async move {
            let _work = work;
            pending::<Answered>().await
        }
    }));
    let started = tokio::time::Instant::now();
    let response = guarded.call(request(Some("250m"))).await.unwrap();
    let expected = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
    assert_eq!(told(response.headers()), expected);
    assert_eq!(started.elapsed().as_millis(), 250);
    assert_eq!(ends.try_recv(), Err(oneshot::error::TryRecvError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline_too() {
    let (layer, _tell) = layer(1);
    let (ends, mut ended) = oneshot::channel();
    let mut ends = Some(ends);
    let mut guarded = layer.layer(Inner(move || {
        let body = Endless {
            first: Some(Frame::data("x".into())),
            _ends: ends.take().unwrap(),
        };
        ready(Ok(Response::new(Body::new(body))))
    }));
    let server = Arc::clone(&guarded.server);
    let running = || server.running.load(Ordering::Acquire);
    let response = guarded.call(request(Some("1S"))).await.unwrap();
    let mut body = response.into_body();
    assert!(frame(&mut body).await.unwrap().is_data());
    assert_eq!(running(), 1);
    let trailers = frame(&mut body).await.unwrap().into_trailers().unwrap();
    let expected = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
    assert_eq!(told(&trailers), expected);
    assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(frame(&mut body).await.is_none());
    drop(body);
    assert_eq!(running(), 0);
}

#[tokio::test]
async fn one_call_too_many_is_refused_and_a_dropped_one_frees_its_place() {
    let (layer, _tell) = layer(1);
    let mut guarded = layer.layer(Inner(pending::<Answered>));
    let mut first = guarded.call(request(None));
    assert!(poll_once(&mut first).await.is_pending());
    let second = guarded.call(request(None)).await.unwrap();
    let expected = (Code::ResourceExhausted, "TOO_MANY_CALLS".to_owned());
    assert_eq!(told(second.headers()), expected);
    let status = Status::from_header_map(second.headers()).unwrap();
    let details = status.get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    drop(first);
    let mut third = guarded.call(request(None));
    assert!(poll_once(&mut third).await.is_pending());
}

#[tokio::test]
async fn without_a_place_to_compute_what_must_compute_is_not_even_read() {
    let (layer, _tell) = layer(1);
    let pool = layer.pool.clone();
    let mut guarded = layer.layer(Inner(|| ready(Ok(Response::new(Body::empty())))));
    let place = pool.call_slot().await.unwrap();
    let refused = guarded.call(request_to("Compute", None)).await.unwrap();
    let expected = (Code::ResourceExhausted, "COMPUTE_BUSY".to_owned());
    assert_eq!(told(refused.headers()), expected);
    let mut is_ok = async |method: &str| {
        let response = guarded.call(request_to(method, None)).await.unwrap();
        Status::from_header_map(response.headers()).is_none()
    };
    assert!(is_ok("Do").await);
    drop(place);
    assert!(is_ok("Compute").await);
}

#[tokio::test]
async fn draining_finishes_what_comes_and_cuts_off_at_last() {
    let (layer, tell) = layer(3);
    let (finish, finished) = oneshot::channel::<()>();
    let mut finished = Some(finished);
    let mut guarded = layer.layer(Inner(move || {
        let finished = finished.take();
        async move {
            match finished {
                Some(finished) => finished.await.unwrap(),
                None => pending().await,
            }
            Ok(Response::new(Body::empty()))
        }
    }));
    let mut first = guarded.call(request(None));
    let mut second = guarded.call(request(None));
    assert!(poll_once(&mut first).await.is_pending());
    assert!(poll_once(&mut second).await.is_pending());

    let draining = (Code::Unavailable, "SERVER_DRAINING".to_owned());
    tell.send_replace(Phase::Draining);
    // It was on its way.
    let mut third = guarded.call(request(None));
    assert!(poll_once(&mut third).await.is_pending());
    assert!(poll_once(&mut first).await.is_pending());
    finish.send(()).unwrap();
    assert!(Status::from_header_map(first.await.unwrap().headers()).is_none());

    assert!(poll_once(&mut second).await.is_pending());
    tell.send_replace(Phase::Over);
    let fourth = guarded.call(request(None));
    for cut_off in [second, third, fourth] {
        assert_eq!(told(cut_off.await.unwrap().headers()), draining);
    }
}

#[tokio::test]
async fn the_id_of_a_call_is_told_where_it_leads_somewhere() {
    let (layer, tell) = layer(1);
    let mut guarded = layer.layer(Inner(|| ready(Ok(Response::new(Body::empty())))));
    let id = |response: &Response<Body>| {
        let id = response.headers().get("x-request-id")?;
        Some(id.to_str().unwrap().to_owned())
    };
    let mut named = request(None);
    let name = http::HeaderValue::from_static("mine");
    named.headers_mut().insert("x-request-id", name);
    assert_eq!(
        id(&guarded.call(named).await.unwrap()),
        Some("mine".to_owned())
    );
    assert_eq!(id(&guarded.call(request(None)).await.unwrap()), None);

    // Without a log it leads nowhere.
    tell.send_replace(Phase::Over);
    assert_eq!(id(&guarded.call(request(None)).await.unwrap()), None);

    let log = tracing_subscriber::fmt().with_writer(std::io::sink);
    let _logged = tracing::subscriber::set_default(log.finish());
    let (layer, tell) = self::layer(1);
    let mut guarded = layer.layer(Inner(|| ready(Ok(Response::new(Body::empty())))));
    // Of those that are turned away, the first of a second has a line, to which its ID leads.
    tell.send_replace(Phase::Over);
    assert!(id(&guarded.call(request(None)).await.unwrap()).is_some());

    let (layer, _tell) = self::layer(1);
    let refuse = || ready(Ok(Status::not_found("nothing there").into_http()));
    let mut guarded = layer.layer(Inner(refuse));
    let mut refusals = Vec::new();
    for _ in 0..2 {
        refusals.push(id(&guarded.call(request(None)).await.unwrap()).unwrap());
    }
    assert_ne!(refusals[0], refusals[1]);
}
