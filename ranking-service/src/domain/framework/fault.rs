//! What can be wrong with a list of nodes.

use std::fmt;

use thiserror::Error;

use super::{MAX_DEPTH, MAX_NODES};

/// One fault and where it is.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{kind}")]
pub struct FrameworkFault {
    /// Position in the list; `None` where the list as a whole is at fault.
    pub position: Option<usize>,
    /// What is wrong there.
    pub kind: FrameworkFaultKind,
}

/// What is wrong with a node or with the list.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FrameworkFaultKind {
    /// The list is empty.
    #[error("a framework needs at least one node")]
    Empty,
    /// The list is longer than [`MAX_NODES`]; nothing else was checked.
    #[error("{count} nodes; at most {MAX_NODES} are possible")]
    TooManyNodes {
        /// Its length.
        count: usize,
    },
    /// Every node has a parent.
    #[error("no node is without a parent: the index itself is missing")]
    NoRoot,
    /// A second node without a parent.
    #[error("'{id}' has no parent, and neither has '{first}': an index has one root")]
    ExtraRoot {
        /// This node.
        id: String,
        /// The first root of the list.
        first: String,
    },
    /// The id is empty.
    #[error("a node needs an id")]
    EmptyId,
    /// The id stands earlier in the list.
    #[error("'{id}' is already the node at position {first}")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first.
        first: usize,
    },
    /// The parent is not in the list.
    #[error("'{id}' names '{parent}' as its parent, which is no node of the framework")]
    UnknownParent {
        /// This node.
        id: String,
        /// The parent it names.
        parent: String,
    },
    /// Nodes that are their own ancestors. Reported once, at the member that comes first.
    #[error("these nodes are their own ancestors: {}", .members.join(" -> "))]
    Cycle {
        /// From the member that comes first in the list upwards, each once.
        members: Vec<String>,
    },
    /// Neither an indicator nor children.
    #[error("'{id}' has neither an indicator nor children")]
    NeitherLeafNorInner {
        /// This node.
        id: String,
    },
    /// Both an indicator and children.
    #[error("'{id}' has children and the indicator '{indicator}': only a leaf reads an indicator")]
    InnerWithIndicator {
        /// This node.
        id: String,
        /// Its indicator.
        indicator: String,
    },
    /// The indicator's id is empty.
    #[error("'{id}' names an indicator with an empty id")]
    EmptyIndicator {
        /// This node.
        id: String,
    },
    /// The weight is negative, infinite or not a number.
    #[error("the weight of '{id}' is {weight}: a weight is finite and not negative")]
    InvalidWeight {
        /// This node.
        id: String,
        /// Its weight.
        weight: f64,
    },
    /// No child counts. Reported at the parent.
    #[error("the weights of all children of '{parent}' are zero")]
    ZeroWeights {
        /// The parent.
        parent: String,
    },
    /// Too far from the root. Reported at the first node beyond the limit on a path.
    #[error(
        "'{id}' is the {depth}th node on its path from the root; at most {MAX_DEPTH} are possible"
    )]
    TooDeep {
        /// This node.
        id: String,
        /// Nodes on the path, both ends counted.
        depth: usize,
    },
}

/// Everything wrong with a list of nodes, ascending by position, the list as a whole first.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkFaults(pub Vec<FrameworkFault>);

impl fmt::Display for FrameworkFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match fault.position {
                Some(position) => write!(out, "{separator}nodes[{position}]: {fault}")?,
                None => write!(out, "{separator}{fault}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for FrameworkFaults {}
