//! Computations say before they begin how much memory they take: what finds no room is refused, and
//! the estimate is what is then taken, within a factor.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{fmt::Debug, future::Future, path::Path};

use almanac_proto::{forecast::v1 as forecast, ranking::v1 as ranking};
use almanac_service_kit::run::Config;
use almanac_tests::{
    refusal::{self, Refusal},
    service::{Forecast, Kind, Ranking, Running},
    wire,
};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;
use tonic::{Code, Response, Status};

/// Counts what the services in this process allocate. Their tests are one, so that nothing else does.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const ROWS: usize = 3_000;
const LEAVES: usize = 8;
const INDEX: &str = "datasets/d/indices/x";
const MARKET: &str = "markets/m";

/// A service whose computations may take so many bytes together.
async fn serve<K: Kind>(dir: &Path, memory_bytes: u64) -> Running<K> {
    let mut config = Config::local(dir.to_owned());
    config.compute.memory_bytes = memory_bytes;
    Running::start_with(config).await.unwrap()
}

/// The estimate that a refusal tells, in MiB; it must be one for good.
fn estimated<T: Debug>(result: Result<Response<T>, Status>) -> usize {
    let code = Code::ResourceExhausted;
    let refused: Refusal = refusal::expect_error(result, code, "COMPUTE_MEMORY", "").unwrap();
    assert!(refused.message.contains("ask for less"), "{refused:?}");
    refused.metadata["estimated_mib"].parse().unwrap()
}

/// Whether a call takes at most what was estimated, and at least a quarter of it.
async fn measured<T>(what: &str, estimate: usize, call: impl Future<Output = T>) -> T {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let answer = call.await;
    let peak = PeakAlloc.peak_usage().saturating_sub(before);
    assert!(
        peak <= estimate * MIB,
        "{what}: {peak} bytes, {estimate} MiB estimated"
    );
    // An estimate is told in whole MiB.
    assert!(
        (estimate - 1) * MIB <= 4 * peak,
        "{what}: {peak} bytes, {estimate} MiB estimated"
    );
    answer
}

#[tokio::test]
async fn estimates_hold() {
    rankings().await;
    forecasts().await;
    figures().await;
}

async fn rankings() {
    let dir = TempDir::new().unwrap();
    let service: Running<Ranking> = serve(dir.path(), 1 << 30).await;
    ranking_world(&service).await;
    service.stop().await.unwrap();

    let what_if = || ranking::ListRankingResultsRequest {
        source: wire::live(INDEX),
        page_size: 10,
        ..Default::default()
    };
    let edition = |id: &str| ranking::CreateEditionRequest {
        parent: INDEX.to_owned(),
        edition_id: id.to_owned(),
        wait: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..Default::default()
    };
    let service: Running<Ranking> = serve(dir.path(), 1).await;
    let mut client = service.client();
    let estimate = estimated(client.list_ranking_results(what_if()).await);
    // What is promised and cannot be is told.
    let failed = client
        .create_edition(edition("small"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        failed.state(),
        ranking::edition::State::Failed,
        "{failed:?}"
    );
    assert!(failed.error.unwrap().message.contains("compute-memory-mib"));
    service.stop().await.unwrap();

    let service: Running<Ranking> = serve(dir.path(), 1 << 30).await;
    let mut client = service.client();
    // What is decoded for all is not one computation's.
    client.list_ranking_results(what_if()).await.unwrap();
    let mut other = what_if();
    if let Some(ranking::ranking_source::Source::Live(live)) =
        other.source.as_mut().unwrap().source.as_mut()
    {
        // Another period of the same figures: every cell and every score is new.
        let how = wire::methodology(wire::min_max(), "2024", 1);
        let change = ranking::r#override::Change::Methodology(how);
        live.overrides.push(ranking::Override {
            change: Some(change),
        });
    }
    let answer = client.list_ranking_results(other);
    measured("what-if", estimate, answer).await.unwrap();
    let answer = client.create_edition(edition("large"));
    let made = measured("edition", estimate, answer)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.state(), ranking::edition::State::Published, "{made:?}");
    service.stop().await.unwrap();
}

async fn ranking_world(service: &Running<Ranking>) {
    let mut client = service.client();
    let create = ranking::CreateDatasetRequest {
        dataset_id: "d".to_owned(),
        dataset: Some(ranking::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(create).await.unwrap();
    let parent = || "datasets/d".to_owned();
    let indicators = (0..LEAVES).map(|number| ranking::CreateIndicatorRequest {
        indicator_id: format!("i{number}"),
        indicator: Some(wire::indicator("")),
        ..Default::default()
    });
    let batch = ranking::BatchCreateIndicatorsRequest {
        parent: parent(),
        requests: indicators.collect(),
        ..Default::default()
    };
    client.batch_create_indicators(batch).await.unwrap();
    let ids: Vec<String> = (0..ROWS).map(|number| format!("e{number}")).collect();
    for ids in ids.chunks(1000) {
        let entities = ids.iter().map(|id| ranking::CreateEntityRequest {
            entity_id: id.clone(),
            entity: Some(ranking::Entity::default()),
            ..Default::default()
        });
        let batch = ranking::BatchCreateEntitiesRequest {
            parent: parent(),
            requests: entities.collect(),
            ..Default::default()
        };
        client.batch_create_entities(batch).await.unwrap();
    }
    for leaf in 0..LEAVES {
        let rows = ids.iter().enumerate().map(|(row, id)| {
            let value = u32::try_from((row * 37 + leaf * 11) % 1009).unwrap();
            wire::observation(&format!("i{leaf}"), id, "2023", value.into())
        });
        let write = ranking::WriteObservationsRequest {
            parent: parent(),
            observations: rows.collect(),
            ..Default::default()
        };
        client.write_observations(write).await.unwrap();
    }
    let mut nodes = vec![wire::inner("root", "")];
    nodes.extend((0..LEAVES).map(|number| wire::leaf(&format!("i{number}"), "root")));
    let create = ranking::CreateIndexRequest {
        parent: parent(),
        index_id: "x".to_owned(),
        index: Some(ranking::Index {
            nodes,
            methodology: Some(wire::methodology(wire::min_max(), "2023", 0)),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.create_index(create).await.unwrap();
}

async fn forecasts() {
    const REGIONS: usize = 150;
    let dir = TempDir::new().unwrap();
    // Room for reading the points, and not for the forecasts.
    let service: Running<Forecast> = serve(dir.path(), 6 << 20).await;
    let mut client = service.client();
    let ids: Vec<String> = (0..REGIONS).map(|number| format!("r{number}")).collect();
    let mut members = vec![wire::member("world", "", "")];
    members.extend(ids.iter().map(|id| wire::member(id, "world", "")));
    let create = forecast::CreateMarketRequest {
        market_id: "m".to_owned(),
        market: Some(wire::market("", "", members)),
        ..Default::default()
    };
    client.create_market(create).await.unwrap();
    let points = ids.iter().flat_map(|id| {
        let value = |year: u32| wire::point(id, &year.to_string(), f64::from(year % 7 + 1));
        (2000..2020).map(value)
    });
    let write = forecast::WritePointsRequest {
        parent: MARKET.to_owned(),
        points: points.collect(),
        ..Default::default()
    };
    client.write_points(write).await.unwrap();
    let create = || forecast::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: "f".to_owned(),
        forecast: Some(forecast::Forecast {
            method: Some(forecast::ForecastMethod {
                method: Some(forecast::forecast_method::Method::Drift(forecast::Drift {})),
            }),
            reconciliation: Some(forecast::ReconciliationMethod {
                method: Some(forecast::reconciliation_method::Method::BottomUp(
                    forecast::BottomUp {},
                )),
            }),
            horizon: 1000,
            ..Default::default()
        }),
        ..Default::default()
    };
    let preview = || forecast::CreateForecastRequest {
        expected_result_digest: "0".repeat(64),
        ..create()
    };
    let estimate = estimated(client.create_forecast(preview()).await);
    service.stop().await.unwrap();

    let service: Running<Forecast> = serve(dir.path(), 1 << 30).await;
    let mut client = service.client();
    let answer = measured("forecast", estimate, client.create_forecast(create())).await;
    let made = answer.unwrap().into_inner();
    assert_eq!(
        made.state(),
        forecast::forecast::State::Published,
        "{made:?}"
    );
    service.stop().await.unwrap();
}

async fn figures() {
    const REGIONS: usize = 60;
    let ids: Vec<String> = (0..REGIONS).map(|number| format!("r{number}")).collect();
    let mut members = vec![wire::member("world", "", "")];
    members.extend(ids.iter().map(|id| wire::member(id, "world", "")));
    let span = ("2023", "2028");
    let mut told = vec![wire::value_figure(
        "all",
        "world",
        "2023",
        wire::rounded("720"),
    )];
    for id in &ids {
        let base = wire::value_figure(id, id, "2023", wire::rounded("12"));
        let growth = wire::growth_figure(&format!("{id}-g"), id, span, wire::rounded("50"));
        told.extend([base, growth]);
    }
    let structure =
        forecast::solve_published_figures_request::Structure::Dimensions(forecast::Dimensions {
            dimensions: wire::market("", "", members).dimensions,
        });
    let ask = forecast::SolvePublishedFiguresRequest {
        structure: Some(structure),
        figures: told,
        nonnegative: Some(true),
        ..Default::default()
    };
    let dir = TempDir::new().unwrap();
    let service: Running<Forecast> = serve(dir.path(), 1).await;
    let answer = service.client().solve_published_figures(ask.clone()).await;
    let estimate = estimated(answer);
    service.stop().await.unwrap();
    let service: Running<Forecast> = serve(dir.path(), 1 << 30).await;
    let mut client = service.client();
    let answer = client.solve_published_figures(ask);
    measured("figures", estimate, answer).await.unwrap();
    service.stop().await.unwrap();
}
