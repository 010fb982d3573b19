//! Small rankings worked out by hand, and what is refused.

use almanac_service_kit::plain::control::{Stopped, StopsAt, Unlimited};

use super::*;
use crate::domain::framework::Node;
use crate::domain::methodology::{
    Aggregation, ConstantColumn, NodeMethodology, Normalization, NormalizationMethod,
};

fn node(id: &str, parent: &str, weight: f64, indicator: &str) -> Node {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Node {
        id: id.to_owned(),
        parent: given(parent),
        weight,
        indicator: given(indicator),
        display_name: String::new(),
    }
}

/// An index of a pillar (leaves a, b; weights 1, 3) and a leaf c of the same weight.
fn framework() -> Framework {
    Framework::new(vec![
        node("index", "", 1.0, ""),
        node("pillar", "index", 1.0, ""),
        node("a", "pillar", 1.0, "x"),
        node("b", "pillar", 3.0, "y"),
        node("c", "index", 1.0, "z"),
    ])
    .unwrap()
}

fn entities(count: usize) -> Entities {
    Entities::new((0..count).map(|row| format!("e{row}")).collect()).unwrap()
}

fn columns(cells: [&[Option<f64>]; 3]) -> [Column; 3] {
    cells.map(|cells| Column::from_options(cells).unwrap())
}

fn inputs(columns: &[Column; 3]) -> Vec<LeafInput<'_>> {
    let up = Direction::HigherIsBetter;
    leaf_inputs(&framework(), |indicator| {
        let place = ["x", "y", "z"].iter().position(|&id| id == indicator)?;
        Some((up, &columns[place]))
    })
    .unwrap()
}

fn rank_all(columns: &[Column; 3], methodology: &Methodology) -> Result<Ranking, PipelineError> {
    let entities = entities(columns[0].len());
    let every = Extent::EveryNode;
    run(
        &framework(),
        methodology,
        &entities,
        &inputs(columns),
        every,
        &Unlimited,
    )
}

fn identity() -> Methodology {
    Methodology {
        normalization: Normalization {
            method: NormalizationMethod::Identity,
            constant_column: ConstantColumn::Error,
        },
        ..Methodology::default()
    }
}

fn scores(ranking: &Ranking, node: usize) -> Vec<Option<f64>> {
    ranking.node(node).unwrap().scores.to_options()
}

#[test]
fn gaps_are_filled_by_re_weighting_up_the_tree() {
    let columns = columns([
        &[Some(1.0), None, Some(5.0), None],
        &[Some(5.0), Some(2.0), None, None],
        &[Some(8.0), None, Some(1.0), None],
    ]);
    let ranking = rank_all(&columns, &identity()).unwrap();
    assert_eq!(scores(&ranking, 1), [Some(4.0), Some(2.0), Some(5.0), None]);
    assert_eq!(scores(&ranking, 0), [Some(6.0), Some(2.0), Some(3.0), None]);
    let ranks = ranking.node(0).unwrap().ranks.to_options();
    assert_eq!(ranks, [Some(1), Some(3), Some(2), None]);
    assert_eq!((ranking.score(2), ranking.rank(2)), (Some(3.0), Some(2)));
    let no_data = UnrankedReason::NoData;
    assert_eq!(
        ranking.unranked(),
        [Unranked {
            row: 3,
            reason: no_data
        }]
    );
}

#[test]
fn minimum_availability_cascades_and_is_explained() {
    let columns = columns([
        &[Some(1.0), None, Some(5.0)],
        &[Some(5.0), Some(2.0), None],
        &[Some(8.0), Some(1.0), None],
    ]);
    let mut methodology = identity();
    methodology.aggregation.minimum_availability = 0.75;
    let ranking = rank_all(&columns, &methodology).unwrap();
    assert_eq!(scores(&ranking, 1), [Some(4.0), None, None]);
    assert_eq!(scores(&ranking, 0), [Some(6.0), None, None]);
    let low = |row, node, present| Unranked {
        row,
        reason: UnrankedReason::LowAvailability {
            node,
            present,
            children: 2,
        },
    };
    // The second misses the pillar at the root; of the third only the pillar had anything.
    assert_eq!(ranking.unranked(), [low(1, 0, 1), low(2, 1, 1)]);

    methodology.nodes = vec![NodeMethodology {
        node: "index".to_owned(),
        normalization: None,
        aggregation: Some(Aggregation::default()),
    }];
    let relaxed = rank_all(&columns, &methodology).unwrap();
    assert_eq!(scores(&relaxed, 0), [Some(6.0), Some(1.0), None]);
}

#[test]
fn two_entities_stand_at_the_ends_of_the_scale() {
    let columns = columns([
        &[Some(-0.0), Some(1e-300)],
        &[Some(7.0), Some(-1e300)],
        &[Some(3.0), Some(2.0)],
    ]);
    let ranking = rank_all(&columns, &Methodology::default()).unwrap();
    assert_eq!(scores(&ranking, 2), [Some(0.0), Some(100.0)]);
    assert_eq!(scores(&ranking, 0), [Some(87.5), Some(12.5)]);
}

#[test]
fn all_constant_and_empty_columns_are_told_together() {
    let columns = columns([&[Some(1.0)], &[None], &[Some(-2.0)]]);
    let Err(PipelineError::Inputs(faults)) = rank_all(&columns, &Methodology::default()) else {
        panic!("a single entity has no spread");
    };
    let own = |text: &str| text.to_owned();
    assert_eq!(
        faults.0,
        [
            InputFault::ConstantColumn {
                node: own("a"),
                indicator: own("x"),
                value: 1.0
            },
            InputFault::EmptyColumn {
                node: own("b"),
                indicator: own("y")
            },
            InputFault::ConstantColumn {
                node: own("c"),
                indicator: own("z"),
                value: -2.0
            },
        ]
    );
    let mut methodology = Methodology::default();
    methodology.normalization.constant_column = ConstantColumn::Value(50.0);
    let ranking = rank_all(&columns, &methodology).unwrap();
    assert_eq!(scores(&ranking, 0), [Some(50.0)]);
    assert_eq!(scores(&ranking, 3), [None]);
}

#[test]
fn inputs_that_do_not_fit_are_told_together() {
    let column = Column::from_options(&[Some(1.0)]).unwrap();
    let leaf = |node| LeafInput {
        node,
        direction: Direction::HigherIsBetter,
        values: &column,
    };
    let leaves = [leaf(2), leaf(2), leaf(1), leaf(9)];
    let root = Extent::Root;
    let methodology = Methodology::default();
    let refused = run(
        &framework(),
        &methodology,
        &entities(0),
        &leaves,
        root,
        &Unlimited,
    );
    let own = |text: &str| text.to_owned();
    let length = InputFault::ColumnLength {
        node: own("a"),
        expected: 0,
        found: 1,
    };
    let missing = |node: &str, indicator: &str| InputFault::ColumnMissing {
        node: own(node),
        indicator: own(indicator),
    };
    let expected = vec![
        InputFault::NoEntities,
        length.clone(),
        length,
        InputFault::ColumnRepeated { node: own("a") },
        InputFault::NoLeaf { position: 1 },
        InputFault::NoLeaf { position: 9 },
        missing("b", "y"),
        missing("c", "z"),
    ];
    assert_eq!(refused, Err(PipelineError::Inputs(InputFaults(expected))));
    let faults = leaf_inputs(&framework(), |_| None).unwrap_err().0;
    let all = [missing("a", "x"), missing("b", "y"), missing("c", "z")];
    assert_eq!(faults, all);
}

#[test]
fn a_score_too_large_is_told_where_it_arises() {
    let cells: &[Option<f64>] = &[Some(0.0), Some(0.0), Some(0.0), Some(1.0)];
    let columns = columns([cells, cells, cells]);
    let z_score = NormalizationMethod::ZScore {
        mean: 1e308,
        standard_deviation: 1e308,
    };
    let mut methodology = identity();
    methodology.nodes = vec![NodeMethodology {
        node: "b".to_owned(),
        normalization: Some(Normalization {
            method: z_score,
            constant_column: ConstantColumn::Error,
        }),
        aggregation: None,
    }];
    let refused = rank_all(&columns, &methodology);
    let Err(PipelineError::Inputs(faults)) = refused else {
        panic!("{refused:?}");
    };
    let told: Vec<_> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["a score of 'b' is too large for a double"]);
}

#[test]
fn means_of_the_largest_doubles_are_no_larger() {
    let huge: &[Option<f64>] = &[Some(f64::MAX), Some(-f64::MAX), Some(1.0)];
    let columns = columns([huge, huge, huge]);
    let ranking = rank_all(&columns, &identity()).unwrap();
    assert_eq!(scores(&ranking, 0), huge);
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let cells: &[Option<f64>] = &[Some(1.0), Some(2.0)];
    let columns = columns([cells, cells, cells]);
    let kept = |extent: Extent<'_>| -> Vec<bool> {
        let inputs = inputs(&columns);
        let ranking = run(
            &framework(),
            &identity(),
            &entities(2),
            &inputs,
            extent,
            &Unlimited,
        );
        let ranking = ranking.unwrap();
        (0..6).map(|node| ranking.node(node).is_some()).collect()
    };
    assert_eq!(
        kept(Extent::Root),
        [true, false, false, false, false, false]
    );
    let some = kept(Extent::Nodes(&[3, 77]));
    assert_eq!(some, [true, false, false, true, false, false]);
    assert_eq!(
        kept(Extent::EveryNode),
        [true, true, true, true, true, false]
    );
}

#[test]
fn stretches_join_without_a_seam() {
    let count = 2 * STRETCH + 7;
    let cells: Vec<_> = (0..count)
        .map(|row| (row % 5 > 0).then_some(row as f64))
        .collect();
    let columns = columns([&cells, &cells, &cells]);
    let ranking = rank_all(&columns, &identity()).unwrap();
    for (row, score) in scores(&ranking, 0).into_iter().enumerate() {
        assert_eq!(score, cells[row]);
    }
    assert_eq!(ranking.unranked().len(), count.div_ceil(5));
}

#[test]
fn a_run_stops_wherever_it_is_told_to() {
    let cells: Vec<_> = (0..2 * STRETCH)
        .map(|row| (row > 0).then_some(row as f64))
        .collect();
    let columns = columns([&cells, &cells, &cells]);
    let entities = entities(cells.len());
    let stopped = |look: usize| {
        let control = StopsAt::look(look);
        let inputs = inputs(&columns);
        let every = Extent::EveryNode;
        run(
            &framework(),
            &identity(),
            &entities,
            &inputs,
            every,
            &control,
        ) == Err(PipelineError::Stopped(Stopped))
    };
    // Three fits, two stretches, five nodes ranked with six looks each, one row explained.
    assert!((0..36).all(stopped));
    assert!(!stopped(36));
}
