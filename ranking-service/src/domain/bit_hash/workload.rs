//! The probe's inputs, from whole-number arithmetic alone.

use crate::domain::column::Column;
use crate::domain::direction::Direction;
use crate::domain::framework::Node;
use crate::domain::methodology::{
    Aggregation, ConstantColumn, Methodology, NodeMethodology, Normalization, NormalizationMethod,
    RankOptions, TieMethod,
};
use crate::domain::selection::{CellState, LookBack, PeriodCell, Selection};

pub(super) const ENTITIES: usize = 257;
const PILLARS: usize = 4;
const LEAVES: usize = 14;
const TARGET: i64 = 53;
pub(super) const MAX_AGE: u32 = 2;

/// Whole-number generator: the same sequence anywhere.
pub(super) struct Lcg(pub(super) u64);

impl Lcg {
    fn bits(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// In [0, 1): 53 bits, exactly.
    fn unit(&mut self) -> f64 {
        self.bits() as f64 / 9_007_199_254_740_992.0
    }
}

/// What a leaf reads, and how old it is.
pub(super) struct LeafData {
    pub(super) node: usize,
    pub(super) direction: Direction,
    pub(super) values: Column,
    pub(super) ages: Vec<u32>,
    pub(super) cells: Vec<Selection>,
}

/// A root, sub-indices of unequal depth and weight, leaves; one of them weighs nothing.
pub(super) fn nodes(random: &mut Lcg) -> Vec<Node> {
    let node = |id: String, parent: Option<String>, weight: f64, indicator: Option<String>| Node {
        display_name: id.clone(),
        id,
        parent,
        weight,
        indicator,
    };
    let mut nodes = vec![node("index".to_owned(), None, 1.0, None)];
    for pillar in 0..PILLARS {
        // The last pillar hangs below the first: a deeper branch.
        let parent = if pillar + 1 == PILLARS { "p0" } else { "index" };
        let weight = 0.25 + random.unit();
        nodes.push(node(
            format!("p{pillar}"),
            Some(parent.to_owned()),
            weight,
            None,
        ));
    }
    for leaf in 0..LEAVES {
        let parent = Some(format!("p{}", leaf % PILLARS));
        let weight = if leaf == 5 {
            0.0
        } else {
            0.1 + 3.0 * random.unit()
        };
        let indicator = Some(format!("i{leaf}"));
        nodes.push(node(
            format!("l{}", leaf * 5 % LEAVES),
            parent,
            weight,
            indicator,
        ));
    }
    nodes
}

pub(super) fn leaf_data(
    index: usize,
    node: usize,
    random: &mut Lcg,
) -> Result<LeafData, Box<dyn std::error::Error>> {
    let look_back = LookBack::new(TARGET, Some(MAX_AGE));
    let cells: Vec<Selection> = (0..ENTITIES)
        .map(|_| look_back.select(history(index, random)))
        .collect();
    let values: Vec<Option<f64>> = cells.iter().map(|cell| cell.value()).collect();
    let ages = cells.iter().map(|cell| match cell {
        Selection::Found(figure) => figure.age,
        Selection::NotFound(_) => 0,
    });
    Ok(LeafData {
        node,
        direction: if index % 3 == 2 {
            Direction::LowerIsBetter
        } else {
            Direction::HigherIsBetter
        },
        values: Column::from_options(&values)?,
        ages: ages.collect(),
        cells,
    })
}

/// Four periods of one indicator and entity.
fn history(index: usize, random: &mut Lcg) -> Vec<PeriodCell> {
    let periods = TARGET - 2..=TARGET + 1;
    periods
        .map(|ordinal| {
            let unit = random.unit();
            let value = match index % 7 {
                0 => (random.below(9) as f64) - 4.0,
                1 => unit * 1e305,
                2 => unit * 1e-310,
                3 => 1e9 + unit,
                4 => unit * unit * unit,
                _ => unit * 100.0 - 30.0,
            };
            let state = match random.below(10) {
                0..4 => CellState::Value(value),
                4..7 => CellState::Missing,
                _ => CellState::Retracted,
            };
            PeriodCell { ordinal, state }
        })
        .collect()
}

pub(super) fn methodologies() -> [Methodology; 3] {
    let own = |method| Normalization {
        method,
        constant_column: ConstantColumn::Value(1.0),
    };
    let z_score = own(NormalizationMethod::ZScore {
        mean: 10.0,
        standard_deviation: 3.0,
    });
    [
        Methodology::default(),
        Methodology {
            normalization: z_score.clone(),
            aggregation: Aggregation {
                minimum_availability: 2.0 / 3.0,
                ..Aggregation::default()
            },
            rank: RankOptions {
                tie_method: TieMethod::Fractional,
                tie_tolerance: 0.125,
                score_decimals: Some(1),
            },
            ..Methodology::default()
        },
        Methodology {
            nodes: vec![
                NodeMethodology {
                    node: "l0".to_owned(),
                    normalization: Some(own(NormalizationMethod::Identity)),
                    aggregation: None,
                },
                NodeMethodology {
                    node: "l1".to_owned(),
                    normalization: Some(z_score),
                    aggregation: None,
                },
            ],
            rank: RankOptions {
                tie_method: TieMethod::Dense,
                ..RankOptions::default()
            },
            ..Methodology::default()
        },
    ]
}
