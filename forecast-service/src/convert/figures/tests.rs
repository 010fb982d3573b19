//! Tests of [`super`].

use almanac_service_kit::fault::Fault;
use pb::published_figure::Figure as Wire;

use super::{super::series::tests::asia, *};
use crate::domain::published::Claim;

fn number(decimal: &str) -> Option<pb::PrintedNumber> {
    Some(pb::PrintedNumber {
        decimal: decimal.to_owned(),
        half_width: None,
    })
}

fn growth() -> pb::NodeGrowth {
    pb::NodeGrowth {
        node: None,
        from_period: "2023".to_owned(),
        to_period: "2028".to_owned(),
        percent: number("76"),
    }
}

fn read(figure: Wire) -> Result<Claim, Fault> {
    let hierarchy = asia();
    let mut context = Context {
        hierarchy: &hierarchy,
        frequency: Some(Frequency::Yearly),
        violations: Violations::new(),
    };
    let figure = pb::PublishedFigure {
        id: "f".to_owned(),
        figure: Some(figure),
    };
    let mut figures = figures(&[figure], &mut context);
    context.violations.finish()?;
    Ok(figures.remove(0).claim)
}

fn refused(figure: Wire, reason: &str, path: &str) {
    let fault = read(figure).unwrap_err();
    assert_eq!(fault.reason(), reason, "{fault:?}");
    assert!(
        fault.message().starts_with(&format!("{path}: ")),
        "{fault:?}"
    );
}

#[test]
fn printed_numbers_have_the_path_of_what_is_wrong_with_them() {
    let with = |percent| {
        Wire::Growth(pb::NodeGrowth {
            percent,
            ..growth()
        })
    };
    assert!(read(with(number("76"))).is_ok());
    let at = "figures[0].growth.percent";
    refused(with(None), "FIELD_REQUIRED", at);
    refused(with(number("")), "FIELD_REQUIRED", &format!("{at}.decimal"));
    refused(
        with(number("7,6")),
        "PRINTED_NUMBER_INVALID",
        &format!("{at}.decimal"),
    );
    refused(
        with(number(&"7".repeat(41))),
        "TEXT_TOO_LONG",
        &format!("{at}.decimal"),
    );
    let negative = pb::PrintedNumber {
        decimal: "7".to_owned(),
        half_width: Some(-1.0),
    };
    refused(
        with(Some(negative)),
        "PRINTED_NUMBER_INVALID",
        &format!("{at}.half_width"),
    );
}

#[test]
fn growth_runs_forward_at_the_market_s_frequency() {
    let to = |to: &str| {
        Wire::Growth(pb::NodeGrowth {
            to_period: to.to_owned(),
            ..growth()
        })
    };
    refused(
        to("2023"),
        "PERIOD_RANGE_INVALID",
        "figures[0].growth.to_period",
    );
    refused(
        to("2028-Q1"),
        "PERIOD_FREQUENCY_MISMATCH",
        "figures[0].growth.to_period",
    );
    let members = [("region".to_owned(), "mars".to_owned())].into();
    let node = Some(pb::SeriesKey { members });
    let unknown = Wire::Growth(pb::NodeGrowth { node, ..growth() });
    refused(unknown, "MEMBER_UNKNOWN", "figures[0].growth.node.members");
}

#[test]
fn limits_are_taken_at_face_value_and_loosened_by_their_half_width() {
    let bound = |at_least, at_most| {
        let period = "2023".to_owned();
        Wire::Bound(pb::NodeBound {
            node: None,
            period,
            at_least,
            at_most,
        })
    };
    let half = Some(pb::PrintedNumber {
        decimal: "5".to_owned(),
        half_width: Some(0.5),
    });
    let Claim::Bound { lower, upper, .. } = read(bound(number("5"), half)).unwrap() else {
        panic!("no bound")
    };
    assert_eq!((lower, upper), (Some(5.0), Some(5.5)));
    refused(bound(None, None), "FIGURE_INVALID", "figures[0].bound");
    refused(
        bound(number("2"), number("1")),
        "FIGURE_INVALID",
        "figures[0].bound",
    );
}

#[test]
fn comparisons_need_a_relation() {
    let node = || {
        Some(pb::NodePeriod {
            node: None,
            period: "2023".to_owned(),
        })
    };
    let wire = pb::NodeComparison {
        left: node(),
        right: node(),
        relation: None,
    };
    refused(
        Wire::Comparison(wire),
        "ONEOF_UNSET",
        "figures[0].comparison.relation",
    );
}

fn in_year(year: i32) -> pb::NodePeriod {
    pb::NodePeriod {
        node: None,
        period: year.to_string(),
    }
}

#[test]
fn sums_take_terms_of_several_periods_each_once() {
    let sum = |years: &[i32]| {
        Wire::Sum(pb::NodeSum {
            terms: years.iter().map(|year| in_year(*year)).collect(),
            value: number("140"),
        })
    };
    let Claim::Sum { terms, .. } = read(sum(&[2024, 2025])).unwrap() else {
        panic!("no sum")
    };
    let periods: Vec<String> = terms.iter().map(|term| term.period.to_string()).collect();
    assert_eq!(periods, ["2024", "2025"]);
    refused(sum(&[]), "FIELD_REQUIRED", "figures[0].sum.terms");
    refused(
        sum(&[2024, 2024]),
        "DUPLICATE_KEY",
        "figures[0].sum.terms[1]",
    );
}

#[test]
fn multiples_keep_the_rounding_they_were_printed_with() {
    use pb::node_comparison::Relation;
    let times = |times| {
        Wire::Comparison(pb::NodeComparison {
            left: Some(in_year(2028)),
            right: Some(in_year(2023)),
            relation: Some(Relation::Times(times)),
        })
    };
    let printed = number("2.5").unwrap();
    let Claim::Multiple { times: kept, .. } = read(times(printed)).unwrap() else {
        panic!("no multiple")
    };
    let range = kept.range().unwrap();
    assert_eq!((range.lower, range.upper), (2.45, 2.55));
    let wrong = pb::PrintedNumber {
        decimal: "2,5".to_owned(),
        half_width: None,
    };
    let at = "figures[0].comparison.times.decimal";
    refused(times(wrong), "PRINTED_NUMBER_INVALID", at);
}

#[test]
fn ids_are_unique_and_figures_set() {
    let hierarchy = asia();
    let mut context = Context {
        hierarchy: &hierarchy,
        frequency: None,
        violations: Violations::new(),
    };
    let figure = |id: &str| pb::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Wire::Growth(growth())),
    };
    figures(&[figure("a"), figure("a")], &mut context);
    let fault = context.violations.finish().unwrap_err();
    assert_eq!(fault.reason(), "DUPLICATE_KEY");
    assert!(fault.message().starts_with("figures[1].id: "), "{fault:?}");

    let mut context = Context {
        hierarchy: &hierarchy,
        frequency: None,
        violations: Violations::new(),
    };
    figures(
        &[pb::PublishedFigure {
            id: "a".to_owned(),
            figure: None,
        }],
        &mut context,
    );
    assert_eq!(
        context.violations.finish().unwrap_err().reason(),
        "ONEOF_UNSET"
    );
}

#[test]
fn priors_are_positive_and_of_leaves() {
    let hierarchy = asia();
    for (member, weight, reason) in [
        ("china", 0.0, "PRIOR_INVALID"),
        ("china", f64::NAN, "VALUE_NOT_FINITE"),
        ("asia", 1.0, "PRIOR_INVALID"),
    ] {
        let mut context = Context {
            hierarchy: &hierarchy,
            frequency: None,
            violations: Violations::new(),
        };
        let members = [("region".to_owned(), member.to_owned())].into();
        let node = Some(pb::SeriesKey { members });
        prior_weights(
            &[pb::PriorWeight {
                node,
                period: String::new(),
                weight,
            }],
            &mut context,
        );
        assert_eq!(context.violations.finish().unwrap_err().reason(), reason);
    }
}
