//! Published figures: questions from the wire.

use std::collections::BTreeMap;

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    check::MAX_NAME_BYTES,
    fault::Violations,
    plain::period::{Frequency, Period},
};

use super::{period::period, series::full_key};
use crate::domain::{
    hierarchy::{Hierarchy, SeriesKey},
    published::{
        Figure, GrowthQuery, MAX_ANSWERS, MAX_DIGITS, MAX_FIGURES, NodeAt, PrintedFault,
        PrintedNumber,
    },
};

mod claims;

/// Most terms of a sum.
const MAX_TERMS: usize = 1000;
/// Most bytes of a printed number: its digits, a sign and a point.
const MAX_DECIMAL_BYTES: usize = MAX_DIGITS + 2;

/// What the parts of a request are checked against.
#[derive(Debug)]
pub struct Context<'a> {
    /// The tree.
    pub hierarchy: &'a Hierarchy,
    /// The market's frequency; none where the request brings its own dimensions.
    pub frequency: Option<Frequency>,
    /// What is wrong so far.
    pub violations: Violations,
}

/// A node in a period as a field names it.
type Node<'a> = (Option<&'a pb::SeriesKey>, &'a str);

impl Context<'_> {
    fn series(&mut self, field: &str, wire: Option<&pb::SeriesKey>) -> Option<SeriesKey> {
        full_key(field, wire, self.hierarchy, &mut self.violations)
    }

    fn period(&mut self, field: &str, text: &str) -> Option<Period> {
        period(field, text, self.frequency, &mut self.violations)
    }

    /// A span of periods that runs forward.
    fn span(&mut self, at: &str, from: &str, to: &str) -> Option<(Period, Period)> {
        let from = self.period(&format!("{at}.from_period"), from);
        let to = self.period(&format!("{at}.to_period"), to);
        let (from, to) = (from?, to?);
        if from.frequency() == to.frequency() && to <= from {
            let text = format!("{to} is not after {from}");
            let field = format!("{at}.to_period");
            self.violations
                .push(field, ErrorReason::PeriodRangeInvalid, text);
        }
        Some((from, to))
    }

    fn printed(&mut self, at: &str, wire: Option<&pb::PrintedNumber>) -> Option<PrintedNumber> {
        let Some(wire) = wire else {
            self.violations
                .push(at, Common::FieldRequired, "is required");
            return None;
        };
        let number = PrintedNumber {
            decimal: wire.decimal.clone(),
            half_width: wire.half_width,
        };
        let field = format!("{at}.decimal");
        if wire.decimal.is_empty() {
            self.violations
                .push(field, Common::FieldRequired, "is required");
            return None;
        }
        if wire.decimal.len() > MAX_DECIMAL_BYTES {
            self.violations
                .text(&field, &wire.decimal, MAX_DECIMAL_BYTES);
            return None;
        }
        if let Err(fault) = number.range() {
            let field = match fault {
                PrintedFault::HalfWidth { .. } => format!("{at}.half_width"),
                PrintedFault::Empty
                | PrintedFault::Separator { .. }
                | PrintedFault::Exponent { .. }
                | PrintedFault::Unit { .. }
                | PrintedFault::Malformed { .. }
                | PrintedFault::TooLong { .. } => field,
            };
            let reason = ErrorReason::PrintedNumberInvalid;
            self.violations.push(field, reason, fault.to_string());
            return None;
        }
        Some(number)
    }

    /// A number at face value: only a half-width loosens it. `sign` says to which side.
    fn face_value(&mut self, at: &str, wire: &pb::PrintedNumber, sign: f64) -> Option<f64> {
        let number = self.printed(at, Some(wire))?;
        let middle = number.range().ok()?.middle;
        Some(middle + sign * number.half_width.unwrap_or(0.0))
    }

    fn node_at(&mut self, at: &str, wire: Option<&pb::NodePeriod>) -> Option<NodeAt> {
        let Some(wire) = wire else {
            self.violations
                .push(at, Common::FieldRequired, "is required");
            return None;
        };
        self.place(at, (wire.node.as_ref(), &wire.period))
    }

    fn place(&mut self, at: &str, (node, period): Node<'_>) -> Option<NodeAt> {
        let series = self.series(&format!("{at}.node"), node);
        let period = self.period(&format!("{at}.period"), period);
        Some(NodeAt {
            series: series?,
            period: period?,
        })
    }

    fn invalid(&mut self, at: &str, text: &str) {
        self.violations.push(at, ErrorReason::FigureInvalid, text);
    }
}

/// The figures of a request.
pub fn figures(wire: &[pb::PublishedFigure], context: &mut Context<'_>) -> Vec<Figure> {
    if wire.len() > MAX_FIGURES {
        let text = format!("{} are more than {MAX_FIGURES}", wire.len());
        let reason = ErrorReason::FiguresTooMany;
        context.violations.push("figures", reason, text);
        return Vec::new();
    }
    if !context.violations.list("figures", wire.len(), MAX_FIGURES) {
        return Vec::new();
    }
    if wire.is_empty() {
        let reason = Common::FieldRequired;
        context
            .violations
            .push("figures", reason, "needs at least one figure");
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut figures = Vec::with_capacity(wire.len());
    for (row, figure) in wire.iter().enumerate() {
        let at = format!("figures[{row}]");
        let field = format!("{at}.id");
        if figure.id.is_empty() {
            context
                .violations
                .push(&*field, Common::FieldRequired, "is required");
        }
        context.violations.text(&field, &figure.id, MAX_NAME_BYTES);
        let earlier = *first.entry(&figure.id).or_insert(row);
        if earlier != row {
            let text = format!("{:?} is also the ID of figures[{earlier}]", figure.id);
            context.violations.push(field, Common::DuplicateKey, text);
        }
        let claim = claims::claim(&at, figure, context);
        figures.extend(claim.map(|claim| Figure {
            id: figure.id.clone(),
            claim,
        }));
    }
    figures
}

/// The paths to the member of `figure` that is set, and to the number in that.
#[must_use]
pub fn paths(figure: &pb::PublishedFigure) -> (&'static str, &'static str) {
    use pb::{node_comparison::Relation, published_figure::Figure as Wire};
    match &figure.figure {
        None => ("figure", "figure"),
        Some(Wire::Value(_)) => ("value", "value.value"),
        Some(Wire::Growth(_)) => ("growth", "growth.percent"),
        Some(Wire::Share(_)) => ("share", "share.percent"),
        Some(Wire::Bound(_)) => ("bound", "bound"),
        Some(Wire::Sum(_)) => ("sum", "sum.value"),
        Some(Wire::Comparison(comparison)) => {
            let number = match &comparison.relation {
                None => "comparison.relation",
                Some(Relation::Times(_)) => "comparison.times",
                Some(Relation::AtLeastTimes(_)) => "comparison.at_least_times",
                Some(Relation::AtMostTimes(_)) => "comparison.at_most_times",
            };
            ("comparison", number)
        }
    }
}

/// The growths that a request asks for, each with the row of its pair.
pub fn growth_pairs(
    wire: &[pb::GrowthPair],
    every: &[SeriesKey],
    context: &mut Context<'_>,
) -> Vec<(usize, GrowthQuery)> {
    let mut queries = Vec::new();
    if !context
        .violations
        .list("growth_pairs", wire.len(), MAX_ANSWERS)
    {
        return queries;
    }
    for (row, pair) in wire.iter().enumerate() {
        let at = format!("growth_pairs[{row}]");
        let span = context.span(&at, &pair.from_period, &pair.to_period);
        let named = match &pair.node {
            Some(node) => context
                .series(&format!("{at}.node"), Some(node))
                .into_iter()
                .collect(),
            None => every.to_vec(),
        };
        let Some((from, to)) = span else { continue };
        queries.extend(
            named
                .into_iter()
                .map(|series| (row, GrowthQuery { series, from, to })),
        );
        if queries.len() > MAX_ANSWERS {
            let text = format!("ask for more than {MAX_ANSWERS} growths");
            context
                .violations
                .push("growth_pairs", ErrorReason::FiguresTooMany, text);
            break;
        }
    }
    queries
}

/// Prior weights, by leaf and period; none for every period without one of its own.
pub type Weights = BTreeMap<(SeriesKey, Option<Period>), f64>;

/// The prior weights of a request.
pub fn prior_weights(wire: &[pb::PriorWeight], context: &mut Context<'_>) -> Weights {
    let mut weights = Weights::new();
    if !context
        .violations
        .list("prior_weights", wire.len(), MAX_ANSWERS)
    {
        return weights;
    }
    for (row, prior) in wire.iter().enumerate() {
        let at = format!("prior_weights[{row}]");
        let Some(key) = context.series(&format!("{at}.node"), prior.node.as_ref()) else {
            continue;
        };
        let leaf = context
            .hierarchy
            .series(&key)
            .is_ok_and(|one| context.hierarchy.is_leaf(&one));
        if !leaf {
            let text = "is not a leaf";
            context
                .violations
                .push(format!("{at}.node"), ErrorReason::PriorInvalid, text);
        }
        let weight = prior.weight;
        if context.violations.finite(&format!("{at}.weight"), weight) && weight <= 0.0 {
            let text = format!("{weight} is not positive");
            context
                .violations
                .push(format!("{at}.weight"), ErrorReason::PriorInvalid, text);
        }
        let when = match prior.period.is_empty() {
            true => None,
            false => match context.period(&format!("{at}.period"), &prior.period) {
                Some(period) => Some(period),
                None => continue,
            },
        };
        if weights.insert((key, when), weight).is_some() {
            context
                .violations
                .push(at, Common::DuplicateKey, "the leaf has a weight already");
        }
    }
    weights
}

#[cfg(test)]
mod tests;
