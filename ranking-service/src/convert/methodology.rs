//! Methodologies.

use almanac_proto::{common::v1::ErrorReason as Common, ranking::v1 as pb};
use almanac_service_kit::fault::Violations;
use pb::{
    ErrorReason, aggregation::Method as AggregationWire, constant_column::Becomes,
    normalization::Method as NormalizationWire, weighting::Method as WeightingWire,
};

use super::period;
use crate::{
    domain::{
        framework::{Framework, MAX_NODES, Node},
        methodology::{
            Aggregation, AggregationMethod, ConstantColumn, Methodology, MethodologyFault,
            MethodologyFaultKind as Kind, NodeMethodology, Normalization, NormalizationMethod,
            RankOptions, TieMethod,
        },
    },
    store::{PeriodSelection, Plan},
};

/// Checks a methodology against the framework it is for. Equal weighting is written into
/// `nodes`.
pub fn parse(
    proto: Option<&pb::Methodology>,
    at: &str,
    nodes: &mut [Node],
    violations: &mut Violations,
) -> Option<Plan> {
    let Some(proto) = proto else {
        violations.push(at, Common::FieldRequired, "is required");
        return None;
    };
    steps_not_built(proto, at, violations);
    weighting(
        proto.weighting.as_ref(),
        &format!("{at}.weighting"),
        nodes,
        violations,
    );
    let required = |field: &str, violations: &mut Violations| {
        violations.push(
            format!("{at}.{field}"),
            Common::FieldRequired,
            "is required",
        );
    };
    let periods = match &proto.periods {
        Some(periods) => selection(periods, &format!("{at}.periods"), violations),
        None => {
            required("periods", violations);
            None
        }
    };
    let normalization = proto.normalization.as_ref();
    if normalization.is_none() {
        required("normalization", violations);
    }
    let aggregation = proto.aggregation.as_ref();
    if aggregation.is_none() {
        required("aggregation", violations);
    }
    let normalization =
        self::normalization(normalization?, &format!("{at}.normalization"), violations);
    let aggregation = self::aggregation(aggregation?, &format!("{at}.aggregation"), violations);
    let mut node_periods = Vec::new();
    let mut overrides = Vec::new();
    if !violations.list(&format!("{at}.nodes"), proto.nodes.len(), MAX_NODES) {
        return None;
    }
    for (row, node) in proto.nodes.iter().enumerate() {
        let at = format!("{at}.nodes[{row}]");
        if let Some(periods) = &node.periods {
            leaf_only(node, &at, nodes, violations);
            let selection = selection(periods, &format!("{at}.periods"), violations);
            node_periods.extend(selection.map(|selection| (node.node.clone(), selection)));
        }
        overrides.extend(node_methodology(node, &at, violations));
    }
    let methodology = Methodology {
        normalization: normalization?,
        aggregation: aggregation?,
        nodes: overrides,
        rank: rank_options(
            proto.rank_options.as_ref(),
            &format!("{at}.rank_options"),
            violations,
        ),
    };
    // Only a sound framework can be resolved; its own faults are told elsewhere.
    if let Ok(framework) = Framework::new(nodes.to_vec())
        && let Err(faults) = methodology.resolve(&framework)
    {
        for fault in faults.0 {
            tell(&fault, at, proto, violations);
        }
    }
    Some(Plan {
        methodology,
        periods: periods?,
        node_periods,
    })
}

fn steps_not_built(proto: &pb::Methodology, at: &str, violations: &mut Violations) {
    for (set, step) in [
        (proto.screening.is_some(), "screening"),
        (proto.denomination.is_some(), "denomination"),
        (proto.imputation.is_some(), "imputation"),
        (proto.treatment.is_some(), "treatment"),
    ] {
        if set {
            violations.unsupported(&format!("{at}.{step}"), &format!("the step {step}"));
        }
    }
}

fn unset(at: &str, violations: &mut Violations) {
    let text = "set one of its members; a member that this version does not know counts as none";
    violations.push(at, Common::OneofUnset, text);
}

fn weighting(
    proto: Option<&pb::Weighting>,
    at: &str,
    nodes: &mut [Node],
    violations: &mut Violations,
) {
    match proto.map(|weighting| weighting.method.as_ref()) {
        None | Some(Some(WeightingWire::Given(_))) => {}
        Some(Some(WeightingWire::Equal(_))) => {
            for node in nodes {
                node.weight = 1.0;
            }
        }
        Some(None) => unset(&format!("{at}.method"), violations),
    }
}

fn selection(
    proto: &pb::PeriodSelection,
    at: &str,
    violations: &mut Violations,
) -> Option<PeriodSelection> {
    let period = period::period(&format!("{at}.period"), &proto.period, violations);
    let max_age = proto.max_age.map(|age| {
        u32::try_from(age).unwrap_or_else(|_| {
            let text = format!("{age} is negative");
            violations.push(format!("{at}.max_age"), Common::FieldInvalid, text);
            0
        })
    });
    Some(PeriodSelection {
        period: period?,
        max_age,
    })
}

fn normalization(
    proto: &pb::Normalization,
    at: &str,
    violations: &mut Violations,
) -> Option<Normalization> {
    let method = match &proto.method {
        Some(NormalizationWire::Identity(_)) => Some(NormalizationMethod::Identity),
        Some(NormalizationWire::MinMax(bounds)) => Some(NormalizationMethod::MinMax {
            lower: bounds.lower.unwrap_or(0.0),
            upper: bounds.upper.unwrap_or(100.0),
        }),
        Some(NormalizationWire::ZScore(moments)) => Some(NormalizationMethod::ZScore {
            mean: moments.mean.unwrap_or(0.0),
            standard_deviation: moments.standard_deviation.unwrap_or(1.0),
        }),
        None => {
            unset(&format!("{at}.method"), violations);
            None
        }
    };
    let constant_column = match &proto.constant_column {
        None => ConstantColumn::Error,
        Some(policy) => match policy.becomes {
            Some(Becomes::Score(score)) => ConstantColumn::Value(score),
            None => {
                unset(&format!("{at}.constant_column.becomes"), violations);
                ConstantColumn::Error
            }
        },
    };
    Some(Normalization {
        method: method?,
        constant_column,
    })
}

fn aggregation(
    proto: &pb::Aggregation,
    at: &str,
    violations: &mut Violations,
) -> Option<Aggregation> {
    let method = match &proto.method {
        Some(AggregationWire::ArithmeticMean(_)) => Some(AggregationMethod::WeightedArithmeticMean),
        Some(
            AggregationWire::GeometricMean(_)
            | AggregationWire::HarmonicMean(_)
            | AggregationWire::PowerMean(_),
        ) => {
            violations.unsupported(&format!("{at}.method"), "this aggregation");
            None
        }
        None => {
            unset(&format!("{at}.method"), violations);
            None
        }
    };
    let minimum_availability = proto.minimum_availability.unwrap_or(0.0);
    Some(Aggregation {
        method: method?,
        minimum_availability,
    })
}

fn node_methodology(
    proto: &pb::NodeMethodology,
    at: &str,
    violations: &mut Violations,
) -> Option<NodeMethodology> {
    let normalization = proto
        .normalization
        .as_ref()
        .and_then(|n| normalization(n, &format!("{at}.normalization"), violations));
    let aggregation = proto
        .aggregation
        .as_ref()
        .and_then(|a| aggregation(a, &format!("{at}.aggregation"), violations));
    // An override of the period alone is no part of the domain's methodology.
    let periods_only =
        proto.periods.is_some() && proto.normalization.is_none() && proto.aggregation.is_none();
    (!periods_only).then(|| NodeMethodology {
        node: proto.node.clone(),
        normalization,
        aggregation,
    })
}

fn leaf_only(proto: &pb::NodeMethodology, at: &str, nodes: &[Node], violations: &mut Violations) {
    let leaf = nodes
        .iter()
        .any(|node| node.id == proto.node && node.indicator.is_some());
    if !leaf {
        let text = format!("{:?} is no leaf of the framework", proto.node);
        violations.push(format!("{at}.node"), ErrorReason::NodeUnknown, text);
    }
}

fn rank_options(
    proto: Option<&pb::RankOptions>,
    at: &str,
    violations: &mut Violations,
) -> RankOptions {
    let Some(proto) = proto else {
        return RankOptions::default();
    };
    let tie_method = match pb::TieMethod::try_from(proto.tie_method) {
        Ok(pb::TieMethod::Unspecified | pb::TieMethod::Competition) => TieMethod::Competition,
        Ok(pb::TieMethod::Dense) => TieMethod::Dense,
        Ok(pb::TieMethod::Fractional) => TieMethod::Fractional,
        Err(_) => {
            let text = format!("{} is no method that this version knows", proto.tie_method);
            violations.push(format!("{at}.tie_method"), Common::FieldInvalid, text);
            TieMethod::Competition
        }
    };
    let score_decimals = proto.score_decimals.map(|decimals| {
        u32::try_from(decimals).unwrap_or_else(|_| {
            let text = format!("{decimals} is negative");
            violations.push(format!("{at}.score_decimals"), Common::FieldInvalid, text);
            0
        })
    });
    RankOptions {
        tie_method,
        tie_tolerance: proto.tie_tolerance,
        score_decimals,
    }
}

/// Says what the domain found wrong at the field that has to be mended.
fn tell(fault: &MethodologyFault, at: &str, proto: &pb::Methodology, violations: &mut Violations) {
    // Overrides of periods alone are not in the domain's list: find the row by its node.
    let node = |id: &str, last: bool| {
        let mut rows = proto
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.node == id);
        let row = if last { rows.next_back() } else { rows.next() };
        format!("{at}.nodes[{}].node", row.map_or(0, |(row, _)| row))
    };
    let step = |step: &str| match fault.index {
        Some(index) => format!("{at}.nodes[{index}].{step}"),
        None => format!("{at}.{step}"),
    };
    let text = fault.to_string();
    match &fault.kind {
        Kind::UnknownNode { node: id } => {
            violations.push(node(id, false), ErrorReason::NodeUnknown, text);
        }
        Kind::RepeatedNode { node: id, .. } => {
            violations.push(node(id, true), Common::DuplicateKey, text);
        }
        Kind::EmptyOverride { node: id } => {
            violations.push(node(id, false), Common::FieldRequired, text);
        }
        Kind::NormalizationOfInner { node: id } | Kind::AggregationOfLeaf { node: id } => {
            violations.push(node(id, false), ErrorReason::NodeUnknown, text);
        }
        Kind::MinMaxBounds { .. } => {
            violations.push(step("normalization.min_max"), Common::FieldInvalid, text);
        }
        Kind::ZScoreMoments { .. } => {
            violations.push(step("normalization.z_score"), Common::FieldInvalid, text);
        }
        Kind::ConstantScore { .. } => {
            let field = step("normalization.constant_column.score");
            violations.push(field, Common::ValueNotFinite, text);
        }
        Kind::Availability { .. } => {
            violations.push(
                step("aggregation.minimum_availability"),
                Common::FieldInvalid,
                text,
            );
        }
        Kind::TieTolerance { .. } => {
            violations.push(
                step("rank_options.tie_tolerance"),
                Common::FieldInvalid,
                text,
            );
        }
        Kind::ScoreDecimals { .. } => {
            violations.push(
                step("rank_options.score_decimals"),
                Common::FieldInvalid,
                text,
            );
        }
    }
}

/// A methodology on the wire.
#[must_use]
pub fn render(plan: &Plan) -> pb::Methodology {
    let methodology = &plan.methodology;
    let mut nodes: Vec<pb::NodeMethodology> = methodology
        .nodes
        .iter()
        .map(|node| pb::NodeMethodology {
            node: node.node.clone(),
            normalization: node.normalization.as_ref().map(wire_normalization),
            aggregation: node.aggregation.as_ref().map(wire_aggregation),
            periods: None,
        })
        .collect();
    for (id, selection) in &plan.node_periods {
        let periods = Some(wire_selection(*selection));
        match nodes.iter_mut().find(|node| node.node == *id) {
            Some(node) => node.periods = periods,
            None => nodes.push(pb::NodeMethodology {
                node: id.clone(),
                periods,
                ..pb::NodeMethodology::default()
            }),
        }
    }
    pb::Methodology {
        periods: Some(wire_selection(plan.periods)),
        normalization: Some(wire_normalization(&methodology.normalization)),
        aggregation: Some(wire_aggregation(&methodology.aggregation)),
        nodes,
        rank_options: Some(wire_rank_options(&methodology.rank)),
        ..pb::Methodology::default()
    }
}

fn wire_selection(selection: PeriodSelection) -> pb::PeriodSelection {
    pb::PeriodSelection {
        period: selection.period.to_string(),
        // Ages were read from an i32.
        max_age: selection
            .max_age
            .map(|age| i32::try_from(age).unwrap_or(i32::MAX)),
    }
}

fn wire_normalization(normalization: &Normalization) -> pb::Normalization {
    let method = match normalization.method {
        NormalizationMethod::Identity => NormalizationWire::Identity(pb::Identity {}),
        NormalizationMethod::MinMax { lower, upper } => NormalizationWire::MinMax(pb::MinMax {
            lower: Some(lower),
            upper: Some(upper),
        }),
        NormalizationMethod::ZScore {
            mean,
            standard_deviation,
        } => NormalizationWire::ZScore(pb::ZScore {
            mean: Some(mean),
            standard_deviation: Some(standard_deviation),
        }),
    };
    let constant_column = match normalization.constant_column {
        ConstantColumn::Error => None,
        ConstantColumn::Value(score) => Some(pb::ConstantColumn {
            becomes: Some(Becomes::Score(score)),
        }),
    };
    pb::Normalization {
        method: Some(method),
        constant_column,
    }
}

fn wire_aggregation(aggregation: &Aggregation) -> pb::Aggregation {
    let method = match aggregation.method {
        AggregationMethod::WeightedArithmeticMean => {
            AggregationWire::ArithmeticMean(pb::WeightedArithmeticMean {})
        }
    };
    let least = aggregation.minimum_availability;
    pb::Aggregation {
        method: Some(method),
        minimum_availability: (least > 0.0).then_some(least),
    }
}

fn wire_rank_options(options: &RankOptions) -> pb::RankOptions {
    let tie_method = match options.tie_method {
        TieMethod::Competition => pb::TieMethod::Competition,
        TieMethod::Dense => pb::TieMethod::Dense,
        TieMethod::Fractional => pb::TieMethod::Fractional,
    };
    pb::RankOptions {
        tie_method: tie_method.into(),
        tie_tolerance: options.tie_tolerance,
        score_decimals: options
            .score_decimals
            .and_then(|decimals| i32::try_from(decimals).ok()),
    }
}
