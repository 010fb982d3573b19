//! A dataset with an index over all of its indicators, put into a ranking service.

use crate::{Outcome, wire};
use almanac_proto::ranking::v1::{self as pb, ranking_service_client::RankingServiceClient};
use tonic::transport::Channel;

/// A client on a connection.
pub type Client = RankingServiceClient<Channel>;

/// The dataset.
pub const DATASET: &str = "datasets/bench";
/// The index.
pub const INDEX: &str = "datasets/bench/indices/all";
/// Most that one batch may hold.
const BATCH: usize = 1000;

/// Creates the dataset, its indicators and entities, and the index of the latest figures up to
/// `year`; every indicator is a leaf below the root.
pub async fn create(
    client: &mut Client,
    indicators: &[String],
    entities: &[String],
    year: &str,
) -> Outcome<()> {
    let request = pb::CreateDatasetRequest {
        dataset_id: "bench".to_owned(),
        dataset: Some(pb::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(request).await?;
    for id in indicators {
        let request = pb::CreateIndicatorRequest {
            parent: DATASET.to_owned(),
            indicator_id: id.clone(),
            indicator: Some(wire::indicator(id)),
            ..Default::default()
        };
        client.create_indicator(request).await?;
    }
    for batch in entities.chunks(BATCH) {
        let requests = batch.iter().map(|id| pb::CreateEntityRequest {
            entity_id: id.clone(),
            entity: Some(pb::Entity {
                display_name: id.clone(),
                ..Default::default()
            }),
            ..Default::default()
        });
        let request = pb::BatchCreateEntitiesRequest {
            parent: DATASET.to_owned(),
            requests: requests.collect(),
            ..Default::default()
        };
        client.batch_create_entities(request).await?;
    }
    let mut nodes = vec![wire::inner("root", "")];
    nodes.extend(indicators.iter().map(|id| wire::leaf(id, "root")));
    let request = pb::CreateIndexRequest {
        parent: DATASET.to_owned(),
        index_id: "all".to_owned(),
        index: Some(pb::Index {
            display_name: "all".to_owned(),
            nodes,
            methodology: Some(wire::methodology(wire::min_max(), year, 12)),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.create_index(request).await?;
    Ok(())
}

/// Writes a batch of observations.
pub async fn write(client: &mut Client, observations: Vec<pb::Observation>) -> Outcome<()> {
    let request = pb::WriteObservationsRequest {
        parent: DATASET.to_owned(),
        observations,
        ..Default::default()
    };
    client.write_observations(request).await?;
    Ok(())
}

/// The first page of the ranking, with these weights tried.
pub fn ranking(weights: &[(&str, f64)]) -> pb::ListRankingResultsRequest {
    let overrides = weights.iter().map(|(node, weight)| pb::Override {
        change: Some(pb::r#override::Change::NodeWeight(pb::NodeWeight {
            node: (*node).to_owned(),
            weight: *weight,
        })),
    });
    let live = pb::LiveRanking {
        index: INDEX.to_owned(),
        overrides: overrides.collect(),
        ..Default::default()
    };
    pb::ListRankingResultsRequest {
        source: Some(pb::RankingSource {
            source: Some(pb::ranking_source::Source::Live(live)),
        }),
        ..Default::default()
    }
}
