//! What holds for any ranking, whatever its numbers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod support;

use almanac_service_kit::plain::control::Unlimited;
use proptest::prelude::*;
use ranking_service::domain::column::Column;
use ranking_service::domain::digest::{LeafCells, input_digest, result_digest};
use ranking_service::domain::direction::Direction;
use ranking_service::domain::entities::Entities;
use ranking_service::domain::framework::{Framework, Node};
use ranking_service::domain::methodology::{
    ConstantColumn, Methodology, NormalizationMethod, RankOptions, TieMethod,
};
use ranking_service::domain::pipeline::{Extent, LeafInput, Ranking, leaf_inputs, run};
use ranking_service::domain::rank::rank;
use ranking_service::domain::scorecard::{Contributions, ScorecardOptions, scorecard};
use support::{column, methodology, node};

type Cells = Vec<Option<f64>>;

/// An index of two pillars over six leaves, and whole-numbered or smooth columns with gaps.
#[derive(Debug, Clone)]
struct Case {
    nodes: Vec<Node>,
    ids: Vec<String>,
    columns: Vec<Cells>,
    directions: Vec<Direction>,
}

const LEAVES: usize = 6;

fn cell() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        // Few whole numbers: true ties, at leaves and above.
        4 => (-3_i8..4).prop_map(|value| Some(f64::from(value))),
        4 => (-1e3..1e3_f64).prop_map(Some),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (1_usize..12).prop_flat_map(|entities| {
        let weights = proptest::collection::vec(0.1..5.0_f64, LEAVES + 2);
        let columns =
            proptest::collection::vec(proptest::collection::vec(cell(), entities), LEAVES);
        let lower = proptest::collection::vec(any::<bool>(), LEAVES);
        let names = Just(
            (0..entities)
                .map(|row| format!("e{row:02}"))
                .collect::<Vec<_>>(),
        );
        (weights, columns, lower, names.prop_shuffle()).prop_map(build)
    })
}

fn build((weights, columns, lower, ids): (Vec<f64>, Vec<Cells>, Vec<bool>, Vec<String>)) -> Case {
    let mut nodes = vec![node("index", None, 1.0, None)];
    for pillar in 0..2 {
        let weight = weights[LEAVES + pillar];
        nodes.push(node(
            &format!("pillar{pillar}"),
            Some("index"),
            weight,
            None,
        ));
    }
    for (leaf, &weight) in weights.iter().take(LEAVES).enumerate() {
        let parent = format!("pillar{}", leaf % 2);
        let id = format!("leaf{leaf}");
        nodes.push(node(&id, Some(&parent), weight, Some(&id)));
    }
    let direction = |lower| {
        if lower {
            Direction::LowerIsBetter
        } else {
            Direction::HigherIsBetter
        }
    };
    Case {
        nodes,
        ids,
        columns,
        directions: lower.into_iter().map(direction).collect(),
    }
}

/// Min-max with a score for columns without spread, so that every case has a result.
fn forgiving() -> Methodology {
    let mut methodology = methodology(NormalizationMethod::MIN_MAX_100);
    methodology.normalization.constant_column = ConstantColumn::Value(50.0);
    methodology
}

struct Run {
    framework: Framework,
    entities: Entities,
    columns: Vec<Column>,
    directions: Vec<Direction>,
    ranking: Ranking,
}

impl Case {
    fn run(&self, methodology: &Methodology) -> Run {
        let framework = Framework::new(self.nodes.clone()).unwrap();
        let entities = support::entities(&self.ids);
        let columns: Vec<Column> = self.columns.iter().map(|cells| column(cells)).collect();
        let inputs = leaf_inputs(&framework, |id| {
            let leaf: usize = id.strip_prefix("leaf")?.parse().ok()?;
            Some((self.directions[leaf], &columns[leaf]))
        })
        .unwrap();
        let every = Extent::EveryNode;
        let ranking = run(
            &framework,
            methodology,
            &entities,
            &inputs,
            every,
            &Unlimited,
        )
        .unwrap();
        Run {
            framework,
            entities,
            columns,
            directions: self.directions.clone(),
            ranking,
        }
    }

    /// Rows in another order.
    fn with_rows(&self, order: &[usize]) -> Self {
        let mut other = self.clone();
        other.ids = order.iter().map(|&row| self.ids[row].clone()).collect();
        for (cells, own) in other.columns.iter_mut().zip(&self.columns) {
            *cells = order.iter().map(|&row| own[row]).collect();
        }
        other
    }
}

impl Run {
    fn digests(&self, methodology: &Methodology) -> (String, String) {
        let (framework, entities) = (&self.framework, &self.entities);
        let cells: Vec<LeafCells<'_>> = framework
            .leaves()
            .map(|(node, id)| {
                let leaf: usize = id.strip_prefix("leaf").unwrap().parse().unwrap();
                LeafCells {
                    input: LeafInput {
                        node,
                        direction: self.directions[leaf],
                        values: &self.columns[leaf],
                    },
                    period: "2023",
                    max_age: 0,
                    ages: None,
                }
            })
            .collect();
        (
            input_digest(framework, methodology, entities, &cells, &Unlimited).unwrap(),
            result_digest(framework, entities, &self.ranking, &Unlimited)
                .unwrap()
                .unwrap(),
        )
    }

    /// Root rank by entity id.
    fn rank_of(&self, id: &str) -> Option<i32> {
        self.ranking.rank(self.entities.row(id).unwrap())
    }

    fn same_ranks(&self, other: &Self) -> bool {
        self.entities
            .ids()
            .iter()
            .all(|id| self.rank_of(id) == other.rank_of(id))
    }
}

/// A case and an order of its rows.
fn case_and_order() -> impl Strategy<Value = (Case, Vec<usize>)> {
    case().prop_flat_map(|case| {
        let rows: Vec<usize> = (0..case.ids.len()).collect();
        (Just(case), Just(rows).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_nodes_in_any_order_give_the_same_bits(
        (case, order) in case_and_order(),
        z_score in any::<bool>(),
        nodes in Just((0..LEAVES + 3).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut methodology = forgiving();
        if z_score {
            methodology.normalization.method =
                NormalizationMethod::ZScore { mean: 0.0, standard_deviation: 1.0 };
        }
        let own = case.run(&methodology);
        let mut other = case.with_rows(&order);
        other.nodes = nodes.iter().map(|&node| case.nodes[node].clone()).collect();
        let other = other.run(&methodology);
        prop_assert!(own.same_ranks(&other));
        prop_assert_eq!(own.digests(&methodology), other.digests(&methodology));
    }

    /// Renaming siblings changes the order of their sum, and with it the last bits: no rank.
    #[test]
    fn siblings_in_another_order_of_sum_change_no_rank(
        case in case(),
        names in Just((0..LEAVES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let own = case.run(&forgiving());
        let mut other = case;
        for (node, name) in other.nodes[3..].iter_mut().zip(names) {
            node.id = format!("renamed{name}");
        }
        prop_assert!(own.same_ranks(&other.run(&forgiving())));
    }

    /// Entities with the same tenths in another order have the same mean but not the same sum of
    /// doubles: they tie, whoever comes out a last bit ahead.
    #[test]
    fn equal_means_tie_whatever_the_order_of_their_parts(
        tenths in proptest::collection::vec(0_i32..1000, LEAVES),
    ) {
        let case = Case {
            nodes: std::iter::once(node("index", None, 1.0, None))
                .chain((0..LEAVES).map(|leaf| {
                    let id = format!("leaf{leaf}");
                    node(&id, Some("index"), 1.0, Some(&id))
                }))
                .collect(),
            ids: (0..LEAVES).map(|row| format!("e{row}")).collect(),
            columns: (0..LEAVES)
                .map(|leaf| {
                    let tenth = |row: usize| f64::from(tenths[(leaf + row) % LEAVES]) / 10.0;
                    (0..LEAVES).map(|row| Some(tenth(row))).collect()
                })
                .collect(),
            directions: vec![Direction::HigherIsBetter; LEAVES],
        };
        let run = case.run(&methodology(NormalizationMethod::Identity));
        prop_assert!((0..LEAVES).all(|row| run.ranking.rank(row) == Some(1)));
    }

    #[test]
    fn units_of_indicators_and_of_weights_change_no_rank(
        case in case(),
        unit in 1e-3..1e3_f64,
        shift in -10_i8..10,
        scale in 1e-3..1e3_f64,
    ) {
        let own = case.run(&forgiving());
        let mut other = case.clone();
        for cell in other.columns[0].iter_mut().flatten() {
            *cell *= unit;
        }
        for cell in other.columns[1].iter_mut().flatten() {
            *cell = *cell * 4.0 + f64::from(shift);
        }
        prop_assert!(own.same_ranks(&other.run(&forgiving())));
        let mut other = case;
        for node in &mut other.nodes[3..] {
            node.weight *= scale;
        }
        prop_assert!(own.same_ranks(&other.run(&forgiving())));
    }

    #[test]
    fn scores_stay_on_the_scale(case in case(), lower in -5.0..5.0_f64, width in 1e-3..1e3_f64) {
        let mut methodology = forgiving();
        let upper = lower + width;
        methodology.normalization.method = NormalizationMethod::MinMax { lower, upper };
        methodology.normalization.constant_column = ConstantColumn::Value(lower);
        let run = case.run(&methodology);
        // Leaves never leave the scale; a mean of its ends may be off by a rounding.
        let noise = 1e-12 * lower.abs().max(upper.abs());
        for node in 0..run.framework.len() {
            let slack = if run.framework.is_leaf(node) { 0.0 } else { noise };
            for score in run.ranking.node(node).unwrap().scores.iter().flatten() {
                prop_assert!(lower - slack <= score && score <= upper + slack);
            }
        }
    }

    #[test]
    fn contributions_and_leads_add_up(case in case()) {
        let run = case.run(&forgiving());
        let framework = &run.framework;
        for row in 0..run.entities.len() {
            let own = Contributions::of(framework, &run.ranking, row).unwrap();
            for node in 0..framework.len() {
                let score = run.ranking.node(node).unwrap().scores.get(row);
                let children = framework.children(node).iter();
                let parts = children.filter_map(|&child| own.to_parent(child)).sum::<f64>();
                if let (Some(score), false) = (score, framework.is_leaf(node)) {
                    prop_assert!((parts - score).abs() < 1e-10);
                }
            }
            let leaves = || framework.leaves().map(|(leaf, _)| leaf);
            if let Some(score) = run.ranking.score(row) {
                let parts = leaves().filter_map(|leaf| own.to_root(leaf)).sum::<f64>();
                prop_assert!((parts - score).abs() < 1e-10);
            }
            let options = ScorecardOptions::default();
            let entities = &run.entities;
            let none = |_| None;
            let card = scorecard(framework, entities, &run.ranking, row, options, &none, &Unlimited);
            let card = card.unwrap();
            if let Some((score, next)) = card.score.zip(card.next) {
                let lead = leaves().filter_map(|leaf| card.nodes[leaf].lead_over_next);
                let difference = score - run.ranking.score(next).unwrap();
                prop_assert!((lead.sum::<f64>() - difference).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn ranks_count_who_is_ahead(
        cells in proptest::collection::vec(cell(), 0..40),
        tolerance in prop_oneof![Just(0.0), 0.1..3.0_f64],
        decimals in prop_oneof![Just(None), (0_u32..3).prop_map(Some)],
    ) {
        let scores = column(&cells);
        let with = |tie_method| {
            let options = RankOptions {
                tie_method,
                tie_tolerance: tolerance,
                score_decimals: decimals,
            };
            rank(&scores, &options, &Unlimited).unwrap()
        };
        let competition = with(TieMethod::Competition);
        let dense = with(TieMethod::Dense);
        let fractional = with(TieMethod::Fractional);
        let ranks: Vec<i32> = competition.iter().flatten().collect();
        prop_assert_eq!(ranks.len(), scores.present());
        for (row, cell) in cells.iter().enumerate() {
            let Some(rank) = competition.rank(row) else {
                prop_assert!(cell.is_none() && fractional.fractional_rank(row).is_none());
                continue;
            };
            let ahead = ranks.iter().filter(|&&other| other < rank).count();
            let tied = ranks.iter().filter(|&&other| other == rank).count();
            prop_assert_eq!(usize::try_from(rank).unwrap(), ahead + 1);
            let mut better: Vec<i32> = ranks.iter().copied().filter(|&r| r < rank).collect();
            better.sort_unstable();
            better.dedup();
            prop_assert_eq!(dense.rank(row), i32::try_from(better.len() + 1).ok());
            prop_assert_eq!(fractional.rank(row), Some(rank));
            let middle = f64::from(rank) + (tied as f64 - 1.0) / 2.0;
            prop_assert_eq!(fractional.fractional_rank(row), Some(middle));
        }
    }

    #[test]
    fn every_cell_is_in_the_digest(case in case(), leaf in 0..LEAVES, row in 0_usize..12) {
        let methodology = forgiving();
        let own = case.run(&methodology).digests(&methodology);
        let mut other = case;
        let row = row % other.ids.len();
        let cell = &mut other.columns[leaf][row];
        *cell = cell.map_or(Some(1.0), |value| Some(value + 1.0));
        prop_assert_ne!(own.0, other.run(&methodology).digests(&methodology).0);
    }
}
