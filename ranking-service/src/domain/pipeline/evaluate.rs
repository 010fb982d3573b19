//! The tree, evaluated for a stretch of rows.
//!
//! Bottom-up order has all descendants of a node directly before it, so of all inner nodes at one
//! depth only one is open at a time: one accumulator for each depth is enough.

use std::ops::Range;

use almanac_service_kit::plain::control::{Control, Stopped};

use super::plan::{Plan, Task};
use crate::domain::aggregate::Accumulator;
use crate::domain::framework::Framework;

/// Rows evaluated together: small enough that scores and accumulators stay in the first-level
/// cache, large enough that the walk over the tree costs nothing beside them.
pub(super) const STRETCH: usize = 1024;

/// Nodes between two looks at the control: some tens of microseconds of work.
const NODES_PER_CHECK: usize = 64;

/// Room for one stretch, used again for the next.
#[derive(Debug)]
pub(super) struct Scratch {
    open: Vec<Accumulator>,
    scores: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(framework: &Framework) -> Self {
        let deepest = (0..framework.len()).map(|node| framework.depth(node)).max();
        Self {
            open: vec![Accumulator::default(); deepest.unwrap_or(0) + 1],
            scores: Vec::new(),
        }
    }
}

/// Hands the scores of every node to `sink`, children before parents; NaN is missing.
pub(super) fn stretch(
    plan: &Plan<'_>,
    rows: Range<usize>,
    scratch: &mut Scratch,
    control: &dyn Control,
    mut sink: impl FnMut(usize, &[f64]),
) -> Result<(), Stopped> {
    let Scratch { open, scores } = scratch;
    scores.resize(rows.len(), 0.0);
    for accumulator in &mut *open {
        accumulator.reset(rows.len());
    }
    let framework = plan.framework;
    for (walked, &node) in framework.bottom_up().iter().enumerate() {
        if walked % NODES_PER_CHECK == 0 {
            control.check()?;
        }
        let depth = framework.depth(node);
        match &plan.tasks[node] {
            Task::Score(values, scale) => scale.apply(&values[rows.clone()], scores),
            Task::Aggregate(aggregation) => {
                let children = framework.children(node).len();
                open[depth].finish(aggregation, children, scores);
                open[depth].reset(rows.len());
            }
        }
        sink(node, scores);
        if let Some(parent) = framework.parent(node)
            && let Task::Aggregate(aggregation) = &plan.tasks[parent]
        {
            open[depth - 1].add(aggregation, framework.weight(node), scores);
        }
    }
    Ok(())
}

/// Whether a score is too large. A plain count: the loop stays in vector registers.
pub(super) fn any_infinite(scores: &[f64]) -> bool {
    let infinite = scores.iter().map(|score| u64::from(score.is_infinite()));
    infinite.sum::<u64>() > 0
}
