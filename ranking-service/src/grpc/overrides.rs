//! What a live ranking is asked to compute otherwise than it is stored.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    fault::{Fault, Violations},
    resource::find,
    store::Read,
};
use pb::r#override::Change;
use tonic::Code;

use super::{
    entities::Entities,
    indicators::Indicators,
    indices::{self, Paths},
};
use crate::{
    convert::{self, period::check_frequency},
    domain::{framework::Framework, framework::FrameworkFaultKind},
    store::{Index, load::Tried},
};

/// Most overrides of one request.
const MAX_OVERRIDES: usize = 10_000;

/// Applies changes to an index; gives the figures that are tried.
pub(super) fn apply(
    read: &impl Read,
    dataset: &str,
    uid: u64,
    index: &mut Index,
    changes: &[pb::Override],
) -> Result<Tried, Fault> {
    let mut violations = Violations::new();
    let mut tried = Tried::new();
    if !violations.list("source.live.overrides", changes.len(), MAX_OVERRIDES) {
        violations.finish()?;
        return Ok(tried);
    }
    let mut paths = Paths::under("source.live");
    for (row, change) in changes.iter().enumerate() {
        let at = format!("source.live.overrides[{row}]");
        match &change.change {
            Some(Change::NodeWeight(weight)) => {
                node_weight(weight, &format!("{at}.node_weight"), index, &mut violations);
            }
            Some(Change::Observation(observation)) => {
                let at = format!("{at}.observation");
                try_figure(read, dataset, observation, &at, &mut tried, &mut violations)?;
            }
            Some(Change::Methodology(methodology)) => {
                let at = format!("{at}.methodology");
                paths.methodology.clone_from(&at);
                let nodes = &mut index.nodes;
                let plan =
                    convert::methodology::parse(Some(methodology), &at, nodes, &mut violations);
                index.plan = plan.unwrap_or_else(|| index.plan.clone());
            }
            Some(Change::Entities(entities)) => {
                let at = format!("{at}.entities");
                paths.entities.clone_from(&at);
                index.entities = Some(convert::filter::parse(
                    entities,
                    &at,
                    dataset,
                    &mut violations,
                ));
            }
            None => {
                let text = "set node_weight, observation, methodology or entities";
                violations.push(format!("{at}.change"), Common::OneofUnset, text);
            }
        }
    }
    if let Err(faults) = Framework::new(index.nodes.clone()) {
        for fault in faults.0 {
            let reason = match fault.kind {
                FrameworkFaultKind::ZeroWeights { .. } => ErrorReason::WeightsSumToZero,
                _ => ErrorReason::WeightNegative,
            };
            violations.push("source.live.overrides", reason, fault.to_string());
        }
    }
    // What a stored index refers to was checked when it was stored, and is in use since.
    let refers = |change: &Change| matches!(change, Change::Methodology(_) | Change::Entities(_));
    if changes
        .iter()
        .any(|one| one.change.as_ref().is_some_and(refers))
    {
        indices::check_references(read, uid, &paths, index, &mut violations)?;
    }
    violations.finish()?;
    Ok(tried)
}

fn node_weight(change: &pb::NodeWeight, at: &str, index: &mut Index, violations: &mut Violations) {
    let node = index.nodes.iter_mut().find(|node| node.id == change.node);
    let field = format!("{at}.weight");
    if violations.finite(&field, change.weight) && change.weight < 0.0 {
        let text = format!("{} is negative", change.weight);
        violations.push(field, ErrorReason::WeightNegative, text);
        return;
    }
    match node {
        Some(node) if change.weight.is_finite() => node.weight = change.weight,
        Some(_) => {}
        None => {
            let text = format!("{:?} is no node of the framework", change.node);
            violations.push(format!("{at}.node"), ErrorReason::NodeUnknown, text);
        }
    }
}

fn try_figure(
    read: &impl Read,
    dataset: &str,
    proto: &pb::Observation,
    at: &str,
    tried: &mut Tried,
    violations: &mut Violations,
) -> Result<(), Fault> {
    let Some(written) = convert::observation::parse(proto, at, dataset, violations) else {
        return Ok(());
    };
    let parents = [dataset.to_owned()];
    let missing = |fault: &Fault| fault.code() == Code::NotFound;
    match find::<Entities>(read, &parents, &written.entity) {
        Err(fault) if missing(&fault) => {
            violations.push(
                format!("{at}.entity"),
                ErrorReason::EntityUnknown,
                fault.message(),
            );
        }
        found => drop(found?),
    }
    match find::<Indicators>(read, &parents, &written.indicator) {
        Err(fault) if missing(&fault) => {
            let field = format!("{at}.indicator");
            violations.push(field, ErrorReason::IndicatorUnknown, fault.message());
        }
        found => {
            let frequency = found?.value.body.frequency;
            let field = format!("{at}.period");
            check_frequency(
                &field,
                written.period,
                frequency,
                &written.indicator,
                violations,
            );
        }
    }
    let cells = tried
        .entry((written.indicator, written.entity))
        .or_default();
    cells.insert(written.period.ordinal(), written.observation);
    Ok(())
}
