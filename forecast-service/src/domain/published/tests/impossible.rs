//! Figures that are slips of whoever wrote them, and figures that nearly are.

use super::*;

fn share(part: &str, whole: &str, percent: PrintedNumber) -> Claim {
    Claim::Share {
        part: key(part),
        whole: key(whole),
        period: period("2023"),
        percent,
    }
}

fn grows(percent: PrintedNumber) -> Claim {
    growth("g", "asia", percent).claim
}

fn times(left: (&str, &str), times: PrintedNumber, right: (&str, &str)) -> Claim {
    Claim::Multiple {
        left: at(left.0, left.1),
        times,
        right: at(right.0, right.1),
    }
}

fn compares(left: &str, relation: Relation, factor: f64, right: &str) -> Claim {
    Claim::Comparison {
        left: at(left, "2023"),
        relation,
        factor,
        right: at(right, "2023"),
    }
}

/// What is wrong with a claim in a market, with or without negative values.
fn refuted(claim: Claim, nonnegative: bool) -> Option<Impossible> {
    let market = asia();
    let figures = [figure("f", claim)];
    let question = Question {
        nonnegative,
        ..ask(&market, &figures)
    };
    match check(&question).as_slice() {
        [] => None,
        [
            QuestionFault {
                place: Place::Figure(0),
                problem: QuestionProblem::Impossible(impossible),
            },
        ] => Some(*impossible),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ratios_outside_of_what_the_tree_allows_are_refused() {
    use Impossible::*;
    let number = PrintedNumber::rounded;
    let (asia, rest) = (("asia", "2023"), ("rest", "2023"));
    for (claim, signed, why) in [
        (share("asia", "asia", number("61")), true, ShareOfItself),
        (share("rest", "asia", number("130")), false, ShareOfPart),
        (share("rest", "asia", number("-3")), false, ShareOfPart),
        (grows(number("-102")), false, GrowthBelowAll),
        (grows(PrintedNumber::exact("-100.1")), false, GrowthBelowAll),
        (times(rest, number("2"), rest), true, MultipleOfItself),
        (times(rest, number("2"), asia), false, MultipleOfWhole),
        (times(asia, number("0.5"), rest), false, MultipleOfPart),
        (
            times(rest, number("-2"), ("asia", "2028")),
            false,
            NegativeMultiple,
        ),
        (
            compares("rest", Relation::AtLeast, 2.0, "rest"),
            false,
            MultipleOfItself,
        ),
        (
            compares("rest", Relation::AtLeast, 1.1, "asia"),
            false,
            MultipleOfWhole,
        ),
        (
            compares("asia", Relation::AtMost, 0.9, "rest"),
            false,
            MultipleOfPart,
        ),
    ] {
        assert_eq!(refuted(claim.clone(), true), Some(why), "{claim:?}");
        let expected = signed.then_some(why);
        assert_eq!(refuted(claim.clone(), false), expected, "{claim:?}");
    }
}

#[test]
fn what_rounding_or_the_tree_allows_is_taken() {
    let number = PrintedNumber::rounded;
    let (asia, rest) = (("asia", "2023"), ("rest", "2023"));
    let wide = PrintedNumber {
        decimal: "100.3".to_owned(),
        half_width: Some(0.3),
    };
    for claim in [
        share("asia", "asia", number("100")),
        share("asia", "asia", PrintedNumber::exact("100")),
        share("rest", "asia", number("100")),
        share("rest", "asia", wide),
        share("rest", "asia", number("0")),
        grows(number("-100")),
        grows(PrintedNumber::exact("-100")),
        // To -99.9: some of it is above -100.
        grows(PrintedNumber {
            decimal: "-100.4".to_owned(),
            half_width: Some(0.5),
        }),
        times(rest, number("1.0"), rest),
        times(rest, number("1"), asia),
        times(asia, number("40"), rest),
        times(rest, number("0"), ("asia", "2028")),
        // Another year is another value.
        times(("rest", "2028"), number("3"), asia),
        compares("rest", Relation::AtLeast, 1.0, "asia"),
        compares("asia", Relation::AtMost, 1.0, "rest"),
    ] {
        assert_eq!(refuted(claim.clone(), true), None, "{claim:?}");
    }
}

/// What is taken must also be solved: figures that say nothing leave no row behind.
#[test]
fn figures_that_say_nothing_change_nothing() {
    let market = asia();
    let base = value("base", "asia", "2023", PrintedNumber::rounded("19"));
    let alone = solution(&ask(&market, std::slice::from_ref(&base)));
    let idle = [
        base,
        figure("itself", share("asia", "asia", PrintedNumber::exact("100"))),
        figure(
            "once",
            times(
                ("asia", "2023"),
                PrintedNumber::exact("1"),
                ("asia", "2023"),
            ),
        ),
    ];
    let with_idle = solution(&ask(&market, &idle));
    assert_eq!(with_idle.nodes, alone.nodes);
}

/// A member with a single child has the leaves of that child.
#[test]
fn an_only_child_is_all_of_its_parent() {
    let market =
        Hierarchy::new(&[tree("region", &[("asia", ""), ("all-of-asia", "asia")])]).unwrap();
    let figures = [figure(
        "f",
        share("all-of-asia", "asia", PrintedNumber::rounded("61")),
    )];
    let faults = check(&ask(&market, &figures));
    assert_eq!(
        faults[0].to_string(),
        "figure 0: the part is all of the whole: its share is 100 %"
    );
}

/// Where values may be negative, a conflict says which value a ratio cannot do without.
#[test]
fn a_growth_of_a_negative_base_says_so() {
    let market = asia();
    let figures = [
        growth("g", "rest", PrintedNumber::exact("10")),
        value("start", "rest", "2023", PrintedNumber::rounded("-3")),
        value("end", "rest", "2028", PrintedNumber::rounded("-3.3")),
    ];
    let question = Question {
        nonnegative: false,
        ..ask(&market, &figures)
    };
    let told = conflict(&question);
    assert_eq!(ids(&told), ["g", "start"]);
    assert_eq!(
        told.summary,
        "\"g\" and \"start\" cannot hold together: the others keep the value of Rest of Asia \
         Pacific in 2023 from being positive, which the growth of Rest of Asia Pacific from 2023 \
         to 2028 needs, but \"g\" says 10 % (exact)"
    );
    assert_eq!(
        told.members[0].statement,
        "the growth of Rest of Asia Pacific from 2023 to 2028 is 10 % (exact), and the value of \
         Rest of Asia Pacific in 2023 is not negative"
    );
    assert_irreducible(&question, &told);
}
