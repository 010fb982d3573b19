//! Published figures: what a report says about the nodes of a market.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use almanac_service_kit::plain::period::{Frequency, Period};

use super::possible::Impossible;
use super::printed::{PrintedFault, PrintedNumber};
use super::{MAX_FIGURES, MAX_UNKNOWNS};
use crate::domain::hierarchy::{SeriesFault, SeriesKey};

/// One published figure, under the caller's name for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The caller's name: conflicts are told with it.
    pub id: String,
    /// What the figure says.
    pub claim: Claim,
}

/// What a figure says. A node is any series of the hierarchy, leaf or aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Claim {
    /// The value of a node in a period.
    Value {
        /// The node.
        series: SeriesKey,
        /// When.
        period: Period,
        /// The value.
        printed: PrintedNumber,
    },
    /// The growth of a node between two periods, in percent of its value in the first.
    ///
    /// Implies that the value in the first period is not negative.
    Growth {
        /// The node.
        series: SeriesKey,
        /// The first period.
        from: Period,
        /// The later period.
        to: Period,
        /// The growth, in percent.
        percent: PrintedNumber,
    },
    /// The share of a node in a node that contains it, in percent.
    ///
    /// Implies that the value of the whole is not negative.
    Share {
        /// The part.
        part: SeriesKey,
        /// The whole.
        whole: SeriesKey,
        /// When.
        period: Period,
        /// The share, in percent.
        percent: PrintedNumber,
    },
    /// Limits of a node's value, both ends included.
    Bound {
        /// The node.
        series: SeriesKey,
        /// When.
        period: Period,
        /// At least this.
        lower: Option<f64>,
        /// At most this.
        upper: Option<f64>,
    },
    /// The sum of some nodes, each in its period; a term given twice counts twice.
    Sum {
        /// What is summed.
        terms: Vec<NodeAt>,
        /// Their sum.
        printed: PrintedNumber,
    },
    /// One node is so many times another.
    ///
    /// Implies that the right node is not negative.
    Multiple {
        /// The node compared.
        left: NodeAt,
        /// How many times.
        times: PrintedNumber,
        /// The node it is compared with.
        right: NodeAt,
    },
    /// One node is at least, or at most, a multiple of another.
    Comparison {
        /// The node compared.
        left: NodeAt,
        /// How.
        relation: Relation,
        /// What the right node is multiplied by; 1 for a plain comparison.
        factor: f64,
        /// The node it is compared with.
        right: NodeAt,
    },
}

/// A node in a period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeAt {
    /// The node.
    pub series: SeriesKey,
    /// When.
    pub period: Period,
}

impl NodeAt {
    fn pair(&self) -> (&SeriesKey, Period) {
        (&self.series, self.period)
    }
}

/// How two nodes compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// Left >= right.
    AtLeast,
    /// Left <= right.
    AtMost,
}

impl Claim {
    /// The nodes the claim names, with the periods it names them in.
    #[must_use]
    pub fn nodes(&self) -> Vec<(&SeriesKey, Period)> {
        match self {
            Self::Value { series, period, .. } | Self::Bound { series, period, .. } => {
                vec![(series, *period)]
            }
            Self::Growth {
                series, from, to, ..
            } => vec![(series, *from), (series, *to)],
            Self::Share {
                part,
                whole,
                period,
                ..
            } => vec![(part, *period), (whole, *period)],
            Self::Sum { terms, .. } => terms.iter().map(NodeAt::pair).collect(),
            Self::Multiple { left, right, .. } | Self::Comparison { left, right, .. } => {
                vec![left.pair(), right.pair()]
            }
        }
    }

    /// The printed number, where the claim has one.
    #[must_use]
    pub fn printed(&self) -> Option<&PrintedNumber> {
        match self {
            Self::Value { printed, .. } | Self::Sum { printed, .. } => Some(printed),
            Self::Growth { percent, .. } | Self::Share { percent, .. } => Some(percent),
            Self::Multiple { times, .. } => Some(times),
            Self::Bound { .. } | Self::Comparison { .. } => None,
        }
    }
}

/// A fault of the question: a figure, or what was asked besides.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{place}: {problem}")]
pub struct QuestionFault {
    /// Where the fault is.
    pub place: Place,
    /// What is wrong.
    pub problem: QuestionProblem,
}

/// A part of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Place {
    /// The figure at this position.
    #[error("figure {0}")]
    Figure(usize),
    /// The node asked for at this position.
    #[error("node {0}")]
    Node(usize),
    /// The growth asked for at this position.
    #[error("growth {0}")]
    Growth(usize),
    /// The prior value at this position.
    #[error("prior {0}")]
    Prior(usize),
    /// All of it.
    #[error("question")]
    Whole,
}

/// What is wrong with a part of a question.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum QuestionProblem {
    /// No figure at all.
    #[error("there are no figures")]
    NoFigures,
    /// More figures than are taken.
    #[error("{count} figures are more than {MAX_FIGURES}")]
    TooManyFigures {
        /// How many.
        count: usize,
    },
    /// The figures cut the market into too many pieces.
    #[error("the nodes named cut the market into more than {MAX_UNKNOWNS} unknowns")]
    TooManyUnknowns,
    /// More nodes and periods asked for than are answered.
    #[error("{count} nodes and periods are asked for, more than {limit}")]
    TooManyAnswers {
        /// How many.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// A figure without a name.
    #[error("the id is empty")]
    EmptyId,
    /// Two figures share a name.
    #[error("the id {id:?} is used by figure {first} already")]
    DuplicateId {
        /// The name.
        id: String,
        /// Who has it.
        first: usize,
    },
    /// The node is not in the hierarchy.
    #[error("{0}")]
    Series(SeriesFault),
    /// The printed number cannot be read.
    #[error("{0}")]
    Printed(PrintedFault),
    /// A period of another frequency than the first one named.
    #[error("{period} is {found}, but the figures are {expected}")]
    MixedFrequencies {
        /// The period.
        period: Period,
        /// Its frequency.
        found: Frequency,
        /// The frequency of the first period named.
        expected: Frequency,
    },
    /// Growth that does not run forward.
    #[error("growth runs from {from} to {to}, which is not later")]
    NotForward {
        /// The first period.
        from: Period,
        /// The second.
        to: Period,
    },
    /// A part that is not inside its whole.
    #[error("the part is not inside the whole")]
    PartOutsideWhole,
    /// A bound without ends, with ends that are not finite, or with crossed ends.
    #[error("a bound needs a finite lower or upper end, the lower not above the upper")]
    UnusableBound,
    /// A figure that is true of no values but zeros, if of any.
    #[error("{0}")]
    Impossible(Impossible),
    /// A sum of nothing.
    #[error("a sum needs at least one node")]
    EmptySum,
    /// A factor that is not a positive, finite number.
    #[error("the factor {factor} is not a positive, finite number")]
    UnusableFactor {
        /// The factor.
        factor: f64,
    },
    /// A prior value that is not a positive, finite number.
    #[error("the prior value {value} is not a positive, finite number")]
    UnusablePrior {
        /// The value.
        value: f64,
    },
}

impl From<SeriesFault> for QuestionProblem {
    fn from(fault: SeriesFault) -> Self {
        Self::Series(fault)
    }
}
