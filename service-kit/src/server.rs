//! Runs a service: health, reflection, its own methods, and an orderly end.

use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    connections::Connections,
    deadline::Phase,
    fault::Fault,
    guard::GuardLayer,
    limits::Limits,
    pool::{Pool, PoolSettings},
    slot::StoreSlot,
    store::{Health as StoreHealth, Store, StoreError, StoreOptions},
};

/// Most bytes of the headers of a request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// After how long the system asks whether the caller of a quiet connection is still there. Asked by
/// TCP: pings of HTTP/2 would have every frame of every call take a lock and look at the clock.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How often it asks again, and how many questions may go unanswered.
const KEEPALIVE_AGAIN: (Duration, u32) = (Duration::from_secs(10), 3);
/// How long callers may take to read that their calls were cut off at the end.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// How long computations may take to stop once nobody waits for them. They look every few
/// milliseconds.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why a service ended badly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The store could not be opened or closed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The threads for computations could not be started.
    #[error("{0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The process could not do something basic.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Work left over from before could not be taken up.
    #[error("{}", .0.message())]
    Resume(Fault),
    /// A part of the server is wrong.
    #[error("{0}")]
    Start(String),
}

/// What the kit needs to know of a service.
#[derive(Debug)]
pub struct Settings {
    /// Full name of the gRPC service, for health: `almanac.ranking.v1.RankingService`.
    pub service: &'static str,
    /// Error domain: `ranking.almanac`.
    pub domain: &'static str,
    /// See [`GuardLayer::computing`].
    pub computing: &'static [&'static str],
    /// Encoded descriptors of the service's own package.
    pub descriptors: &'static [u8],
    /// Where the store is.
    pub data_dir: PathBuf,
    /// How the store is opened.
    pub store: StoreOptions,
    /// How long calls in flight may take once the service is told to stop.
    pub drain: Duration,
    /// The threads that computations share.
    pub compute: PoolSettings,
    /// What callers may ask for at most.
    pub limits: Limits,
}

/// Serves `routes` until `shutdown` ends, then drains and closes the store.
///
/// The listener answers health checks (NOT_SERVING) while the store is being opened; `slot` is
/// filled once it is. Then `start` takes up work left over from before, and the health turns to
/// SERVING.
///
/// # Errors
/// [`ServeError`] if the store cannot be opened or closed, or the transport fails.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    slot: Arc<StoreSlot>,
    routes: Routes,
    start: impl AsyncFnOnce(Store) -> Result<(), Fault>,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let health_of = Health {
        reporter,
        service: settings.service,
    };
    health_of.set(ServingStatus::NotServing).await;
    let routes = reflection(routes.add_service(health), settings.descriptors)?;

    let pool = Pool::new(settings.compute, settings.limits)?;
    let (stop, stopped) = watch::channel(Phase::Serving);
    let transport = tokio::spawn(transport(&settings, listener, routes, &pool, stopped));
    let store = open(settings.data_dir, settings.store).await?;
    slot.fill(store.clone());
    let started = pool.clone().scope(start(store.clone())).await;
    started.map_err(ServeError::Resume)?;
    health_of.set(ServingStatus::Serving).await;
    tracing::info!("serving");

    until_stopped_or_failed(shutdown, &store, &health_of).await;
    health_of.set(ServingStatus::NotServing).await;
    tracing::info!(seconds = settings.drain.as_secs_f64(), "draining");
    stop.send_replace(Phase::Draining);
    let drained = drain(transport, settings.drain, &stop).await;
    if !pool.idle(STOP_LIMIT).await {
        tracing::warn!("a computation did not stop; the store is closed under it");
    }
    tokio::task::spawn_blocking(move || store.close())
        .await
        .map_err(io::Error::other)??;
    tracing::info!("stopped");
    drained
}

struct Health {
    reporter: HealthReporter,
    service: &'static str,
}

impl Health {
    /// The status of the service and of the server as a whole.
    async fn set(&self, status: ServingStatus) {
        self.reporter.set_service_status("", status).await;
        self.reporter.set_service_status(self.service, status).await;
    }
}

/// Reflection of the service's own package and health, in both versions of the protocol.
fn reflection(routes: Routes, descriptors: &'static [u8]) -> Result<Routes, ServeError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let wrong = |error: tonic_reflection::server::Error| ServeError::Start(error.to_string());
    let v1 = builder().build_v1().map_err(wrong)?;
    let v1alpha = builder().build_v1alpha().map_err(wrong)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

fn transport(
    settings: &Settings,
    listener: TcpListener,
    routes: Routes,
    pool: &Pool,
    mut phase: watch::Receiver<Phase>,
) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static {
    // Small answers must not wait for the next packet; tonic's own option is not applied to
    // listeners that are handed over.
    let incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(KEEPALIVE))
        .with_keepalive_interval(Some(KEEPALIVE_AGAIN.0))
        .with_keepalive_retries(Some(KEEPALIVE_AGAIN.1));
    let limits = settings.limits;
    let connections = Connections::new(incoming, limits.max_connections, phase.clone());
    let guard = GuardLayer {
        domain: settings.domain,
        max_message_bytes: limits.max_message_bytes,
        pool: pool.clone(),
        computing: settings.computing,
        phase: phase.clone(),
        max_deadline: limits.max_deadline,
        max_calls: limits.max_calls,
    };
    let mut server = Server::builder()
        .max_concurrent_streams(limits.max_streams)
        .http2_max_header_list_size(MAX_HEADER_BYTES);
    if let Some(age) = limits.max_connection_age {
        // Not with tonic's grace, which skips telling the client. What ends the calls that run on
        // is their deadline.
        server = server.max_connection_age(age);
    }
    server
        .layer(guard)
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, async move {
            // The sender goes away only with the whole service, which is a reason to stop too.
            drop(phase.wait_for(|phase| *phase != Phase::Serving).await);
        })
}

async fn open(data_dir: PathBuf, options: StoreOptions) -> Result<Store, ServeError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&data_dir, options)).await;
    Ok(opened.map_err(io::Error::other)??)
}

/// Waits for the signal to stop; meanwhile says NOT_SERVING once the store takes no more writes.
async fn until_stopped_or_failed(
    shutdown: impl Future<Output = ()>,
    store: &Store,
    health: &Health,
) {
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        reason = failure(store) => {
            tracing::error!(reason, "the store failed and takes no more writes; reads go on");
            health.set(ServingStatus::NotServing).await;
            shutdown.await;
        }
    }
}

/// Waits until the store takes no more writes, and says why.
async fn failure(store: &Store) -> String {
    let mut health = store.watch_health();
    let failed = health
        .wait_for(|health| *health != StoreHealth::Serving)
        .await;
    match failed.as_deref() {
        Ok(StoreHealth::Failed { reason }) => reason.clone(),
        Ok(_) | Err(_) => "it was closed".to_owned(),
    }
}

async fn drain(
    mut transport: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    limit: Duration,
    phase: &watch::Sender<Phase>,
) -> Result<(), ServeError> {
    let ended = match tokio::time::timeout(limit, &mut transport).await {
        Ok(ended) => Ok(ended),
        Err(_) => {
            tracing::warn!("calls were still in flight at the end of the drain time");
            phase.send_replace(Phase::Over);
            tokio::time::timeout(ANSWER_LIMIT, &mut transport).await
        }
    };
    match ended {
        Ok(ended) => Ok(ended.map_err(io::Error::other)??),
        Err(_) => {
            transport.abort();
            Ok(())
        }
    }
}

/// Ends at SIGTERM or ^C.
///
/// # Errors
/// If the process cannot listen to signals.
pub fn signals() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
