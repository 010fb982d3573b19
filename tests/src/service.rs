//! A service in this process, on a loopback port of its own.

use std::{
    future::Future, marker::PhantomData, net::SocketAddr, path::Path, pin::Pin, time::Duration,
};

use almanac_proto::{
    forecast::v1::forecast_service_client::ForecastServiceClient,
    ranking::v1::ranking_service_client::RankingServiceClient,
};
use almanac_service_kit::{
    run::{Config, Program},
    server::ServeError,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::Outcome;

/// No call of a test or of the demo may take longer: a service that hangs is a failure.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// What a service answers when it ends.
pub type Served = Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send>>;

/// One of the two services.
pub trait Kind: 'static {
    /// Its generated client.
    type Client;
    /// What it is called.
    const PROGRAM: Program;

    /// Serves until `shutdown` ends.
    fn serve(config: Config, listener: TcpListener, shutdown: oneshot::Receiver<()>) -> Served;

    /// A client on a connection.
    fn client(channel: Channel) -> Self::Client;
}

/// The ranking service.
#[derive(Debug)]
pub enum Ranking {}

/// The forecast service.
#[derive(Debug)]
pub enum Forecast {}

/// A sender that is dropped says stop as well.
async fn told(shutdown: oneshot::Receiver<()>) {
    drop(shutdown.await);
}

impl Kind for Ranking {
    type Client = RankingServiceClient<Channel>;
    const PROGRAM: Program = ranking_service::PROGRAM;

    fn serve(config: Config, listener: TcpListener, shutdown: oneshot::Receiver<()>) -> Served {
        Box::pin(ranking_service::serve(config, listener, told(shutdown)))
    }

    fn client(channel: Channel) -> Self::Client {
        RankingServiceClient::new(channel)
    }
}

impl Kind for Forecast {
    type Client = ForecastServiceClient<Channel>;
    const PROGRAM: Program = forecast_service::PROGRAM;

    fn serve(config: Config, listener: TcpListener, shutdown: oneshot::Receiver<()>) -> Served {
        Box::pin(forecast_service::serve(config, listener, told(shutdown)))
    }

    fn client(channel: Channel) -> Self::Client {
        ForecastServiceClient::new(channel)
    }
}

/// A service that serves.
#[derive(Debug)]
pub struct Running<K> {
    address: SocketAddr,
    channel: Channel,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
    kind: PhantomData<K>,
}

impl<K: Kind> Running<K> {
    /// Starts it on a free port over the store in `dir`, and waits until it is SERVING.
    ///
    /// # Errors
    /// Why it ended instead.
    pub async fn start(dir: &Path) -> Outcome<Self> {
        Self::start_with(Config::local(dir.to_owned())).await
    }

    /// As [`Running::start`], with a configuration of its own.
    ///
    /// # Errors
    /// Why it ended instead.
    pub async fn start_with(config: Config) -> Outcome<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        Self::start_as(config, listener).await
    }

    /// As [`Running::start`], on a listener that is handed over.
    ///
    /// # Errors
    /// Why it ended instead.
    pub async fn start_on(dir: &Path, listener: TcpListener) -> Outcome<Self> {
        Self::start_as(Config::local(dir.to_owned()), listener).await
    }

    async fn start_as(config: Config, listener: TcpListener) -> Outcome<Self> {
        let address = listener.local_addr()?;
        let (stop, shutdown) = oneshot::channel();
        let mut served = tokio::spawn(K::serve(config, listener, shutdown));
        let ready = async {
            let channel = connect(address).await?;
            serving(channel.clone(), K::PROGRAM.service).await?;
            Outcome::Ok(channel)
        };
        let ready = tokio::select! {
            biased;
            ended = &mut served => {
                ended??;
                return Err(format!("{} ended before it was serving", K::PROGRAM.name).into());
            }
            ready = ready => ready,
        };
        let channel = match ready {
            Ok(channel) => channel,
            Err(error) => {
                // The service's own word is the better one: one that cannot start says so to callers
                // before it has ended.
                drop(stop);
                served.await??;
                return Err(error);
            }
        };
        let kind = PhantomData;
        Ok(Self {
            address,
            channel,
            stop,
            served,
            kind,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection to it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> K::Client {
        K::client(self.channel())
    }

    /// Stops it and waits until its store is closed.
    ///
    /// # Errors
    /// What went wrong at the end, or before.
    pub async fn stop(self) -> Outcome<()> {
        // If it has ended already, waiting for it says why.
        let told = self.stop.send(()).is_ok();
        drop(self.channel);
        self.served.await??;
        if told {
            Ok(())
        } else {
            Err(format!("{} had stopped before it was told to", K::PROGRAM.name).into())
        }
    }
}

/// Connects to a service.
///
/// # Errors
/// Why there is no connection.
pub async fn connect(address: SocketAddr) -> Outcome<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.timeout(CALL_LIMIT).connect().await?)
}

/// Waits until a service says SERVING.
///
/// # Errors
/// Why its health cannot be watched.
pub async fn serving(channel: Channel, service: &str) -> Outcome<()> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut health = HealthClient::new(channel)
        .watch(request)
        .await?
        .into_inner();
    while let Some(answer) = health.message().await? {
        if answer.status() == ServingStatus::Serving {
            return Ok(());
        }
    }
    Err(format!("{service} stopped telling its health").into())
}
