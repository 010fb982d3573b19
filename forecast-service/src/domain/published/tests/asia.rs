//! The report this was made for: Asia from $19 bn in 2023 to $42 bn in 2028, +120 %; Far East &
//! China +76 %, Indian Subcontinent +231 %, Rest of Asia Pacific +303 %.

use super::*;

const REGIONS: [(&str, f64); 3] = [
    ("far-east-china", 0.76),
    ("indian-subcontinent", 2.31),
    ("rest", 3.03),
];

fn figures(print: impl Fn(&str) -> PrintedNumber) -> Vec<Figure> {
    vec![
        value("base", "asia", "2023", print("19")),
        value("end", "asia", "2028", print("42")),
        growth("far-east", "far-east-china", print("76")),
        growth("subcontinent", "indian-subcontinent", print("231")),
        growth("rest", "rest", print("303")),
    ]
}

fn with_asia(mut figures: Vec<Figure>, percent: PrintedNumber) -> Vec<Figure> {
    figures.push(growth("asia-growth", "asia", percent));
    figures
}

/// With a, b, c the bases of the three regions: a + b + c = 19 and 1.76 a + 3.31 b + 4.03 c = 42,
/// so 1.55 b + 2.27 c = 42 - 1.76 * 19 = 8.56. On that segment a = 19 - b - c is least where all
/// the growth comes from the slower region (c = 0) and greatest where it comes from the faster
/// one (b = 0).
#[test]
fn exact_figures_give_the_closed_form() {
    let market = asia();
    let figures = figures(PrintedNumber::exact);
    let solution = solution(&ask(&market, &figures));
    let rest = 42.0 - 1.76 * 19.0;
    let (lower, upper) = ends(node(&solution, "far-east-china", "2023").interval);
    assert_near(lower, 19.0 - rest / (3.31 - 1.76), 1e-12);
    assert_near(upper, 19.0 - rest / (4.03 - 1.76), 1e-12);
    assert_near(lower, 13.477_419_354_838_7, 1e-12);
    assert_near(upper, 15.229_074_889_867_8, 1e-12);
    let (lower, upper) = ends(node(&solution, "indian-subcontinent", "2023").interval);
    assert_near(lower, 0.0, 1e-12);
    assert_near(upper, rest / 1.55, 1e-12);
    let (lower, upper) = ends(node(&solution, "rest", "2023").interval);
    assert_near(lower, 0.0, 1e-12);
    assert_near(upper, rest / 2.27, 1e-12);
    for (when, total) in [("2023", 19.0), ("2028", 42.0)] {
        assert_eq!(ends(node(&solution, "asia", when).interval), (total, total));
        assert_near(node(&solution, "asia", when).central.unwrap(), total, 1e-12);
    }
    // The estimate is on the segment and fulfills every growth figure.
    for (region, rate) in REGIONS {
        let base = node(&solution, region, "2023").central.unwrap();
        let end = node(&solution, region, "2028").central.unwrap();
        assert_near(end, base * (1.0 + rate), 1e-12);
        assert!(base > 0.1, "{region} is not squeezed out: {base}");
    }
    for answer in &solution.nodes {
        println!(
            "exact {:?} {} {:?} {:?}",
            answer.series.members["region"], answer.period, answer.interval, answer.central
        );
    }
    assert!(solution.center.opened.is_empty());
    assert!(solution.center.kkt_residual <= KKT_TOLERANCE);
}

/// The exact estimate solves a problem in one variable: along the segment, the derivative of the
/// divergence from an equal split is zero.
#[test]
fn the_exact_estimate_is_where_the_divergence_has_no_slope() {
    let market = asia();
    let figures = figures(PrintedNumber::exact);
    let solution = solution(&ask(&market, &figures));
    let base = |region| node(&solution, region, "2023").central.unwrap();
    let x = [
        base("far-east-china"),
        base("indian-subcontinent"),
        base("rest"),
    ];
    // Direction that keeps both sums: db = 2.27, dc = -1.55, da = -(db + dc).
    let direction = [-0.72, 2.27, -1.55];
    let slope: f64 = (0..3)
        .map(|n| {
            let factor = 1.0 + REGIONS[n].1;
            let (start, end) = (x[n], x[n] * factor);
            direction[n]
                * (libm::log(start / (19.0 / 3.0)) + factor * libm::log(end / (42.0 / 3.0)))
        })
        .sum();
    assert!(slope.abs() < 1e-8, "{slope:e}");
}

#[test]
fn rounding_widens_every_interval() {
    let market = asia();
    let exact = figures(PrintedNumber::exact);
    let rounded = figures(PrintedNumber::rounded);
    let (exact, rounded) = (
        solution(&ask(&market, &exact)),
        solution(&ask(&market, &rounded)),
    );
    for (a, b) in exact.nodes.iter().zip(&rounded.nodes) {
        let ((low, high), (wide_low, wide_high)) = (ends(a.interval), ends(b.interval));
        assert!(wide_low <= low && high <= wide_high);
        // The exact figures are the middles of the rounded ones: the same estimate.
        assert_near(b.central.unwrap(), a.central.unwrap(), 1e-8);
    }
    let (low, high) = ends(node(&rounded, "far-east-china", "2023").interval);
    assert!(low < 13.4 && high > 15.3, "[{low}, {high}]");
}

#[test]
fn one_more_figure_narrows_every_interval() {
    let market = asia();
    let five = figures(PrintedNumber::rounded);
    let six = with_asia(five.clone(), PrintedNumber::rounded("120"));
    let (five, six) = (
        solution(&ask(&market, &five)),
        solution(&ask(&market, &six)),
    );
    let mut narrower = 0;
    for (a, b) in five.nodes.iter().zip(&six.nodes) {
        let ((low, high), (new_low, new_high)) = (ends(a.interval), ends(b.interval));
        assert!(low <= new_low + 1e-12 && new_high <= high + 1e-12);
        narrower += usize::from(new_high - new_low < high - low - 1e-6);
    }
    assert!(narrower >= 4, "{narrower}");
}

#[test]
fn the_estimate_of_the_report_keeps_its_totals() {
    let market = asia();
    let figures = with_asia(
        figures(PrintedNumber::rounded),
        PrintedNumber::rounded("120"),
    );
    let query = GrowthQuery {
        series: key("asia"),
        from: period("2023"),
        to: period("2028"),
    };
    let question = Question {
        growth: std::slice::from_ref(&query),
        ..ask(&market, &figures)
    };
    let solution = solution(&question);
    for answer in &solution.nodes {
        println!(
            "{:?} {} {:?} {:?}",
            answer.series.members["region"], answer.period, answer.interval, answer.central
        );
    }
    println!("{:?} {:?}", solution.center, solution.growth);
    // 42 / 19 is 121.05 %: three figures give way, each by the same part p of its rounding, with
    // 42 - p/2 = (2.2 + p/200) (19 + p/2).
    let (quadratic, linear, constant) = (0.0025_f64, 1.695, -0.2);
    let part =
        (-linear + (linear * linear - 4.0 * quadratic * constant).sqrt()) / (2.0 * quadratic);
    let opened: Vec<&str> = solution
        .center
        .opened
        .iter()
        .map(|o| o.id.as_str())
        .collect();
    assert_eq!(opened, ["base", "end", "asia-growth"]);
    for figure in &solution.center.opened {
        assert_near(figure.part, part, 1e-8);
    }
    let base = node(&solution, "asia", "2023").central.unwrap();
    let end = node(&solution, "asia", "2028").central.unwrap();
    assert_near(base, 19.0 + part / 2.0, 1e-8);
    assert_near(end, 42.0 - part / 2.0, 1e-8);
    for (region, rate) in REGIONS {
        let start = node(&solution, region, "2023").central.unwrap();
        let end = node(&solution, region, "2028").central.unwrap();
        assert_near(end, start * (1.0 + rate), 1e-7);
    }
    // Growth of the whole is limited by its own figure, and by nothing tighter.
    let (low, high) = ends(solution.growth[0].growth_percent.unwrap());
    assert_near(low, 119.5, 1e-9);
    assert_near(high, 120.5, 1e-9);
    let (low, high) = ends(solution.growth[0].cagr_percent.unwrap());
    assert_near(low, (libm::pow(2.195, 0.2) - 1.0) * 100.0, 1e-9);
    assert_near(high, (libm::pow(2.205, 0.2) - 1.0) * 100.0, 1e-9);
}

#[test]
fn exact_totals_contradict_an_exact_growth() {
    let market = asia();
    let figures = with_asia(figures(PrintedNumber::exact), PrintedNumber::exact("120"));
    let question = ask(&market, &figures);
    let conflict = conflict(&question);
    assert_eq!(ids(&conflict), ["base", "end", "asia-growth"]);
    assert_eq!(
        conflict.summary,
        "\"base\", \"end\" and \"asia-growth\" cannot hold together: the others make the growth \
         of Asia from 2023 to 2028 exactly 121.053 %, but \"asia-growth\" says 120 % (exact)"
    );
    assert_irreducible(&question, &conflict);
    let allowed = |n: usize| ends(conflict.members[n].others_allow.unwrap());
    assert_near(allowed(0).0, 42.0 / 2.2, 1e-12);
    assert_near(allowed(1).1, 19.0 * 2.2, 1e-12);
    assert_near(allowed(2).0, 42.0 / 19.0 * 100.0 - 100.0, 1e-12);
    let says = &conflict.members[0];
    assert_eq!(says.statement, "the value of Asia in 2023 is 19 (exact)");
}

#[test]
fn regions_that_cannot_reach_the_end_are_a_conflict_of_all_five() {
    let market = asia();
    for print in [PrintedNumber::exact, PrintedNumber::rounded] {
        let mut figures = figures(print);
        figures[1] = value("end", "asia", "2028", print("90"));
        let question = ask(&market, &figures);
        let conflict = conflict(&question);
        assert_eq!(
            ids(&conflict),
            ["base", "end", "far-east", "subcontinent", "rest"]
        );
        println!("{}", conflict.summary);
        assert_irreducible(&question, &conflict);
    }
}
