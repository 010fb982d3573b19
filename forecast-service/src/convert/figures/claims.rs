//! What single figures state.

use std::collections::BTreeSet;

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::sizes::Sizes;

use super::{Context, MAX_TERMS, paths};
use crate::domain::published::{Claim, NodeAt, Relation};

/// What a figure states.
pub(super) fn claim(
    at: &str,
    figure: &pb::PublishedFigure,
    context: &mut Context<'_>,
) -> Option<Claim> {
    use pb::published_figure::Figure as Wire;
    let at = &format!("{at}.{}", paths(figure).0);
    match figure.figure.as_ref() {
        None => {
            let text = "set value, growth, share, bound, sum or comparison";
            context.violations.push(at, Common::OneofUnset, text);
            None
        }
        Some(Wire::Value(value)) => {
            let place = context.place(at, (value.node.as_ref(), &value.period));
            let printed = context.printed(&format!("{at}.value"), value.value.as_ref());
            let NodeAt { series, period } = place?;
            Some(Claim::Value {
                series,
                period,
                printed: printed?,
            })
        }
        Some(Wire::Growth(growth)) => {
            let series = context.series(&format!("{at}.node"), growth.node.as_ref());
            let span = context.span(at, &growth.from_period, &growth.to_period);
            let percent = context.printed(&format!("{at}.percent"), growth.percent.as_ref());
            let (from, to) = span?;
            Some(Claim::Growth {
                series: series?,
                from,
                to,
                percent: percent?,
            })
        }
        Some(Wire::Share(share)) => {
            let part = context.place(at, (share.node.as_ref(), &share.period));
            let whole = context.series(&format!("{at}.whole"), share.whole.as_ref());
            let percent = context.printed(&format!("{at}.percent"), share.percent.as_ref());
            let NodeAt {
                series: part,
                period,
            } = part?;
            Some(Claim::Share {
                part,
                whole: whole?,
                period,
                percent: percent?,
            })
        }
        Some(Wire::Bound(bound)) => self::bound(at, bound, context),
        Some(Wire::Sum(sum)) => self::sum(at, sum, context),
        Some(Wire::Comparison(comparison)) => self::comparison(at, comparison, context),
    }
}

fn bound(at: &str, wire: &pb::NodeBound, context: &mut Context<'_>) -> Option<Claim> {
    let place = context.place(at, (wire.node.as_ref(), &wire.period));
    let lower = wire.at_least.as_ref();
    let upper = wire.at_most.as_ref();
    if lower.is_none() && upper.is_none() {
        context.invalid(at, "needs at_least, at_most or both");
        return None;
    }
    let lower = lower.map(|n| context.face_value(&format!("{at}.at_least"), n, -1.0));
    let upper = upper.map(|n| context.face_value(&format!("{at}.at_most"), n, 1.0));
    // The outer option: whether there is a limit; the inner one: whether it could be read.
    if lower == Some(None) || upper == Some(None) {
        return None;
    }
    let (lower, upper) = (lower.flatten(), upper.flatten());
    if lower.zip(upper).is_some_and(|(lower, upper)| lower > upper) {
        context.invalid(at, "at_least is above at_most");
    }
    let NodeAt { series, period } = place?;
    Some(Claim::Bound {
        series,
        period,
        lower,
        upper,
    })
}

fn sum(at: &str, wire: &pb::NodeSum, context: &mut Context<'_>) -> Option<Claim> {
    let printed = context.printed(&format!("{at}.value"), wire.value.as_ref());
    let field = format!("{at}.terms");
    let most = MAX_TERMS.min(Sizes::current().list);
    if !context.violations.count(&field, wire.terms.len(), most) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut terms = Vec::with_capacity(wire.terms.len());
    for (row, term) in wire.terms.iter().enumerate() {
        let at = format!("{field}[{row}]");
        let Some(term) = context.place(&at, (term.node.as_ref(), &term.period)) else {
            continue;
        };
        if !seen.insert(term.clone()) {
            let text = "stands twice in the sum";
            context.violations.push(at, Common::DuplicateKey, text);
        }
        terms.push(term);
    }
    Some(Claim::Sum {
        terms,
        printed: printed?,
    })
}

fn comparison(at: &str, wire: &pb::NodeComparison, context: &mut Context<'_>) -> Option<Claim> {
    use pb::node_comparison::Relation as Wire;
    let left = context.node_at(&format!("{at}.left"), wire.left.as_ref());
    let right = context.node_at(&format!("{at}.right"), wire.right.as_ref());
    let (relation, field, factor) = match wire.relation.as_ref() {
        None => {
            let text = "set times, at_least_times or at_most_times";
            context
                .violations
                .push(format!("{at}.relation"), Common::OneofUnset, text);
            return None;
        }
        Some(Wire::Times(times)) => {
            let times = context.printed(&format!("{at}.times"), Some(times));
            return Some(Claim::Multiple {
                left: left?,
                times: times?,
                right: right?,
            });
        }
        Some(Wire::AtLeastTimes(times)) => {
            let field = format!("{at}.at_least_times");
            let factor = context.face_value(&field, times, -1.0);
            (Relation::AtLeast, field, factor)
        }
        Some(Wire::AtMostTimes(times)) => {
            let field = format!("{at}.at_most_times");
            let factor = context.face_value(&field, times, 1.0);
            (Relation::AtMost, field, factor)
        }
    };
    let factor = factor?;
    if factor <= 0.0 {
        context.invalid(&field, "a multiple must be positive");
    }
    Some(Claim::Comparison {
        left: left?,
        relation,
        factor,
        right: right?,
    })
}
