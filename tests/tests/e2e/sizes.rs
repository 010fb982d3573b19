//! What requests hold is as large as the service is told that it may be.

use std::fmt::Debug;

use almanac_proto::{common::v1 as common, forecast::v1 as forecast, ranking::v1 as pb};
use almanac_service_kit::{import::Frame, run::Config, sizes::Sizes};
use almanac_tests::{
    loader::ImportStream,
    refusal::{Refusal, expect_error},
    service::{Forecast, Kind, Ranking, Running},
    wire,
};
use tempfile::TempDir;
use tonic::{Code, Response, Status};

use crate::support::{RankingClient, invalid, ranking};

/// Less than is in the requests below, each another number.
const SMALL: Sizes = Sizes {
    text: 63,
    list: 4,
    batch: 5,
    rows: 6,
    chunk: 7,
    page: 2,
    values: 8,
};

async fn start<K: Kind>() -> (Running<K>, TempDir) {
    let dir = TempDir::new().unwrap();
    let mut config = Config::local(dir.path().to_owned());
    config.limits.sizes = SMALL;
    (Running::start_with(config).await.unwrap(), dir)
}

#[track_caller]
fn refused<T: Debug>(answer: Result<T, Status>, reason: &str, field: &str, limit: usize) {
    let refusal: Refusal = expect_error(answer, Code::InvalidArgument, reason, field).unwrap();
    assert!(
        refusal.message.ends_with(&format!("the limit is {limit}")),
        "{refusal}"
    );
    assert_eq!(refusal.metadata["violations_total"], "1", "{refusal}");
}

#[track_caller]
fn too_many<T: Debug>(answer: Result<Response<T>, Status>, field: &str, limit: usize) {
    refused(answer, "TOO_MANY_ITEMS", field, limit);
}

async fn dataset(
    client: &mut RankingClient,
    id: &str,
    dataset: pb::Dataset,
) -> Result<Response<pb::Dataset>, Status> {
    let create = pb::CreateDatasetRequest {
        dataset_id: id.to_owned(),
        dataset: Some(dataset),
        ..Default::default()
    };
    client.create_dataset(create).await
}

fn labels(count: usize) -> pb::Dataset {
    let labels = (0..count).map(|number| (format!("l{number}"), String::new()));
    pb::Dataset {
        labels: labels.collect(),
        ..Default::default()
    }
}

fn described(bytes: usize) -> pb::Dataset {
    pb::Dataset {
        description: "d".repeat(bytes),
        ..Default::default()
    }
}

#[tokio::test]
async fn texts_lists_and_pages() {
    let (service, _dir) = start::<Ranking>().await;
    let mut client = service.client();
    let answer = dataset(&mut client, "a", described(SMALL.text + 1)).await;
    refused(answer, "TEXT_TOO_LONG", "dataset.description", SMALL.text);
    let answer = dataset(&mut client, "a", labels(SMALL.list + 1)).await;
    too_many(answer, "dataset.labels", SMALL.list);
    dataset(&mut client, "a", described(SMALL.text))
        .await
        .unwrap();
    dataset(&mut client, "b", labels(SMALL.list)).await.unwrap();
    dataset(&mut client, "c", pb::Dataset::default())
        .await
        .unwrap();
    for page_size in [0, 1000] {
        let list = pb::ListDatasetsRequest {
            page_size,
            ..Default::default()
        };
        let page = client.list_datasets(list).await.unwrap().into_inner();
        assert_eq!(page.datasets.len(), SMALL.page);
        assert!(!page.next_page_token.is_empty());
    }
    service.stop().await.unwrap();
}

fn entities(count: usize) -> pb::BatchCreateEntitiesRequest {
    let requests = (0..count).map(|number| pb::CreateEntityRequest {
        entity_id: format!("e{number}"),
        entity: Some(pb::Entity::default()),
        ..Default::default()
    });
    pb::BatchCreateEntitiesRequest {
        parent: "datasets/d".to_owned(),
        requests: requests.collect(),
        ..Default::default()
    }
}

fn rows(count: usize) -> Vec<pb::Observation> {
    let years = (0..count).map(|row| (1900 + row).to_string());
    years
        .map(|year| wire::observation("air", "e0", &year, 1.0))
        .collect()
}

#[tokio::test]
async fn batches_rows_and_chunks() {
    let (service, _dir) = start::<Ranking>().await;
    let mut client = service.client();
    dataset(&mut client, "d", pb::Dataset::default())
        .await
        .unwrap();
    let answer = client
        .batch_create_entities(entities(SMALL.batch + 1))
        .await;
    too_many(answer, "requests", SMALL.batch);
    client
        .batch_create_entities(entities(SMALL.batch))
        .await
        .unwrap();
    let get = pb::BatchGetEntitiesRequest {
        parent: "datasets/d".to_owned(),
        names: vec!["datasets/d/entities/e0".to_owned(); SMALL.batch + 1],
        ..Default::default()
    };
    too_many(client.batch_get_entities(get).await, "names", SMALL.batch);
    let create = pb::CreateIndicatorRequest {
        parent: "datasets/d".to_owned(),
        indicator_id: "air".to_owned(),
        indicator: Some(wire::indicator("")),
        ..Default::default()
    };
    client.create_indicator(create).await.unwrap();

    let write = |count| pb::WriteObservationsRequest {
        parent: "datasets/d".to_owned(),
        observations: rows(count),
        ..Default::default()
    };
    let answer = client.write_observations(write(SMALL.rows + 1)).await;
    too_many(answer, "observations", SMALL.rows);
    client.write_observations(write(SMALL.rows)).await.unwrap();

    let mut stream = ImportStream::open(&mut client).await.unwrap();
    let begin = common::ImportStart {
        parent: "datasets/d".to_owned(),
        import_id: "5a1e6c1c-3f4e-4c55-9b0f-2f6f7f1d0c01".to_owned(),
        on_error: common::OnError::RejectRow.into(),
        validate_only: false,
    };
    stream.send(Frame::Start(begin)).await;
    stream.next().await.unwrap().unwrap();
    // What a row holds is bounded too, though it is looked at on another thread.
    let mut long = rows(SMALL.chunk);
    long[3].note = "n".repeat(SMALL.text + 1);
    for (sequence, rows) in [(1, long), (2, rows(SMALL.chunk + 1))] {
        stream.send(Frame::Chunk { sequence, rows }).await;
    }
    match stream.next().await.unwrap() {
        Some(almanac_service_kit::import::Answer::Ack(ack)) => {
            assert_eq!((ack.written_count, ack.rejected_count), (6, 1));
            let bad = ack.row_errors[0].status.as_ref().unwrap();
            assert!(bad.message.ends_with("the limit is 63"), "{bad:?}");
        }
        other => panic!("no ack but {other:?}"),
    }
    let field = "chunk.observations";
    refused(stream.next().await, "TOO_MANY_ITEMS", field, SMALL.chunk);
    service.stop().await.unwrap();
}

fn market(members: usize) -> forecast::Market {
    let regions = (1..members).map(|number| wire::member(&format!("r{number}"), "world", ""));
    let root = wire::member("world", "", "");
    wire::market("", "", [root].into_iter().chain(regions).collect())
}

#[tokio::test]
async fn members_points_values_and_figures() {
    let (service, _dir) = start::<Forecast>().await;
    let mut client = service.client();
    let create = |members| forecast::CreateMarketRequest {
        market_id: "m".to_owned(),
        market: Some(market(members)),
        ..Default::default()
    };
    let answer = client.create_market(create(SMALL.list + 1)).await;
    too_many(answer, "market.dimensions[0].members", SMALL.list);
    client.create_market(create(SMALL.list)).await.unwrap();

    let write = |count: usize| forecast::WritePointsRequest {
        parent: "markets/m".to_owned(),
        points: (0..count)
            .map(|row| wire::point("r1", &(1900 + row).to_string(), 1.0))
            .collect(),
        ..Default::default()
    };
    let answer = client.write_points(write(SMALL.rows + 1)).await;
    too_many(answer, "points", SMALL.rows);
    client.write_points(write(SMALL.rows)).await.unwrap();

    let ask = |count| forecast::ForecastSeriesRequest {
        series: Some(forecast::InputSeries {
            values: vec![1.0; count],
            ..Default::default()
        }),
        method: Some(forecast::ForecastMethod {
            method: Some(forecast::forecast_method::Method::Drift(forecast::Drift {})),
        }),
        horizon: 1,
        ..Default::default()
    };
    let answer = client.forecast_series(ask(SMALL.values + 1)).await;
    too_many(answer, "series.values", SMALL.values);
    client.forecast_series(ask(SMALL.values)).await.unwrap();

    let figure = |number: usize| {
        let year = (2000 + number).to_string();
        wire::value_figure(&format!("f{number}"), "world", &year, wire::rounded("1"))
    };
    let solve = |count| forecast::SolvePublishedFiguresRequest {
        structure: Some(
            forecast::solve_published_figures_request::Structure::Market("markets/m".to_owned()),
        ),
        figures: (0..count).map(figure).collect(),
        ..Default::default()
    };
    let answer = client.solve_published_figures(solve(SMALL.list + 1)).await;
    too_many(answer, "figures", SMALL.list);
    client
        .solve_published_figures(solve(SMALL.list))
        .await
        .unwrap();
    service.stop().await.unwrap();
}

/// Entities whose descriptions are as long as they may be: more of them than an answer holds.
const LONG: usize = 800;

async fn long_entities(client: &mut RankingClient) -> Vec<String> {
    dataset(client, "d", pb::Dataset::default()).await.unwrap();
    let ids: Vec<String> = (0..LONG).map(|number| format!("e{number:03}")).collect();
    for ids in ids.chunks(LONG / 2) {
        let requests = ids.iter().map(|id| pb::CreateEntityRequest {
            entity_id: id.clone(),
            entity: Some(pb::Entity {
                description: "d".repeat(4096),
                ..Default::default()
            }),
            ..Default::default()
        });
        let create = pb::BatchCreateEntitiesRequest {
            parent: "datasets/d".to_owned(),
            requests: requests.collect(),
            ..Default::default()
        };
        client.batch_create_entities(create).await.unwrap();
    }
    let name = |id| format!("datasets/d/entities/{id}");
    ids.into_iter().map(name).collect()
}

#[tokio::test]
async fn an_answer_is_never_larger_than_clients_read() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    let mut names = long_entities(&mut client).await;
    let get = |names: &[String]| pb::BatchGetEntitiesRequest {
        parent: "datasets/d".to_owned(),
        names: names.to_vec(),
        ..Default::default()
    };
    let all = client.batch_get_entities(get(&names)).await;
    invalid(all, "TOO_MANY_ITEMS", "names");
    let some = client.batch_get_entities(get(&names[..LONG / 2])).await;
    assert_eq!(some.unwrap().into_inner().entities.len(), LONG / 2);

    for order_by in ["id", "id desc"] {
        let mut list = pb::ListEntitiesRequest {
            parent: "datasets/d".to_owned(),
            page_size: 1000,
            order_by: order_by.to_owned(),
            ..Default::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = client
                .list_entities(list.clone())
                .await
                .unwrap()
                .into_inner();
            assert!(page.entities.len() < LONG);
            seen.extend(page.entities.into_iter().map(|entity| entity.name));
            list.page_token = page.next_page_token;
            if list.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, names, "{order_by}");
        names.reverse();
    }
    fresh.stop().await;
}
