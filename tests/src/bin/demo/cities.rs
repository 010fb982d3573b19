//! Loads the world-cities data set. What is there already is brought up to date, so the demo can
//! be run again on the same directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use almanac_proto::{
    common::v1::Frequency,
    ranking::v1::{self as pb, ranking_service_client::RankingServiceClient},
};
use almanac_tests::{Outcome, data, wire};
use tonic::transport::Channel;

use crate::{
    During as _, figures,
    table::{heading, step},
};

pub(crate) type Client = RankingServiceClient<Channel>;

/// The dataset.
pub(crate) const DATASET: &str = "datasets/world-cities";
/// The index.
pub(crate) const INDEX: &str = "datasets/world-cities/indices/smart-city";
/// The pillars: ID, name and a short name for tables.
pub(crate) const PILLARS: [(&str, &str, &str); 4] = [
    (
        "transport-infrastructure",
        "Transportation and infrastructure",
        "Transport",
    ),
    ("energy-lighting", "Energy and lighting", "Energy"),
    (
        "management-technology",
        "City management and technology",
        "Management",
    ),
    ("urban-connectivity", "Urban connectivity", "Connectivity"),
];

/// Loads everything and defines the index.
pub(crate) async fn load(client: &mut Client) -> Outcome<()> {
    heading("World cities: loading through gRPC")?;
    let data = data::cities()?;
    dataset(client).await?;
    sources(client, &data).await?;
    indicators(client, &data).await?;
    entities(client, &data).await?;
    figures::load(client, &data).await?;
    index(client, &data).await
}

async fn dataset(client: &mut Client) -> Outcome<()> {
    let dataset = pb::Dataset {
        name: DATASET.to_owned(),
        display_name: "World cities".to_owned(),
        description: "Open data of 74 cities, put together for demonstration.".to_owned(),
        ..Default::default()
    };
    let request = pb::UpdateDatasetRequest {
        dataset: Some(dataset),
        allow_missing: true,
        ..Default::default()
    };
    client
        .update_dataset(request)
        .await
        .during("setting up the dataset")?;
    Ok(())
}

async fn sources(client: &mut Client, data: &data::Cities) -> Outcome<()> {
    let sources: BTreeMap<&str, &data::Indicator> = data
        .indicators
        .iter()
        .map(|of| (of.source.as_str(), of))
        .collect();
    for (id, of) in &sources {
        let source = pb::Source {
            name: format!("{DATASET}/sources/{id}"),
            display_name: (*id).to_owned(),
            license: of.license.clone(),
            attribution: of.attribution.clone(),
            ..Default::default()
        };
        let request = pb::UpdateSourceRequest {
            source: Some(source),
            allow_missing: true,
            ..Default::default()
        };
        client
            .update_source(request)
            .await
            .during(&format!("setting up source {id}"))?;
    }
    Ok(step(&format!(
        "{} sources with license and attribution",
        sources.len()
    ))?)
}

async fn indicators(client: &mut Client, data: &data::Cities) -> Outcome<()> {
    for of in &data.indicators {
        let direction = if of.higher_is_better {
            pb::Direction::HigherIsBetter
        } else {
            pb::Direction::LowerIsBetter
        };
        let indicator = pb::Indicator {
            name: format!("{DATASET}/indicators/{}", of.id),
            display_name: of.name.clone(),
            unit: of.unit.clone(),
            direction: direction.into(),
            frequency: Frequency::Yearly.into(),
            source: format!("{DATASET}/sources/{}", of.source),
            license: of.license.clone(),
            ..Default::default()
        };
        let request = pb::UpdateIndicatorRequest {
            indicator: Some(indicator),
            allow_missing: true,
            ..Default::default()
        };
        let what = format!("setting up indicator {}", of.id);
        client.update_indicator(request).await.during(&what)?;
    }
    let odbl = data
        .indicators
        .iter()
        .filter(|of| of.license == "ODbL-1.0")
        .count();
    let all = data.indicators.len();
    Ok(step(&format!(
        "{all} indicators, {odbl} of them from a file of its own under ODbL-1.0"
    ))?)
}

fn labels(city: &data::City) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        ("region".to_owned(), data::slug(&city.region)),
        ("subregion".to_owned(), data::slug(&city.subregion)),
        ("country".to_owned(), city.iso3.to_lowercase()),
    ]);
    if data::ASIA.contains(&city.subregion.as_str()) {
        labels.insert("market-region".to_owned(), "asia".to_owned());
    }
    labels
}

async fn entities(client: &mut Client, data: &data::Cities) -> Outcome<()> {
    let request = pb::ListEntitiesRequest {
        parent: DATASET.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let there = client
        .list_entities(request)
        .await
        .during("listing the cities")?
        .entities;
    let there: BTreeSet<&str> = there.iter().map(|entity| entity.name.as_str()).collect();
    let absent = data.cities.iter().filter(|city| {
        let name = format!("{DATASET}/entities/{}", city.id);
        !there.contains(name.as_str())
    });
    let requests: Vec<pb::CreateEntityRequest> = absent
        .map(|city| pb::CreateEntityRequest {
            entity_id: city.id.clone(),
            entity: Some(pb::Entity {
                display_name: city.name.clone(),
                labels: labels(city),
                description: format!("{}, {}", city.name, city.country),
                ..Default::default()
            }),
            ..Default::default()
        })
        .collect();
    if requests.is_empty() {
        return Ok(step(&format!("{} cities were there already", there.len()))?);
    }
    let count = requests.len();
    let request = pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests,
        ..Default::default()
    };
    client
        .batch_create_entities(request)
        .await
        .during("creating the cities")?;
    Ok(step(&format!(
        "{count} cities, labeled by region, subregion, country and market"
    ))?)
}

async fn index(client: &mut Client, data: &data::Cities) -> Outcome<()> {
    let named = |node: pb::Node, name: &str| pb::Node {
        display_name: name.to_owned(),
        ..node
    };
    let mut nodes = vec![named(
        wire::inner("smart-city", ""),
        "Smart city over open data",
    )];
    for (id, name, _) in PILLARS {
        nodes.push(named(wire::inner(id, "smart-city"), name));
    }
    nodes.extend(
        data.indicators
            .iter()
            .map(|of| wire::leaf(&of.id, &of.pillar)),
    );
    let index = pb::Index {
        name: INDEX.to_owned(),
        display_name: "Smart city over open data".to_owned(),
        nodes,
        methodology: Some(wire::methodology(wire::min_max(), "2026", 12)),
        ..Default::default()
    };
    let request = pb::UpdateIndexRequest {
        index: Some(index),
        allow_missing: true,
        ..Default::default()
    };
    client
        .update_index(request)
        .await
        .during("defining the index")?;
    Ok(step(
        "index smart-city: four pillars, equal weights, min-max, arithmetic means",
    )?)
}

/// Whom the figures are owed to.
pub(crate) fn attributions() -> Outcome<Vec<String>> {
    let data = data::cities()?;
    let owed: BTreeSet<String> = data
        .indicators
        .iter()
        .map(|of| format!("{} [{}]", of.attribution, of.license))
        .collect();
    let names = "City names: GeoNames (geonames.org) [CC-BY-4.0]";
    let routes = "This ranking contains information from OpenFlights \
                  (https://openflights.org/data), made available under the Open Database License \
                  1.0: tests/data/cities/odbl/README.md";
    Ok(owed
        .into_iter()
        .chain([names.to_owned(), routes.to_owned()])
        .collect())
}

/// Says which data the index is over.
pub(crate) fn disclaimer() -> io::Result<()> {
    crate::table::paragraph(
        "This is an index over open data, put together to show the service. It is not anybody's \
         published ranking, and its weights are equal everywhere: they were not tuned to match one.",
    )
}
