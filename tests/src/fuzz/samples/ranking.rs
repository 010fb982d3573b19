//! Requests of the ranking service.

use almanac_proto::{
    common::v1::{ImportFinish, ImportStart, Missing, OnError, Retracted},
    ranking::v1::{
        self as pb, import_observations_request::Frame, normalization::Method, observation::State,
        r#override::Change,
    },
};
use prost_types::{Duration, FieldMask, Timestamp};

use super::{Samples, add, add_stream, request_id, standard};
use crate::wire::{edition, indicator, inner, leaf, live, methodology, min_max, observation};

const DATASET: &str = "datasets/d";
const INDEX: &str = "datasets/d/indices/x";
const EDITION: &str = "datasets/d/indices/x/editions/y";

/// Requests of the ranking service, in an order in which each is possible.
pub(in crate::fuzz) fn ranking() -> Samples {
    let mut samples = Samples::new();
    resources(&mut samples);
    observations(&mut samples);
    index(&mut samples);
    questions(&mut samples);
    editions(&mut samples);
    lists(&mut samples);
    endings(&mut samples);
    standard::ranking(&mut samples);
    samples
}

fn resources(samples: &mut Samples) {
    let create = pb::CreateDatasetRequest {
        dataset_id: "d".to_owned(),
        dataset: Some(pb::Dataset {
            display_name: "Städte".to_owned(),
            labels: [("theme".to_owned(), "smart-city".to_owned())].into(),
            description: "Cities of the world.\n\tYearly.".to_owned(),
            ..Default::default()
        }),
        request_id: request_id(1),
        ..Default::default()
    };
    add(samples, "CreateDataset", &create);
    let create = pb::CreateSourceRequest {
        parent: DATASET.to_owned(),
        source_id: "s".to_owned(),
        source: Some(pb::Source {
            citation: "Statistical office (2023)".to_owned(),
            url: "https://example.org/table?id=1".to_owned(),
            license: "CC-BY-4.0".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    add(samples, "CreateSource", &create);
    let create = pb::CreateIndicatorRequest {
        parent: DATASET.to_owned(),
        indicator_id: "population".to_owned(),
        indicator: Some(indicator("Population")),
        ..Default::default()
    };
    add(samples, "CreateIndicator", &create);
    let requests = ["transit", "air", "energy"].map(|id| pb::CreateIndicatorRequest {
        indicator_id: id.to_owned(),
        indicator: Some(pb::Indicator {
            unit: "km per 1,000".to_owned(),
            source: "datasets/d/sources/s".to_owned(),
            denominator: "population".to_owned(),
            goalposts: Some(pb::Goalposts {
                lower: 0.0,
                upper: 100.0,
            }),
            target: Some(80.0),
            ..indicator(id)
        }),
        ..Default::default()
    });
    let batch = pb::BatchCreateIndicatorsRequest {
        parent: DATASET.to_owned(),
        requests: requests.into(),
        ..Default::default()
    };
    add(samples, "BatchCreateIndicators", &batch);
    let create = pb::CreateEntityRequest {
        parent: DATASET.to_owned(),
        entity_id: "oslo".to_owned(),
        entity: Some(entity("europe")),
        ..Default::default()
    };
    add(samples, "CreateEntity", &create);
    let requests = [("lima", "america"), ("pune", "asia"), ("bern", "europe")];
    let batch = pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests: requests
            .map(|(id, region)| pb::CreateEntityRequest {
                entity_id: id.to_owned(),
                entity: Some(entity(region)),
                ..Default::default()
            })
            .into(),
        ..Default::default()
    };
    add(samples, "BatchCreateEntities", &batch);
}

fn entity(region: &str) -> pb::Entity {
    pb::Entity {
        display_name: "A city".to_owned(),
        labels: [("region".to_owned(), region.to_owned())].into(),
        ..Default::default()
    }
}

fn observations(samples: &mut Samples) {
    let mut rows = Vec::new();
    for (at, city) in (0_u8..).zip(["oslo", "lima", "pune", "bern"]) {
        for (step, indicator) in (0_u8..).zip(["transit", "air", "energy", "population"]) {
            let value = f64::from((at + 1) * (step + 2) * 7 % 31);
            rows.push(observation(indicator, city, "2023", value));
        }
    }
    rows[2].state = Some(State::Missing(Missing {
        reason: 1,
        note: "not asked".to_owned(),
    }));
    rows[5].source = "s".to_owned();
    rows[5].note = "Estimated.".to_owned();
    rows[5].status = pb::ObservationStatus::Estimate.into();
    rows[5].release_time = Some(Timestamp {
        seconds: 1_690_000_000,
        nanos: 5,
    });
    let write = pb::WriteObservationsRequest {
        parent: DATASET.to_owned(),
        observations: rows,
        request_id: request_id(2),
        ..Default::default()
    };
    add(samples, "WriteObservations", &write);
    let frame = |frame| pb::ImportObservationsRequest { frame: Some(frame) };
    let mut retracted = observation("transit", "bern", "2021", 0.0);
    retracted.state = Some(State::Retracted(Retracted {
        note: "wrong city".to_owned(),
    }));
    let stream = [
        frame(Frame::Start(ImportStart {
            parent: DATASET.to_owned(),
            import_id: request_id(3),
            on_error: OnError::RejectRow.into(),
            ..Default::default()
        })),
        frame(Frame::Chunk(pb::ImportChunk {
            sequence: 1,
            observations: vec![
                observation("air", "oslo", "2022", 4.25),
                retracted,
                observation("unknown", "oslo", "2022", 1.0),
            ],
        })),
        frame(Frame::Finish(ImportFinish { total_chunks: 1 })),
    ];
    add_stream(samples, "ImportObservations", &stream);
}

fn index(samples: &mut Samples) {
    let mut nodes = vec![
        inner("root", ""),
        inner("mobility", "root"),
        leaf("transit", "mobility"),
        leaf("air", "mobility"),
        leaf("energy", "root"),
    ];
    nodes[1].weight = Some(2.5);
    let own = pb::NodeMethodology {
        node: "energy".to_owned(),
        normalization: Some(pb::Normalization {
            method: Some(Method::ZScore(pb::ZScore {
                mean: Some(50.0),
                standard_deviation: Some(10.0),
            })),
            constant_column: None,
        }),
        periods: Some(pb::PeriodSelection {
            period: "2023".to_owned(),
            max_age: Some(3),
        }),
        ..Default::default()
    };
    let mut how = methodology(min_max(), "2023", 2);
    how.nodes = vec![own];
    how.rank_options = Some(pb::RankOptions {
        tie_method: pb::TieMethod::Fractional.into(),
        tie_tolerance: 0.01,
        score_decimals: Some(2),
    });
    let create = pb::CreateIndexRequest {
        parent: DATASET.to_owned(),
        index_id: "x".to_owned(),
        index: Some(pb::Index {
            display_name: "Livable".to_owned(),
            nodes,
            methodology: Some(how),
            entities: Some(pb::EntityFilter {
                filter: "labels.region = europe OR labels.region:a".to_owned(),
                entities: ["oslo", "lima", "pune", "bern"].map(str::to_owned).into(),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    add(samples, "CreateIndex", &create);
    let update = pb::UpdateIndexRequest {
        index: Some(pb::Index {
            name: INDEX.to_owned(),
            description: "How livable cities are.".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["description".to_owned()],
        }),
        allow_missing: true,
        ..Default::default()
    };
    add(samples, "UpdateIndex", &update);
}

fn overrides() -> Vec<pb::Override> {
    let changes = [
        Change::NodeWeight(pb::NodeWeight {
            node: "energy".to_owned(),
            weight: 3.0,
        }),
        Change::Observation(observation("air", "pune", "2023", 12.5)),
        Change::Methodology(methodology(min_max(), "2023", 1)),
        Change::Entities(pb::EntityFilter {
            filter: "NOT id = lima".to_owned(),
            ..Default::default()
        }),
    ];
    changes
        .map(|change| pb::Override {
            change: Some(change),
        })
        .into()
}

fn questions(samples: &mut Samples) {
    let mut source = live(INDEX);
    let plain = pb::ListRankingResultsRequest {
        source: source.clone(),
        ..Default::default()
    };
    add(samples, "ListRankingResults", &plain);
    if let Some(pb::ranking_source::Source::Live(live)) =
        source.as_mut().and_then(|source| source.source.as_mut())
    {
        live.overrides = overrides();
    }
    let what_if = pb::ListRankingResultsRequest {
        source: source.clone(),
        node: "mobility".to_owned(),
        filter: "labels.region:* AND NOT id = oslo".to_owned(),
        group_by_label: "region".to_owned(),
        page_size: 2,
        view: pb::RankingView::Full.into(),
        top: Some(3),
        ..Default::default()
    };
    add(samples, "ListRankingResults", &what_if);
    let card = pb::GetScorecardRequest {
        source,
        entity: "datasets/d/entities/pune".to_owned(),
        peer_count: Some(2),
    };
    add(samples, "GetScorecard", &card);
}

fn editions(samples: &mut Samples) {
    let create = pb::CreateEditionRequest {
        parent: INDEX.to_owned(),
        edition_id: "y".to_owned(),
        edition: Some(pb::Edition {
            display_name: "2023".to_owned(),
            notes: "First.".to_owned(),
            ..Default::default()
        }),
        wait: Some(Duration {
            seconds: 30,
            nanos: 0,
        }),
        request_id: request_id(4),
        ..Default::default()
    };
    add(samples, "CreateEdition", &create);
    let get = pb::GetEditionRequest {
        name: EDITION.to_owned(),
        ..Default::default()
    };
    add(samples, "GetEdition", &get);
    let verify = pb::VerifyEditionRequest {
        name: EDITION.to_owned(),
    };
    add(samples, "VerifyEdition", &verify);
    let list = pb::ListRankingResultsRequest {
        source: edition(EDITION),
        order_by: "id desc".to_owned(),
        ..Default::default()
    };
    add(samples, "ListRankingResults", &list);
    let cells = pb::ListEditionObservationsRequest {
        parent: EDITION.to_owned(),
        filter: "indicator = air".to_owned(),
        ..Default::default()
    };
    add(samples, "ListEditionObservations", &cells);
    let cancel = pb::CancelEditionRequest {
        name: EDITION.to_owned(),
        ..Default::default()
    };
    add(samples, "CancelEdition", &cancel);
}

fn lists(samples: &mut Samples) {
    let list = pb::ListDatasetsRequest {
        filter: "labels.theme = smart-city".to_owned(),
        order_by: "id desc".to_owned(),
        ..Default::default()
    };
    add(samples, "ListDatasets", &list);
    let list = pb::ListEntitiesRequest {
        parent: DATASET.to_owned(),
        page_size: 2,
        filter: "display_name:\"city\" AND -labels:country".to_owned(),
        ..Default::default()
    };
    add(samples, "ListEntities", &list);
    let list = pb::ListIndicatorsRequest {
        parent: DATASET.to_owned(),
        ..Default::default()
    };
    add(samples, "ListIndicators", &list);
    let list = pb::ListEditionsRequest {
        parent: INDEX.to_owned(),
        filter: "state = PUBLISHED".to_owned(),
        ..Default::default()
    };
    add(samples, "ListEditions", &list);
    let list = pb::ListObservationsRequest {
        parent: DATASET.to_owned(),
        filter: "indicator = air AND entity:o".to_owned(),
        ..Default::default()
    };
    add(samples, "ListObservations", &list);
    let list = pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: "oslo".to_owned(),
        period: "2023".to_owned(),
        ..Default::default()
    };
    add(samples, "ListObservationVersions", &list);
    let get = pb::BatchGetEntitiesRequest {
        parent: DATASET.to_owned(),
        names: vec!["datasets/d/entities/oslo".to_owned()],
        ..Default::default()
    };
    add(samples, "BatchGetEntities", &get);
}

fn endings(samples: &mut Samples) {
    let delete = pb::DeleteDatasetRequest {
        name: "datasets/other".to_owned(),
        allow_missing: true,
        ..Default::default()
    };
    add(samples, "DeleteDataset", &delete);
    let withdraw = pb::WithdrawEditionRequest {
        name: EDITION.to_owned(),
        reason: "Superseded.".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    add(samples, "WithdrawEdition", &withdraw);
}
