//! Every kind of figure and every shape of feasible set, by hand.

use super::*;

fn share(id: &str, part: &str, whole: &str, printed: PrintedNumber) -> Figure {
    figure(
        id,
        Claim::Share {
            part: key(part),
            whole: key(whole),
            period: period("2023"),
            percent: printed,
        },
    )
}

fn bound(id: &str, member: &str, lower: Option<f64>, upper: Option<f64>) -> Figure {
    figure(
        id,
        Claim::Bound {
            series: key(member),
            period: period("2023"),
            lower,
            upper,
        },
    )
}

#[test]
fn shares_sums_bounds_and_comparisons_limit_each_other() {
    let market = asia();
    let figures = [
        value("total", "asia", "2023", PrintedNumber::exact("100")),
        share(
            "far-east",
            "far-east-china",
            "asia",
            PrintedNumber::exact("60"),
        ),
        figure(
            "others",
            Claim::Sum {
                terms: vec![at("rest", "2023"), at("indian-subcontinent", "2023")],
                printed: PrintedNumber::rounded("40"),
            },
        ),
        figure(
            "india-leads",
            Claim::Comparison {
                left: at("indian-subcontinent", "2023"),
                relation: Relation::AtLeast,
                factor: 3.0,
                right: at("rest", "2023"),
            },
        ),
        bound("rest-exists", "rest", Some(4.0), None),
    ];
    let solution = solution(&ask(&market, &figures));
    let interval = |member| ends(node(&solution, member, "2023").interval);
    assert_near(interval("far-east-china").0, 60.0, 1e-12);
    assert_near(interval("rest").0, 4.0, 1e-12);
    assert_near(interval("rest").1, 10.0, 1e-12);
    assert_near(interval("indian-subcontinent").0, 30.0, 1e-12);
    assert_near(interval("indian-subcontinent").1, 36.0, 1e-12);
    // Nearest to an equal split: the comparison is reached, nothing else.
    let central = |member| node(&solution, member, "2023").central.unwrap();
    assert_near(central("rest"), 10.0, 1e-8);
    assert_near(central("indian-subcontinent"), 30.0, 1e-8);
}

#[test]
fn a_market_without_limits_above_has_intervals_but_no_estimate() {
    let market = asia();
    let figures = [growth("g", "asia", PrintedNumber::rounded("120"))];
    let question = Question {
        nodes: &[key("rest")],
        growth: &[
            GrowthQuery {
                series: key("asia"),
                from: period("2023"),
                to: period("2028"),
            },
            GrowthQuery {
                series: key("rest"),
                from: period("2023"),
                to: period("2028"),
            },
        ],
        ..ask(&market, &figures)
    };
    let solution = solution(&question);
    assert_eq!(solution.center.none, Some(NoCenter::NoScale));
    for answer in &solution.nodes {
        let open = Interval {
            lower: Some(0.0),
            upper: None,
        };
        assert_eq!((answer.interval, answer.central), (open, None));
    }
    let (low, high) = ends(solution.growth[0].growth_percent.unwrap());
    assert_near(low, 119.5, 1e-12);
    assert_near(high, 120.5, 1e-12);
    let rest = solution.growth[1].growth_percent.unwrap();
    assert_eq!((rest.lower, rest.upper), (Some(-100.0), None));
}

#[test]
fn a_node_the_figures_do_not_limit_gets_no_estimate_beside_one_they_do() {
    let market = asia();
    let figures = [
        value(
            "far-east",
            "far-east-china",
            "2023",
            PrintedNumber::rounded("14"),
        ),
        bound("rest", "rest", Some(1.0), None),
    ];
    let solution = solution(&ask(&market, &figures));
    let far_east = node(&solution, "far-east-china", "2023");
    assert_near(far_east.central.unwrap(), 14.0, 1e-9);
    let rest = node(&solution, "rest", "2023");
    assert_eq!((rest.interval.upper, rest.central), (None, None));
}

#[test]
fn values_that_must_be_zero_are_zero() {
    let market = asia();
    let figures = [
        value("total", "asia", "2023", PrintedNumber::exact("10")),
        value("rest", "rest", "2023", PrintedNumber::exact("10")),
        growth("rest-grows", "rest", PrintedNumber::exact("50")),
        growth("india", "indian-subcontinent", PrintedNumber::rounded("20")),
        value("end", "asia", "2028", PrintedNumber::rounded("15")),
    ];
    let query = GrowthQuery {
        series: key("indian-subcontinent"),
        from: period("2023"),
        to: period("2028"),
    };
    let question = Question {
        growth: &[query],
        ..ask(&market, &figures)
    };
    let solution = solution(&question);
    let india = node(&solution, "indian-subcontinent", "2023");
    assert_eq!(ends(india.interval), (0.0, 0.0));
    assert_near(india.central.unwrap(), 0.0, 1e-12);
    assert_near(node(&solution, "asia", "2028").central.unwrap(), 15.0, 1e-9);
    // Growth from zero is no growth.
    assert_eq!(solution.growth[0].growth_percent, None);
}

#[test]
fn a_market_that_is_zero_everywhere_is_answered() {
    let market = asia();
    let figures = [value("zero", "asia", "2023", PrintedNumber::exact("0"))];
    let question = Question {
        nodes: &[key("rest")],
        ..ask(&market, &figures)
    };
    let solution = solution(&question);
    for answer in &solution.nodes {
        assert_eq!(ends(answer.interval), (0.0, 0.0));
        assert_near(answer.central.unwrap(), 0.0, 1e-12);
    }
}

#[test]
fn a_figure_can_be_impossible_by_itself() {
    let market = asia();
    let figures = [
        value("fine", "asia", "2023", PrintedNumber::rounded("5")),
        value("negative", "rest", "2023", PrintedNumber::rounded("-5")),
    ];
    let question = ask(&market, &figures);
    let conflict = conflict(&question);
    assert_eq!(
        conflict.summary,
        "\"negative\" cannot hold by itself: in a market without negative values the value of \
         Rest of Asia Pacific in 2023 is -5 (-5.5 to -4.5)"
    );
    assert_irreducible(&question, &conflict);
    // A market of balances may well be negative; its estimate stays closest to the prior.
    let question = Question {
        nonnegative: false,
        nodes: &[key("far-east-china"), key("indian-subcontinent")],
        ..question
    };
    let solution = solution(&question);
    assert_near(node(&solution, "rest", "2023").central.unwrap(), -5.0, 1e-9);
    assert_near(node(&solution, "asia", "2023").central.unwrap(), 5.0, 1e-9);
    let india = node(&solution, "indian-subcontinent", "2023");
    assert_eq!((india.interval.lower, india.interval.upper), (None, None));
}

#[test]
fn negative_markets_still_grow_from_nonnegative_starts() {
    let market = asia();
    let figures = [
        growth("g", "rest", PrintedNumber::exact("10")),
        bound("below", "rest", None, Some(-1.0)),
    ];
    let question = Question {
        nonnegative: false,
        ..ask(&market, &figures)
    };
    let conflict = conflict(&question);
    assert_eq!(ids(&conflict), ["g", "below"]);
    assert_irreducible(&question, &conflict);
}

#[test]
fn the_estimate_divides_by_the_prior() {
    let market = asia();
    let figures = [value("total", "asia", "2023", PrintedNumber::exact("12"))];
    let nodes = [
        key("far-east-china"),
        key("indian-subcontinent"),
        key("rest"),
    ];
    let equal = Question {
        nodes: &nodes,
        ..ask(&market, &figures)
    };
    for region in ["far-east-china", "indian-subcontinent", "rest"] {
        assert_near(
            node(&solution(&equal), region, "2023").central.unwrap(),
            4.0,
            1e-9,
        );
    }
    let believed = |member: &str, value| PriorValue {
        series: key(member),
        period: period("2023"),
        value,
    };
    let prior = [
        believed("far-east-china", 30.0),
        believed("indian-subcontinent", 20.0),
        believed("rest", 10.0),
    ];
    let stated = solution(&Question {
        prior: &prior,
        ..equal
    });
    for (region, value) in [
        ("far-east-china", 6.0),
        ("indian-subcontinent", 4.0),
        ("rest", 2.0),
    ] {
        assert_near(node(&stated, region, "2023").central.unwrap(), value, 1e-9);
    }
}

/// The answer must not depend on which other nodes are asked for, nor on how finely a member is
/// broken down.
#[test]
fn the_estimate_depends_on_the_market_not_on_the_question() {
    let coarse = asia();
    let fine = Hierarchy::new(&[tree(
        "region",
        &[
            ("asia", ""),
            ("far-east-china", "asia"),
            ("cn", "far-east-china"),
            ("jp", "far-east-china"),
            ("kr", "far-east-china"),
            ("indian-subcontinent", "asia"),
            ("rest", "asia"),
        ],
    )])
    .unwrap();
    let figures = [
        value("total", "asia", "2023", PrintedNumber::rounded("12")),
        bound("some", "rest", None, Some(3.0)),
    ];
    let plain = solution(&Question {
        nodes: &[key("far-east-china")],
        ..ask(&coarse, &figures)
    });
    let detailed = solution(&Question {
        nodes: &[key("far-east-china"), key("cn"), key("indian-subcontinent")],
        ..ask(&fine, &figures)
    });
    let central = |s: &Solution| node(s, "far-east-china", "2023").central.unwrap();
    assert_near(central(&detailed), central(&plain), 1e-9);
    assert_near(central(&plain), 4.5, 1e-9);
    assert_near(node(&detailed, "cn", "2023").central.unwrap(), 1.5, 1e-9);
}

#[test]
fn crossed_dimensions_add_up_both_ways() {
    let market = Hierarchy::new(&[
        tree(
            "region",
            &[("asia", ""), ("east", "asia"), ("south", "asia")],
        ),
        tree(
            "component",
            &[("all", ""), ("hardware", "all"), ("software", "all")],
        ),
    ])
    .unwrap();
    let at = |id: &str, pairs: &[(&str, &str)], printed: &str| {
        figure(
            id,
            Claim::Value {
                series: SeriesKey::of(pairs.iter().copied()),
                period: period("2023"),
                printed: PrintedNumber::exact(printed),
            },
        )
    };
    let figures = [
        at("total", &[], "10"),
        at("east", &[("region", "east")], "6"),
        at("hardware", &[("component", "hardware")], "7"),
    ];
    let corner = SeriesKey::of([("region", "east"), ("component", "hardware")]);
    let solution = solution(&Question {
        nodes: std::slice::from_ref(&corner),
        ..ask(&market, &figures)
    });
    assert_eq!(solution.unknowns, 4);
    let answer = solution.nodes.iter().find(|n| n.series == corner).unwrap();
    // The bounds of Frechet; and independence, which is what maximum entropy means here.
    assert_eq!(ends(answer.interval), (3.0, 6.0));
    assert_near(answer.central.unwrap(), 4.2, 1e-9);
}

#[test]
fn units_do_not_change_the_answer() {
    let market = asia();
    let answers: Vec<Solution> = ["0.0000190", "19.0", "19000000000"]
        .iter()
        .zip(["0.0000420", "42.0", "42000000000"])
        .zip([5e-8, 5e-2, 5e7])
        .map(|((base, end), half)| {
            let number = |decimal: &str| PrintedNumber {
                decimal: decimal.to_owned(),
                half_width: Some(half),
            };
            let figures = [
                value("base", "asia", "2023", number(base)),
                value("end", "asia", "2028", number(end)),
                growth("f", "far-east-china", PrintedNumber::rounded("76")),
                growth("i", "indian-subcontinent", PrintedNumber::rounded("231")),
                growth("r", "rest", PrintedNumber::rounded("303")),
            ];
            solution(&ask(&market, &figures))
        })
        .collect();
    for (answer, unit) in answers.iter().zip([1e-6, 1.0, 1e9]) {
        for (a, b) in answer.nodes.iter().zip(&answers[1].nodes) {
            let ((low, high), (b_low, b_high)) = (ends(a.interval), ends(b.interval));
            assert_near(low / unit, b_low, 1e-9);
            assert_near(high / unit, b_high, 1e-9);
            assert_near(a.central.unwrap() / unit, b.central.unwrap(), 1e-8);
        }
    }
}

#[test]
fn figures_that_meet_within_the_tolerance_are_held_to_agree() {
    let market = asia();
    // A third printed to twelve digits, three times, makes 0.999999999999.
    let third = PrintedNumber::exact("0.333333333333");
    let figures = [
        value("a", "far-east-china", "2023", third.clone()),
        value("b", "indian-subcontinent", "2023", third.clone()),
        value("c", "rest", "2023", third),
        value("total", "asia", "2023", PrintedNumber::exact("1")),
    ];
    let solution = solution(&ask(&market, &figures));
    assert_near(node(&solution, "asia", "2023").central.unwrap(), 1.0, 1e-9);
    let mut coarse = figures.to_vec();
    coarse[3] = value("total", "asia", "2023", PrintedNumber::exact("1.0000001"));
    let conflict = conflict(&ask(&market, &coarse));
    assert_eq!(ids(&conflict), ["a", "b", "c", "total"]);
}

#[test]
fn a_disagreement_in_one_corner_does_not_loosen_another() {
    let market = asia();
    let figures = [
        // 41.8 would follow; the rounding absorbs it.
        value(
            "base",
            "far-east-china",
            "2023",
            PrintedNumber::rounded("19"),
        ),
        value(
            "end",
            "far-east-china",
            "2028",
            PrintedNumber::rounded("42"),
        ),
        growth("growth", "far-east-china", PrintedNumber::rounded("120")),
        // Elsewhere, two slight disagreements of their own and one figure at peace.
        value(
            "i",
            "indian-subcontinent",
            "2023",
            PrintedNumber::rounded("10"),
        ),
        value(
            "j",
            "indian-subcontinent",
            "2028",
            PrintedNumber::rounded("20"),
        ),
        growth("k", "indian-subcontinent", PrintedNumber::rounded("101")),
        value("r", "rest", "2023", PrintedNumber::rounded("7")),
    ];
    let solution = solution(&ask(&market, &figures));
    let part = |id: &str| {
        solution
            .center
            .opened
            .iter()
            .find(|o| o.id == id)
            .map(|o| o.part)
    };
    assert_near(part("base").unwrap(), 0.117_973_573, 1e-7);
    assert!(part("i").unwrap() < 0.1);
    assert_eq!(part("i"), part("k"));
    assert_eq!(part("r"), None);
    assert_near(node(&solution, "rest", "2023").central.unwrap(), 7.0, 1e-9);
}

#[test]
fn the_smallest_of_several_conflicts_is_told() {
    let market = asia();
    let figures = [
        value("a", "far-east-china", "2023", PrintedNumber::rounded("10")),
        value(
            "b",
            "indian-subcontinent",
            "2023",
            PrintedNumber::rounded("10"),
        ),
        value("c", "rest", "2023", PrintedNumber::rounded("10")),
        value("total", "asia", "2023", PrintedNumber::rounded("50")),
        bound("cap", "asia", None, Some(45.0)),
    ];
    let question = ask(&market, &figures);
    let conflict = conflict(&question);
    assert_eq!(ids(&conflict), ["total", "cap"]);
    assert_eq!(
        conflict.summary,
        "\"total\" and \"cap\" cannot hold together: the others make the value of Asia in 2023 \
         49.5 to 50.5, but \"cap\" says at most 45"
    );
    assert_irreducible(&question, &conflict);
}

/// Growth of -100.00 % onto a part of 43 needs a market of 860,000 at least: intervals say so,
/// whether or not the estimate can follow.
#[test]
fn absurd_figures_keep_their_intervals() {
    let market = Hierarchy::new(&[tree(
        "region",
        &[
            ("asia", ""),
            ("south", "asia"),
            ("in", "south"),
            ("pk", "south"),
        ],
    )])
    .unwrap();
    let figures = [
        value("in", "in", "2028", PrintedNumber::rounded("43")),
        growth("south", "south", PrintedNumber::rounded("-100.00")),
    ];
    let solution = solution(&ask(&market, &figures));
    let south = node(&solution, "south", "2023");
    assert_near(south.interval.lower.unwrap(), 42.5 / 5e-5, 1e-6);
    assert_eq!(south.interval.upper, None);
    let india = node(&solution, "in", "2028");
    assert_near(ends(india.interval).0, 42.5, 1e-9);
}
