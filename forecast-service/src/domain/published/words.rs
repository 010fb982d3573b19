//! Figures and conflicts in words.

use almanac_service_kit::plain::period::Period;

use super::conflict::ConflictMember;
use super::figures::{Claim, NodeAt, Relation};
use super::intervals::Interval;
use super::system::System;
use crate::domain::hierarchy::SeriesKey;

/// Digits a computed number is told with.
const DIGITS: usize = 6;

/// A quantity of the system in the terms the figure prints it in.
pub(super) fn as_printed(claim: &Claim, value: f64) -> f64 {
    match claim {
        Claim::Growth { .. } => value * 100.0 - 100.0,
        Claim::Share { .. } => value * 100.0,
        _ => value,
    }
}

/// The ends a figure prints, not put through the arithmetic of the system.
pub(super) fn printed_interval(claim: &Claim) -> Option<Interval> {
    let range = claim.printed()?.range().ok()?;
    Some(Interval::of_ends(range.lower, range.upper))
}

/// What a figure says: `the growth of Asia from 2023 to 2028 is 120 % (119.5 to 120.5 %)`.
pub(super) fn statement(system: &System<'_>, figure: usize) -> String {
    let claim = &system.figures[figure].claim;
    let subject = subject(system, claim);
    let says = match claim {
        Claim::Bound { lower, upper, .. } => {
            let ends = Interval {
                lower: *lower,
                upper: *upper,
            };
            format!("{subject} is {}", interval(&ends, ""))
        }
        Claim::Comparison {
            left,
            relation,
            factor,
            right,
        } => {
            let relation = match relation {
                Relation::AtLeast => "at least",
                Relation::AtMost => "at most",
            };
            let times = if (factor - 1.0).abs() > 0.0 {
                format!("{} times ", number(*factor))
            } else {
                String::new()
            };
            let (left, right) = (node_at(system, left), node_at(system, right));
            format!("{left} is {relation} {times}{right}")
        }
        Claim::Multiple { left, right, .. } => {
            let (left, right) = (node_at(system, left), node_at(system, right));
            format!("{left} is {} times {right}", printed(claim))
        }
        _ => format!("{subject} is {}", printed(claim)),
    };
    match base(system, claim) {
        Some(base) if !system.nonnegative => format!("{says}, and {base} is not negative"),
        _ => says,
    }
}

/// The value that a ratio is told in multiples of.
fn base(system: &System<'_>, claim: &Claim) -> Option<String> {
    let label = |key: &SeriesKey| label(system, key);
    let base = match claim {
        Claim::Growth { series, from, .. } => at(&label(series), *from),
        Claim::Share { whole, period, .. } => at(&label(whole), *period),
        Claim::Multiple { right, .. } => node_at(system, right),
        Claim::Value { .. }
        | Claim::Bound { .. }
        | Claim::Sum { .. }
        | Claim::Comparison { .. } => return None,
    };
    Some(format!("the value of {base}"))
}

/// Why the members of a conflict cannot hold together.
pub(super) fn summary(system: &System<'_>, members: &[ConflictMember]) -> String {
    let without_base = |m: &&ConflictMember| {
        let claim = &system.figures[m.figure].claim;
        m.others_allow.is_none() && base(system, claim).is_some()
    };
    // Where values may be negative, a base that is none is the reason to tell.
    let told = members
        .iter()
        .find(|m| !system.nonnegative && without_base(m))
        .or(members.iter().rev().find(|m| m.others_allow.is_some()))
        .or(members.last());
    let Some(told) = told else {
        return String::new();
    };
    let claim = &system.figures[told.figure].claim;
    let (subject, unit) = (subject(system, claim), unit(claim));
    let says = match claim {
        Claim::Bound { .. } | Claim::Comparison { .. } => interval(&told.says, unit),
        _ => printed(claim),
    };
    if members.len() == 1 {
        let kind = if system.nonnegative {
            "in a market without negative values "
        } else {
            ""
        };
        return format!(
            "{:?} cannot hold by itself: {kind}{}",
            told.id, told.statement
        );
    }
    let names: Vec<String> = members.iter().map(|m| format!("{:?}", m.id)).collect();
    let names = listed(&names);
    let others = match (&told.others_allow, base(system, claim)) {
        (Some(allowed), _) => format!("make {subject} {}", interval(allowed, unit)),
        (None, Some(base)) => format!("keep {base} from being positive, which {subject} needs"),
        (None, None) => format!("leave {subject} undefined"),
    };
    let id = &told.id;
    format!("{names} cannot hold together: the others {others}, but {id:?} says {says}")
}

fn subject(system: &System<'_>, claim: &Claim) -> String {
    let label = |key: &SeriesKey| label(system, key);
    match claim {
        Claim::Value { series, period, .. } | Claim::Bound { series, period, .. } => {
            format!("the value of {}", at(&label(series), *period))
        }
        Claim::Growth {
            series, from, to, ..
        } => {
            format!("the growth of {} from {from} to {to}", label(series))
        }
        Claim::Share {
            part,
            whole,
            period,
            ..
        } => {
            format!(
                "the share of {} in {} in {period}",
                label(part),
                label(whole)
            )
        }
        Claim::Sum { terms, .. } => sum(system, terms),
        Claim::Multiple { left, right, .. } => {
            let (left, right) = (node_at(system, left), node_at(system, right));
            format!("the ratio of {left} to {right}")
        }
        Claim::Comparison {
            left,
            factor,
            right,
            ..
        } => {
            let times = if (factor - 1.0).abs() > 0.0 {
                format!("{} times ", number(*factor))
            } else {
                String::new()
            };
            let (left, right) = (node_at(system, left), node_at(system, right));
            format!("{left} less {times}{right}")
        }
    }
}

/// `the sum of East and South in 2023`, `the sum of Asia over 2024, 2025 and 2026`.
fn sum(system: &System<'_>, terms: &[NodeAt]) -> String {
    let all =
        |same: &dyn Fn(&NodeAt, &NodeAt) -> bool| terms.windows(2).all(|w| same(&w[0], &w[1]));
    match terms.first() {
        Some(first) if all(&|a, b| a.period == b.period) => {
            let names: Vec<String> = terms.iter().map(|t| label(system, &t.series)).collect();
            format!("the sum of {} in {}", listed(&names), first.period)
        }
        Some(first) if all(&|a, b| a.series == b.series) => {
            let periods: Vec<String> = terms.iter().map(|t| t.period.to_string()).collect();
            format!(
                "the sum of {} over {}",
                label(system, &first.series),
                listed(&periods)
            )
        }
        _ => {
            let names: Vec<String> = terms.iter().map(|t| node_at(system, t)).collect();
            format!("the sum of {}", listed(&names))
        }
    }
}

fn label(system: &System<'_>, key: &SeriesKey) -> String {
    system.hierarchy.series(key).map_or_else(
        |fault| fault.to_string(),
        |series| system.hierarchy.label(&series),
    )
}

fn at(label: &str, period: Period) -> String {
    format!("{label} in {period}")
}

fn node_at(system: &System<'_>, node: &NodeAt) -> String {
    at(&label(system, &node.series), node.period)
}

fn unit(claim: &Claim) -> &'static str {
    match claim {
        Claim::Growth { .. } | Claim::Share { .. } => " %",
        _ => "",
    }
}

/// The printed number with what it stands for.
fn printed(claim: &Claim) -> String {
    let (Some(number), Some(ends)) = (claim.printed(), printed_interval(claim)) else {
        return String::new();
    };
    let unit = unit(claim);
    let meant = match (ends.lower, ends.upper) {
        (Some(lower), Some(upper)) if lower < upper => {
            format!("{} to {}{unit}", plain(lower), plain(upper))
        }
        _ => "exact".to_owned(),
    };
    format!("{}{unit} ({meant})", number.decimal)
}

fn interval(ends: &Interval, unit: &str) -> String {
    match (ends.lower.map(number), ends.upper.map(number)) {
        (Some(lower), Some(upper)) if lower == upper => format!("exactly {lower}{unit}"),
        (Some(lower), Some(upper)) => format!("{lower} to {upper}{unit}"),
        (Some(lower), None) => format!("at least {lower}{unit}"),
        (None, Some(upper)) => format!("at most {upper}{unit}"),
        (None, None) => "anything".to_owned(),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// All digits of a number that came from a decimal text.
fn plain(value: f64) -> String {
    format!("{value}")
}

/// A computed number with [`DIGITS`] significant digits, trailing zeros left out.
pub(super) fn number(value: f64) -> String {
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let exponent = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse::<i32>().ok())
        .unwrap_or(0);
    if !(-5..=15).contains(&exponent) {
        return scientific;
    }
    let last = i32::try_from(DIGITS).unwrap_or(6) - 1;
    let decimals = usize::try_from(last - exponent).unwrap_or(0);
    let fixed = format!("{value:.decimals$}");
    let trimmed = if fixed.contains('.') {
        fixed.trim_end_matches('0').trim_end_matches('.')
    } else {
        &fixed
    };
    // What rounds to zero has no sign.
    if trimmed == "-0" { "0" } else { trimmed }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_six_digits() {
        for (value, text) in [
            (121.052_631_6, "121.053"),
            (42.0, "42"),
            (0.000_123_456_7, "0.000123457"),
            (-3.5, "-3.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (1_234_567.0, "1234567"),
            (1e-9, "1.00000e-9"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn lists_read_as_sentences() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&names(1)), "0");
        assert_eq!(listed(&names(2)), "0 and 1");
        assert_eq!(listed(&names(3)), "0, 1 and 2");
    }
}
