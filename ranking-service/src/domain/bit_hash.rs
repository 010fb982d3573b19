//! The determinism probe: one hash over a fixed workload through the whole domain.
//!
//! Run natively, under another processor model and on another architecture, the probe answers the
//! same text, or results are not reproducible bit for bit. Its inputs come from an integer
//! generator (a linear congruential one, Knuth's MMIX constants), so they are the same anywhere:
//! smooth columns, columns of few whole numbers (ties), huge and tiny ones, gaps, old cells,
//! retracted ones; every normalization, tie method, minimum availability and printed scores; both
//! digests, group ranks and scorecards. Cost: some milliseconds.
//!
//! The recorded answer changes only together with [`super::digest::ENGINE_VERSION`] or with the
//! probe's own workload.

use almanac_service_kit::plain::control::Unlimited;
use almanac_service_kit::plain::digest::Canonical;

use super::column::Column;
use super::digest::{LeafCells, input_digest, result_digest};
use super::direction::Direction;
use super::entities::Entities;
use super::framework::{Framework, Node};
use super::methodology::{
    Aggregation, ConstantColumn, Methodology, NodeMethodology, Normalization, NormalizationMethod,
    RankOptions, TieMethod,
};
use super::pipeline::{Extent, LeafInput, Ranking, UnrankedReason, run};
use super::rank::rank_in_groups;
use super::scorecard::{Scorecard, ScorecardOptions, scorecard};
use super::selection::{CellState, LookBack, PeriodCell, Selection};

const ENTITIES: usize = 257;
const PILLARS: usize = 4;
const LEAVES: usize = 14;
const TARGET: i64 = 53;
const MAX_AGE: u32 = 2;

/// Whole-number generator: the same sequence anywhere.
struct Lcg(u64);

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

/// The probe's answer: `blake3:` and 64 hexadecimal digits, or `failed: ` and why.
#[must_use]
pub fn bit_probe() -> String {
    match probe() {
        Ok(digest) => digest,
        Err(reason) => format!("failed: {reason}"),
    }
}

/// What a leaf reads, and how old it is.
struct LeafData {
    node: usize,
    direction: Direction,
    values: Column,
    ages: Vec<u32>,
    cells: Vec<Selection>,
}

fn probe() -> Result<String, Box<dyn std::error::Error>> {
    let mut random = Lcg(20_080_909);
    // 101 and 257 have no common divisor: ids in a scrambled order.
    let ids = (0..ENTITIES).map(|row| format!("e{:03}", row * 101 % ENTITIES));
    let entities = Entities::new(ids.collect())?;
    let framework = Framework::new(nodes(&mut random))?;
    let leaves = framework.leaves().enumerate();
    let leaves: Vec<LeafData> = leaves
        .map(|(index, (node, _))| leaf_data(index, node, &mut random))
        .collect::<Result<_, _>>()?;
    let mut form = Canonical::new("almanac.ranking.bit-probe/1");
    for methodology in methodologies() {
        let cells: Vec<LeafCells<'_>> = leaves.iter().map(leaf_cells).collect();
        let inputs: Vec<LeafInput<'_>> = cells.iter().map(|cell| cell.input).collect();
        form.text(&input_digest(&framework, &methodology, &entities, &cells)?);
        let every = Extent::EveryNode;
        let ranking = run(
            &framework,
            &methodology,
            &entities,
            &inputs,
            every,
            &Unlimited,
        )?;
        let digest = result_digest(&framework, &entities, &ranking);
        form.text(&digest.ok_or("a node is not kept")?);
        write_groups(&mut form, &framework, &methodology, &ranking);
        for row in (0..ENTITIES).step_by(64) {
            let cell = |node: usize| {
                let leaf = leaves.iter().find(|leaf| leaf.node == node)?;
                leaf.cells.get(row).copied()
            };
            let options = ScorecardOptions::default();
            let card = scorecard(&framework, &entities, &ranking, row, options, &cell)?;
            write_scorecard(&mut form, &card);
        }
    }
    Ok(form.finish())
}

/// A root, sub-indices of unequal depth and weight, leaves; one of them weighs nothing.
fn nodes(random: &mut Lcg) -> Vec<Node> {
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

fn leaf_data(
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

fn leaf_cells(leaf: &LeafData) -> LeafCells<'_> {
    LeafCells {
        input: LeafInput {
            node: leaf.node,
            direction: leaf.direction,
            values: &leaf.values,
        },
        period: "2023",
        max_age: MAX_AGE,
        ages: Some(&leaf.ages),
    }
}

fn methodologies() -> [Methodology; 3] {
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

fn write_groups(
    form: &mut Canonical,
    framework: &Framework,
    methodology: &Methodology,
    ranking: &Ranking,
) {
    let groups: Vec<Option<u32>> = (0..ENTITIES as u64)
        .map(|row| u32::try_from(row % 5).ok().filter(|&group| group > 0))
        .collect();
    if let Some(root) = ranking.node(framework.root()) {
        let ranks = rank_in_groups(&root.scores, &groups, &methodology.rank);
        for rank in ranks.iter() {
            form.signed(rank.unwrap_or(0).into());
        }
    }
    for entity in ranking.unranked() {
        form.unsigned(entity.row as u64);
        match entity.reason {
            UnrankedReason::NoData => form.absent(),
            UnrankedReason::LowAvailability { node, present, .. } => {
                form.unsigned(node as u64).unsigned(present as u64)
            }
        };
    }
}

fn write_scorecard(form: &mut Canonical, card: &Scorecard) {
    for node in &card.nodes {
        form.optional_number(node.share)
            .optional_number(node.contribution_to_parent)
            .optional_number(node.contribution_to_root)
            .optional_number(node.gap_to_best)
            .optional_number(node.lead_over_mean)
            .optional_number(node.lead_over_median)
            .optional_number(node.lead_over_next)
            .optional_number(node.lead_over_leader);
        match node.cell {
            Some(Selection::Found(figure)) => form.number(figure.value).signed(figure.ordinal),
            Some(Selection::NotFound(_)) => form.flag(false),
            None => form.absent(),
        };
    }
    let peers = card.above.iter().chain(&card.below).map(|peer| peer.row);
    let rows = card.strengths.iter().chain(&card.weaknesses).copied();
    for number in peers.chain(rows).chain(card.next).chain(card.leader) {
        form.unsigned(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_recorded() {
        assert_eq!(
            bit_probe(),
            "blake3:9641eb92039c2bfa0122cd586c847d3014a9b85cddc6f536ff918d6016baa8de"
        );
    }
}
