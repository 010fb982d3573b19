//! Frameworks.

use almanac_proto::{Reason as _, common::v1::ErrorReason as Common, ranking::v1 as pb};
use almanac_service_kit::{check::MAX_NAME_BYTES, fault::Violations};
use pb::ErrorReason;

use super::{INDICATOR, named, optional_reference};
use crate::domain::framework::{
    Framework, FrameworkFault, FrameworkFaultKind as Kind, MAX_NODES, Node,
};

/// Checks the nodes of an index of `dataset`.
pub fn parse(
    protos: &[pb::Node],
    at: &str,
    dataset: &str,
    violations: &mut Violations,
) -> Vec<Node> {
    if protos.len() > MAX_NODES {
        let text = format!("has {} nodes, the limit is {MAX_NODES}", protos.len());
        violations.push(at, ErrorReason::FrameworkTooLarge, text);
        return Vec::new();
    }
    if !violations.list(at, protos.len(), MAX_NODES) {
        return Vec::new();
    }
    let nodes = protos.iter().enumerate().map(|(row, proto)| {
        let at = format!("{at}[{row}]");
        node(proto, &at, dataset, violations)
    });
    let nodes: Vec<Node> = nodes.collect();
    if let Err(faults) = Framework::new(nodes.clone()) {
        for fault in faults.0 {
            tell(&fault, at, protos, violations);
        }
    }
    nodes
}

fn node(proto: &pb::Node, at: &str, dataset: &str, violations: &mut Violations) -> Node {
    violations.id(&format!("{at}.id"), &proto.id);
    violations.text(
        &format!("{at}.display_name"),
        &proto.display_name,
        MAX_NAME_BYTES,
    );
    let field = format!("{at}.indicator");
    let indicator = optional_reference(&field, &proto.indicator, &INDICATOR, dataset, violations);
    Node {
        id: proto.id.clone(),
        parent: (!proto.parent.is_empty()).then(|| proto.parent.clone()),
        weight: proto.weight.unwrap_or(1.0),
        // A reference that could not be read has its violation; it still marks a leaf.
        indicator: (!proto.indicator.is_empty()).then_some(indicator),
        display_name: proto.display_name.clone(),
    }
}

/// Says what the domain found wrong at the field that has to be mended.
fn tell(fault: &FrameworkFault, at: &str, protos: &[pb::Node], violations: &mut Violations) {
    let (field, reason) = match &fault.kind {
        Kind::Empty => ("", Common::FieldRequired.wire_name()),
        Kind::TooManyNodes { .. } => ("", ErrorReason::FrameworkTooLarge.wire_name()),
        Kind::NoRoot => ("", ErrorReason::FrameworkRoot.wire_name()),
        Kind::ExtraRoot { .. } => (".parent", ErrorReason::FrameworkRoot.wire_name()),
        // Told by the check of IDs and references.
        Kind::EmptyId | Kind::EmptyIndicator { .. } => return,
        Kind::DuplicateId { .. } => (".id", Common::DuplicateKey.wire_name()),
        Kind::UnknownParent { .. } => (".parent", ErrorReason::ParentUnknown.wire_name()),
        Kind::Cycle { .. } => (".parent", ErrorReason::FrameworkCycle.wire_name()),
        Kind::NeitherLeafNorInner { .. } | Kind::InnerWithIndicator { .. } => {
            (".indicator", ErrorReason::NodeKind.wire_name())
        }
        Kind::InvalidWeight { weight, .. } if weight.is_finite() => {
            (".weight", ErrorReason::WeightNegative.wire_name())
        }
        Kind::InvalidWeight { .. } => (".weight", Common::ValueNotFinite.wire_name()),
        Kind::ZeroWeights { parent } => {
            let child = protos
                .iter()
                .position(|node| node.parent == *parent)
                .unwrap_or(0);
            let field = format!("{at}[{child}].weight");
            violations.push(field, ErrorReason::WeightsSumToZero, fault.to_string());
            return;
        }
        Kind::TooDeep { .. } => (".parent", ErrorReason::FrameworkTooLarge.wire_name()),
    };
    let place = fault
        .position
        .map_or(at.to_owned(), |row| format!("{at}[{row}]{field}"));
    violations.push_named(place, reason, fault.to_string());
}

/// Nodes on the wire.
#[must_use]
pub fn render(nodes: &[Node], dataset: &str) -> Vec<pb::Node> {
    let node = |node: &Node| pb::Node {
        id: node.id.clone(),
        parent: node.parent.clone().unwrap_or_default(),
        weight: Some(node.weight),
        indicator: named(
            "indicators",
            dataset,
            node.indicator.as_deref().unwrap_or_default(),
        ),
        display_name: node.display_name.clone(),
    };
    nodes.iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, parent: &str, indicator: &str, weight: f64) -> pb::Node {
        pb::Node {
            id: id.to_owned(),
            parent: parent.to_owned(),
            weight: Some(weight),
            indicator: indicator.to_owned(),
            display_name: String::new(),
        }
    }

    #[track_caller]
    fn refused(nodes: &[pb::Node], reason: &str, field: &str) {
        let mut violations = Violations::new();
        parse(nodes, "index.nodes", "d", &mut violations);
        let fault = violations.finish().unwrap_err();
        assert_eq!(fault.reason(), reason, "{fault:?}");
        assert!(fault.message().contains(field), "{fault:?}");
    }

    #[test]
    fn every_fault_has_its_field_and_reason() {
        let root = || node("r", "", "", 1.0);
        let leaf = |id: &str| node(id, "r", "i", 1.0);
        refused(&[], "FIELD_REQUIRED", "index.nodes");
        refused(
            &[root(), leaf("a"), node("b", "x", "i", 1.0)],
            "PARENT_UNKNOWN",
            "[2].parent",
        );
        refused(
            &[
                root(),
                leaf("a"),
                node("b", "c", "", 1.0),
                node("c", "b", "", 1.0),
            ],
            "FRAMEWORK_CYCLE",
            "[2].parent",
        );
        refused(&[root(), leaf("a"), leaf("a")], "DUPLICATE_KEY", "[2].id");
        refused(
            &[root(), node("a", "r", "i", 0.0)],
            "WEIGHTS_SUM_TO_ZERO",
            "[1].weight",
        );
        refused(
            &[root(), leaf("b"), node("a", "r", "i", -1.0)],
            "WEIGHT_NEGATIVE",
            "[2].weight",
        );
        refused(
            &[root(), node("a", "r", "i", f64::NAN)],
            "VALUE_NOT_FINITE",
            "[1].weight",
        );
        refused(
            &[root(), leaf("a"), node("b", "r", "", 1.0)],
            "NODE_KIND",
            "[2].indicator",
        );
        refused(
            &[root(), leaf("a"), node("b", "", "i", 1.0)],
            "FRAMEWORK_ROOT",
            "[2].parent",
        );
        refused(&[root(), leaf("A")], "ID_INVALID", "[1].id");
    }
}
