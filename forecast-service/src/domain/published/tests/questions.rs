//! Faults of questions, and limits.

use super::*;

fn told(question: &Question<'_>) -> Vec<String> {
    check(question).iter().map(ToString::to_string).collect()
}

fn claims(claims: Vec<Claim>) -> Vec<Figure> {
    let named = |(n, claim)| figure(&format!("f{n}"), claim);
    claims.into_iter().enumerate().map(named).collect()
}

#[test]
fn every_fault_is_told_with_its_place() {
    let market = asia();
    let comparison = |factor| Claim::Comparison {
        left: at("asia", "2023"),
        relation: Relation::AtLeast,
        factor,
        right: at("rest", "2023"),
    };
    let bound = |lower, upper| Claim::Bound {
        series: key("rest"),
        period: period("2023"),
        lower,
        upper,
    };
    let mut figures = claims(vec![
        Claim::Value {
            series: key("mars"),
            period: period("2023"),
            printed: PrintedNumber::rounded("1,000"),
        },
        Claim::Growth {
            series: key("asia"),
            from: period("2028"),
            to: period("2023-Q1"),
            percent: PrintedNumber::rounded("5"),
        },
        Claim::Growth {
            series: key("asia"),
            from: period("2028"),
            to: period("2028"),
            percent: PrintedNumber::rounded("5"),
        },
        Claim::Share {
            part: key("asia"),
            whole: key("rest"),
            period: period("2023"),
            percent: PrintedNumber::rounded("5"),
        },
        bound(None, None),
        bound(Some(2.0), Some(1.0)),
        bound(Some(f64::NAN), None),
        Claim::Sum {
            terms: vec![],
            printed: PrintedNumber::rounded("5"),
        },
        comparison(0.0),
        comparison(f64::INFINITY),
        bound(Some(1.0), None),
    ]);
    figures[3].id = "f0".to_owned();
    figures[4].id = String::new();
    let query = GrowthQuery {
        series: key("venus"),
        from: period("2024"),
        to: period("2023"),
    };
    let prior = PriorValue {
        series: key("rest"),
        period: period("2023"),
        value: -1.0,
    };
    let question = Question {
        nodes: &[key("asia"), SeriesKey::of([("planet", "x")])],
        growth: &[query],
        prior: &[prior],
        ..ask(&market, &figures)
    };
    assert_eq!(
        told(&question),
        [
            "figure 3: the id \"f0\" is used by figure 0 already",
            "figure 4: the id is empty",
            "figure 0: dimension \"region\" has no member \"mars\"",
            "figure 0: \"1,000\" groups its digits: write them without separators, such as 1200",
            "figure 1: 2023-Q1 is quarterly, but the figures are yearly",
            "figure 2: growth runs from 2028 to 2028, which is not later",
            "figure 3: the part is not inside the whole",
            "figure 4: a bound needs a finite lower or upper end, the lower not above the upper",
            "figure 5: a bound needs a finite lower or upper end, the lower not above the upper",
            "figure 6: a bound needs a finite lower or upper end, the lower not above the upper",
            "figure 7: a sum needs at least one node",
            "figure 8: the factor 0 is not a positive, finite number",
            "figure 9: the factor inf is not a positive, finite number",
            "node 1: there is no dimension \"planet\"",
            "growth 0: dimension \"region\" has no member \"venus\"",
            "growth 0: growth runs from 2024 to 2023, which is not later",
            "prior 0: the prior value -1 is not a positive, finite number",
        ]
    );
    let error = solve(&question, &Unlimited).unwrap_err();
    assert!(matches!(error, SolveError::Faults(faults) if faults.len() == 17));
}

#[test]
fn limits_are_told() {
    let market = asia();
    assert_eq!(told(&ask(&market, &[])), ["question: there are no figures"]);
    let one = value("v", "asia", "2023", PrintedNumber::rounded("1"));
    let many = vec![one.clone(); MAX_FIGURES + 1];
    assert!(told(&ask(&market, &many))[0].contains("more than 300"));
    let nodes = vec![key("rest"); MAX_ANSWERS + 1];
    let question = Question {
        nodes: &nodes,
        ..ask(&market, std::slice::from_ref(&one))
    };
    assert!(told(&question)[0].contains("more than 5000"));
    let names: Vec<String> = (0..=MAX_UNKNOWNS).map(|n| format!("m{n}")).collect();
    let mut members = vec![("asia", "")];
    members.extend(names.iter().map(|n| (n.as_str(), "asia")));
    let wide = Hierarchy::new(&[tree("region", &members)]).unwrap();
    let nodes: Vec<SeriesKey> = names.iter().map(|n| key(n)).collect();
    let question = Question {
        nodes: &nodes,
        ..ask(&wide, std::slice::from_ref(&one))
    };
    let error = solve(&question, &Unlimited).unwrap_err();
    let SolveError::Faults(faults) = error else {
        panic!("{error}");
    };
    assert_eq!(faults[0].problem, QuestionProblem::TooManyUnknowns);
}

#[test]
fn a_caller_who_left_gets_no_answer() {
    struct Gone;
    impl Control for Gone {
        fn check(&self) -> Result<(), Stopped> {
            Err(Stopped)
        }
        fn report(&self, _: u64, _: u64) {}
    }
    let market = asia();
    let figures = [value("v", "asia", "2023", PrintedNumber::rounded("1"))];
    let answer = solve(&ask(&market, &figures), &Gone);
    assert_eq!(answer, Err(SolveError::Stopped(Stopped)));
}

#[test]
fn figures_and_answers_have_a_stored_form() {
    let market = asia();
    let figures = [
        value("v", "asia", "2023", PrintedNumber::rounded("19")),
        growth("g", "asia", PrintedNumber::exact("120")),
    ];
    let json = serde_json::to_string(&figures).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Figure>>(&json).unwrap(), figures);
    let answer = solve(&ask(&market, &figures), &Unlimited).unwrap();
    let json = serde_json::to_string(&answer).unwrap();
    assert!(matches!(
        serde_json::from_str(&json).unwrap(),
        Answer::Feasible(solution) if solution.nodes.len() == 2
    ));
}
