//! What callers do when the signal comes: short reads, writes, long computations, imports.

use std::{future::Future, time::Instant};

use almanac_proto::{
    common::v1::ImportStart,
    forecast::v1::{self as forecast, forecast_service_client::ForecastServiceClient},
    ranking::v1::{self as ranking, ranking_service_client::RankingServiceClient},
};
use almanac_service_kit::import::{Answer, Frame};
use tokio::sync::watch;
use tonic::{Code, Status, transport::Channel};

use super::{
    super::work::{Long, Pending, pending},
    Seen,
};
use crate::{
    loader::{ImportStream, Importer},
    question::question,
    service::{Forecast, Ranking},
    table, wire,
};

/// What callers call.
pub(super) type Call = fn(Channel, u64) -> Pending;

/// Regions of a question that takes some tenths of a second.
const REGIONS: usize = 60;
/// Rows of a chunk.
const ROWS: usize = 100;

/// A service under load.
pub(super) trait Load: Long {
    /// Calls by name, and how many callers each has.
    fn load() -> [(&'static str, u64, Call); 3];

    /// An import that goes on until it is ended.
    fn stream(
        channel: Channel,
        stopped: watch::Receiver<bool>,
    ) -> impl Future<Output = Vec<Seen>> + Send + 'static;
}

impl Load for Ranking {
    fn load() -> [(&'static str, u64, Call); 3] {
        [
            ("GetEntity", 4, |channel, _| {
                let mut client = RankingServiceClient::new(channel);
                let request = ranking::GetEntityRequest {
                    name: format!("{}/entities/e0", table::DATASET),
                    consistency: None,
                };
                pending(async move { client.get_entity(request).await })
            }),
            ("WriteObservations", 4, |channel, number| {
                let mut client = RankingServiceClient::new(channel);
                let value = number as f64;
                let request = ranking::WriteObservationsRequest {
                    parent: table::DATASET.to_owned(),
                    observations: vec![wire::observation("i0", "e0", "1999", value)],
                    ..Default::default()
                };
                pending(async move { client.write_observations(request).await })
            }),
            ("ListRankingResults", 2, |channel, number| {
                let mut client = RankingServiceClient::new(channel);
                let request = table::ranking(&[("i1", 1.5 + (number % 1_000_000) as f64 / 1e6)]);
                pending(async move { client.list_ranking_results(request).await })
            }),
        ]
    }

    async fn stream(channel: Channel, stopped: watch::Receiver<bool>) -> Vec<Seen> {
        let row = |row: usize| wire::observation("i1", "e1", &(1500 + row).to_string(), row as f64);
        import(
            RankingServiceClient::new(channel),
            table::DATASET,
            row,
            stopped,
        )
        .await
    }
}

impl Load for Forecast {
    fn load() -> [(&'static str, u64, Call); 3] {
        [
            ("GetMarket", 4, |channel, _| {
                let mut client = ForecastServiceClient::new(channel);
                let request = forecast::ListMarketsRequest::default();
                pending(async move { client.list_markets(request).await })
            }),
            ("WritePoints", 4, |channel, number| {
                let mut client = ForecastServiceClient::new(channel);
                let request = forecast::WritePointsRequest {
                    parent: "markets/large".to_owned(),
                    points: vec![wire::point("s0", "1999", number as f64)],
                    ..Default::default()
                };
                pending(async move { client.write_points(request).await })
            }),
            ("SolvePublishedFigures", 2, |channel, _| {
                let mut client = ForecastServiceClient::new(channel);
                let request = question(REGIONS);
                pending(async move { client.solve_published_figures(request).await })
            }),
        ]
    }

    async fn stream(channel: Channel, stopped: watch::Receiver<bool>) -> Vec<Seen> {
        let row = |row: usize| wire::point("s1", &(1500 + row).to_string(), row as f64);
        import(
            ForecastServiceClient::new(channel),
            "markets/large",
            row,
            stopped,
        )
        .await
    }
}

/// Sends chunk after chunk, each once the one before is acknowledged.
async fn import<C: Importer>(
    mut client: C,
    parent: &str,
    row: fn(usize) -> C::Row,
    stopped: watch::Receiver<bool>,
) -> Vec<Seen> {
    let what = "a chunk of an import";
    let mut seen = Vec::new();
    let mut begin = Instant::now();
    let start = ImportStart {
        parent: parent.to_owned(),
        import_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let begun = async {
        let mut stream = ImportStream::open(&mut client).await?;
        stream.send(Frame::Start(start)).await;
        answered(&mut stream).await?;
        Ok(stream)
    };
    let mut stream = match begun.await {
        Ok(stream) => stream,
        Err(status) => {
            let (end, answer) = (Instant::now(), Err(status));
            return vec![Seen {
                what,
                begin,
                end,
                answer,
            }];
        }
    };
    let mut sequence = 0;
    while !*stopped.borrow() {
        sequence += 1;
        begin = Instant::now();
        let rows = (0..ROWS).map(row).collect();
        stream.send(Frame::Chunk { sequence, rows }).await;
        let answer = answered(&mut stream).await;
        let over = answer.is_err();
        let end = Instant::now();
        seen.push(Seen {
            what,
            begin,
            end,
            answer,
        });
        if over {
            break;
        }
    }
    seen
}

async fn answered<C: Importer>(stream: &mut ImportStream<C>) -> Result<(), Status> {
    match stream.next().await? {
        Some(Answer::Resume(_) | Answer::Ack(_)) => Ok(()),
        other => Err(Status::new(Code::Unknown, format!("{other:?}"))),
    }
}
