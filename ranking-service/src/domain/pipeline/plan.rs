//! Inputs checked, methods resolved, scales fitted: all that the evaluation needs.

use almanac_service_kit::plain::control::Control;

use super::{InputFault, InputFaults, LeafInput, PipelineError};
use crate::domain::entities::Entities;
use crate::domain::framework::Framework;
use crate::domain::methodology::{Aggregation, Methodology, Step};
use crate::domain::normalize::{NoSpread, Scale, fit};

/// What a node does with its values or its children.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task<'a> {
    /// A leaf: values by row, NaN where missing, and their scale.
    Score(&'a [f64], Scale),
    /// An inner node.
    Aggregate(&'a Aggregation),
}

/// A run that can be evaluated for any stretch of rows.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) framework: &'a Framework,
    /// By position.
    pub(super) tasks: Vec<Task<'a>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        framework: &'a Framework,
        methodology: &'a Methodology,
        entities: &Entities,
        leaves: &'a [LeafInput<'a>],
        control: &dyn Control,
    ) -> Result<Self, PipelineError> {
        let steps = methodology.resolve(framework)?;
        let inputs = assign(framework, entities, leaves)?;
        let mut tasks = Vec::with_capacity(steps.len());
        let mut faults = Vec::new();
        for (node, step) in steps.into_iter().enumerate() {
            match (step, inputs[node].map(|index| &leaves[index])) {
                (Step::Aggregate(aggregation), _) => tasks.push(Task::Aggregate(aggregation)),
                (Step::Normalize(normalization), Some(leaf)) => {
                    control.check()?;
                    match fit(leaf.values, entities, leaf.direction, normalization) {
                        Ok(scale) => tasks.push(Task::Score(leaf.values.raw(), scale)),
                        Err(reason) => faults.push(no_spread(framework, node, reason)),
                    }
                }
                (Step::Normalize(_), None) => faults.push(column_missing(framework, node)),
            }
        }
        if faults.is_empty() {
            Ok(Self { framework, tasks })
        } else {
            Err(InputFaults(faults).into())
        }
    }
}

/// Which input each leaf has, by position, or what is wrong with the list of inputs.
pub(in crate::domain) fn assign<'a>(
    framework: &Framework,
    entities: &Entities,
    leaves: impl IntoIterator<Item = &'a LeafInput<'a>>,
) -> Result<Vec<Option<usize>>, InputFaults> {
    let mut inputs = vec![None; framework.len()];
    let mut faults = Vec::new();
    if entities.is_empty() {
        faults.push(InputFault::NoEntities);
    }
    for (index, leaf) in leaves.into_iter().enumerate() {
        let position = leaf.node;
        if position >= framework.len() || !framework.is_leaf(position) {
            faults.push(InputFault::NoLeaf { position });
            continue;
        }
        let node = || framework.nodes()[position].id.clone();
        if leaf.values.len() != entities.len() {
            faults.push(InputFault::ColumnLength {
                node: node(),
                expected: entities.len(),
                found: leaf.values.len(),
            });
        }
        if inputs[position].replace(index).is_some() {
            faults.push(InputFault::ColumnRepeated { node: node() });
        }
    }
    for (node, _) in framework.leaves() {
        if inputs[node].is_none() {
            faults.push(column_missing(framework, node));
        }
    }
    if faults.is_empty() {
        Ok(inputs)
    } else {
        Err(InputFaults(faults))
    }
}

fn names(framework: &Framework, node: usize) -> (String, String) {
    let given = &framework.nodes()[node];
    (
        given.id.clone(),
        given.indicator.clone().unwrap_or_default(),
    )
}

fn column_missing(framework: &Framework, node: usize) -> InputFault {
    let (node, indicator) = names(framework, node);
    InputFault::ColumnMissing { node, indicator }
}

fn no_spread(framework: &Framework, node: usize, reason: NoSpread) -> InputFault {
    let (node, indicator) = names(framework, node);
    match reason {
        NoSpread::Constant { value } => InputFault::ConstantColumn {
            node,
            indicator,
            value,
        },
        NoSpread::Empty => InputFault::EmptyColumn { node, indicator },
    }
}
