//! Digests name content, not the order it came in.

use almanac_service_kit::plain::control::Unlimited;

use super::*;
use crate::domain::column::Column;
use crate::domain::direction::Direction;
use crate::domain::framework::Node;
use crate::domain::methodology::NodeMethodology;
use crate::domain::pipeline::{Extent, run};

/// A leaf's id, direction, values and their ages.
type LeafCase = (&'static str, Direction, Vec<Option<f64>>, Vec<u32>);

/// Everything that a digest is taken over, easy to change in one place.
#[derive(Clone)]
struct Case {
    nodes: Vec<Node>,
    methodology: Methodology,
    ids: Vec<&'static str>,
    leaves: Vec<LeafCase>,
    period: &'static str,
    max_age: u32,
}

fn case() -> Case {
    let node = |id: &str, parent: Option<&str>, indicator: Option<&str>| Node {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        weight: 1.0,
        indicator: indicator.map(str::to_owned),
        display_name: String::new(),
    };
    let up = Direction::HigherIsBetter;
    Case {
        nodes: vec![
            node("top", None, None),
            node("a", Some("top"), Some("x")),
            node("b", Some("top"), Some("y")),
        ],
        methodology: Methodology::default(),
        ids: vec!["p", "q", "r"],
        leaves: vec![
            ("a", up, vec![Some(0.1), Some(0.7), None], vec![0, 1, 0]),
            (
                "b",
                up,
                vec![Some(3.0), Some(5.0), Some(9.0)],
                vec![0, 0, 0],
            ),
        ],
        period: "2023",
        max_age: 1,
    }
}

fn digests(case: &Case) -> (String, String) {
    let framework = Framework::new(case.nodes.clone()).unwrap();
    let ids = case.ids.iter().map(ToString::to_string).collect();
    let entities = Entities::new(ids).unwrap();
    let column = |cells: &Vec<Option<f64>>| Column::from_options(cells).unwrap();
    let columns: Vec<Column> = case.leaves.iter().map(|leaf| column(&leaf.2)).collect();
    let leaves = case.leaves.iter().zip(&columns);
    let cells: Vec<LeafCells<'_>> = leaves
        .map(|((id, direction, _, ages), values)| LeafCells {
            input: LeafInput {
                node: framework.position(id).unwrap(),
                direction: *direction,
                values,
            },
            period: case.period,
            max_age: case.max_age,
            ages: Some(ages),
        })
        .collect();
    let inputs: Vec<LeafInput<'_>> = cells.iter().map(|cell| cell.input).collect();
    let every = Extent::EveryNode;
    let ranking = run(
        &framework,
        &case.methodology,
        &entities,
        &inputs,
        every,
        &Unlimited,
    );
    (
        input_digest(&framework, &case.methodology, &entities, &cells, &Unlimited).unwrap(),
        result_digest(&framework, &entities, &ranking.unwrap(), &Unlimited)
            .unwrap()
            .unwrap(),
    )
}

fn changed(change: impl Fn(&mut Case)) -> (bool, bool) {
    let mut other = case();
    change(&mut other);
    let (input, result) = digests(&case());
    let (other_input, other_result) = digests(&other);
    (input != other_input, result != other_result)
}

#[test]
fn the_forms_do_not_change_between_releases() {
    let (input, result) = digests(&case());
    assert_eq!(
        input,
        "blake3:f7290425bea6a95fd5ac3362ae2e2b130b8b9c031d57d50cd3223ecae9138450"
    );
    assert_eq!(
        result,
        "blake3:5e144cfe5206173b9191ded015993f1296fb87d1f1abb5541a7e4f7315d2e648"
    );
}

#[test]
fn the_input_form_is_the_documented_one() {
    let mut form = Canonical::new("almanac.ranking.input/1");
    form.text("framework").sequence(3);
    for (id, indicator) in [("a", "x"), ("b", "y")] {
        form.sequence(5)
            .text(id)
            .text("top")
            .number(1.0)
            .text(indicator);
        form.sequence(3)
            .text("min_max")
            .sequence(2)
            .number(0.0)
            .number(100.0);
        form.absent();
    }
    form.sequence(5).text("top").absent().number(1.0).absent();
    form.sequence(3)
        .text("weighted_arithmetic_mean")
        .sequence(0)
        .number(0.0);
    form.text("rank")
        .sequence(3)
        .text("competition")
        .number(0.0)
        .absent();
    form.text("entities")
        .sequence(3)
        .text("p")
        .text("q")
        .text("r");
    form.text("cells").sequence(2);
    form.sequence(5)
        .text("a")
        .text("higher_is_better")
        .text("2023")
        .unsigned(1);
    form.sequence(3);
    form.sequence(2).number(0.1).unsigned(0);
    form.sequence(2).number(0.7).unsigned(1);
    form.absent();
    form.sequence(5)
        .text("b")
        .text("higher_is_better")
        .text("2023")
        .unsigned(1);
    form.sequence(3);
    for value in [3.0, 5.0, 9.0] {
        form.sequence(2).number(value).unsigned(0);
    }
    assert_eq!(form.finish(), digests(&case()).0);
}

#[test]
fn the_result_form_is_the_documented_one() {
    let mut form = Canonical::new("almanac.ranking.result/1");
    form.text("entities")
        .sequence(3)
        .text("p")
        .text("q")
        .text("r");
    form.text("nodes").sequence(3);
    form.sequence(4).text("a");
    form.sequence(3).number(0.0).number(100.0).absent();
    form.sequence(3).unsigned(2).unsigned(1).absent();
    form.absent();
    let middle = 2.0 / 6.0 * 100.0;
    form.sequence(4).text("b");
    form.sequence(3).number(0.0).number(middle).number(100.0);
    form.sequence(3).unsigned(3).unsigned(2).unsigned(1);
    form.absent();
    form.sequence(4).text("top");
    form.sequence(3)
        .number(0.0)
        .number((100.0 + middle) / 2.0)
        .number(100.0);
    form.sequence(3).unsigned(3).unsigned(2).unsigned(1);
    form.absent();
    assert_eq!(form.finish(), digests(&case()).1);
}

#[test]
fn order_and_names_for_people_are_not_content() {
    let reordered = changed(|case| {
        case.nodes.reverse();
        case.nodes[0].display_name = "B".to_owned();
        case.leaves.reverse();
        case.ids.reverse();
        for leaf in &mut case.leaves {
            leaf.2.reverse();
            leaf.3.reverse();
        }
    });
    assert_eq!(reordered, (false, false));
    let spelled_out = changed(|case| {
        case.methodology.nodes = vec![NodeMethodology {
            node: "a".to_owned(),
            normalization: Some(Normalization::default()),
            aggregation: None,
        }];
        // The age of what is not there says nothing.
        case.leaves[0].3[2] = 7;
    });
    assert_eq!(spelled_out, (false, false));
}

#[test]
fn every_part_of_the_input_is_content() {
    let parts: [fn(&mut Case); 14] = [
        |case| case.nodes[1].id = "aa".to_owned(),
        |case| case.nodes[2].weight = 1.5,
        |case| case.nodes[2].indicator = Some("z".to_owned()),
        |case| case.methodology.normalization.method = NormalizationMethod::Identity,
        |case| case.methodology.normalization.constant_column = ConstantColumn::Value(1.0),
        |case| case.methodology.aggregation.minimum_availability = 0.1,
        |case| case.methodology.rank.tie_method = TieMethod::Dense,
        |case| case.methodology.rank.tie_tolerance = 1e-3,
        |case| case.methodology.rank.score_decimals = Some(3),
        |case| case.ids[0] = "o",
        |case| case.leaves[0].1 = Direction::LowerIsBetter,
        |case| case.leaves[0].3[1] = 0,
        |case| case.period = "2024",
        |case| case.max_age = 2,
    ];
    for (index, part) in parts.into_iter().enumerate() {
        let renamed = |case: &mut Case| {
            part(case);
            if case.nodes[1].id == "aa" {
                case.leaves[0].0 = "aa";
            }
        };
        assert!(changed(renamed).0, "part {index}");
    }
}

#[test]
fn every_cell_is_content_to_its_last_bit() {
    for leaf in 0..2 {
        for row in 0..3 {
            let cell = |case: &mut Case| {
                let cell = &mut case.leaves[leaf].2[row];
                *cell = cell.map_or(Some(0.7), |value| Some(value.next_up()));
            };
            assert!(changed(cell).0, "leaf {leaf}, row {row}");
        }
    }
    let missing = changed(|case| case.leaves[1].2[2] = None);
    assert_eq!(missing, (true, true));
}

#[test]
fn what_does_not_fit_has_no_digest() {
    let framework = Framework::new(case().nodes).unwrap();
    let entities = Entities::new(vec!["p".to_owned()]).unwrap();
    let methodology = Methodology::default();
    let refused = input_digest(&framework, &methodology, &entities, &[], &Unlimited);
    assert!(matches!(refused, Err(PipelineError::Inputs(faults)) if faults.0.len() == 2));
}
