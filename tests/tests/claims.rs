//! What computations claim holds for data of any shape: many series of few values. A service
//! with as much memory as a call was seen to take refuses it, since it claims more; one with four
//! times as much answers.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{future::Future, path::Path, pin::Pin};

use almanac_proto::{forecast::v1 as forecast, ranking::v1 as ranking};
use almanac_service_kit::run::Config;
use almanac_tests::{
    refusal::Refusal,
    service::{Forecast, Kind, Ranking, Running},
    wire,
};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;
use tonic::{Response, Status};

/// Counts what the services in this process allocate. Their tests are one, so that nothing else does.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Leaves of each of two dimensions.
const SIDE: usize = 70;
const ROWS: usize = 4_000;

/// Makes a call, and says whether it was refused for want of memory.
type Call<K> = fn(<K as Kind>::Client) -> Pin<Box<dyn Future<Output = bool>>>;

/// A service that keeps nothing decoded, so that each call is like the first.
async fn serve<K: Kind>(dir: &Path, memory_bytes: usize) -> Running<K> {
    let mut config = Config::local(dir.to_owned());
    config.compute.memory_bytes = memory_bytes as u64;
    config.snapshot_bytes = 0;
    Running::start_with(config).await.unwrap()
}

fn refused<T>(answer: Result<Response<T>, Status>) -> bool {
    answer.is_err_and(|status| Refusal::from(&status).reason == "COMPUTE_MEMORY")
}

/// Measures calls of a service that has done the like before, then calls services with as much
/// memory as was taken, and with four times as much.
async fn claimed<K: Kind>(service: Running<K>, dir: &Path, calls: &[(&str, Call<K>)]) {
    let mut taken = Vec::new();
    for (what, call) in calls {
        assert!(!call(service.client()).await, "{what}");
        let before = PeakAlloc.current_usage();
        PeakAlloc.reset_peak_usage();
        assert!(!call(service.client()).await, "{what}");
        taken.push(PeakAlloc.peak_usage().saturating_sub(before));
    }
    service.stop().await.unwrap();
    for ((what, call), taken) in calls.iter().zip(taken) {
        for (memory, expected) in [(taken, true), (4 * taken, false)] {
            let service: Running<K> = serve(dir, memory).await;
            let refused = call(service.client()).await;
            let found = format!("{what}: {taken} bytes taken, {memory} at hand");
            assert_eq!(refused, expected, "{found}");
            service.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn claims_hold_for_few_values_a_series() {
    let dir = TempDir::new().unwrap();
    let service = market(dir.path()).await;
    let calls: [(&str, Call<Forecast>); 4] = [
        ("points with sums", |mut client| {
            Box::pin(async move { refused(client.list_points(points()).await) })
        }),
        ("growth", |mut client| {
            Box::pin(async move { refused(client.summarize_growth(growth()).await) })
        }),
        ("forecast", |mut client| {
            Box::pin(async move { refused(client.create_forecast(preview()).await) })
        }),
        ("one series", |mut client| {
            Box::pin(async move { refused(client.forecast_series(series()).await) })
        }),
    ];
    claimed(service, dir.path(), &calls).await;

    let dir = TempDir::new().unwrap();
    let service = dataset(dir.path()).await;
    let calls: [(&str, Call<Ranking>); 1] = [("observations", |mut client| {
        Box::pin(async move { refused(client.list_observations(observations()).await) })
    })];
    claimed(service, dir.path(), &calls).await;
}

fn points() -> forecast::ListPointsRequest {
    forecast::ListPointsRequest {
        parent: "markets/m".to_owned(),
        include_aggregates: true,
        ..Default::default()
    }
}

fn growth() -> forecast::SummarizeGrowthRequest {
    let source = forecast::summarize_growth_request::Source::Market("markets/m".to_owned());
    forecast::SummarizeGrowthRequest {
        source: Some(source),
        from_period: "2022".to_owned(),
        to_period: "2023".to_owned(),
        ..Default::default()
    }
}

fn observations() -> ranking::ListObservationsRequest {
    ranking::ListObservationsRequest {
        parent: "datasets/d".to_owned(),
        ..Default::default()
    }
}

/// A market of two dimensions with two values for each leaf, as few as can be forecast.
async fn market(dir: &Path) -> Running<Forecast> {
    let service: Running<Forecast> = serve(dir, 1 << 30).await;
    let mut client = service.client();
    let members = |prefix: &str| {
        let leaf = |number| wire::member(&format!("{prefix}{number}"), "all", "");
        let root = wire::member("all", "", "");
        [root].into_iter().chain((0..SIDE).map(leaf)).collect()
    };
    let mut market = wire::market("", "", members("r"));
    market.dimensions.push(forecast::Dimension {
        id: "segment".to_owned(),
        members: members("s"),
        ..Default::default()
    });
    let create = forecast::CreateMarketRequest {
        market_id: "m".to_owned(),
        market: Some(market),
        ..Default::default()
    };
    client.create_market(create).await.unwrap();
    let leaves = (0..SIDE * SIDE).flat_map(|leaf| {
        let names = [("region", leaf / SIDE, "r"), ("segment", leaf % SIDE, "s")];
        let names = names.map(|(of, number, prefix)| (of.to_owned(), format!("{prefix}{number}")));
        ["2022", "2023"].map(|year| forecast::Point {
            series: Some(forecast::SeriesKey {
                members: names.clone().into(),
            }),
            ..wire::point("", year, 1.0)
        })
    });
    let write = forecast::WritePointsRequest {
        parent: "markets/m".to_owned(),
        points: leaves.collect(),
        ..Default::default()
    };
    client.write_points(write).await.unwrap();
    service
}

/// A forecast that is computed and not stored, since it does not come out as expected.
fn preview() -> forecast::CreateForecastRequest {
    forecast::CreateForecastRequest {
        parent: "markets/m".to_owned(),
        forecast_id: "f".to_owned(),
        forecast: Some(forecast::Forecast {
            method: method(),
            reconciliation: Some(forecast::ReconciliationMethod {
                method: Some(forecast::reconciliation_method::Method::BottomUp(
                    forecast::BottomUp {},
                )),
            }),
            horizon: 2,
            ..Default::default()
        }),
        expected_result_digest: "0".repeat(64),
        ..Default::default()
    }
}

fn method() -> Option<forecast::ForecastMethod> {
    Some(forecast::ForecastMethod {
        method: Some(forecast::forecast_method::Method::Naive(forecast::Naive {})),
    })
}

fn series() -> forecast::ForecastSeriesRequest {
    forecast::ForecastSeriesRequest {
        series: Some(forecast::InputSeries {
            values: (0..10_000_u32).map(|row| f64::from(row % 7)).collect(),
            first_period: "2000-01-01".to_owned(),
            ..Default::default()
        }),
        method: method(),
        horizon: 1000,
        levels: (1..=10).map(|level| f64::from(level) / 11.0).collect(),
    }
}

/// A dataset of one indicator with one observation of each entity.
async fn dataset(dir: &Path) -> Running<Ranking> {
    let service: Running<Ranking> = serve(dir, 1 << 30).await;
    let mut client = service.client();
    let create = ranking::CreateDatasetRequest {
        dataset_id: "d".to_owned(),
        dataset: Some(ranking::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(create).await.unwrap();
    let create = ranking::CreateIndicatorRequest {
        parent: "datasets/d".to_owned(),
        indicator_id: "i".to_owned(),
        indicator: Some(wire::indicator("")),
        ..Default::default()
    };
    client.create_indicator(create).await.unwrap();
    let ids: Vec<String> = (0..ROWS).map(|number| format!("e{number}")).collect();
    for ids in ids.chunks(1000) {
        let entities = ids.iter().map(|id| ranking::CreateEntityRequest {
            entity_id: id.clone(),
            entity: Some(ranking::Entity::default()),
            ..Default::default()
        });
        let batch = ranking::BatchCreateEntitiesRequest {
            parent: "datasets/d".to_owned(),
            requests: entities.collect(),
            ..Default::default()
        };
        client.batch_create_entities(batch).await.unwrap();
    }
    let rows = ids.iter().map(|id| wire::observation("i", id, "2023", 1.0));
    let write = ranking::WriteObservationsRequest {
        parent: "datasets/d".to_owned(),
        observations: rows.collect(),
        ..Default::default()
    };
    client.write_observations(write).await.unwrap();
    service
}
