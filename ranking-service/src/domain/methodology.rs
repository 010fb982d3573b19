//! How an index is computed: a method for every step and what differs at single nodes.
//!
//! The defaults hold for every node; an override at a node replaces the default of its step as a
//! whole and inherits nothing from it. Which period of an indicator counts is chosen before, by
//! [`super::selection`].
//!
//! These types are stored by position (postcard): fields and variants are only ever appended, and
//! a method that is new to an old reader is refused, never skipped. Cost: O(nodes log nodes).

mod fault;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::framework::Framework;
pub use fault::{MethodologyFault, MethodologyFaultKind, MethodologyFaults};

/// Most decimals that scores may be printed with: doubles have no more to show.
pub const MAX_SCORE_DECIMALS: u32 = 15;

/// How an index is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Methodology {
    /// How columns become comparable: the default of every leaf.
    pub normalization: Normalization,
    /// How children become their parent: the default of every inner node.
    pub aggregation: Aggregation,
    /// What differs at single nodes, each at most once.
    pub nodes: Vec<NodeMethodology>,
    /// How scores become ranks.
    pub rank: RankOptions,
}

/// What differs at one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeMethodology {
    /// Id of the node.
    pub node: String,
    /// Of a leaf: replaces the default normalization.
    pub normalization: Option<Normalization>,
    /// Of an inner node: replaces the default aggregation.
    pub aggregation: Option<Aggregation>,
}

/// How a leaf's column becomes comparable with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// The method.
    pub method: NormalizationMethod,
    /// What becomes of a column without spread.
    pub constant_column: ConstantColumn,
}

/// A normalization; x' is the directed column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum NormalizationMethod {
    /// x' as it is.
    Identity,
    /// (x' - min) / (max - min) (upper - lower) + lower.
    MinMax {
        /// Score of the worst.
        lower: f64,
        /// Score of the best; above `lower`.
        upper: f64,
    },
    /// (x' - mean(x')) / sd(x') sd + mean, with sd(x') over n - 1.
    ZScore {
        /// Mean of the scores.
        mean: f64,
        /// Standard deviation of the scores; positive.
        standard_deviation: f64,
    },
}

impl NormalizationMethod {
    /// Min-max onto 0 to 100.
    pub const MIN_MAX_100: Self = Self::MinMax {
        lower: 0.0,
        upper: 100.0,
    };
}

/// What becomes of a column that has no spread because all its values are equal or it has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum ConstantColumn {
    /// Nothing can be said: an error that names the indicator.
    Error,
    /// Everybody with a value gets this score; whoever has none stays missing.
    Value(f64),
}

/// How the scores of children become that of their parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregation {
    /// The method.
    pub method: AggregationMethod,
    /// Least share of direct children with a score, in [0, 1], zero weights counted too (COINr
    /// `dat_thresh`). With strictly less the parent is missing. At 0 one child is enough.
    pub minimum_availability: f64,
}

/// An aggregation over the children present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregationMethod {
    /// sum(w x) / sum(w).
    WeightedArithmeticMean,
}

/// How scores become ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankOptions {
    /// Which ranks tied entities get.
    pub tie_method: TieMethod,
    /// In score points: who is this close to the first of a group ties with it. At 0 only rounding
    /// noise is forgiven.
    pub tie_tolerance: f64,
    /// Rank the scores as they are printed with so many decimals, 0 to [`MAX_SCORE_DECIMALS`].
    pub score_decimals: Option<u32>,
}

/// Which ranks tied entities get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TieMethod {
    /// 1, 1, 3.
    Competition,
    /// 1, 1, 2.
    Dense,
    /// 1.5, 1.5, 3, beside the competition ranks.
    Fractional,
}

impl Default for Methodology {
    /// Min-max onto 0 to 100, arithmetic means, competition ranks: COINr's own defaults.
    fn default() -> Self {
        Self {
            normalization: Normalization::default(),
            aggregation: Aggregation::default(),
            nodes: Vec::new(),
            rank: RankOptions::default(),
        }
    }
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            method: NormalizationMethod::MIN_MAX_100,
            constant_column: ConstantColumn::Error,
        }
    }
}

impl Default for Aggregation {
    fn default() -> Self {
        Self {
            method: AggregationMethod::WeightedArithmeticMean,
            minimum_availability: 0.0,
        }
    }
}

impl Default for RankOptions {
    fn default() -> Self {
        Self {
            tie_method: TieMethod::Competition,
            tie_tolerance: 0.0,
            score_decimals: None,
        }
    }
}

/// The step that a node takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'a> {
    /// Of a leaf.
    Normalize(&'a Normalization),
    /// Of an inner node.
    Aggregate(&'a Aggregation),
}

impl Methodology {
    /// What each node of a framework does, by position.
    ///
    /// # Errors
    /// All faults of the methodology by itself and against the framework.
    pub fn resolve<'a>(
        &'a self,
        framework: &Framework,
    ) -> Result<Vec<Step<'a>>, MethodologyFaults> {
        let faults = self.faults(framework);
        if !faults.is_empty() {
            return Err(MethodologyFaults(faults));
        }
        let mut steps: Vec<Step<'a>> = (0..framework.len())
            .map(|node| {
                if framework.is_leaf(node) {
                    Step::Normalize(&self.normalization)
                } else {
                    Step::Aggregate(&self.aggregation)
                }
            })
            .collect();
        for change in &self.nodes {
            let Some(node) = framework.position(&change.node) else {
                continue;
            };
            if let Some(normalization) = &change.normalization {
                steps[node] = Step::Normalize(normalization);
            }
            if let Some(aggregation) = &change.aggregation {
                steps[node] = Step::Aggregate(aggregation);
            }
        }
        Ok(steps)
    }

    fn faults(&self, framework: &Framework) -> Vec<MethodologyFault> {
        let mut faults = Vec::new();
        let mut report = |index: Option<usize>, kinds: Vec<MethodologyFaultKind>| {
            faults.extend(
                kinds
                    .into_iter()
                    .map(|kind| MethodologyFault { index, kind }),
            );
        };
        report(None, fault::of_normalization(&self.normalization));
        report(None, fault::of_aggregation(&self.aggregation));
        report(None, fault::of_rank_options(&self.rank));
        let mut first = BTreeMap::new();
        for (index, change) in self.nodes.iter().enumerate() {
            report(Some(index), fault::of_node(change, framework));
            let first = *first.entry(change.node.as_str()).or_insert(index);
            if first != index {
                let node = change.node.clone();
                let repeated = MethodologyFaultKind::RepeatedNode { node, first };
                report(Some(index), vec![repeated]);
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests;
