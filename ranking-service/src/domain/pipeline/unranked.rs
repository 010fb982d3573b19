//! Why an entity has no rank at the root.

use almanac_service_kit::plain::control::{Control, Stopped};

use super::evaluate::{Scratch, stretch};
use super::plan::{Plan, Task};
use crate::domain::aggregate::least_present;
use crate::domain::column::Column;

/// An entity without a rank at the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unranked {
    /// The entity's row.
    pub row: usize,
    /// Why.
    pub reason: UnrankedReason,
}

/// Why an entity has no rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnrankedReason {
    /// No leaf that counts (its effective weight is not zero) has a value.
    NoData,
    /// A node has fewer children with a score than the minimum availability asks for. Of several
    /// such nodes, the one nearest to the root, then the first by id.
    LowAvailability {
        /// Position of the node.
        node: usize,
        /// Children with a score.
        present: usize,
        /// All its children.
        children: usize,
    },
}

/// Explains every row that is missing at the root.
pub(super) fn explain(
    plan: &Plan<'_>,
    root_scores: &Column,
    control: &dyn Control,
) -> Result<Vec<Unranked>, Stopped> {
    let mut scratch = Scratch::new(plan.framework);
    let mut has_score = vec![false; plan.framework.len()];
    let mut unranked = Vec::new();
    for (row, score) in root_scores.iter().enumerate() {
        if score.is_none() {
            stretch(plan, row..row + 1, &mut scratch, control, |node, scores| {
                has_score[node] = scores.iter().any(|score| !score.is_nan());
            })?;
            let reason = reason(plan, &has_score);
            unranked.push(Unranked { row, reason });
        }
    }
    Ok(unranked)
}

fn reason(plan: &Plan<'_>, has_score: &[bool]) -> UnrankedReason {
    let framework = plan.framework;
    let withheld = |&node: &usize| {
        let Task::Aggregate(aggregation) = &plan.tasks[node] else {
            return None;
        };
        let children = framework.children(node);
        let present = children.iter().filter(|&&child| has_score[child]).count();
        let too_few = present > 0 && present < least_present(aggregation, children.len());
        too_few.then_some(UnrankedReason::LowAvailability {
            node,
            present,
            children: children.len(),
        })
    };
    let mut nearest = None;
    // By id, so that of equally near nodes the first is kept.
    for node in framework.by_id() {
        let depth = framework.depth(*node);
        if nearest.is_none_or(|(nearest, _)| depth < nearest)
            && let Some(reason) = withheld(node)
        {
            nearest = Some((depth, reason));
        }
    }
    nearest.map_or(UnrankedReason::NoData, |(_, reason)| reason)
}
