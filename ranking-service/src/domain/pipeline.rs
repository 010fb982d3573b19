//! From indicators to ranks: direct, normalize, aggregate bottom-up, rank.
//!
//! Method: OECD/JRC handbook, steps 5 to 7, in COINr's order. First every leaf's scale is fitted to
//! its whole column; from then on each entity is on its own, so the tree is evaluated for a stretch
//! of entities at a time, all of whose intermediate scores stay in the processor's cache. Ranks come
//! last, node by node.
//!
//! A run says everything that is wrong with its inputs at once. Constant columns are faults unless
//! the methodology says what becomes of them; so is a score too large for a double.
//!
//! Cost: O(entities x nodes) and a sort for each ranked node. Memory: 12 bytes for each entity and
//! kept node (20 with fractional ranks), whatever the number of indicators.

mod evaluate;
mod fault;
mod plan;
mod unranked;

use almanac_service_kit::plain::control::{Control, Stopped};

use super::column::Column;
use super::direction::Direction;
use super::entities::Entities;
use super::framework::Framework;
use super::methodology::{Methodology, RankOptions};
use super::rank::{Ranks, rank};
use evaluate::{STRETCH, Scratch};
pub use fault::{InputFault, InputFaults, PipelineError};
use plan::Plan;
pub(super) use plan::assign;
pub use unranked::{Unranked, UnrankedReason};

/// The column that a leaf reads. Leaves that read the same may share it.
#[derive(Debug, Clone, Copy)]
pub struct LeafInput<'a> {
    /// Position of the leaf in the framework.
    pub node: usize,
    /// Which way its indicator points.
    pub direction: Direction,
    /// The indicator's values, one row for each entity.
    pub values: &'a Column,
}

/// Which nodes are kept and ranked. The root always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// All: what scorecards and digests need.
    EveryNode,
    /// The root alone.
    Root,
    /// The root and these positions.
    Nodes(&'a [usize]),
}

/// Scores and ranks at one node, by row.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRanking {
    /// The scores: normalized at a leaf, aggregated above.
    pub scores: Column,
    /// The ranks.
    pub ranks: Ranks,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    root: usize,
    nodes: Vec<Option<NodeRanking>>,
    unranked: Vec<Unranked>,
    options: RankOptions,
}

impl Ranking {
    /// What is kept of a node, by its position in the framework.
    #[must_use]
    pub fn node(&self, node: usize) -> Option<&NodeRanking> {
        self.nodes.get(node)?.as_ref()
    }

    /// The root's score of a row.
    #[must_use]
    pub fn score(&self, row: usize) -> Option<f64> {
        self.node(self.root)?.scores.get(row)
    }

    /// The root's rank of a row.
    #[must_use]
    pub fn rank(&self, row: usize) -> Option<i32> {
        self.node(self.root)?.ranks.rank(row)
    }

    /// Every entity without a rank at the root and why, ascending by row.
    #[must_use]
    pub fn unranked(&self) -> &[Unranked] {
        &self.unranked
    }
}

/// The leaves of a framework with the columns of their indicators, where each indicator has one.
///
/// # Errors
/// [`InputFault::ColumnMissing`] for every leaf whose indicator is not found.
pub fn leaf_inputs<'a>(
    framework: &Framework,
    column_of: impl Fn(&str) -> Option<(Direction, &'a Column)>,
) -> Result<Vec<LeafInput<'a>>, InputFaults> {
    let mut inputs = Vec::new();
    let mut faults = Vec::new();
    for (node, indicator) in framework.leaves() {
        match column_of(indicator) {
            Some((direction, values)) => inputs.push(LeafInput {
                node,
                direction,
                values,
            }),
            None => faults.push(InputFault::ColumnMissing {
                node: framework.nodes()[node].id.clone(),
                indicator: indicator.to_owned(),
            }),
        }
    }
    if faults.is_empty() {
        Ok(inputs)
    } else {
        Err(InputFaults(faults))
    }
}

/// Ranks entities.
///
/// # Errors
/// [`PipelineError`]: all that is wrong with the methodology, else with the inputs; or the run was
/// told to stop.
pub fn run(
    framework: &Framework,
    methodology: &Methodology,
    entities: &Entities,
    leaves: &[LeafInput<'_>],
    extent: Extent<'_>,
    control: &dyn Control,
) -> Result<Ranking, PipelineError> {
    let known = None;
    run_knowing(
        framework,
        methodology,
        entities,
        leaves,
        extent,
        known,
        control,
    )
}

/// As [`run`], and does not sort again what another run with the same rank options has sorted:
/// ranks are a function of scores, so those of a node with the very scores that `known` has at its
/// position are taken over. The result is the same with any `known`.
///
/// # Errors
/// As [`run`].
pub fn run_knowing(
    framework: &Framework,
    methodology: &Methodology,
    entities: &Entities,
    leaves: &[LeafInput<'_>],
    extent: Extent<'_>,
    known: Option<&Ranking>,
    control: &dyn Control,
) -> Result<Ranking, PipelineError> {
    let known = known.filter(|known| known.options == methodology.rank);
    let plan = Plan::new(framework, methodology, entities, leaves, control)?;
    let rows = entities.len();
    let mut kept = kept_columns(framework, extent, rows);
    let ranked_nodes = kept.iter().flatten().count() as u64;
    let total = rows as u64 * (1 + ranked_nodes);
    let mut too_large = vec![false; framework.len()];
    let mut scratch = Scratch::new(framework);
    for start in (0..rows).step_by(STRETCH) {
        let stretch = start..rows.min(start + STRETCH);
        control.report(start as u64, total);
        evaluate::stretch(
            &plan,
            stretch.clone(),
            &mut scratch,
            control,
            |node, scores| {
                too_large[node] |= evaluate::any_infinite(scores);
                if let Some(column) = &mut kept[node] {
                    column[stretch.clone()].copy_from_slice(scores);
                }
            },
        )?;
    }
    fault::refuse_too_large(framework, &too_large)?;
    let mut done = rows as u64;
    let mut nodes = Vec::with_capacity(kept.len());
    for (node, column) in kept.into_iter().enumerate() {
        nodes.push(match column {
            Some(scores) => {
                control.check()?;
                control.report(done, total);
                done += rows as u64;
                let known = known.and_then(|known| known.node(node));
                Some(ranked(scores, &methodology.rank, known, control)?)
            }
            None => None,
        });
    }
    let root = framework.root();
    let unranked = match &nodes[root] {
        Some(node) => unranked::explain(&plan, &node.scores, control)?,
        None => Vec::new(),
    };
    control.report(total, total);
    Ok(Ranking {
        root,
        nodes,
        unranked,
        options: methodology.rank.clone(),
    })
}

fn kept_columns(framework: &Framework, extent: Extent<'_>, rows: usize) -> Vec<Option<Vec<f64>>> {
    let mut keep = vec![extent == Extent::EveryNode; framework.len()];
    keep[framework.root()] = true;
    if let Extent::Nodes(positions) = extent {
        for &position in positions {
            if let Some(keep) = keep.get_mut(position) {
                *keep = true;
            }
        }
    }
    let column = |keep: bool| keep.then(|| vec![0.0; rows]);
    keep.into_iter().map(column).collect()
}

fn ranked(
    scores: Vec<f64>,
    options: &RankOptions,
    known: Option<&NodeRanking>,
    control: &dyn Control,
) -> Result<NodeRanking, Stopped> {
    let scores = Column::from_scores(scores);
    let ranks = match known.filter(|known| known.scores.same_bits(&scores)) {
        Some(known) => known.ranks.clone(),
        None => rank(&scores, options, control)?,
    };
    Ok(NodeRanking { scores, ranks })
}

#[cfg(test)]
mod tests;
