//! What can go wrong in a run.

use std::fmt;

use almanac_service_kit::plain::control::Stopped;
use thiserror::Error;

use crate::domain::framework::Framework;
use crate::domain::methodology::MethodologyFaults;

/// Why a run has no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PipelineError {
    /// It was told to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The methodology is at fault.
    #[error("methodology: {0}")]
    Methodology(#[from] MethodologyFaults),
    /// The inputs are at fault.
    #[error("{0}")]
    Inputs(#[from] InputFaults),
}

/// What is wrong with the inputs of a run. Nodes and indicators are named by id.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InputFault {
    /// There is nothing to rank.
    #[error("there are no entities")]
    NoEntities,
    /// A leaf has no column.
    #[error("'{node}' has no column for its indicator '{indicator}'")]
    ColumnMissing {
        /// The leaf.
        node: String,
        /// Its indicator.
        indicator: String,
    },
    /// A leaf has two columns.
    #[error("'{node}' has more than one column")]
    ColumnRepeated {
        /// The leaf.
        node: String,
    },
    /// A column is given for what is no leaf of the framework.
    #[error("a column is given for position {position}, which is no leaf")]
    NoLeaf {
        /// The position given.
        position: usize,
    },
    /// A column has not one row for each entity.
    #[error("the column of '{node}' has {found} rows for {expected} entities")]
    ColumnLength {
        /// The leaf.
        node: String,
        /// Number of entities.
        expected: usize,
        /// Number of rows.
        found: usize,
    },
    /// All values are equal, and the methodology does not say what they become.
    #[error("indicator '{indicator}' of '{node}' is constant: every value is {value}")]
    ConstantColumn {
        /// The leaf.
        node: String,
        /// Its indicator.
        indicator: String,
        /// The one value.
        value: f64,
    },
    /// There is no value, and the methodology does not say what a column without spread becomes.
    #[error("indicator '{indicator}' of '{node}' has no value for any entity")]
    EmptyColumn {
        /// The leaf.
        node: String,
        /// Its indicator.
        indicator: String,
    },
    /// A score is too large for a double. Told of the lowest nodes where it happens.
    #[error("a score of '{node}' is too large for a double")]
    ScoreTooLarge {
        /// The node.
        node: String,
    },
}

/// Everything wrong with the inputs, leaves in the order of the framework's list.
#[derive(Debug, Clone, PartialEq)]
pub struct InputFaults(pub Vec<InputFault>);

impl fmt::Display for InputFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InputFaults {}

/// Of nodes with a score too large, those whose children have none: the others follow from them.
pub(super) fn refuse_too_large(
    framework: &Framework,
    too_large: &[bool],
) -> Result<(), InputFaults> {
    let faults: Vec<_> = (0..framework.len())
        .filter(|&node| too_large[node])
        .filter(|&node| {
            !framework
                .children(node)
                .iter()
                .any(|&child| too_large[child])
        })
        .map(|node| InputFault::ScoreTooLarge {
            node: framework.nodes()[node].id.clone(),
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(InputFaults(faults))
    }
}
