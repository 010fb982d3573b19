//! Writes to the ranking service: observations, entities, editions.

use std::time::{Duration, Instant};

use almanac_proto::ranking::v1::{self as pb, ranking_service_client::RankingServiceClient};
use tonic::{Status, transport::Channel};

use super::{
    import::import,
    subject::{
        BATCH, CHUNKS, Cut, FIRST_YEAR, Found, Kind, Publication, Subject, Write, absent, bulk,
    },
};
use crate::{Outcome, service::Ranking, wire};

type Client = RankingServiceClient<Channel>;

/// Where observations are written and editions published.
const HELD: &str = "datasets/held";
/// Where entities are created, so that editions do not grow with every round.
const MADE: &str = "datasets/made";
const INDEX: &str = "datasets/held/indices/standing";
const ENTITIES: u64 = 256;
/// Of these the index has figures.
const RANKED: u64 = 16;

/// How long an edition may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ranking service as what is written to.
#[derive(Debug, Clone, Copy)]
pub struct Datasets;

impl Subject for Datasets {
    type Service = Ranking;

    async fn prepare(self, channel: Channel) -> Result<(), Status> {
        let mut client = Client::new(channel);
        for id in ["held", "made"] {
            let request = pb::CreateDatasetRequest {
                dataset_id: id.to_owned(),
                dataset: Some(pb::Dataset::default()),
                ..Default::default()
            };
            client.create_dataset(request).await?;
        }
        for id in ["steady", "load", "bulk"] {
            let request = pb::CreateIndicatorRequest {
                parent: HELD.to_owned(),
                indicator_id: id.to_owned(),
                indicator: Some(wire::indicator(id)),
                ..Default::default()
            };
            client.create_indicator(request).await?;
        }
        let requests = (0..ENTITIES).map(|of| entity(HELD, format!("e{of}")));
        client
            .batch_create_entities(batch(HELD, requests.collect(), String::new()))
            .await?;
        let figures =
            (0..RANKED).map(|of| figure("steady", of, &FIRST_YEAR.to_string(), of as f64));
        client
            .write_observations(observations(figures.collect(), String::new()))
            .await?;
        let year = FIRST_YEAR.to_string();
        let index = pb::Index {
            nodes: vec![
                wire::inner("standing", ""),
                wire::leaf("steady", "standing"),
            ],
            methodology: Some(wire::methodology(wire::min_max(), &year, 0)),
            ..Default::default()
        };
        let request = pb::CreateIndexRequest {
            parent: HELD.to_owned(),
            index_id: "standing".to_owned(),
            index: Some(index),
            ..Default::default()
        };
        client.create_index(request).await?;
        Ok(())
    }

    async fn send(self, channel: Channel, write: Write) -> Result<String, Cut> {
        let mut client = Client::new(channel);
        let request_id = write.request_id();
        Ok(match write.kind {
            Kind::Figure | Kind::Figures => {
                let request = observations(figures(write), request_id);
                let answer = client.write_observations(request).await?;
                answer.into_inner().revision
            }
            Kind::Import => {
                let rows = |part| chunk(write, part);
                import(&mut client, HELD, write, rows).await?
            }
            Kind::Resource => {
                let request = pb::CreateEntityRequest {
                    request_id,
                    ..entity(MADE, write.id(0))
                };
                client.create_entity(request).await?.into_inner().uid
            }
            Kind::Resources => {
                let requests = (0..BATCH).map(|part| entity(MADE, write.id(part)));
                let request = batch(MADE, requests.collect(), request_id);
                let made = client.batch_create_entities(request).await?.into_inner();
                let uids: Vec<_> = made.entities.into_iter().map(|of| of.uid).collect();
                uids.join(" ")
            }
            Kind::Publication => {
                let request = pb::CreateEditionRequest {
                    parent: INDEX.to_owned(),
                    edition_id: write.id(0),
                    // Every other one is acknowledged while it is still being computed.
                    wait: write
                        .serial
                        .is_multiple_of(2)
                        .then(prost_types::Duration::default),
                    request_id,
                    ..Default::default()
                };
                client.create_edition(request).await?.into_inner().uid
            }
        })
    }

    async fn bulk(self, channel: Channel, number: u64) -> Result<(), Status> {
        let rows = bulk(number, ENTITIES).map(|(entity, year)| figure("bulk", entity, &year, 1.0));
        let request = observations(rows.collect(), String::new());
        Client::new(channel).write_observations(request).await?;
        Ok(())
    }

    async fn found(self, channel: Channel, write: Write) -> Outcome<Found> {
        let mut client = Client::new(channel);
        let mut found = Found::default();
        match write.kind {
            Kind::Figure | Kind::Figures => {
                found.part(&versions(&mut client, figures(write)).await?);
            }
            Kind::Import => {
                for part in 0..CHUNKS {
                    found.part(&versions(&mut client, chunk(write, part)).await?);
                }
            }
            Kind::Resource | Kind::Resources => {
                let parts = if write.kind == Kind::Resource {
                    1
                } else {
                    BATCH
                };
                let mut counts = Vec::new();
                for part in 0..parts {
                    let request = pb::GetEntityRequest {
                        name: format!("{MADE}/entities/{}", write.id(part)),
                        consistency: None,
                    };
                    let entity = absent(client.get_entity(request).await)?;
                    counts.push(entity.map_or(0, |_| 1));
                }
                found.part(&counts);
            }
            Kind::Publication => edition(&mut client, write, &mut found).await?,
        }
        Ok(found)
    }
}

/// Waits until an edition has ended, and verifies one that is published.
async fn edition(client: &mut Client, write: Write, found: &mut Found) -> Outcome<()> {
    use pb::{edition::State, verify_edition_response::Outcome as Replay};

    let name = format!("{INDEX}/editions/{}", write.id(0));
    let end = Instant::now() + PATIENCE;
    let state = loop {
        let request = pb::GetEditionRequest {
            name: name.clone(),
            consistency: None,
        };
        let Some(edition) = absent(client.get_edition(request).await)? else {
            found.part(&[0]);
            return Ok(());
        };
        if edition.state() != State::Creating || Instant::now() >= end {
            break edition.state();
        }
        found.resumed = true;
    };
    found.part(&[1]);
    found.publication = Some(match state {
        State::Published => {
            let replay = client
                .verify_edition(pb::VerifyEditionRequest { name })
                .await?;
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

/// How many versions of its cell have a figure's value, for each of the figures.
async fn versions(
    client: &mut Client,
    figures: Vec<pb::Observation>,
) -> Result<Vec<usize>, Status> {
    let mut counts = Vec::new();
    for figure in figures {
        let mut request = pb::ListObservationVersionsRequest {
            parent: HELD.to_owned(),
            indicator: figure.indicator,
            entity: figure.entity,
            period: figure.period,
            page_size: 1000,
            ..Default::default()
        };
        let mut count = 0;
        while let Some(page) = absent(client.list_observation_versions(request.clone()).await)? {
            let same = |version: &&pb::Observation| version.state == figure.state;
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

fn figure(indicator: &str, entity: u64, year: &str, value: f64) -> pb::Observation {
    wire::observation(indicator, &format!("e{entity}"), year, value)
}

/// What a write of figures holds.
fn figures(write: Write) -> Vec<pb::Observation> {
    if write.kind == Kind::Figure {
        let year = FIRST_YEAR.to_string();
        return vec![figure(
            "steady",
            write.serial % RANKED,
            &year,
            write.value(),
        )];
    }
    load(write, write.batch(ENTITIES))
}

/// What a chunk of an import holds.
fn chunk(write: Write, part: u64) -> Vec<pb::Observation> {
    load(write, write.chunk(part, ENTITIES))
}

fn load(write: Write, cells: impl Iterator<Item = (u64, String)>) -> Vec<pb::Observation> {
    let figure = |(entity, year): (u64, String)| figure("load", entity, &year, write.value());
    cells.map(figure).collect()
}

fn observations(
    observations: Vec<pb::Observation>,
    request_id: String,
) -> pb::WriteObservationsRequest {
    pb::WriteObservationsRequest {
        parent: HELD.to_owned(),
        observations,
        request_id,
        ..Default::default()
    }
}

fn entity(parent: &str, id: String) -> pb::CreateEntityRequest {
    pb::CreateEntityRequest {
        parent: parent.to_owned(),
        entity_id: id,
        entity: Some(pb::Entity::default()),
        ..Default::default()
    }
}

fn batch(
    parent: &str,
    requests: Vec<pb::CreateEntityRequest>,
    request_id: String,
) -> pb::BatchCreateEntitiesRequest {
    pb::BatchCreateEntitiesRequest {
        parent: parent.to_owned(),
        requests,
        request_id,
        ..Default::default()
    }
}
