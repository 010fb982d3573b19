//! What published figures imply: Asia from 19 to 42, and the growth of its three regions.

use almanac_proto::forecast::v1::{
    self as pb, forecast_service_client::ForecastServiceClient, node_comparison::Relation,
    published_figure::Figure, solve_published_figures_request::Structure,
    solve_published_figures_response::Outcome,
};
use almanac_tests::wire;
use tonic::{Code, transport::Channel};

use crate::support::{forecast, invalid, refused};

type Printed = fn(&str) -> Option<pb::PrintedNumber>;
type Client = ForecastServiceClient<Channel>;

const SPAN: (&str, &str) = ("2023", "2028");

/// Base, end and the growths of the three regions, printed so.
fn figures(print: Printed, end: &str) -> Vec<pb::PublishedFigure> {
    let growth = |id: &str, percent: &str| wire::growth_figure(id, id, SPAN, print(percent));
    vec![
        wire::value_figure("base", "asia", "2023", print("19")),
        wire::value_figure("end", "asia", "2028", print(end)),
        growth("far-east-china", "76"),
        growth("indian-subcontinent", "231"),
        growth("rest", "303"),
    ]
}

fn with_total(mut figures: Vec<pb::PublishedFigure>, print: Printed) -> Vec<pb::PublishedFigure> {
    figures.push(wire::growth_figure("total", "asia", SPAN, print("120")));
    figures
}

fn request(figures: Vec<pb::PublishedFigure>) -> pb::SolvePublishedFiguresRequest {
    let members = vec![
        wire::member("asia", "", "Asia"),
        wire::member("far-east-china", "asia", "Far East & China"),
        wire::member("indian-subcontinent", "asia", "Indian Subcontinent"),
        wire::member("rest", "asia", "Rest of Asia Pacific"),
    ];
    let dimensions = wire::market("", "", members).dimensions;
    pb::SolvePublishedFiguresRequest {
        structure: Some(Structure::Dimensions(pb::Dimensions { dimensions })),
        figures,
        nonnegative: Some(true),
        ..Default::default()
    }
}

async fn feasible(client: &mut Client, figures: Vec<pb::PublishedFigure>) -> pb::Feasible {
    let answer = client
        .solve_published_figures(request(figures))
        .await
        .unwrap()
        .into_inner();
    assert!(!answer.engine_version.is_empty());
    match answer.outcome {
        Some(Outcome::Feasible(feasible)) => feasible,
        other => panic!("{other:?}"),
    }
}

async fn conflict(client: &mut Client, figures: Vec<pb::PublishedFigure>) -> pb::Conflict {
    let answer = client
        .solve_published_figures(request(figures))
        .await
        .unwrap()
        .into_inner();
    match answer.outcome {
        Some(Outcome::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

fn interval(of: &pb::Feasible, region: &str, period: &str) -> (f64, f64) {
    let mut intervals = of.intervals.iter();
    let found = intervals
        .find(|found| wire::region_of(found.node.as_ref()) == region && found.period == period)
        .unwrap();
    (found.lower.unwrap(), found.upper.unwrap())
}

#[track_caller]
fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
}

#[tokio::test]
async fn exact_figures_leave_a_closed_form() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let exact = feasible(&mut client, figures(wire::exact, "42")).await;
    // 1.55 b + 2.27 c = 42 - 1.76 * 19, where b and c are the bases of the other two regions.
    let rest = 42.0 - 1.76 * 19.0;
    let (lower, upper) = interval(&exact, "far-east-china", "2023");
    near(lower, 19.0 - rest / 1.55);
    near(upper, 19.0 - rest / 2.27);
    assert!(
        (lower - 13.477).abs() < 5e-4 && (upper - 15.229).abs() < 5e-4,
        "[{lower}, {upper}]"
    );
    for period in ["2023", "2028"] {
        let central = |region: &str| {
            let mut found = exact.intervals.iter();
            let found = found.find(|found| {
                wire::region_of(found.node.as_ref()) == region && found.period == period
            });
            found.unwrap().central.unwrap()
        };
        let parts = ["far-east-china", "indian-subcontinent", "rest"].map(central);
        near(parts.iter().sum(), central("asia"));
    }

    // As printed, the intervals are wider and contain the exact ones; one more figure narrows them.
    let rounded = feasible(&mut client, figures(wire::rounded, "42")).await;
    let six = with_total(figures(wire::rounded, "42"), wire::rounded);
    let narrowed = feasible(&mut client, six).await;
    let mut narrower = 0;
    for found in &exact.intervals {
        let region = wire::region_of(found.node.as_ref());
        let (low, high) = (found.lower.unwrap(), found.upper.unwrap());
        let (wide_low, wide_high) = interval(&rounded, region, &found.period);
        assert!(
            wide_low <= low && high <= wide_high,
            "{region} in {}",
            found.period
        );
        let (new_low, new_high) = interval(&narrowed, region, &found.period);
        assert!(
            wide_low <= new_low + 1e-9 && new_high <= wide_high + 1e-9,
            "{region}"
        );
        narrower += usize::from(new_high - new_low < wide_high - wide_low - 1e-6);
    }
    let (low, high) = interval(&rounded, "far-east-china", "2023");
    assert!(low < 13.4 && high > 15.3, "[{low}, {high}]");
    assert!(narrower >= 4, "{narrower}");
    fresh.stop().await;
}

#[tokio::test]
async fn contradictions_are_told_in_words() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let six = with_total(figures(wire::exact, "42"), wire::exact);
    let told = conflict(&mut client, six.clone()).await;
    assert_eq!(told.figure_ids, ["base", "end", "total"]);
    let words = told.explanation.join(" ");
    for part in ["\"base\"", "\"end\"", "\"total\"", "121.05"] {
        assert!(words.contains(part), "no {part} in {words}");
    }
    assert_eq!(told.implied_intervals.len(), 3);
    for print in [wire::exact as Printed, wire::rounded] {
        let told = conflict(&mut client, figures(print, "90")).await;
        assert_eq!(told.figure_ids.len(), 5, "{told:?}");
        assert!(!told.explanation.is_empty());
        // Irreducible: without any one of them the others can hold.
        for dropped in &told.figure_ids {
            let mut rest = figures(print, "90");
            rest.retain(|figure| figure.id != *dropped);
            feasible(&mut client, rest).await;
        }
    }
    fresh.stop().await;
}

fn of(region: &str, period: &str) -> pb::NodePeriod {
    pb::NodePeriod {
        node: wire::region(region),
        period: period.to_owned(),
    }
}

fn sum_figure(
    id: &str,
    terms: Vec<pb::NodePeriod>,
    value: Option<pb::PrintedNumber>,
) -> pb::PublishedFigure {
    pb::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Figure::Sum(pb::NodeSum { terms, value })),
    }
}

fn comparison_figure(
    id: &str,
    left: pb::NodePeriod,
    relation: Relation,
    right: pb::NodePeriod,
) -> pb::PublishedFigure {
    pb::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Figure::Comparison(pb::NodeComparison {
            left: Some(left),
            right: Some(right),
            relation: Some(relation),
        })),
    }
}

fn share_figure(id: &str, part: &str, whole: &str, percent: &str) -> pb::PublishedFigure {
    pb::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Figure::Share(pb::NodeShare {
            node: wire::region(part),
            whole: wire::region(whole),
            period: "2023".to_owned(),
            percent: wire::rounded(percent),
        })),
    }
}

#[tokio::test]
async fn a_report_adds_up_years_and_compares_regions() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    // "$60 bn over 2023 and 2024, of which 25 in the first year; in 2023 China is 4 times India,
    // and the two make 20."
    let report = |print: Printed| {
        let both = vec![of("asia", "2023"), of("asia", "2024")];
        let two = vec![
            of("far-east-china", "2023"),
            of("indian-subcontinent", "2023"),
        ];
        vec![
            sum_figure("both-years", both, print("60")),
            wire::value_figure("first", "asia", "2023", print("25")),
            comparison_figure(
                "leader",
                of("far-east-china", "2023"),
                Relation::Times(print("4.0").unwrap()),
                of("indian-subcontinent", "2023"),
            ),
            sum_figure("the-two", two, print("20")),
        ]
    };
    let exact = feasible(&mut client, report(wire::exact)).await;
    for (region, period, value) in [
        ("asia", "2024", 35.0),
        ("far-east-china", "2023", 16.0),
        ("indian-subcontinent", "2023", 4.0),
        ("rest", "2023", 5.0),
    ] {
        let (lower, upper) = interval(&exact, region, period);
        near(lower, value);
        near(upper, value);
    }
    let rounded = feasible(&mut client, report(wire::rounded)).await;
    let (lower, upper) = interval(&rounded, "asia", "2024");
    near(lower, 59.5 - 25.5);
    near(upper, 60.5 - 24.5);
    let (lower, upper) = interval(&rounded, "far-east-china", "2023");
    near(lower, 19.5 * 3.95 / 4.95);
    near(upper, 20.5 * 4.05 / 5.05);

    // Another figure of the ratio, which cannot be unless both are zero: told as a ratio.
    let mut more = report(wire::exact);
    let (china, india) = (
        of("far-east-china", "2023"),
        of("indian-subcontinent", "2023"),
    );
    let times = Relation::Times(wire::rounded("3.9").unwrap());
    more.push(comparison_figure("other", china, times, india));
    let told = conflict(&mut client, more).await;
    assert_eq!(told.figure_ids, ["leader", "the-two", "other"]);
    let other = &told.implied_intervals[2];
    near(other.lower.unwrap(), 4.0);
    near(other.upper.unwrap(), 4.0);
    near(other.stated_lower.unwrap(), 3.85);
    near(other.stated_upper.unwrap(), 3.95);
    fresh.stop().await;
}

#[tokio::test]
async fn figures_that_cannot_be_true_are_refused() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let mut ask = async |figure: pb::PublishedFigure, nonnegative: bool| {
        let mut asked = request(vec![
            wire::value_figure("base", "rest", "2023", wire::rounded("19")),
            figure,
        ]);
        asked.nonnegative = Some(nonnegative);
        client.solve_published_figures(asked).await
    };
    let times = |decimal| Relation::Times(wire::rounded(decimal).unwrap());
    for (figure, number, also_signed) in [
        (
            share_figure("f", "asia", "asia", "61"),
            "share.percent",
            true,
        ),
        (
            share_figure("f", "rest", "asia", "130"),
            "share.percent",
            false,
        ),
        (
            wire::growth_figure("f", "rest", SPAN, wire::rounded("-120")),
            "growth.percent",
            false,
        ),
        (
            comparison_figure("f", of("rest", "2023"), times("2"), of("asia", "2023")),
            "comparison.times",
            false,
        ),
        (
            comparison_figure(
                "f",
                of("asia", "2023"),
                Relation::AtMostTimes(wire::rounded("0.5").unwrap()),
                of("rest", "2023"),
            ),
            "comparison.at_most_times",
            false,
        ),
    ] {
        let field = format!("figures[1].{number}");
        invalid(ask(figure.clone(), true).await, "FIGURE_INVALID", &field);
        let signed = ask(figure, false).await;
        if also_signed {
            invalid(signed, "FIGURE_INVALID", &field);
        } else {
            signed.unwrap();
        }
    }
    for figure in [
        share_figure("f", "asia", "asia", "100"),
        wire::growth_figure("f", "rest", SPAN, wire::rounded("-100")),
    ] {
        ask(figure, true).await.unwrap();
    }
    fresh.stop().await;
}

#[tokio::test]
async fn growths_can_be_asked_for_and_a_market_gives_the_tree() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let mut asked = request(with_total(figures(wire::rounded, "42"), wire::rounded));
    let Some(Structure::Dimensions(tree)) = asked.structure.clone() else {
        panic!("no tree")
    };
    let market = pb::Market {
        dimensions: tree.dimensions,
        ..wire::market("Spend", "", Vec::new())
    };
    let create = pb::CreateMarketRequest {
        market_id: "spend".to_owned(),
        market: Some(market),
        ..Default::default()
    };
    client.create_market(create).await.unwrap();
    let pair = pb::GrowthPair {
        node: wire::region("asia"),
        from_period: SPAN.0.to_owned(),
        to_period: SPAN.1.to_owned(),
    };
    asked.growth_pairs = vec![pair];
    let by_tree = client
        .solve_published_figures(asked.clone())
        .await
        .unwrap()
        .into_inner();
    asked.structure = Some(Structure::Market("markets/spend".to_owned()));
    asked.nonnegative = None;
    let by_market = client
        .solve_published_figures(asked)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(by_market.outcome, by_tree.outcome);
    assert!(!by_market.revision.is_empty() && by_tree.revision.is_empty());
    let Some(Outcome::Feasible(feasible)) = by_market.outcome else {
        panic!("infeasible")
    };
    near(feasible.growth_intervals[0].lower_percent.unwrap(), 119.5);
    near(feasible.growth_intervals[0].upper_percent.unwrap(), 120.5);
    fresh.stop().await;
}

#[tokio::test]
async fn bad_figures_are_told_where_they_are() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let mut ask = async |spoil: fn(&mut pb::SolvePublishedFiguresRequest)| {
        let mut asked = request(figures(wire::rounded, "42"));
        spoil(&mut asked);
        client.solve_published_figures(asked).await
    };
    invalid(
        ask(|r| r.structure = None).await,
        "ONEOF_UNSET",
        "structure",
    );
    invalid(
        ask(|r| r.figures.clear()).await,
        "FIELD_REQUIRED",
        "figures",
    );
    invalid(
        ask(|r| r.figures[1].figure = None).await,
        "ONEOF_UNSET",
        "figures[1].figure",
    );
    invalid(
        ask(|r| r.figures[1].id = "base".to_owned()).await,
        "DUPLICATE_KEY",
        "figures[1].id",
    );
    invalid(
        ask(|r| r.nonnegative = None).await,
        "FIELD_REQUIRED",
        "nonnegative",
    );
    invalid(
        ask(|r| {
            let one = r.figures[0].clone();
            let named = |n: usize| pb::PublishedFigure {
                id: format!("f{n}"),
                ..one.clone()
            };
            r.figures = (0..301).map(named).collect();
        })
        .await,
        "FIGURES_TOO_MANY",
        "figures",
    );
    for (decimal, reason) in [
        ("4,2", "PRINTED_NUMBER_INVALID"),
        ("42 %", "PRINTED_NUMBER_INVALID"),
    ] {
        let mut asked = request(figures(wire::rounded, decimal));
        asked.figures.truncate(2);
        let answer = client.solve_published_figures(asked).await;
        invalid(answer, reason, "figures[1].value.value.decimal");
    }
    let mut asked = request(Vec::new());
    asked.figures = vec![wire::value_figure("a", "mars", "2023", wire::rounded("1"))];
    let answer = client.solve_published_figures(asked).await;
    invalid(answer, "MEMBER_UNKNOWN", "figures[0].value.node.members");
    let mut asked = request(figures(wire::rounded, "42"));
    asked.structure = Some(Structure::Market("markets/none".to_owned()));
    let answer = client.solve_published_figures(asked).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    fresh.stop().await;
}
