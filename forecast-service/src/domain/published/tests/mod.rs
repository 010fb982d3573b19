//! Tests of the solver as a whole.

use almanac_service_kit::plain::control::Unlimited;
use almanac_service_kit::plain::period::Period;

use super::*;
use crate::domain::hierarchy::{Dimension, Member};

mod asia;
mod impossible;
mod questions;
mod random;
mod shapes;
mod spans;

/// A tree given as pairs of member and parent; the first is the root.
pub(super) fn tree(id: &str, members: &[(&str, &str)]) -> Dimension {
    let member = |(n, (id, parent)): (usize, &(&str, &str))| Member {
        id: (*id).to_owned(),
        parent: (n > 0).then(|| (*parent).to_owned()),
        display_name: String::new(),
    };
    Dimension {
        id: id.to_owned(),
        members: members.iter().enumerate().map(member).collect(),
    }
}

/// The market of the report: three regions of Asia.
pub(super) fn asia() -> Hierarchy {
    let named = |id: &str, parent: Option<&str>, name: &str| Member {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        display_name: name.to_owned(),
    };
    Hierarchy::new(&[Dimension {
        id: "region".to_owned(),
        members: vec![
            named("asia", None, "Asia"),
            named("far-east-china", Some("asia"), "Far East & China"),
            named("indian-subcontinent", Some("asia"), "Indian Subcontinent"),
            named("rest", Some("asia"), "Rest of Asia Pacific"),
        ],
    }])
    .unwrap()
}

pub(super) fn period(text: &str) -> Period {
    text.parse().unwrap()
}

pub(super) fn key(member: &str) -> SeriesKey {
    SeriesKey::of([("region", member)])
}

pub(super) fn figure(id: &str, claim: Claim) -> Figure {
    Figure {
        id: id.to_owned(),
        claim,
    }
}

pub(super) fn value(id: &str, member: &str, when: &str, printed: PrintedNumber) -> Figure {
    let (series, period) = (key(member), period(when));
    figure(
        id,
        Claim::Value {
            series,
            period,
            printed,
        },
    )
}

pub(super) fn growth(id: &str, member: &str, percent: PrintedNumber) -> Figure {
    figure(
        id,
        Claim::Growth {
            series: key(member),
            from: period("2023"),
            to: period("2028"),
            percent,
        },
    )
}

pub(super) fn at(member: &str, when: &str) -> NodeAt {
    NodeAt {
        series: key(member),
        period: period(when),
    }
}

pub(super) fn ask<'a>(hierarchy: &'a Hierarchy, figures: &'a [Figure]) -> Question<'a> {
    Question {
        hierarchy,
        figures,
        nonnegative: true,
        nodes: &[],
        growth: &[],
        prior: &[],
    }
}

pub(super) fn solution(question: &Question<'_>) -> Solution {
    match solve(question, &Unlimited) {
        Ok(Answer::Feasible(solution)) => solution,
        other => panic!("{other:?}"),
    }
}

pub(super) fn conflict(question: &Question<'_>) -> Conflict {
    match solve(question, &Unlimited) {
        Ok(Answer::Conflicting(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

pub(super) fn ids(conflict: &Conflict) -> Vec<&str> {
    conflict.members.iter().map(|m| m.id.as_str()).collect()
}

/// The conflict fails as a whole, and holds once any one of its figures is left out.
pub(super) fn assert_irreducible(question: &Question<'_>, conflict: &Conflict) {
    let chosen = |without: Option<usize>| -> Vec<Figure> {
        let members = conflict
            .members
            .iter()
            .filter(|m| Some(m.figure) != without);
        members
            .map(|m| question.figures[m.figure].clone())
            .collect()
    };
    let feasible = |figures: &[Figure]| {
        figures.is_empty()
            || matches!(
                solve(
                    &Question {
                        figures,
                        ..*question
                    },
                    &Unlimited
                ),
                Ok(Answer::Feasible(_))
            )
    };
    assert!(!feasible(&chosen(None)), "{}", conflict.summary);
    for member in &conflict.members {
        assert!(
            feasible(&chosen(Some(member.figure))),
            "{}",
            conflict.summary
        );
    }
}

pub(super) fn node<'a>(solution: &'a Solution, member: &str, when: &str) -> &'a NodeAnswer {
    let (series, period) = (key(member), period(when));
    let found = solution
        .nodes
        .iter()
        .find(|n| n.series == series && n.period == period);
    found.unwrap_or_else(|| panic!("no answer for {member} in {when}"))
}

pub(super) fn ends(interval: Interval) -> (f64, f64) {
    (interval.lower.unwrap(), interval.upper.unwrap())
}

pub(super) fn assert_near(actual: f64, expected: f64, tolerance: f64) {
    let error = (actual - expected).abs();
    assert!(
        error <= tolerance * expected.abs().max(1.0),
        "{actual} is not {expected}: off by {error:e}"
    );
}
