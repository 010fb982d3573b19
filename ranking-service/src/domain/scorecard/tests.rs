//! Contributions add up, and neighbors are who they should be.

#![allow(clippy::float_cmp, reason = "figures that come out exactly")]

use almanac_service_kit::plain::control::Unlimited;

use super::*;
use crate::domain::column::Column;
use crate::domain::direction::Direction;
use crate::domain::framework::Node;
use crate::domain::methodology::{ConstantColumn, Methodology, Normalization, NormalizationMethod};
use crate::domain::pipeline::{Extent, leaf_inputs, run};
use crate::domain::selection::{Absence, Figure};

struct Case {
    framework: Framework,
    entities: Entities,
    ranking: Ranking,
}

/// top = (pillar + c) / 2, pillar = (a + 3 b) / 4, and z, which weighs nothing.
fn case() -> Case {
    let node = |id: &str, parent: &str, weight: f64, leaf: bool| Node {
        id: id.to_owned(),
        parent: (!parent.is_empty()).then(|| parent.to_owned()),
        weight,
        indicator: leaf.then(|| id.to_owned()),
        display_name: String::new(),
    };
    let framework = Framework::new(vec![
        node("top", "", 1.0, false),
        node("pillar", "top", 1.0, false),
        node("a", "pillar", 1.0, true),
        node("b", "pillar", 3.0, true),
        node("c", "top", 1.0, true),
        node("z", "top", 0.0, true),
    ])
    .unwrap();
    let ids = ["e", "d", "c", "b", "a"].map(str::to_owned).to_vec();
    let entities = Entities::new(ids).unwrap();
    let column = |cells: [Option<f64>; 5]| Column::from_options(&cells).unwrap();
    // Roots: e 6, d (6 + 1) / 2, c 6 (of c alone), b none, a 1.
    let columns = [
        ("a", column([Some(1.0), None, None, None, Some(4.0)])),
        ("b", column([Some(5.0), Some(6.0), None, None, Some(0.0)])),
        (
            "c",
            column([Some(8.0), Some(1.0), Some(6.0), None, Some(1.0)]),
        ),
        (
            "z",
            column([Some(1.0), Some(2.0), Some(3.0), Some(9.0), Some(4.0)]),
        ),
    ];
    let inputs = leaf_inputs(&framework, |id| {
        let (_, column) = columns.iter().find(|(known, _)| *known == id)?;
        Some((Direction::HigherIsBetter, column))
    })
    .unwrap();
    let methodology = Methodology {
        normalization: Normalization {
            method: NormalizationMethod::Identity,
            constant_column: ConstantColumn::Error,
        },
        ..Methodology::default()
    };
    let every = Extent::EveryNode;
    let ranking = run(
        &framework,
        &methodology,
        &entities,
        &inputs,
        every,
        &Unlimited,
    )
    .unwrap();
    Case {
        framework,
        entities,
        ranking,
    }
}

fn card(case: &Case, row: usize) -> Scorecard {
    let options = ScorecardOptions::default();
    scorecard(
        &case.framework,
        &case.entities,
        &case.ranking,
        row,
        options,
        &|_| None,
        &Unlimited,
    )
    .unwrap()
}

fn column<T>(card: &Scorecard, of: fn(&NodeCard) -> T) -> Vec<T> {
    card.nodes.iter().map(of).collect()
}

#[test]
fn contributions_add_up_to_parent_and_root() {
    let case = case();
    let leader = card(&case, 0);
    assert_eq!(
        (leader.score, leader.rank, leader.ranked),
        (Some(6.0), Some(1), 4)
    );
    let to_parent = column(&leader, |node| node.contribution_to_parent.unwrap());
    assert_eq!(to_parent, [6.0, 2.0, 0.25, 3.75, 4.0, 0.0]);
    let to_root = column(&leader, |node| node.contribution_to_root.unwrap());
    assert_eq!(to_root, [6.0, 2.0, 0.125, 1.875, 4.0, 0.0]);
    // A missing sibling leaves its weight to the others.
    let second = card(&case, 1);
    let shares = column(&second, |node| node.share);
    let expected = [Some(1.0), Some(0.5), None, Some(1.0), Some(0.5), Some(0.0)];
    assert_eq!(shares, expected);
}

#[test]
fn leads_split_the_difference_of_scores_exactly() {
    let case = case();
    let leaves = [2, 3, 4, 5];
    for row in [0, 1, 2, 4] {
        let card = card(&case, row);
        for (other, lead) in [
            (card.next, column(&card, |node| node.lead_over_next)),
            (card.leader, column(&card, |node| node.lead_over_leader)),
        ] {
            let other = case.ranking.score(other.unwrap()).unwrap();
            let sum: f64 = leaves.iter().filter_map(|&leaf| lead[leaf]).sum();
            assert!((sum - (card.score.unwrap() - other)).abs() < 1e-12);
            assert_eq!(lead[0], Some(card.score.unwrap() - other));
        }
    }
}

#[test]
fn neighbors_stand_by_rank_and_then_id() {
    let case = case();
    let rows = |peers: &[Peer]| -> Vec<usize> { peers.iter().map(|peer| peer.row).collect() };
    // "c" (row 2) and "e" (row 0) tie at 6.
    let first = card(&case, 2);
    assert_eq!((first.leader, first.next), (Some(2), Some(0)));
    assert_eq!(
        (rows(&first.above), rows(&first.below)),
        (vec![], vec![0, 1])
    );
    let last = card(&case, 4);
    assert_eq!((last.leader, last.next), (Some(2), Some(1)));
    assert_eq!((rows(&last.above), rows(&last.below)), (vec![0, 1], vec![]));
    let unranked = card(&case, 3);
    assert_eq!((unranked.rank, unranked.next), (None, None));
    assert!(unranked.above.is_empty() && unranked.below.is_empty());
    assert!(
        unranked
            .nodes
            .iter()
            .all(|node| node.contribution_to_root.is_none())
    );
}

#[test]
fn a_node_is_compared_with_best_mean_and_median() {
    let case = case();
    // Roots 6, 3.5, 6, 1: mean 4.125, median 4.75.
    let root = card(&case, 1).nodes[0];
    assert_eq!(root.gap_to_best, Some(2.5));
    assert_eq!(root.lead_over_mean, Some(3.5 - 4.125));
    assert_eq!(root.lead_over_median, Some(3.5 - 4.75));
    // Leaf b: 5, 6, 0.
    let leaf = card(&case, 0).nodes[3];
    assert_eq!(leaf.lead_over_median, Some(0.0));
    assert_eq!((leaf.rank, leaf.ranked), (Some(2), 3));
}

#[test]
fn strengths_and_weaknesses_part_the_leaves_that_count() {
    let case = case();
    // Row 4 ranks 1 in a, 3 in b, 3 in c (8, 6, 1 and 1); z weighs nothing.
    let card = card(&case, 4);
    assert_eq!(card.strengths, [2, 4]);
    assert_eq!(card.weaknesses, [3]);
}

#[test]
fn cells_are_those_the_caller_knows() {
    let case = case();
    let found = Selection::Found(Figure {
        value: 1.0,
        ordinal: 52,
        age: 1,
    });
    let absent = Selection::NotFound(Absence::NotRecorded);
    let cell = |node: usize| match node {
        2 => Some(found),
        3 => Some(absent),
        _ => None,
    };
    let options = ScorecardOptions::default();
    let card = scorecard(
        &case.framework,
        &case.entities,
        &case.ranking,
        0,
        options,
        &cell,
        &Unlimited,
    );
    let cells = column(&card.unwrap(), |node| node.cell);
    assert_eq!(cells, [None, None, Some(found), Some(absent), None, None]);
}

#[test]
fn a_ranking_of_the_root_alone_explains_nothing() {
    let case = case();
    let framework = &case.framework;
    let options = ScorecardOptions::default();
    let no_row = scorecard(
        framework,
        &case.entities,
        &case.ranking,
        5,
        options,
        &|_| None,
        &Unlimited,
    );
    assert_eq!(no_row, Err(ScorecardError::NoSuchRow { row: 5 }));
    let columns = Column::from_options(&[Some(1.0), Some(2.0), None, None, None]).unwrap();
    let inputs = leaf_inputs(framework, |_| Some((Direction::HigherIsBetter, &columns))).unwrap();
    let methodology = Methodology::default();
    let root = Extent::Root;
    let ranking = run(
        framework,
        &methodology,
        &case.entities,
        &inputs,
        root,
        &Unlimited,
    )
    .unwrap();
    let entities = &case.entities;
    let refused = scorecard(
        framework,
        entities,
        &ranking,
        0,
        options,
        &|_| None,
        &Unlimited,
    );
    let node = "pillar".to_owned();
    assert_eq!(refused, Err(ScorecardError::NodeNotKept { node }));
}
