//! Writes to the forecast service: points, markets, forecasts.

use std::time::{Duration, Instant};

use almanac_proto::forecast::v1::{self as pb, forecast_service_client::ForecastServiceClient};
use tonic::{Status, transport::Channel};

use super::{
    import::import,
    subject::{CHUNKS, Cut, FIRST_YEAR, Found, Kind, Publication, Subject, Write, absent, bulk},
};
use crate::{Outcome, service::Forecast, wire};

type Client = ForecastServiceClient<Channel>;

/// The market that is forecast; single points are new versions of its last year.
const HELD: &str = "markets/held";
const HELD_REGIONS: u64 = 16;
/// The market that batches are written to.
const LOAD: &str = "markets/load";
const LOAD_REGIONS: u64 = 256;
/// The market that nobody asks for.
const BULK_MARKET: &str = "markets/bulk";
/// Years of history before the last one.
const HISTORY: u64 = 10;
const HORIZON: i32 = 3;

/// How long a forecast may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The forecast service as what is written to.
#[derive(Debug, Clone, Copy)]
pub struct Markets;

impl Subject for Markets {
    type Service = Forecast;

    async fn prepare(self, channel: Channel) -> Result<(), Status> {
        let mut client = Client::new(channel);
        let markets = [
            ("held", HELD_REGIONS),
            ("load", LOAD_REGIONS),
            ("bulk", LOAD_REGIONS),
        ];
        for (id, regions) in markets {
            let request = market(id.to_owned(), regions, String::new());
            client.create_market(request).await?;
        }
        let years = FIRST_YEAR - HISTORY..=FIRST_YEAR;
        let history = years.flat_map(|year| {
            (0..HELD_REGIONS).map(move |region| point(region, &year.to_string(), year as f64))
        });
        client
            .write_points(points(HELD, history.collect(), String::new()))
            .await?;
        Ok(())
    }

    async fn send(self, channel: Channel, write: Write) -> Result<String, Cut> {
        let mut client = Client::new(channel);
        let request_id = write.request_id();
        Ok(match write.kind {
            Kind::Figure | Kind::Figures => {
                let (parent, figures) = figures(write);
                let request = points(parent, figures, request_id);
                client.write_points(request).await?.into_inner().revision
            }
            Kind::Import => {
                let rows = |part| chunk(write, part);
                import(&mut client, LOAD, write, rows).await?
            }
            Kind::Resource | Kind::Resources => {
                let request = market(write.id(0), 1, request_id);
                client.create_market(request).await?.into_inner().uid
            }
            Kind::Publication => {
                let request = pb::CreateForecastRequest {
                    parent: HELD.to_owned(),
                    forecast_id: write.id(0),
                    forecast: Some(wire::drift(HORIZON)),
                    // Every other one is acknowledged while it is still being computed.
                    wait: write
                        .serial
                        .is_multiple_of(2)
                        .then(prost_types::Duration::default),
                    request_id,
                    ..Default::default()
                };
                client.create_forecast(request).await?.into_inner().uid
            }
        })
    }

    async fn bulk(self, channel: Channel, number: u64) -> Result<(), Status> {
        let rows = bulk(number, LOAD_REGIONS).map(|(region, year)| point(region, &year, 1.0));
        let request = points(BULK_MARKET, rows.collect(), String::new());
        Client::new(channel).write_points(request).await?;
        Ok(())
    }

    async fn found(self, channel: Channel, write: Write) -> Outcome<Found> {
        let mut client = Client::new(channel);
        let mut found = Found::default();
        match write.kind {
            Kind::Figure | Kind::Figures => {
                let (parent, figures) = figures(write);
                found.part(&versions(&mut client, parent, figures).await?);
            }
            Kind::Import => {
                for part in 0..CHUNKS {
                    found.part(&versions(&mut client, LOAD, chunk(write, part)).await?);
                }
            }
            Kind::Resource | Kind::Resources => {
                let request = pb::GetMarketRequest {
                    name: format!("markets/{}", write.id(0)),
                    consistency: None,
                };
                let market = absent(client.get_market(request).await)?;
                found.part(&[market.map_or(0, |_| 1)]);
            }
            Kind::Publication => forecast(&mut client, write, &mut found).await?,
        }
        Ok(found)
    }
}

/// Waits until a forecast has ended, and verifies one that is published.
async fn forecast(client: &mut Client, write: Write, found: &mut Found) -> Outcome<()> {
    use pb::{forecast::State, verify_forecast_response::Outcome as Replay};

    let name = format!("{HELD}/forecasts/{}", write.id(0));
    let end = Instant::now() + PATIENCE;
    let state = loop {
        let request = pb::GetForecastRequest {
            name: name.clone(),
            consistency: None,
        };
        let Some(forecast) = absent(client.get_forecast(request).await)? else {
            found.part(&[0]);
            return Ok(());
        };
        if forecast.state() != State::Creating || Instant::now() >= end {
            break forecast.state();
        }
        found.resumed = true;
    };
    found.part(&[1]);
    found.publication = Some(match state {
        State::Published => {
            let request = pb::VerifyForecastRequest { name };
            let replay = client.verify_forecast(request).await?;
            if replay.into_inner().outcome() == Replay::Match {
                Publication::Verified
            } else {
                Publication::Unverified
            }
        }
        State::Failed => Publication::Failed,
        _ => Publication::Unverified,
    });
    Ok(())
}

/// How many versions of its point have a figure's value, for each of the figures.
async fn versions(
    client: &mut Client,
    parent: &str,
    figures: Vec<pb::Point>,
) -> Result<Vec<usize>, Status> {
    let mut counts = Vec::new();
    for figure in figures {
        let mut request = pb::ListPointVersionsRequest {
            parent: parent.to_owned(),
            series: figure.series,
            period: figure.period,
            page_size: 1000,
            ..Default::default()
        };
        let mut count = 0;
        while let Some(page) = absent(client.list_point_versions(request.clone()).await)? {
            let same = |version: &&pb::Point| version.state == figure.state;
            count += page.versions.iter().filter(same).count();
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        counts.push(count);
    }
    Ok(counts)
}

fn point(region: u64, year: &str, value: f64) -> pb::Point {
    wire::point(&format!("r{region}"), year, value)
}

/// Where a write of figures goes, and what it holds.
fn figures(write: Write) -> (&'static str, Vec<pb::Point>) {
    if write.kind == Kind::Figure {
        let region = write.serial % HELD_REGIONS;
        return (
            HELD,
            vec![point(region, &FIRST_YEAR.to_string(), write.value())],
        );
    }
    (LOAD, load(write, write.batch(LOAD_REGIONS)))
}

/// What a chunk of an import holds.
fn chunk(write: Write, part: u64) -> Vec<pb::Point> {
    load(write, write.chunk(part, LOAD_REGIONS))
}

fn load(write: Write, cells: impl Iterator<Item = (u64, String)>) -> Vec<pb::Point> {
    let point = |(region, year): (u64, String)| point(region, &year, write.value());
    cells.map(point).collect()
}

fn points(parent: &str, points: Vec<pb::Point>, request_id: String) -> pb::WritePointsRequest {
    pb::WritePointsRequest {
        parent: parent.to_owned(),
        points,
        request_id,
        ..Default::default()
    }
}

fn market(id: String, regions: u64, request_id: String) -> pb::CreateMarketRequest {
    let mut members = vec![wire::member("world", "", "World")];
    members.extend((0..regions).map(|of| wire::member(&format!("r{of}"), "world", "")));
    pb::CreateMarketRequest {
        market_id: id,
        market: Some(wire::market("Sales", "", members)),
        request_id,
        ..Default::default()
    }
}
