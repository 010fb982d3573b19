//! The main job of the ranking service on real data: 74 cities, 14 indicators, four pillars.

use std::collections::BTreeMap;

use almanac_proto::{
    common::v1::{Missing, missing},
    ranking::v1::{self as pb, observation::State},
};
use almanac_tests::{data, wire};
use tonic::Code;

use crate::support::{
    DATASET, INDEX, RankingClient, edition_request, entity_request, id_of, index_request,
    indicator_request, ranking, refused, write,
};

async fn load(client: &mut RankingClient, data: &data::Cities) {
    let request = pb::CreateDatasetRequest {
        dataset_id: "cities".to_owned(),
        dataset: Some(pb::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(request).await.unwrap();
    let requests = data.indicators.iter().map(|of| {
        let direction = if of.higher_is_better {
            pb::Direction::HigherIsBetter
        } else {
            pb::Direction::LowerIsBetter
        };
        let indicator = pb::Indicator {
            direction: direction.into(),
            ..wire::indicator(&of.name)
        };
        indicator_request(&of.id, indicator)
    });
    let request = pb::BatchCreateIndicatorsRequest {
        parent: DATASET.to_owned(),
        requests: requests.collect(),
        ..Default::default()
    };
    let created = client
        .batch_create_indicators(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(created.indicators.len(), 14);
    let requests = data.cities.iter().map(|city| {
        let mut request = entity_request(&city.id, &data::slug(&city.region));
        if let Some(entity) = &mut request.entity
            && data::ASIA.contains(&city.subregion.as_str())
        {
            entity
                .labels
                .insert("market-region".to_owned(), "asia".to_owned());
        }
        request
    });
    let request = pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests: requests.collect(),
        ..Default::default()
    };
    let created = client
        .batch_create_entities(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(created.entities.len(), 74);
    let cells = data.cells.iter().map(|cell| {
        let reason = missing::Reason::NotReported.into();
        let state = match cell.value {
            Some(value) => State::Value(value),
            None => State::Missing(Missing {
                reason,
                note: String::new(),
            }),
        };
        let observation = wire::observation(&cell.indicator, &cell.city, &cell.period, 0.0);
        pb::Observation {
            state: Some(state),
            ..observation
        }
    });
    let written = client
        .write_observations(write(cells.collect()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(written.written_count, 74 * 14);
    let mut nodes = vec![wire::inner("index", "")];
    let pillars: BTreeMap<&str, ()> = data
        .indicators
        .iter()
        .map(|of| (of.pillar.as_str(), ()))
        .collect();
    nodes.extend(pillars.keys().map(|pillar| wire::inner(pillar, "index")));
    nodes.extend(
        data.indicators
            .iter()
            .map(|of| wire::leaf(&of.id, &of.pillar)),
    );
    let methodology = Some(wire::methodology(wire::min_max(), "2026", 12));
    let index = pb::Index {
        nodes,
        methodology,
        ..Default::default()
    };
    client
        .create_index(index_request("livable", index))
        .await
        .unwrap();
}

/// The index by hand, as its definition reads: the scores of the root by city.
fn by_hand(data: &data::Cities) -> BTreeMap<&str, f64> {
    let mut pillars: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for of in &data.indicators {
        let cells = || data.cells.iter().filter(|cell| cell.indicator == of.id);
        let sign = if of.higher_is_better { 1.0 } else { -1.0 };
        let values = || cells().filter_map(|cell| Some((cell, sign * cell.value?)));
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |ends, (_, value)| {
            (ends.0.min(value), ends.1.max(value))
        });
        for (cell, value) in values() {
            let scores = pillars.entry((&cell.city, &of.pillar)).or_default();
            scores.push((value - low) / (high - low) * 100.0);
        }
    }
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let mut cities: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((city, _), scores) in &pillars {
        cities.entry(city).or_default().push(mean(scores));
    }
    cities
        .into_iter()
        .map(|(city, scores)| (city, mean(&scores)))
        .collect()
}

#[tokio::test]
async fn the_main_job() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    let data = data::cities().unwrap();
    load(&mut client, &data).await;
    let edition = client
        .create_edition(edition_request("demo"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(edition.state(), pb::edition::State::Published);
    assert_eq!((edition.entity_count, edition.ranked_count), (74, 74));
    assert_eq!(edition.cell_count, 74 * 14 - 32);

    let source = wire::edition(&edition.name);
    let request = pb::ListRankingResultsRequest {
        source: source.clone(),
        page_size: 1000,
        view: pb::RankingView::Full.into(),
        ..Default::default()
    };
    let world = client
        .list_ranking_results(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((world.results.len(), world.total_size), (74, 74));
    assert_eq!(world.result_digest, edition.result_digest);
    let expected = by_hand(&data);
    let mut last = f64::INFINITY;
    for result in &world.results {
        let score = result.score.unwrap();
        let by_hand = expected[id_of(&result.entity)];
        assert!(
            (score - by_hand).abs() < 1e-9,
            "{}: {score}, not {by_hand}",
            result.entity
        );
        assert!(score <= last);
        last = score;
        let better = expected
            .values()
            .filter(|other| **other > by_hand + 1e-9)
            .count();
        assert_eq!(
            usize::try_from(result.rank.unwrap()).unwrap(),
            better + 1,
            "{result:?}"
        );
        assert_eq!(result.nodes.len(), 1 + 4 + 14);
    }

    let request = pb::ListRankingResultsRequest {
        filter: "labels.market-region = \"asia\"".to_owned(),
        group_by_label: "market-region".to_owned(),
        top: Some(5),
        ..request
    };
    let asia = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    let in_asia: Vec<&str> = world
        .results
        .iter()
        .filter(|result| result.labels.contains_key("market-region"))
        .map(|result| result.entity.as_str())
        .collect();
    assert!(
        in_asia.iter().any(|name| id_of(name) == "sydney"),
        "Sydney competes in Asia"
    );
    let listed: Vec<&str> = asia
        .results
        .iter()
        .map(|result| result.entity.as_str())
        .collect();
    assert_eq!(listed, in_asia[..5]);
    let ranks: Vec<i32> = asia
        .results
        .iter()
        .filter_map(|result| result.group_rank)
        .collect();
    assert_eq!(ranks, [1, 2, 3, 4, 5]);
    assert!(asia.results.iter().all(|result| result.group == "asia"));

    scorecard(&mut client, source, &world.results).await;
    fresh.stop().await;
}

async fn scorecard(
    client: &mut RankingClient,
    source: Option<pb::RankingSource>,
    world: &[pb::RankingResult],
) {
    let request = pb::GetScorecardRequest {
        source,
        entity: world[0].entity.clone(),
        peer_count: Some(2),
    };
    let answer = client.get_scorecard(request).await.unwrap().into_inner();
    let card = answer.scorecard.unwrap();
    assert_eq!(
        (card.score, card.rank, card.ranked_count),
        (world[0].score, Some(1), 74)
    );
    let leaves = || {
        card.nodes
            .iter()
            .filter(|node| card.cells.iter().any(|c| c.node == node.node))
    };
    let sum: f64 = leaves().filter_map(|node| node.contribution_to_root).sum();
    assert!(
        (sum - card.score.unwrap()).abs() < 1e-9,
        "leaves add up to the score: {sum}"
    );
    let lead: f64 = leaves().filter_map(|node| node.lead_over_next).sum();
    let gap = world[0].score.unwrap() - world[1].score.unwrap();
    assert!(
        (lead - gap).abs() < 1e-9,
        "leaves add up to the lead: {lead}, not {gap}"
    );
    assert_eq!(card.strengths.len(), 5);
    assert_eq!(card.cells.len(), 14);
    let peers: Vec<&str> = card.peers.iter().map(|peer| peer.entity.as_str()).collect();
    assert_eq!(peers, [&world[1].entity, &world[2].entity]);
    assert!(
        card.explanation
            .iter()
            .any(|text| text.contains(&card.display_name)),
        "{card:?}"
    );
    let unknown = pb::GetScorecardRequest {
        source: wire::live(INDEX),
        entity: "atlantis".to_owned(),
        peer_count: None,
    };
    let answer = client.get_scorecard(unknown).await;
    refused(answer, Code::InvalidArgument, "ENTITY_UNKNOWN", "entity");
}
