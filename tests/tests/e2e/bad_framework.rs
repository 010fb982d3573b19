//! Bad indices: each fault with its code, reason and field path.

use almanac_proto::ranking::v1 as pb;
use almanac_tests::wire;
use tonic::Code;

use crate::support::{index, index_request, invalid, ranking, refused, small};

/// A fault of an index: what makes it wrong, the reason, and the field.
type Case = (fn(&mut pb::Index), &'static str, &'static str);

fn method(index: &mut pb::Index) -> &mut pb::Methodology {
    index.methodology.get_or_insert_default()
}

fn nodes(index: &mut pb::Index, nodes: Vec<pb::Node>) {
    index.nodes = nodes;
}

fn weigh(index: &mut pb::Index, row: usize, weight: f64) {
    index.nodes[row].weight = Some(weight);
}

const FRAMEWORKS: &[Case] = &[
    (|i| i.nodes.clear(), "FIELD_REQUIRED", "index.nodes"),
    (
        |i| i.nodes[3].parent = "nowhere".to_owned(),
        "PARENT_UNKNOWN",
        "index.nodes[3].parent",
    ),
    (
        |i| {
            nodes(
                i,
                vec![
                    wire::inner("livable", ""),
                    wire::leaf("air", "livable"),
                    wire::inner("a", "b"),
                    wire::inner("b", "a"),
                ],
            );
        },
        "FRAMEWORK_CYCLE",
        "index.nodes[2].parent",
    ),
    (
        |i| i.nodes[1].parent = String::new(),
        "FRAMEWORK_ROOT",
        "index.nodes[1].parent",
    ),
    (
        |i| i.nodes[4].id = "transit".to_owned(),
        "DUPLICATE_KEY",
        "index.nodes[4].id",
    ),
    (
        |i| i.nodes[4].id = "Air".to_owned(),
        "ID_INVALID",
        "index.nodes[4].id",
    ),
    (
        |i| i.nodes[4].indicator = String::new(),
        "NODE_KIND",
        "index.nodes[4].indicator",
    ),
    (
        |i| i.nodes[4].indicator = "nothing".to_owned(),
        "INDICATOR_UNKNOWN",
        "index.nodes[4].indicator",
    ),
    (
        |i| weigh(i, 3, 0.0),
        "WEIGHTS_SUM_TO_ZERO",
        "index.nodes[3].weight",
    ),
    (
        |i| weigh(i, 3, -1.0),
        "WEIGHT_NEGATIVE",
        "index.nodes[3].weight",
    ),
    (
        |i| weigh(i, 3, f64::NAN),
        "VALUE_NOT_FINITE",
        "index.nodes[3].weight",
    ),
    (
        |i| weigh(i, 3, f64::INFINITY),
        "VALUE_NOT_FINITE",
        "index.nodes[3].weight",
    ),
];

const METHODOLOGIES: &[Case] = &[
    (
        |i| i.methodology = None,
        "FIELD_REQUIRED",
        "index.methodology",
    ),
    (
        |i| method(i).periods = None,
        "FIELD_REQUIRED",
        "index.methodology.periods",
    ),
    (
        |i| method(i).normalization = None,
        "FIELD_REQUIRED",
        "index.methodology.normalization",
    ),
    (
        |i| method(i).aggregation = None,
        "FIELD_REQUIRED",
        "index.methodology.aggregation",
    ),
    (
        |i| method(i).normalization = Some(pb::Normalization::default()),
        "ONEOF_UNSET",
        "index.methodology.normalization.method",
    ),
    (
        |i| method(i).aggregation = Some(pb::Aggregation::default()),
        "ONEOF_UNSET",
        "index.methodology.aggregation.method",
    ),
    (
        |i| method(i).weighting = Some(pb::Weighting::default()),
        "ONEOF_UNSET",
        "index.methodology.weighting.method",
    ),
    (
        |i| method(i).periods = Some(period("2023-13")),
        "PERIOD_INVALID",
        "index.methodology.periods.period",
    ),
    (
        |i| method(i).periods = Some(period("2023-Q1")),
        "PERIOD_FREQUENCY_MISMATCH",
        "index.methodology.periods.period",
    ),
    (
        |i| method(i).nodes = vec![override_of("nowhere")],
        "NODE_UNKNOWN",
        "index.methodology.nodes[0].node",
    ),
    (
        |i| method(i).nodes = vec![override_of("air"), override_of("air")],
        "DUPLICATE_KEY",
        "index.methodology.nodes[1].node",
    ),
];

fn period(period: &str) -> pb::PeriodSelection {
    pb::PeriodSelection {
        period: period.to_owned(),
        max_age: None,
    }
}

fn override_of(node: &str) -> pb::NodeMethodology {
    let method = Some(wire::min_max());
    pb::NodeMethodology {
        node: node.to_owned(),
        normalization: Some(pb::Normalization {
            method,
            constant_column: None,
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn every_fault_of_an_index_is_told_where_it_is() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    for (spoil, reason, field) in FRAMEWORKS.iter().chain(METHODOLOGIES) {
        let mut bad = index();
        spoil(&mut bad);
        invalid(
            client.create_index(index_request("bad", bad)).await,
            reason,
            field,
        );
    }
    fresh.stop().await;
}

#[tokio::test]
async fn a_step_that_is_not_built_is_refused_and_not_skipped() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let unsupported: [fn(&mut pb::Methodology); 5] = [
        |m| m.screening = Some(pb::Screening::default()),
        |m| m.denomination = Some(pb::Denomination::default()),
        |m| m.imputation = Some(pb::Imputation::default()),
        |m| m.treatment = Some(pb::Treatment::default()),
        |m| {
            let mean = pb::aggregation::Method::GeometricMean(pb::WeightedGeometricMean {});
            m.aggregation = Some(pb::Aggregation {
                method: Some(mean),
                ..Default::default()
            });
        },
    ];
    for ask in unsupported {
        let mut wanting = index();
        ask(method(&mut wanting));
        let answer = client.create_index(index_request("wanting", wanting)).await;
        refused(answer, Code::Unimplemented, "METHOD_UNSUPPORTED", "");
    }
    fresh.stop().await;
}

#[tokio::test]
async fn faults_of_different_kinds_are_told_together() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut bad = index();
    weigh(&mut bad, 3, f64::NAN);
    method(&mut bad).normalization = None;
    let mut request = index_request("Bad", bad);
    request.request_id = "no uuid".to_owned();
    let refusal = client.create_index(request).await;
    let refusal = invalid(refusal, "ID_INVALID", "index_id");
    assert_eq!(refusal.reason, "INVALID_FIELDS");
    assert_eq!(refusal.metadata["violations_total"], "4", "{refusal}");
    assert!(
        refusal.names("index.nodes[3].weight", "VALUE_NOT_FINITE"),
        "{refusal}"
    );
    assert!(
        refusal.names("index.methodology.normalization", "FIELD_REQUIRED"),
        "{refusal}"
    );
    assert!(refusal.names("request_id", "FIELD_INVALID"), "{refusal}");
    fresh.stop().await;
}

#[tokio::test]
async fn a_constant_column_is_an_error_unless_said_what_it_becomes() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let cities = crate::support::CITIES;
    let same = cities.map(|city| wire::observation("transit", city, "2023", 7.0));
    client
        .write_observations(crate::support::write(same.to_vec()))
        .await
        .unwrap();
    let live = client
        .list_ranking_results(crate::support::live_request())
        .await;
    let refusal = refused(live, Code::FailedPrecondition, "CONSTANT_COLUMN", "");
    assert_eq!(refusal.metadata["indicator"], "transit", "{refusal}");
    let mut told = index();
    method(&mut told).normalization = Some(pb::Normalization {
        method: Some(wire::min_max()),
        constant_column: Some(pb::ConstantColumn {
            becomes: Some(pb::constant_column::Becomes::Score(50.0)),
        }),
    });
    client
        .create_index(index_request("told", told))
        .await
        .unwrap();
    let mut request = crate::support::live_request();
    request.source = wire::live("datasets/cities/indices/told");
    request.node = "transit".to_owned();
    let listed = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    assert!(
        listed
            .results
            .iter()
            .all(|result| result.score == Some(50.0)),
        "{listed:?}"
    );
    fresh.stop().await;
}
