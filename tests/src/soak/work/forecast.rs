//! What takes long in the forecast service: published figures, and everything over many series.

use almanac_proto::{
    common::v1::{ImportFinish, ImportStart},
    forecast::v1::{
        self as pb, forecast_service_client::ForecastServiceClient, import_points_request::Frame,
    },
};
use almanac_service_kit::import::{MAX_ROWS, WINDOW};
use tonic::transport::Channel;

use super::{Ask, Call, Long, Patient, Pending, begun, pending};
use crate::{Outcome, loader::Loader, question::question, service::Forecast, wire};

type Client = ForecastServiceClient<Patient>;

const MARKET: &str = "markets/large";
const FORECAST: &str = "markets/large/forecasts/first";
const FIRST_YEAR: usize = 2015;
const YEARS: usize = 10;
const HORIZON: i32 = 5;
/// Regions of a question about published figures that takes seconds.
const REGIONS: usize = 149;

/// How long a creation is waited for.
const WAIT: prost_types::Duration = prost_types::Duration {
    seconds: 300,
    nanos: 0,
};

fn series(number: usize) -> String {
    format!("s{number}")
}

impl Long for Forecast {
    type Caller = Client;

    fn calls() -> Vec<Call<Client>> {
        vec![
            Call::new("SolvePublishedFigures", solve),
            Call::new("CreateForecast, validated only", forecast),
            Call::new("VerifyForecast", verify),
            Call::new("SummarizeGrowth", growth),
            Call::new("ListPoints, few of many", search),
            Call::new("SummarizeGrowth of a forecast", outlook),
            Call::new("ListForecastValues, few of many", values),
            Call::new("ImportPoints, only tried", |_, ask| import(ask, true)),
            Call::writing("ImportPoints, written", |_, ask| import(ask, false)),
            Call::cancelled("CreateForecast, cancelled", create),
        ]
    }

    fn caller(connection: Patient, origin: http::Uri) -> Client {
        Client::with_origin(connection, origin)
    }

    async fn prepare(channel: Channel, size: usize) -> Outcome<()> {
        let mut client = ForecastServiceClient::new(channel);
        let mut members = vec![wire::member("world", "", "World")];
        members.extend((0..size).map(|of| wire::member(&series(of), "world", "")));
        let request = pb::CreateMarketRequest {
            market_id: "large".to_owned(),
            market: Some(wire::market("Large", "", members)),
            ..Default::default()
        };
        client.create_market(request).await?;
        let cells = (0..size).flat_map(|of| (0..YEARS).map(move |year| (of, year)));
        let rows: Vec<_> = cells
            .map(|(of, year)| {
                let value = 1000.0 + ((of * 7919 + year * 31) % 997) as f64;
                wire::point(&series(of), &(FIRST_YEAR + year).to_string(), value)
            })
            .collect();
        Loader::new(MARKET, &rows).load(&mut client, |_| ()).await?;
        let request = pb::CreateForecastRequest {
            parent: MARKET.to_owned(),
            forecast_id: "first".to_owned(),
            forecast: Some(wire::drift(HORIZON)),
            wait: Some(WAIT),
            ..Default::default()
        };
        let made = client.create_forecast(request).await?.into_inner();
        if made.state() != pb::forecast::State::Published {
            return Err(format!("the forecast is {:?}", made.state()).into());
        }
        Ok(())
    }
}

fn solve(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(question(REGIONS));
    pending(async move { client.solve_published_figures(request).await })
}

fn forecast(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: format!("tried-{}", ask.number),
        forecast: Some(wire::drift(HORIZON)),
        validate_only: true,
        ..Default::default()
    });
    pending(async move { client.create_forecast(request).await })
}

/// A forecast that is made, and cancelled if it is not waited for.
fn create(mut client: Client, ask: &Ask) -> Pending {
    let id = format!("made-{}", ask.number);
    let name = format!("{MARKET}/forecasts/{id}");
    let request = ask.request(pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: id,
        forecast: Some(wire::drift(HORIZON)),
        wait: Some(WAIT),
        ..Default::default()
    });
    let mut other = client.clone();
    let cancel = pb::CancelForecastRequest {
        name,
        ..Default::default()
    };
    begun(
        async move { client.create_forecast(request).await },
        async move { other.cancel_forecast(cancel).await },
    )
}

/// From the history into what is forecast.
fn outlook(mut client: Client, ask: &Ask) -> Pending {
    let last = FIRST_YEAR + YEARS - 1;
    let request = ask.request(pb::SummarizeGrowthRequest {
        source: Some(pb::summarize_growth_request::Source::Forecast(
            FORECAST.to_owned(),
        )),
        from_period: last.to_string(),
        to_period: (last + 1).to_string(),
        ..Default::default()
    });
    pending(async move { client.summarize_growth(request).await })
}

fn values(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::ListForecastValuesRequest {
        parent: FORECAST.to_owned(),
        filter: format!("members.region = \"{}\"", series(0)),
        ..Default::default()
    });
    pending(async move { client.list_forecast_values(request).await })
}

fn verify(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::VerifyForecastRequest {
        name: FORECAST.to_owned(),
    });
    pending(async move { client.verify_forecast(request).await })
}

fn growth(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::SummarizeGrowthRequest {
        source: Some(pb::summarize_growth_request::Source::Market(
            MARKET.to_owned(),
        )),
        from_period: FIRST_YEAR.to_string(),
        to_period: (FIRST_YEAR + YEARS - 1).to_string(),
        ..Default::default()
    });
    pending(async move { client.summarize_growth(request).await })
}

fn search(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        filter: "status = \"ESTIMATE\"".to_owned(),
        include_aggregates: true,
        ..Default::default()
    });
    pending(async move { client.list_points(request).await })
}

/// A window of chunks; what is only tried leaves all as it was.
fn import(ask: &Ask, validate_only: bool) -> Pending {
    let start = ImportStart {
        parent: MARKET.to_owned(),
        import_id: format!("00000000-0000-4000-8000-{:012x}", ask.number),
        validate_only,
        ..Default::default()
    };
    let chunks = (1..=WINDOW as i64).map(|sequence| {
        let rows = (0..MAX_ROWS).map(|row| {
            let series = series(row % 100);
            wire::point(&series, &(1900 + row / 100).to_string(), row as f64)
        });
        Frame::Chunk(pb::ImportChunk {
            sequence,
            points: rows.collect(),
        })
    });
    let finish = Frame::Finish(ImportFinish {
        total_chunks: WINDOW as i64,
    });
    let frames = std::iter::once(Frame::Start(start)).chain(chunks);
    let messages = frames
        .chain([finish])
        .map(|frame| pb::ImportPointsRequest { frame: Some(frame) });
    let method = "/almanac.forecast.v1.ForecastService/ImportPoints";
    ask.streams.clone().send(method, ask.timeout, messages)
}
