//! Why an entity stands where it does.
//!
//! Contributions: at a weighted arithmetic mean a child gives w / sum(w of the children present)
//! times its score to its parent, so the contributions of the children add up to the parent's
//! score; multiplied up the path, those of all leaves add up to the root's. Where a sibling is
//! missing, its weight has gone to the others, and the contributions show that.
//!
//! Comparisons: the difference of two entities' contributions, 0 where one has none, splits the
//! difference of their scores exactly, node by node, also where they miss different cells.
//!
//! Strengths and weaknesses: the leaves with a value and an effective weight above zero, by rank
//! among the entities that have a value there, then by larger effective weight, then by id. The
//! better half may be strengths, best first; the others weaknesses, worst first.
//!
//! Peers: ranked entities stand in the order of rank, then id; above and below are those before and
//! after. Next is the one directly below, for the last the one above: who must be kept behind, or
//! caught up with.
//!
//! Mean and median are over the entities with a score at the node, the mean added up by id, the
//! median the middle one or halfway between the middle two.
//!
//! Cost: O(entities x nodes), and a sort of the entities.

mod contributions;
mod standing;

use almanac_service_kit::plain::control::{Control, Stopped};
use thiserror::Error;

use super::entities::Entities;
use super::framework::Framework;
use super::pipeline::Ranking;
use super::selection::Selection;
pub use contributions::Contributions;
use standing::{Around, Middle};

/// How much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScorecardOptions {
    /// Most strengths, and most weaknesses.
    pub highlights: usize,
    /// Most peers above, and most below.
    pub peers: usize,
}

impl Default for ScorecardOptions {
    fn default() -> Self {
        Self {
            highlights: 5,
            peers: 2,
        }
    }
}

/// Why an entity stands where it does. Nodes are positions in the framework, entities are rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// The entity.
    pub row: usize,
    /// Its score at the root.
    pub score: Option<f64>,
    /// Its rank at the root.
    pub rank: Option<i32>,
    /// Entities with a rank at the root.
    pub ranked: usize,
    /// The entity at every node, by position.
    pub nodes: Vec<NodeCard>,
    /// Its best leaves, best first.
    pub strengths: Vec<usize>,
    /// Its worst leaves, worst first.
    pub weaknesses: Vec<usize>,
    /// Entities above it, the nearest last.
    pub above: Vec<Peer>,
    /// Entities below it, the nearest first.
    pub below: Vec<Peer>,
    /// The entity that `lead_over_next` compares with.
    pub next: Option<usize>,
    /// The first in the ranking, that `lead_over_leader` compares with.
    pub leader: Option<usize>,
}

/// An entity at one node. What cannot be said is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeCard {
    /// Its score.
    pub score: Option<f64>,
    /// Its rank.
    pub rank: Option<i32>,
    /// Entities with a rank here.
    pub ranked: usize,
    /// Its share in the parent once the weights of missing siblings are spread; 1 at the root.
    pub share: Option<f64>,
    /// Points of the parent's score that come from here.
    pub contribution_to_parent: Option<f64>,
    /// Points of the root's score that come from here.
    pub contribution_to_root: Option<f64>,
    /// The best score here less its own.
    pub gap_to_best: Option<f64>,
    /// Its score less the mean one here.
    pub lead_over_mean: Option<f64>,
    /// Its score less the median one here.
    pub lead_over_median: Option<f64>,
    /// Its contribution to the root less that of the next; the leaves add up to the difference of
    /// the two scores.
    pub lead_over_next: Option<f64>,
    /// The same against the first in the ranking: never above zero in sum.
    pub lead_over_leader: Option<f64>,
    /// At a leaf, the cell that its value came from, where the caller knows it.
    pub cell: Option<Selection>,
}

/// A neighbor in the ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peer {
    /// The entity.
    pub row: usize,
    /// Its score at the root.
    pub score: f64,
    /// Its rank at the root.
    pub rank: i32,
}

/// Why there is no scorecard.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScorecardError {
    /// Nobody waits any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// No entity has this row.
    #[error("row {row} is no entity of the ranking")]
    NoSuchRow {
        /// The row.
        row: usize,
    },
    /// The ranking does not hold a node; it needs every node of the framework.
    #[error("the ranking does not hold node '{node}'")]
    NodeNotKept {
        /// The node's id.
        node: String,
    },
}

/// Explains one entity of a ranking of every node; `cell` knows which cell a leaf's value came from.
///
/// # Errors
/// [`ScorecardError`].
pub fn scorecard(
    framework: &Framework,
    entities: &Entities,
    ranking: &Ranking,
    row: usize,
    options: ScorecardOptions,
    cell: &dyn Fn(usize) -> Option<Selection>,
    control: &dyn Control,
) -> Result<Scorecard, ScorecardError> {
    if row >= entities.len() {
        return Err(ScorecardError::NoSuchRow { row });
    }
    let around = Around::find(entities, ranking, row, options.peers, control)?;
    let own = Contributions::of(framework, ranking, row)?;
    let against = |other: Option<usize>| {
        let other = other.map(|other| Contributions::of(framework, ranking, other));
        other.transpose()
    };
    let next = against(around.next)?;
    let leader = against(around.leader)?;
    let mut nodes = Vec::with_capacity(framework.len());
    for node in 0..framework.len() {
        let result = ranking
            .node(node)
            .ok_or_else(|| not_kept(framework, node))?;
        let middle = Middle::of(entities, &result.scores, control)?;
        let score = result.scores.get(row);
        let less = |of: Option<f64>, what: Option<f64>| {
            of.zip(what)
                .map(|(a, b)| a - b)
                .filter(|gap| gap.is_finite())
        };
        let lead = |other: &Option<Contributions>| own.lead(other.as_ref()?, node);
        nodes.push(NodeCard {
            score,
            rank: result.ranks.rank(row),
            ranked: result.ranks.ranked(),
            share: own.share(node),
            contribution_to_parent: own.to_parent(node),
            contribution_to_root: own.to_root(node),
            gap_to_best: less(middle.best, score),
            lead_over_mean: less(score, middle.mean),
            lead_over_median: less(score, middle.median),
            lead_over_next: lead(&next),
            lead_over_leader: lead(&leader),
            cell: framework.is_leaf(node).then(|| cell(node)).flatten(),
        });
    }
    let (strengths, weaknesses) = highlights(framework, &nodes, options.highlights);
    let root = &nodes[framework.root()];
    Ok(Scorecard {
        row,
        score: root.score,
        rank: root.rank,
        ranked: root.ranked,
        strengths,
        weaknesses,
        above: around.above,
        below: around.below,
        next: around.next,
        leader: around.leader,
        nodes,
    })
}

fn not_kept(framework: &Framework, node: usize) -> ScorecardError {
    ScorecardError::NodeNotKept {
        node: framework.nodes()[node].id.clone(),
    }
}

fn highlights(framework: &Framework, nodes: &[NodeCard], most: usize) -> (Vec<usize>, Vec<usize>) {
    let by_weight_and_id = |a: usize, b: usize| {
        let weight = |node| framework.effective_weight(node);
        let id = |node: usize| &framework.nodes()[node].id;
        weight(b)
            .total_cmp(&weight(a))
            .then_with(|| id(a).cmp(id(b)))
    };
    let mut leaves: Vec<usize> = (0..nodes.len())
        .filter(|&node| framework.is_leaf(node) && framework.effective_weight(node) > 0.0)
        .filter(|&node| nodes[node].rank.is_some())
        .collect();
    let rank = |node: usize| nodes[node].rank;
    leaves.sort_by(|&a, &b| rank(a).cmp(&rank(b)).then_with(|| by_weight_and_id(a, b)));
    let mut worse = leaves.split_off(leaves.len().div_ceil(2));
    worse.sort_by(|&a, &b| rank(b).cmp(&rank(a)).then_with(|| by_weight_and_id(a, b)));
    leaves.truncate(most);
    worse.truncate(most);
    (leaves, worse)
}

#[cfg(test)]
mod tests;
