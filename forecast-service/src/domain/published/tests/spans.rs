//! Sums over several periods, and printed multiples.

use super::*;

fn sum(id: &str, terms: &[(&str, &str)], printed: PrintedNumber) -> Figure {
    let terms = terms.iter().map(|(member, when)| at(member, when));
    figure(
        id,
        Claim::Sum {
            terms: terms.collect(),
            printed,
        },
    )
}

fn multiple(id: &str, left: (&str, &str), times: PrintedNumber, right: (&str, &str)) -> Figure {
    figure(
        id,
        Claim::Multiple {
            left: at(left.0, left.1),
            times,
            right: at(right.0, right.1),
        },
    )
}

/// 30 over two years, of which the first has 10: the second has what is left, give or take what
/// both roundings allow.
#[test]
fn a_sum_over_years_leaves_the_rest_to_the_year_that_is_not_printed() {
    let market = asia();
    let years = [("asia", "2024"), ("asia", "2025")];
    let figures = |print: fn(&str) -> PrintedNumber| {
        vec![
            sum("both", &years, print("30")),
            value("first", "asia", "2024", print("10")),
        ]
    };
    let exact = figures(PrintedNumber::exact);
    let exact = solution(&ask(&market, &exact));
    assert_eq!(ends(node(&exact, "asia", "2025").interval), (20.0, 20.0));
    let rounded = figures(PrintedNumber::rounded);
    let rounded = solution(&ask(&market, &rounded));
    let (lower, upper) = ends(node(&rounded, "asia", "2025").interval);
    assert_near(lower, 29.5 - 10.5, 1e-12);
    assert_near(upper, 30.5 - 9.5, 1e-12);
    assert_near(node(&rounded, "asia", "2025").central.unwrap(), 20.0, 1e-8);
}

/// Terms may be of several nodes and periods at once: East in 2024 and South in 2025 make 12, so
/// neither can be above it.
#[test]
fn terms_of_a_sum_may_differ_in_both_node_and_period() {
    let market = asia();
    let terms = [("far-east-china", "2024"), ("rest", "2025")];
    let figures = [sum("mixed", &terms, PrintedNumber::exact("12"))];
    let solution = solution(&ask(&market, &figures));
    for (member, when) in terms {
        let (lower, upper) = ends(node(&solution, member, when).interval);
        assert_near(lower, 0.0, 1e-12);
        assert_near(upper, 12.0, 1e-12);
        assert_near(node(&solution, member, when).central.unwrap(), 6.0, 1e-8);
    }
    assert_eq!(node(&solution, "rest", "2024").interval.upper, None);
}

/// A is 2.5 times B, and both make 7 together: A has 5. Rounded, A = 7 t / (1 + t) for t between
/// 2.45 and 2.55.
#[test]
fn a_multiple_divides_a_sum() {
    let market = asia();
    let (left, right) = (("far-east-china", "2023"), ("rest", "2023"));
    let figures = |times| {
        [
            sum("both", &[left, right], PrintedNumber::exact("7")),
            multiple("ratio", left, times, right),
        ]
    };
    let exact = figures(PrintedNumber::exact("2.5"));
    let exact = solution(&ask(&market, &exact));
    let (lower, upper) = ends(node(&exact, left.0, "2023").interval);
    assert_near(lower, 5.0, 1e-12);
    assert_near(upper, 5.0, 1e-12);
    let rounded = figures(PrintedNumber::rounded("2.5"));
    let rounded = solution(&ask(&market, &rounded));
    let (lower, upper) = ends(node(&rounded, left.0, "2023").interval);
    assert_near(lower, 7.0 * 2.45 / 3.45, 1e-12);
    assert_near(upper, 7.0 * 2.55 / 3.55, 1e-12);
    // The estimate holds what was printed: the middle of the rounding.
    assert_near(node(&rounded, left.0, "2023").central.unwrap(), 5.0, 1e-8);
}

/// A multiple across periods is a growth: 2.2 times is +120 %, also in what it implies.
#[test]
fn a_multiple_of_an_earlier_year_is_a_growth() {
    let market = asia();
    let base = value("base", "asia", "2023", PrintedNumber::rounded("19"));
    let by_growth = [
        base.clone(),
        growth("g", "asia", PrintedNumber::rounded("120")),
    ];
    let times = PrintedNumber {
        decimal: "2.2".to_owned(),
        half_width: Some(0.005),
    };
    let by_multiple = [
        base,
        multiple("g", ("asia", "2028"), times, ("asia", "2023")),
    ];
    let (one, other) = (
        solution(&ask(&market, &by_growth)),
        solution(&ask(&market, &by_multiple)),
    );
    for (a, b) in one.nodes.iter().zip(&other.nodes) {
        let ((low, high), (b_low, b_high)) = (ends(a.interval), ends(b.interval));
        assert_near(b_low, low, 1e-12);
        assert_near(b_high, high, 1e-12);
        assert_near(b.central.unwrap(), a.central.unwrap(), 1e-8);
    }
}

#[test]
fn conflicts_of_sums_and_multiples_are_told_in_their_own_terms() {
    let market = asia();
    let years = [("asia", "2024"), ("asia", "2025"), ("asia", "2026")];
    let figures = [
        sum("three", &years, PrintedNumber::rounded("30")),
        value("a", "asia", "2024", PrintedNumber::rounded("20")),
        value("b", "asia", "2025", PrintedNumber::rounded("20")),
    ];
    let question = ask(&market, &figures);
    let told = conflict(&question);
    assert_eq!(ids(&told), ["three", "a", "b"]);
    assert_eq!(
        told.members[0].statement,
        "the sum of Asia over 2024, 2025 and 2026 is 30 (29.5 to 30.5)"
    );
    assert_near(
        told.members[0].others_allow.unwrap().lower.unwrap(),
        39.0,
        1e-12,
    );
    assert_irreducible(&question, &told);

    let figures = [
        value("east", "far-east-china", "2023", PrintedNumber::exact("6")),
        value("rest", "rest", "2023", PrintedNumber::exact("2")),
        multiple(
            "ratio",
            ("far-east-china", "2023"),
            PrintedNumber::rounded("2.5"),
            ("rest", "2023"),
        ),
    ];
    let question = ask(&market, &figures);
    let told = conflict(&question);
    assert_eq!(
        told.summary,
        "\"east\", \"rest\" and \"ratio\" cannot hold together: the others make the ratio of Far \
         East & China in 2023 to Rest of Asia Pacific in 2023 exactly 3, but \"ratio\" says 2.5 \
         (2.45 to 2.55)"
    );
    assert_eq!(
        told.members[2].statement,
        "Far East & China in 2023 is 2.5 (2.45 to 2.55) times Rest of Asia Pacific in 2023"
    );
    assert_eq!(ends(told.members[2].says), (2.45, 2.55));
    assert_irreducible(&question, &told);
}

#[test]
fn a_sum_of_many_kinds_of_terms_names_each() {
    let market = asia();
    let mixed = [("far-east-china", "2024"), ("rest", "2025")];
    let figures = [
        sum("mixed", &mixed, PrintedNumber::rounded("2")),
        value("rest", "rest", "2025", PrintedNumber::rounded("9")),
    ];
    let told = conflict(&ask(&market, &figures));
    assert_eq!(
        told.members[0].statement,
        "the sum of Far East & China in 2024 and Rest of Asia Pacific in 2025 is 2 (1.5 to 2.5)"
    );
}
