//! What the stories share.

use std::fmt::Debug;

use almanac_proto::ranking::v1::{self as pb, ranking_service_client::RankingServiceClient};
use almanac_tests::{
    refusal::{self, Refusal},
    service::{Forecast, Kind, Ranking, Running},
    wire,
};
use tempfile::TempDir;
use tonic::{Code, Response, Status, transport::Channel};

pub(crate) type RankingClient = RankingServiceClient<Channel>;

/// A service over a store of its own.
pub(crate) struct Fresh<K> {
    /// The service.
    pub(crate) service: Running<K>,
    /// Its data directory.
    pub(crate) dir: TempDir,
}

impl<K: Kind> Fresh<K> {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let service = Running::start(dir.path()).await.unwrap();
        Self { service, dir }
    }

    /// Stops it and starts it again over the same store.
    pub(crate) async fn restart(self) -> Self {
        self.service.stop().await.unwrap();
        let service = Running::start(self.dir.path()).await.unwrap();
        Self {
            service,
            dir: self.dir,
        }
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await.unwrap();
    }
}

pub(crate) async fn ranking() -> Fresh<Ranking> {
    Fresh::start().await
}

pub(crate) async fn forecast() -> Fresh<Forecast> {
    Fresh::start().await
}

/// The refusal, which must have this code, reason and, where it is not empty, field.
#[track_caller]
pub(crate) fn refused<T: Debug>(
    result: Result<Response<T>, Status>,
    code: Code,
    reason: &str,
    field: &str,
) -> Refusal {
    let refusal = refusal::expect_error(result, code, reason, field).unwrap();
    assert!(refusal.domain.ends_with(".almanac"), "{refusal:?}");
    refusal
}

/// INVALID_ARGUMENT for this reason at this field.
#[track_caller]
pub(crate) fn invalid<T: Debug>(
    result: Result<Response<T>, Status>,
    reason: &str,
    field: &str,
) -> Refusal {
    refused(result, Code::InvalidArgument, reason, field)
}

pub(crate) const DATASET: &str = "datasets/cities";
pub(crate) const INDEX: &str = "datasets/cities/indices/livable";

/// The four cities of the small data set, best first.
pub(crate) const CITIES: [&str; 4] = ["oslo", "lima", "pune", "bern"];

/// A small data set: `transit` and `air` of four cities in 2023, and an index of both under a
/// pillar each.
pub(crate) async fn small(client: &mut RankingClient) {
    let request = pb::CreateDatasetRequest {
        dataset_id: "cities".to_owned(),
        dataset: Some(pb::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(request).await.unwrap();
    for (id, direction) in [
        ("transit", pb::Direction::HigherIsBetter),
        ("air", pb::Direction::LowerIsBetter),
    ] {
        let indicator = pb::Indicator {
            direction: direction.into(),
            ..wire::indicator(id)
        };
        client
            .create_indicator(indicator_request(id, indicator))
            .await
            .unwrap();
    }
    for (id, region) in CITIES.iter().zip(["europe", "america", "asia", "europe"]) {
        client
            .create_entity(entity_request(id, region))
            .await
            .unwrap();
    }
    let mut observations = Vec::new();
    for (row, city) in CITIES.iter().enumerate() {
        let row = row as f64;
        observations.push(wire::observation(
            "transit",
            city,
            "2023",
            90.0 - 10.0 * row * row,
        ));
        observations.push(wire::observation("air", city, "2023", 5.0 + row));
    }
    client
        .write_observations(write(observations))
        .await
        .unwrap();
    client
        .create_index(index_request("livable", index()))
        .await
        .unwrap();
}

pub(crate) fn indicator_request(id: &str, indicator: pb::Indicator) -> pb::CreateIndicatorRequest {
    pb::CreateIndicatorRequest {
        parent: DATASET.to_owned(),
        indicator_id: id.to_owned(),
        indicator: Some(indicator),
        ..Default::default()
    }
}

pub(crate) fn entity_request(id: &str, region: &str) -> pb::CreateEntityRequest {
    pb::CreateEntityRequest {
        parent: DATASET.to_owned(),
        entity_id: id.to_owned(),
        entity: Some(pb::Entity {
            display_name: id.to_uppercase(),
            labels: [("region".to_owned(), region.to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn write(observations: Vec<pb::Observation>) -> pb::WriteObservationsRequest {
    pb::WriteObservationsRequest {
        parent: DATASET.to_owned(),
        observations,
        ..Default::default()
    }
}

/// The index of the small data set.
pub(crate) fn index() -> pb::Index {
    pb::Index {
        nodes: vec![
            wire::inner("livable", ""),
            wire::inner("moving", "livable"),
            wire::inner("breathing", "livable"),
            wire::leaf("transit", "moving"),
            wire::leaf("air", "breathing"),
        ],
        methodology: Some(wire::methodology(wire::min_max(), "2023", 0)),
        ..Default::default()
    }
}

pub(crate) fn index_request(id: &str, index: pb::Index) -> pb::CreateIndexRequest {
    pb::CreateIndexRequest {
        parent: DATASET.to_owned(),
        index_id: id.to_owned(),
        index: Some(index),
        ..Default::default()
    }
}

pub(crate) fn edition_request(id: &str) -> pb::CreateEditionRequest {
    pb::CreateEditionRequest {
        parent: INDEX.to_owned(),
        edition_id: id.to_owned(),
        ..Default::default()
    }
}

/// The live ranking of the small data set.
pub(crate) fn live_request() -> pb::ListRankingResultsRequest {
    pb::ListRankingResultsRequest {
        source: wire::live(INDEX),
        ..Default::default()
    }
}

/// The last part of a resource name.
pub(crate) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}
