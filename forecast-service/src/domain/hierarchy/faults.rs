//! What can be wrong with a declaration of dimensions; all of it is found at once.

use std::collections::BTreeMap;

use almanac_service_kit::plain::control::{Control, Stopped, attended};
use thiserror::Error;

use super::{Dimension, MAX_DIMENSIONS, MAX_LEAVES, MAX_MEMBERS};

/// A fault, and where it is in the declaration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct HierarchyFault {
    /// The position of the dimension; absent if the fault concerns all of them.
    pub dimension: Option<usize>,
    /// The position of the member; absent if the fault concerns the whole dimension.
    pub member: Option<usize>,
    /// What is wrong.
    pub problem: HierarchyProblem,
}

/// What is wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HierarchyProblem {
    /// There is nothing to sum over.
    #[error("a hierarchy needs at least one dimension")]
    NoDimensions,
    /// More dimensions than may be crossed.
    #[error("{count} dimensions are more than {MAX_DIMENSIONS}")]
    TooManyDimensions {
        /// How many were declared.
        count: usize,
    },
    /// The combinations of leaves are too many.
    #[error("the dimensions cross to more than {MAX_LEAVES} leaf series")]
    TooManyLeaves,
    /// Two dimensions share an id.
    #[error("dimension {id:?} is declared twice")]
    DuplicateDimension {
        /// The id.
        id: String,
        /// Where it was declared first.
        first: usize,
    },
    /// More members than a dimension may have.
    #[error("dimension {dimension:?} has {count} members, more than {MAX_MEMBERS}")]
    TooManyMembers {
        /// The id of the dimension.
        dimension: String,
        /// How many were declared.
        count: usize,
    },
    /// No member is without a parent.
    #[error("dimension {dimension:?} has no root: one member must have no parent")]
    NoRoot {
        /// The id of the dimension.
        dimension: String,
    },
    /// A second member without a parent.
    #[error("{id:?} has no parent, but the root of dimension {dimension:?} is {root:?}")]
    SecondRoot {
        /// The id of the dimension.
        dimension: String,
        /// The member.
        id: String,
        /// The root declared first.
        root: String,
    },
    /// Two members share an id.
    #[error("member {id:?} of dimension {dimension:?} is declared twice")]
    DuplicateMember {
        /// The id of the dimension.
        dimension: String,
        /// The id.
        id: String,
        /// Where it was declared first.
        first: usize,
    },
    /// A parent nobody declared.
    #[error("the parent {parent:?} of {id:?} is no member of dimension {dimension:?}")]
    UnknownParent {
        /// The id of the dimension.
        dimension: String,
        /// The member.
        id: String,
        /// Its parent.
        parent: String,
    },
    /// Members that are their own ancestors.
    #[error("members of dimension {dimension:?} are their own ancestors: {}", .ids.join(" in "))]
    Cycle {
        /// The id of the dimension.
        dimension: String,
        /// The ring, each member followed by its parent.
        ids: Vec<String>,
    },
}

impl HierarchyFault {
    pub(super) fn of(problem: HierarchyProblem) -> Self {
        Self {
            dimension: None,
            member: None,
            problem,
        }
    }
}

/// All faults in one text.
pub(crate) fn told(faults: &[HierarchyFault]) -> String {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    told.join("; ")
}

/// Faults of the set of dimensions.
pub(super) fn of_dimensions(dimensions: &[&Dimension]) -> Vec<HierarchyFault> {
    let mut faults = Vec::new();
    if dimensions.is_empty() {
        faults.push(HierarchyFault::of(HierarchyProblem::NoDimensions));
    }
    if dimensions.len() > MAX_DIMENSIONS {
        faults.push(HierarchyFault::of(HierarchyProblem::TooManyDimensions {
            count: dimensions.len(),
        }));
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, dimension) in dimensions.iter().enumerate() {
        let earlier = *first.entry(&dimension.id).or_insert(position);
        if earlier != position {
            faults.push(HierarchyFault {
                dimension: Some(position),
                member: None,
                problem: HierarchyProblem::DuplicateDimension {
                    id: dimension.id.clone(),
                    first: earlier,
                },
            });
        }
    }
    faults
}

/// Faults of one dimension's members.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub(super) fn of_members(
    position: usize,
    dimension: &Dimension,
    control: &dyn Control,
) -> Result<Vec<HierarchyFault>, Stopped> {
    let fault = |member, problem| HierarchyFault {
        dimension: Some(position),
        member,
        problem,
    };
    let name = || dimension.id.clone();
    if dimension.members.len() > MAX_MEMBERS {
        let problem = HierarchyProblem::TooManyMembers {
            dimension: name(),
            count: dimension.members.len(),
        };
        return Ok(vec![fault(None, problem)]);
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for declared in attended(dimension.members.iter().enumerate(), control) {
        let (member, declared) = declared?;
        first.entry(&declared.id).or_insert(member);
    }
    let root = dimension.members.iter().position(|m| m.parent.is_none());
    let mut faults = Vec::new();
    if root.is_none() {
        faults.push(fault(None, HierarchyProblem::NoRoot { dimension: name() }));
    }
    for declared in attended(dimension.members.iter().enumerate(), control) {
        let (member, declared) = declared?;
        let id = || declared.id.clone();
        if let Some(&earlier) = first.get(declared.id.as_str()).filter(|f| **f != member) {
            let problem = HierarchyProblem::DuplicateMember {
                dimension: name(),
                id: id(),
                first: earlier,
            };
            faults.push(fault(Some(member), problem));
        }
        match (&declared.parent, root) {
            (Some(parent), _) if !first.contains_key(parent.as_str()) => {
                let problem = HierarchyProblem::UnknownParent {
                    dimension: name(),
                    id: id(),
                    parent: parent.clone(),
                };
                faults.push(fault(Some(member), problem));
            }
            (None, Some(root)) if root != member => {
                let problem = HierarchyProblem::SecondRoot {
                    dimension: name(),
                    id: id(),
                    root: dimension.members[root].id.clone(),
                };
                faults.push(fault(Some(member), problem));
            }
            _ => {}
        }
    }
    for ring in rings(dimension, &first, control)? {
        let ids = ring.iter().map(|&m| dimension.members[m].id.clone());
        let problem = HierarchyProblem::Cycle {
            dimension: name(),
            ids: ids.collect(),
        };
        faults.push(fault(ring.first().copied(), problem));
    }
    Ok(faults)
}

/// Every ring of parents, from the member declared first in it.
fn rings(
    dimension: &Dimension,
    first: &BTreeMap<&str, usize>,
    control: &dyn Control,
) -> Result<Vec<Vec<usize>>, Stopped> {
    let parents: Vec<Option<usize>> = attended(&dimension.members, control)
        .map(|member| {
            let parent = member?.parent.as_deref();
            Ok(parent.and_then(|parent| first.get(parent).copied()))
        })
        .collect::<Result<_, _>>()?;
    // The walk that first came by, numbered by where it started.
    let mut seen: Vec<Option<usize>> = vec![None; parents.len()];
    let mut rings = Vec::new();
    for start in 0..parents.len() {
        let mut at = start;
        while seen[at].is_none() {
            seen[at] = Some(start);
            match parents[at] {
                Some(parent) => at = parent,
                None => break,
            }
        }
        if parents[at].is_some() && seen[at] == Some(start) {
            let mut ring = vec![at];
            while let Some(next) = parents[ring[ring.len() - 1]].filter(|n| *n != at) {
                ring.push(next);
            }
            let smallest = (0..ring.len()).min_by_key(|&n| ring[n]).unwrap_or(0);
            ring.rotate_left(smallest);
            rings.push(ring);
        }
    }
    Ok(rings)
}
