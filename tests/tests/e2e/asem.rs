//! The ASEM index through gRPC against COINr 1.1.14: every score and rank at every level.

use std::{collections::BTreeMap, path::PathBuf};

use almanac_proto::ranking::v1 as pb;
use almanac_tests::{
    skip::{golden, shared, skip},
    wire,
};

use crate::support::{
    DATASET, INDEX, RankingClient, edition_request, entity_request, id_of, index_request,
    indicator_request, ranking, write,
};

/// A reference table: rows by unit, cells by column; none where `NA`.
type Table = BTreeMap<String, BTreeMap<String, Option<f64>>>;

struct Asem {
    folder: PathBuf,
    nodes: Vec<pb::Node>,
    lower_is_better: Vec<String>,
}

/// IDs are of small letters.
fn id(code: &str) -> String {
    code.to_lowercase()
}

impl Asem {
    fn load(folder: PathBuf) -> Self {
        let mut reader = csv::Reader::from_path(folder.join("meta.csv")).unwrap();
        let header = reader.headers().unwrap().clone();
        let (mut nodes, mut lower_is_better) = (Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.unwrap();
            let cell = |column: &str| {
                let place = header.iter().position(|name| name == column).unwrap();
                record.get(place).unwrap()
            };
            let (code, parent) = (id(cell("iCode")), id(cell("Parent")));
            let node = match cell("Type") {
                "Indicator" => wire::leaf(&code, &parent),
                "Aggregate" => wire::inner(&code, &parent),
                _ => continue,
            };
            nodes.push(pb::Node {
                weight: cell("Weight").parse().ok(),
                ..node
            });
            if cell("Type") == "Indicator" && cell("Direction") == "-1" {
                lower_is_better.push(code);
            }
        }
        Self {
            folder,
            nodes,
            lower_is_better,
        }
    }

    fn table(&self, name: &str) -> Table {
        let mut reader = csv::Reader::from_path(self.folder.join(name)).unwrap();
        let header = reader.headers().unwrap().clone();
        let unit = header.iter().position(|name| name == "uCode").unwrap();
        let mut table = Table::new();
        for record in reader.records() {
            let record = record.unwrap();
            let cells = header
                .iter()
                .zip(&record)
                .map(|(name, cell)| (id(name), cell.parse().ok()));
            table.insert(id(&record[unit]), cells.collect());
        }
        table
    }

    fn indicators(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .map(|node| node.indicator.as_str())
            .filter(|of| !of.is_empty())
    }
}

/// Feeds a file in as the data of a year.
async fn load(client: &mut RankingClient, asem: &Asem, file: &str, directed: bool) {
    let request = pb::CreateDatasetRequest {
        dataset_id: "cities".to_owned(),
        dataset: Some(pb::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(request).await.unwrap();
    let requests = asem.indicators().map(|of| {
        let mut indicator = wire::indicator(of);
        if directed && asem.lower_is_better.iter().any(|lower| lower == of) {
            indicator.direction = pb::Direction::LowerIsBetter.into();
        }
        indicator_request(of, indicator)
    });
    let request = pb::BatchCreateIndicatorsRequest {
        parent: DATASET.to_owned(),
        requests: requests.collect(),
        ..Default::default()
    };
    client.batch_create_indicators(request).await.unwrap();
    let table = asem.table(file);
    let requests = table.keys().map(|unit| entity_request(unit, "asem"));
    let request = pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests: requests.collect(),
        ..Default::default()
    };
    client.batch_create_entities(request).await.unwrap();
    let mut observations = Vec::new();
    for (unit, cells) in &table {
        for of in asem.indicators() {
            let value = cells[of];
            observations.extend(value.map(|value| wire::observation(of, unit, "2018", value)));
        }
    }
    client
        .write_observations(write(observations))
        .await
        .unwrap();
}

/// Reference ranks without the ties that rounding noise broke: entities whose reference scores are
/// the same up to noise take the better rank.
fn tied(scores: &Table, ranks: &Table, node: &str, unit: &str) -> Option<f64> {
    let score = scores[unit][node]?;
    let near = scores.iter().filter(|(_, cells)| {
        cells[node].is_some_and(|other| (other - score).abs() < 1e-12 * score.abs().max(1.0))
    });
    near.filter_map(|(other, _)| ranks[other][node])
        .reduce(f64::min)
}

async fn check(
    client: &mut RankingClient,
    asem: &Asem,
    source: Option<pb::RankingSource>,
) -> usize {
    let (scores, ranks) = (asem.table("aggregated.csv"), asem.table("ranks.csv"));
    let request = pb::ListRankingResultsRequest {
        source,
        page_size: 1000,
        view: pb::RankingView::Full.into(),
        ..Default::default()
    };
    let listed = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.results.len(), 51);
    let mut checked = 0;
    for result in &listed.results {
        let unit = id_of(&result.entity);
        assert_eq!(result.nodes.len(), asem.nodes.len());
        for node in &result.nodes {
            let column = scores.values().filter_map(|cells| cells[&node.node]);
            let scale = column.fold(0.0_f64, |scale, cell| scale.max(cell.abs()));
            let place = format!("{} of {unit}", node.node);
            let reference = scores[unit][&node.node].unwrap();
            let score = node.score.unwrap();
            assert!(
                (score - reference).abs() <= 1e-9 * scale,
                "{place}: {score}, not {reference}"
            );
            let reference = tied(&scores, &ranks, &node.node, unit);
            assert_eq!(node.rank.map(f64::from), reference, "{place}");
            checked += 2;
        }
    }
    checked
}

async fn golden_case(file: &str, method: pb::normalization::Method, directed: bool, name: &str) {
    let Some(folder) = shared("reference/ranking/asem") else {
        return skip("no reference answers; ALMANAC_SHARED names their folder").unwrap();
    };
    let asem = Asem::load(folder);
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    load(&mut client, &asem, file, directed).await;
    let methodology = Some(wire::methodology(method, "2018", 0));
    let index = pb::Index {
        nodes: asem.nodes.clone(),
        methodology,
        ..Default::default()
    };
    client
        .create_index(index_request("livable", index))
        .await
        .unwrap();
    let live = check(&mut client, &asem, wire::live(INDEX)).await;
    let edition = client
        .create_edition(edition_request("asem"))
        .await
        .unwrap()
        .into_inner();
    let published = check(&mut client, &asem, wire::edition(&edition.name)).await;
    assert_eq!(live, published);
    golden(name).unwrap();
    fresh.stop().await;
}

#[tokio::test]
async fn from_normalized_data_as_they_are() {
    let name = "asem through gRPC, normalised.csv with identity";
    golden_case("normalised.csv", wire::identity(), false, name).await;
}

#[tokio::test]
async fn from_treated_data_by_min_max() {
    let name = "asem through gRPC, treated.csv with min-max";
    golden_case("treated.csv", wire::min_max(), true, name).await;
}
