//! An edition and a forecast that are cancelled in the middle of their making: the caller sees how
//! it ended, the thread that computed is free for the next, and a restart does not take it up again.
//! Nor can it where the data are gone.

use almanac_proto::{forecast::v1 as forecast_pb, ranking::v1 as pb};
use almanac_service_kit::{
    pool::PoolSettings,
    run::Config,
    store::{CommitTime, Rules, compact},
};
use almanac_tests::{
    refusal::Refusal,
    service::{Kind, Running},
    wire,
};
use tempfile::TempDir;
use tonic_types::{RpcStatusExt as _, Status};

use crate::{
    bad_market::{MARKET, market_request, points_request},
    support::{
        DATASET, Fresh, INDEX, RankingClient, edition_request, entity_request, index_request,
        small, write,
    },
};

/// A service that makes one edition or forecast at a time.
async fn one_at_a_time<K: Kind>() -> Fresh<K> {
    let dir = TempDir::new().unwrap();
    let mut config = Config::local(dir.path().to_owned());
    config.compute = PoolSettings {
        threads: 1,
        queue: 0,
        ..config.compute
    };
    let service = Running::start_with(config).await.unwrap();
    Fresh { service, dir }
}

/// So long a call waits for what takes far longer: it has begun by then.
fn a_little() -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: 0,
        nanos: 100_000_000,
    })
}

#[track_caller]
fn reason(error: Option<Status>) -> String {
    let details = error.unwrap().get_error_details();
    details.error_info().unwrap().reason.clone()
}

/// An index of very many nodes over the two indicators of the small data set.
fn wide_index(leaves: usize) -> pb::Index {
    let mut nodes = vec![wire::inner("root", "")];
    for number in 0..leaves {
        let inner = format!("inner-{number}");
        nodes.push(wire::inner(&inner, "root"));
        nodes.push(pb::Node {
            indicator: "transit".to_owned(),
            ..wire::inner(&format!("leaf-{number}"), &inner)
        });
    }
    pb::Index {
        nodes,
        methodology: Some(wire::methodology(wire::min_max(), "2023", 0)),
        ..Default::default()
    }
}

/// An edition that takes far longer than [`a_little`], being created.
async fn long_edition(client: &mut RankingClient) -> pb::Edition {
    wide_edition(client, 3000, a_little()).await
}

/// An edition of a thousand entities.
async fn wide_edition(
    client: &mut RankingClient,
    leaves: usize,
    wait: Option<prost_types::Duration>,
) -> pb::Edition {
    small(client).await;
    let ids: Vec<String> = (0..1000).map(|number| format!("town-{number}")).collect();
    let request = pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests: ids.iter().map(|id| entity_request(id, "asia")).collect(),
        ..Default::default()
    };
    client.batch_create_entities(request).await.unwrap();
    let figures = ids.iter().enumerate();
    let figures = figures.map(|(row, id)| {
        let value = (row * 7919 % 1009) as f64;
        wire::observation("transit", id, "2023", value)
    });
    client
        .write_observations(write(figures.collect()))
        .await
        .unwrap();
    client
        .create_index(index_request("wide", wide_index(leaves)))
        .await
        .unwrap();

    let long = pb::CreateEditionRequest {
        parent: format!("{DATASET}/indices/wide"),
        wait,
        ..edition_request("long")
    };
    client.create_edition(long).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_edition_whose_data_were_compacted_away_has_failed() {
    use pb::edition::State;

    let Fresh { service, dir } = one_at_a_time::<almanac_tests::service::Ranking>().await;
    let mut client = service.client();
    let long = long_edition(&mut client).await;
    assert_eq!(long.state(), State::Creating);
    let renamed = pb::UpdateDatasetRequest {
        dataset: Some(pb::Dataset {
            name: DATASET.to_owned(),
            display_name: "renamed".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.update_dataset(renamed).await.unwrap();
    service.stop().await.unwrap();
    let now = CommitTime::from_nanoseconds(i64::MAX);
    let rules = Rules {
        of: &ranking_service::store::keep,
        before: now,
        now,
        segment_bytes: 64 << 20,
    };
    assert!(compact(dir.path(), &rules).unwrap().dropped > 0);

    let service = Running::<almanac_tests::service::Ranking>::start(dir.path())
        .await
        .unwrap();
    let mut client = service.client();
    let found = loop {
        let request = pb::GetEditionRequest {
            name: long.name.clone(),
            consistency: None,
        };
        let found = client.get_edition(request).await.unwrap().into_inner();
        if found.state() != State::Creating {
            break found;
        }
    };
    assert_eq!(found.state(), State::Failed);
    assert_eq!(reason(found.error), "REVISION_COMPACTED");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn an_edition_that_is_cancelled_has_failed_and_leaves_its_thread() {
    use pb::edition::State;

    let fresh = one_at_a_time::<almanac_tests::service::Ranking>().await;
    let mut client = fresh.service.client();
    let long = long_edition(&mut client).await;
    assert_eq!(long.state(), State::Creating);
    let short = pb::CreateEditionRequest {
        wait: a_little(),
        ..edition_request("short")
    };
    let short = client.create_edition(short).await.unwrap().into_inner();
    // There is one thread for editions, so the long one is being computed.
    assert_eq!(short.state(), State::Creating);

    let cancel = pb::CancelEditionRequest {
        name: long.name.clone(),
        ..Default::default()
    };
    let ended = client
        .cancel_edition(cancel.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ended.state(), State::Failed);
    assert_eq!(reason(ended.error.clone()), "EDITION_CANCELLED");
    let get = |name: &str| pb::GetEditionRequest {
        name: name.to_owned(),
        consistency: None,
    };
    let short = loop {
        let found = client.get_edition(get(&short.name)).await.unwrap();
        let found = found.into_inner();
        if found.state() != State::Creating {
            break found;
        }
    };
    assert_eq!(short.state(), State::Published);
    // What has ended is not cancelled any more.
    let request = pb::CancelEditionRequest {
        name: format!("{INDEX}/editions/short"),
        ..Default::default()
    };
    let still = client.cancel_edition(request).await.unwrap().into_inner();
    assert_eq!(still.state(), State::Published);

    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let found = client.get_edition(get(&long.name)).await.unwrap();
    let found = found.into_inner();
    assert_eq!(found.state(), State::Failed);
    assert_eq!(reason(found.error), "EDITION_CANCELLED");
    fresh.stop().await;
}

/// Scores and ranks of 6,001 nodes and 1,003 entities: more than the store takes at once.
#[tokio::test]
async fn an_edition_of_several_commits_is_published_and_verified() {
    use pb::edition::State;

    let fresh = one_at_a_time::<almanac_tests::service::Ranking>().await;
    let mut client = fresh.service.client();
    let wait = prost_types::Duration {
        seconds: 600,
        nanos: 0,
    };
    let found = wide_edition(&mut client, 400, Some(wait)).await;
    assert_eq!(found.state(), State::Published, "{:?}", found.error);
    let verify = pb::VerifyEditionRequest { name: found.name };
    let verified = client.verify_edition(verify).await.unwrap().into_inner();
    assert_eq!(
        verified.outcome(),
        pb::verify_edition_response::Outcome::Match
    );
    fresh.stop().await;
}

#[tokio::test]
async fn editions_that_find_no_room_are_made_or_cancelled_once_there_is() {
    use pb::edition::State;

    let Fresh { service, dir } = one_at_a_time::<almanac_tests::service::Ranking>().await;
    let mut client = service.client();
    let long = long_edition(&mut client).await;
    let short = pb::CreateEditionRequest {
        wait: a_little(),
        ..edition_request("short")
    };
    let short = client.create_edition(short).await.unwrap().into_inner();
    service.stop().await.unwrap();

    let mut full = Config::local(dir.path().to_owned());
    full.min_free_bytes = u64::MAX;
    let service = Running::<almanac_tests::service::Ranking>::start_with(full)
        .await
        .unwrap();
    let mut client = service.client();
    let cancel = pb::CancelEditionRequest {
        name: long.name.clone(),
        ..Default::default()
    };
    let refused = client.cancel_edition(cancel.clone()).await.unwrap_err();
    assert_eq!(Refusal::from(&refused).reason, "DISK_FULL");
    let get = |name: &str| pb::GetEditionRequest {
        name: name.to_owned(),
        consistency: None,
    };
    for name in [&long.name, &short.name] {
        let found = client.get_edition(get(name)).await.unwrap().into_inner();
        assert_eq!(found.state(), State::Creating);
    }
    service.stop().await.unwrap();

    let service = Running::<almanac_tests::service::Ranking>::start(dir.path())
        .await
        .unwrap();
    let mut client = service.client();
    let ended = client.cancel_edition(cancel).await.unwrap().into_inner();
    assert_eq!(ended.state(), State::Failed);
    assert_eq!(reason(ended.error), "EDITION_CANCELLED");
    let short = loop {
        let found = client.get_edition(get(&short.name)).await.unwrap();
        let found = found.into_inner();
        if found.state() != State::Creating {
            break found;
        }
    };
    assert_eq!(short.state(), State::Published);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_forecast_that_is_cancelled_has_failed_and_leaves_its_thread() {
    use forecast_pb::forecast::State;

    let fresh = one_at_a_time::<almanac_tests::service::Forecast>().await;
    let mut client = fresh.service.client();
    let ids: Vec<String> = (0..2500).map(|number| format!("s{number}")).collect();
    let mut members = vec![wire::member("world", "", "World")];
    members.extend(ids.iter().map(|id| wire::member(id, "world", id)));
    client
        .create_market(market_request("gdp", members))
        .await
        .unwrap();
    let points = ids.iter().flat_map(|id| {
        ["2021", "2022", "2023"].map(|year| wire::point(id, year, year.parse().unwrap()))
    });
    client
        .write_points(points_request(points.collect()))
        .await
        .unwrap();
    let request = |id: &str, horizon, wait| forecast_pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: id.to_owned(),
        forecast: Some(wire::drift(horizon)),
        wait,
        ..Default::default()
    };
    let long = client
        .create_forecast(request("long", 1000, a_little()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(long.state(), State::Creating);
    let short = client
        .create_forecast(request("short", 1, a_little()))
        .await
        .unwrap()
        .into_inner();
    // There is one thread for forecasts, so the long one is being computed.
    assert_eq!(short.state(), State::Creating);

    let cancel = forecast_pb::CancelForecastRequest {
        name: long.name.clone(),
        ..Default::default()
    };
    let ended = client.cancel_forecast(cancel).await.unwrap().into_inner();
    assert_eq!(ended.state(), State::Failed);
    assert_eq!(reason(ended.error), "FORECAST_CANCELLED");
    let get = |name: &str| forecast_pb::GetForecastRequest {
        name: name.to_owned(),
        consistency: None,
    };
    let short = loop {
        let found = client.get_forecast(get(&short.name)).await.unwrap();
        let found = found.into_inner();
        if found.state() != State::Creating {
            break found;
        }
    };
    assert_eq!(short.state(), State::Published);

    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let found = client.get_forecast(get(&long.name)).await.unwrap();
    let found = found.into_inner();
    assert_eq!(found.state(), State::Failed);
    assert_eq!(reason(found.error), "FORECAST_CANCELLED");
    fresh.stop().await;
}
