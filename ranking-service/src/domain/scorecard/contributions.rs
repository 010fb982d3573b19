//! How much of a score comes from where.

use super::{ScorecardError, not_kept};
use crate::domain::framework::Framework;
use crate::domain::pipeline::Ranking;

/// What every node gives to its parent and to the root, for one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    ranked: bool,
    scores: Vec<Option<f64>>,
    shares: Vec<Option<f64>>,
    root_shares: Vec<Option<f64>>,
}

impl Contributions {
    /// The contributions of a row of a ranking of every node.
    ///
    /// # Errors
    /// [`ScorecardError::NodeNotKept`].
    pub fn of(
        framework: &Framework,
        ranking: &Ranking,
        row: usize,
    ) -> Result<Self, ScorecardError> {
        let nodes = 0..framework.len();
        let scores: Vec<Option<f64>> = nodes
            .map(|node| match ranking.node(node) {
                Some(result) => Ok(result.scores.get(row)),
                None => Err(not_kept(framework, node)),
            })
            .collect::<Result<_, _>>()?;
        let root = framework.root();
        let mut shares = vec![None; framework.len()];
        shares[root] = scores[root].map(|_| 1.0);
        let mut root_shares = shares.clone();
        for &node in framework.bottom_up().iter().rev() {
            if scores[node].is_none() {
                continue;
            }
            let present = || {
                let children = framework.children(node).iter().copied();
                children.filter(|&child| scores[child].is_some())
            };
            let total = present().fold(0.0, |total, child| total + framework.weight(child));
            for child in present() {
                let share = framework.weight(child) / total;
                shares[child] = Some(share);
                root_shares[child] = root_shares[node].map(|above| above * share);
            }
        }
        Ok(Self {
            ranked: scores[root].is_some(),
            scores,
            shares,
            root_shares,
        })
    }

    /// The share in the parent, the weights of missing siblings spread; `None` where the entity has
    /// no score at the node or at its parent.
    #[must_use]
    pub fn share(&self, node: usize) -> Option<f64> {
        self.shares[node]
    }

    /// Points of the parent's score; the root's own is its score.
    #[must_use]
    pub fn to_parent(&self, node: usize) -> Option<f64> {
        Some(self.shares[node]? * self.scores[node]?)
    }

    /// Points of the root's score.
    #[must_use]
    pub fn to_root(&self, node: usize) -> Option<f64> {
        Some(self.root_shares[node]? * self.scores[node]?)
    }

    /// The part of the difference of the two root scores that comes from a node; over all leaves
    /// the parts add up to the difference. `None` where either has no root score or neither
    /// anything at the node.
    #[must_use]
    pub fn lead(&self, other: &Self, node: usize) -> Option<f64> {
        if !self.ranked || !other.ranked {
            return None;
        }
        match (self.to_root(node), other.to_root(node)) {
            (None, None) => None,
            (own, other) => Some(own.unwrap_or(0.0) - other.unwrap_or(0.0)),
        }
    }
}
