//! What can be wrong with a methodology.

use std::fmt;

use thiserror::Error;

use super::{
    Aggregation, ConstantColumn, MAX_SCORE_DECIMALS, NodeMethodology, Normalization,
    NormalizationMethod, RankOptions,
};
use crate::domain::framework::Framework;

/// One fault and where it is.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{kind}")]
pub struct MethodologyFault {
    /// Position in [`super::Methodology::nodes`]; `None` for the defaults and rank options.
    pub index: Option<usize>,
    /// What is wrong there.
    pub kind: MethodologyFaultKind,
}

/// What is wrong with a part of a methodology.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MethodologyFaultKind {
    /// The framework has no such node.
    #[error("'{node}' is no node of the framework")]
    UnknownNode {
        /// The id named.
        node: String,
    },
    /// The node stands earlier in the list.
    #[error("'{node}' already has an override at position {first}")]
    RepeatedNode {
        /// The id named.
        node: String,
        /// Where it stands first.
        first: usize,
    },
    /// The override overrides nothing.
    #[error("the override of '{node}' sets nothing")]
    EmptyOverride {
        /// The id named.
        node: String,
    },
    /// Only a leaf has a column to normalize.
    #[error("'{node}' is no leaf: it has no column to normalize")]
    NormalizationOfInner {
        /// The id named.
        node: String,
    },
    /// Only an inner node has children to aggregate.
    #[error("'{node}' is a leaf: it has no children to aggregate")]
    AggregationOfLeaf {
        /// The id named.
        node: String,
    },
    /// Min-max needs lower < upper, both finite and finitely far apart.
    #[error("min-max from {lower} to {upper}: both are finite and the first is the smaller")]
    MinMaxBounds {
        /// Score of the worst.
        lower: f64,
        /// Score of the best.
        upper: f64,
    },
    /// A z-score needs a finite mean and a finite, positive standard deviation.
    #[error(
        "z-score with mean {mean} and standard deviation {standard_deviation}: both are finite \
         and the second is positive"
    )]
    ZScoreMoments {
        /// Mean of the scores.
        mean: f64,
        /// Standard deviation of the scores.
        standard_deviation: f64,
    },
    /// What a constant column becomes is finite.
    #[error("a constant column cannot become {score}: scores are finite")]
    ConstantScore {
        /// The score given.
        score: f64,
    },
    /// A share lies in [0, 1].
    #[error("a minimum availability of {share}: shares lie between 0 and 1")]
    Availability {
        /// The share given.
        share: f64,
    },
    /// A tolerance is finite and not negative.
    #[error("a tie tolerance of {tolerance}: tolerances are finite and not negative")]
    TieTolerance {
        /// The tolerance given.
        tolerance: f64,
    },
    /// More decimals than a double has to show.
    #[error("{decimals} score decimals; at most {MAX_SCORE_DECIMALS} are possible")]
    ScoreDecimals {
        /// The number given.
        decimals: u32,
    },
}

/// Everything wrong with a methodology: the defaults first, then overrides by position.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodologyFaults(pub Vec<MethodologyFault>);

impl fmt::Display for MethodologyFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            match fault.index {
                Some(index) => write!(out, "{separator}nodes[{index}]: {fault}")?,
                None => write!(out, "{separator}{fault}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for MethodologyFaults {}

pub(super) fn of_normalization(normalization: &Normalization) -> Vec<MethodologyFaultKind> {
    let mut faults = Vec::new();
    match normalization.method {
        NormalizationMethod::Identity => {}
        NormalizationMethod::MinMax { lower, upper } => {
            let sound = lower < upper && (upper - lower).is_finite();
            if !sound {
                faults.push(MethodologyFaultKind::MinMaxBounds { lower, upper });
            }
        }
        NormalizationMethod::ZScore {
            mean,
            standard_deviation,
        } => {
            let positive = standard_deviation > 0.0 && standard_deviation.is_finite();
            if !positive || !mean.is_finite() {
                faults.push(MethodologyFaultKind::ZScoreMoments {
                    mean,
                    standard_deviation,
                });
            }
        }
    }
    if let ConstantColumn::Value(score) = normalization.constant_column
        && !score.is_finite()
    {
        faults.push(MethodologyFaultKind::ConstantScore { score });
    }
    faults
}

pub(super) fn of_aggregation(aggregation: &Aggregation) -> Vec<MethodologyFaultKind> {
    let share = aggregation.minimum_availability;
    if (0.0..=1.0).contains(&share) {
        Vec::new()
    } else {
        vec![MethodologyFaultKind::Availability { share }]
    }
}

pub(super) fn of_rank_options(options: &RankOptions) -> Vec<MethodologyFaultKind> {
    let mut faults = Vec::new();
    let tolerance = options.tie_tolerance;
    if !tolerance.is_finite() || tolerance < 0.0 {
        faults.push(MethodologyFaultKind::TieTolerance { tolerance });
    }
    if let Some(decimals) = options.score_decimals
        && decimals > MAX_SCORE_DECIMALS
    {
        faults.push(MethodologyFaultKind::ScoreDecimals { decimals });
    }
    faults
}

pub(super) fn of_node(
    change: &NodeMethodology,
    framework: &Framework,
) -> Vec<MethodologyFaultKind> {
    let mut faults = Vec::new();
    let node = || change.node.clone();
    if change.normalization.is_none() && change.aggregation.is_none() {
        faults.push(MethodologyFaultKind::EmptyOverride { node: node() });
    }
    if let Some(normalization) = &change.normalization {
        faults.extend(of_normalization(normalization));
    }
    if let Some(aggregation) = &change.aggregation {
        faults.extend(of_aggregation(aggregation));
    }
    match framework.position(&change.node) {
        None => faults.push(MethodologyFaultKind::UnknownNode { node: node() }),
        Some(position) if framework.is_leaf(position) => {
            if change.aggregation.is_some() {
                faults.push(MethodologyFaultKind::AggregationOfLeaf { node: node() });
            }
        }
        Some(_) => {
            if change.normalization.is_some() {
                faults.push(MethodologyFaultKind::NormalizationOfInner { node: node() });
            }
        }
    }
    faults
}
