//! Overrides replace, and every fault is told.

use super::{MethodologyFaultKind as Kind, *};
use crate::domain::framework::Node;

fn node(id: &str, parent: Option<&str>, indicator: Option<&str>) -> Node {
    Node {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        weight: 1.0,
        indicator: indicator.map(str::to_owned),
        display_name: String::new(),
    }
}

fn framework() -> Framework {
    Framework::new(vec![
        node("index", None, None),
        node("a", Some("index"), Some("x")),
        node("b", Some("index"), Some("y")),
    ])
    .unwrap()
}

fn change(node: &str) -> NodeMethodology {
    NodeMethodology {
        node: node.to_owned(),
        normalization: None,
        aggregation: None,
    }
}

#[test]
fn an_override_replaces_the_default_as_a_whole() {
    let own = Normalization {
        method: NormalizationMethod::Identity,
        constant_column: ConstantColumn::Error,
    };
    let methodology = Methodology {
        normalization: Normalization {
            constant_column: ConstantColumn::Value(50.0),
            ..Normalization::default()
        },
        nodes: vec![NodeMethodology {
            normalization: Some(own.clone()),
            ..change("b")
        }],
        ..Methodology::default()
    };
    let steps = methodology.resolve(&framework()).unwrap();
    assert_eq!(steps[0], Step::Aggregate(&methodology.aggregation));
    assert_eq!(steps[1], Step::Normalize(&methodology.normalization));
    assert_eq!(steps[2], Step::Normalize(&own));
}

#[test]
fn what_is_stored_comes_back() {
    let methodology = Methodology {
        normalization: Normalization {
            method: NormalizationMethod::ZScore {
                mean: 0.1,
                standard_deviation: 2.0,
            },
            constant_column: ConstantColumn::Value(-0.5),
        },
        nodes: vec![NodeMethodology {
            aggregation: Some(Aggregation::default()),
            ..change("index")
        }],
        rank: RankOptions {
            tie_method: TieMethod::Fractional,
            tie_tolerance: 0.25,
            score_decimals: Some(2),
        },
        ..Methodology::default()
    };
    let stored = serde_json::to_string(&(&methodology, framework().nodes())).unwrap();
    let back: (Methodology, Vec<Node>) = serde_json::from_str(&stored).unwrap();
    assert_eq!(back, (methodology, framework().nodes().to_vec()));
}

#[test]
fn all_faults_are_told_with_their_places() {
    let methodology = Methodology {
        normalization: Normalization {
            method: NormalizationMethod::MinMax {
                lower: 1.0,
                upper: 1.0,
            },
            constant_column: ConstantColumn::Value(f64::INFINITY),
        },
        aggregation: Aggregation {
            minimum_availability: 1.5,
            ..Aggregation::default()
        },
        nodes: vec![
            change("a"),
            NodeMethodology {
                aggregation: Some(Aggregation::default()),
                ..change("a")
            },
            NodeMethodology {
                normalization: Some(Normalization {
                    method: NormalizationMethod::ZScore {
                        mean: 0.0,
                        standard_deviation: 0.0,
                    },
                    constant_column: ConstantColumn::Error,
                }),
                ..change("index")
            },
            NodeMethodology {
                normalization: Some(Normalization::default()),
                ..change("nowhere")
            },
        ],
        rank: RankOptions {
            tie_tolerance: -1.0,
            score_decimals: Some(16),
            ..RankOptions::default()
        },
    };
    let faults = methodology.resolve(&framework()).unwrap_err().0;
    let told: Vec<_> = faults.iter().map(|f| (f.index, f.kind.clone())).collect();
    let a = || "a".to_owned();
    assert_eq!(
        told,
        [
            (
                None,
                Kind::MinMaxBounds {
                    lower: 1.0,
                    upper: 1.0
                }
            ),
            (
                None,
                Kind::ConstantScore {
                    score: f64::INFINITY
                }
            ),
            (None, Kind::Availability { share: 1.5 }),
            (None, Kind::TieTolerance { tolerance: -1.0 }),
            (None, Kind::ScoreDecimals { decimals: 16 }),
            (Some(0), Kind::EmptyOverride { node: a() }),
            (Some(1), Kind::AggregationOfLeaf { node: a() }),
            (
                Some(1),
                Kind::RepeatedNode {
                    node: a(),
                    first: 0
                }
            ),
            (
                Some(2),
                Kind::ZScoreMoments {
                    mean: 0.0,
                    standard_deviation: 0.0
                }
            ),
            (
                Some(2),
                Kind::NormalizationOfInner {
                    node: "index".to_owned()
                }
            ),
            (
                Some(3),
                Kind::UnknownNode {
                    node: "nowhere".to_owned()
                }
            ),
        ]
    );
}
