//! What a call costs: a what-if ranking, and a read against a handler that does nothing.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use almanac_proto::ranking::v1 as pb;
use almanac_tests::{
    Outcome, data,
    loadgen::{Report, closed_loop},
    service::{Ranking, Running, connect},
    table, wire,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::row::Row;

/// Connections, and callers on each.
const LOAD: (usize, usize) = (4, 16);
/// How long a load lasts.
const TIME: Duration = Duration::from_secs(2);
/// Repetitions, of which the median counts.
const ROUNDS: usize = 5;

/// GetEntity with a handler that answers at once: the reference.
#[derive(Clone)]
struct Empty;

impl UnaryService<pb::GetEntityRequest> for Empty {
    type Response = pb::Entity;
    type Future = Ready<Result<Response<pb::Entity>, Status>>;

    fn call(&mut self, _: Request<pb::GetEntityRequest>) -> Self::Future {
        ready(Ok(Response::new(pb::Entity::default())))
    }
}

impl Service<http::Request<Body>> for Empty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let codec = ProstCodec::<pb::Entity, pb::GetEntityRequest>::default();
        Box::pin(async move { Ok(Grpc::new(codec).unary(Self, request).await) })
    }
}

impl NamedService for Empty {
    const NAME: &'static str = "almanac.ranking.v1.RankingService";
}

/// The rows of the group.
pub(crate) async fn rows() -> Outcome<Vec<Row>> {
    let dir = TempDir::new()?;
    let service = Running::<Ranking>::start(dir.path()).await?;
    let city = load(&mut service.client()).await?;
    let rows = vec![
        what_if(&service).await?,
        reads(service.address(), &city).await?,
    ];
    service.stop().await?;
    Ok(rows)
}

/// The world-cities figures; the ID of a city.
async fn load(client: &mut table::Client) -> Outcome<String> {
    let data = data::cities()?;
    let indicators: Vec<String> = data.indicators.iter().map(|of| of.id.clone()).collect();
    let cities: Vec<String> = data.cities.iter().map(|of| of.id.clone()).collect();
    table::create(client, &indicators, &cities, "2026").await?;
    let figures = data.cells.iter().filter_map(|cell| {
        let value = cell.value?;
        Some(wire::observation(
            &cell.indicator,
            &cell.city,
            &cell.period,
            value,
        ))
    });
    table::write(client, figures.collect()).await?;
    Ok(cities.into_iter().next().ok_or("no city")?)
}

async fn what_if(service: &Running<Ranking>) -> Outcome<Row> {
    let data = data::cities()?;
    let node = data.indicators.first().ok_or("no indicator")?.id.clone();
    let request = table::ranking(&[(&node, 2.5)]);
    let call = move |mut client: table::Client| {
        let request = request.clone();
        async move { code(client.list_ranking_results(request).await) }
    };
    let clients = [service.client()];
    let warm = Duration::from_millis(300);
    closed_loop(&clients, 1, warm, call.clone()).await?;
    let report = all_ok(closed_loop(&clients, 1, TIME, call).await?)?;
    let p50 = report
        .percentile(50)
        .ok_or("no what-if call was answered")?;
    let name = "what-if call, 74 cities x 14 indicators, p50";
    Ok(Row::time(name, p50, Duration::from_millis(1)))
}

async fn reads(address: SocketAddr, city: &str) -> Outcome<Row> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let empty = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(Empty);
    let server = server.serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    let (mut readers, mut idlers) = (Vec::new(), Vec::new());
    for _ in 0..LOAD.0 {
        readers.push(table::Client::new(connect(address).await?));
        idlers.push(table::Client::new(connect(empty).await?));
    }
    let name = format!("{}/entities/{city}", table::DATASET);
    let read = move |mut client: table::Client| {
        let request = pb::GetEntityRequest {
            name: name.clone(),
            ..Default::default()
        };
        async move { code(client.get_entity(request).await) }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let report = closed_loop(&idlers, LOAD.1, TIME, read.clone()).await?;
        theirs.push(all_ok(report)?.throughput());
        let report = closed_loop(&readers, LOAD.1, TIME, read.clone()).await?;
        ours.push(all_ok(report)?.throughput());
    }
    server.abort();
    let name = "GetEntity, 64 callers; an empty handler of it";
    Ok(Row::rate(name, median(ours), median(theirs), 0.8))
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// A load whose calls fail measures something else.
fn all_ok(report: Report) -> Outcome<Report> {
    if report.codes.keys().any(|code| *code != i32::from(Code::Ok)) {
        return Err(format!("calls failed, by code: {:?}", report.codes).into());
    }
    Ok(report)
}

/// The middle value; of an even number the upper one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
