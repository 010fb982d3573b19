//! One number for all numbers: a digest of what this domain computes from fixed inputs.
//!
//! Results must be the same bits on every machine. The probe runs every kind of computation on
//! made-up inputs and hashes all digits; a test compares it with the recorded value, and the same
//! program may be run under an emulator of another processor model.

use almanac_service_kit::plain::control::Unlimited;
use almanac_service_kit::plain::digest::Canonical;
use almanac_service_kit::plain::period::{Frequency, Period};

use super::bottom_up::{LeafHistory, Outlook, Question as Plan, bottom_up};
use super::growth::{constant_growth_path, contribution, growth, share};
use super::hierarchy::{Dimension, Hierarchy, Member, SeriesKey};
use super::models::Model;
use super::normal;
use super::published::{
    Answer, Claim, Figure, GrowthQuery, Interval, PrintedNumber, Question, Solution, solve,
};

const REGIONS: [&str; 3] = ["r0", "r1", "r2"];
const COMPONENTS: [&str; 2] = ["c0", "c1"];
const VALUES: usize = 24;

/// The digest of everything the probe computes, `blake3:…`.
///
/// Fixed inputs and no clock: it changes only when a numerical definition does.
#[must_use]
pub fn bit_probe() -> String {
    let mut form = Canonical::new("almanac.forecast.probe/1");
    let mut random = Random(0x5DEE_CE66);
    let Ok(market) = Hierarchy::new(&dimensions()) else {
        return form.finish();
    };
    forecasts(&mut form, &market, &mut random);
    figures(&mut form, &market, &mut random);
    rates(&mut form, &mut random);
    form.finish()
}

/// A linear congruential generator (D. Knuth's MMIX): the inputs, not the results, are random.
struct Random(u64);

impl Random {
    /// A number in [0, 1) with 53 bits.
    fn unit(&mut self) -> f64 {
        let step = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = step.wrapping_add(1_442_695_040_888_963_407);
        // Both numbers fit a double exactly.
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn dimensions() -> [Dimension; 2] {
    let tree = |id: &str, leaves: &[&str]| {
        let member = |id: &str, parent: Option<&str>| Member {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            display_name: String::new(),
        };
        let leaves = leaves.iter().map(|leaf| member(leaf, Some("all")));
        Dimension {
            id: id.to_owned(),
            members: std::iter::once(member("all", None)).chain(leaves).collect(),
        }
    };
    [tree("region", &REGIONS), tree("component", &COMPONENTS)]
}

/// Every model over the whole hierarchy, leaves of two lengths.
fn forecasts(form: &mut Canonical, market: &Hierarchy, random: &mut Random) {
    let values: Vec<Vec<Option<f64>>> = (0..market.leaf_count())
        .map(|leaf| {
            let length = VALUES - 3 * (leaf % 2);
            (0..length)
                .map(|_| Some(10.0 + 90.0 * random.unit()))
                .collect()
        })
        .collect();
    let histories: Vec<LeafHistory<'_>> = (0_i64..)
        .zip(&values)
        .map(|(leaf, values)| LeafHistory {
            first: 3 * (leaf % 2),
            values,
        })
        .collect();
    for model in [
        Model::Naive,
        Model::SeasonalNaive { season_length: 4 },
        Model::Drift,
    ] {
        let plan = Plan {
            model,
            horizon: 9,
            levels: &[0.5, 0.8, 0.95, 0.999],
            nonnegative: true,
        };
        match bottom_up(market, &histories, &plan, &Unlimited) {
            Ok(outlooks) => outlooks.iter().for_each(|outlook| told(form, outlook)),
            Err(fault) => {
                form.text(&fault.to_string());
            }
        }
    }
}

fn told(form: &mut Canonical, outlook: &Outlook) {
    numbers(form, &outlook.means);
    form.optional_number(outlook.residual_sd);
    for limits in &outlook.intervals {
        numbers(form, &limits.lower);
        numbers(form, &limits.upper);
    }
}

/// Figures printed from a hidden market, rounded, and the same with one of them changed.
fn figures(form: &mut Canonical, market: &Hierarchy, random: &mut Random) {
    let periods: Vec<Period> = [2023, 2028]
        .into_iter()
        .filter_map(|year| Period::from_ordinal(Frequency::Yearly, year))
        .collect();
    let &[from, to] = periods.as_slice() else {
        return;
    };
    let leaves = [(); 2].map(|()| -> Vec<f64> {
        (0..market.leaf_count())
            .map(|_| 1.0 + 20.0 * random.unit())
            .collect()
    });
    let printed = hidden(market, &leaves, from, to);
    let total = SeriesKey::default();
    let query = GrowthQuery {
        series: total.clone(),
        from,
        to,
    };
    let corner = SeriesKey::of([("component", "c1"), ("region", "r2")]);
    let question = |figures| Question {
        hierarchy: market,
        figures,
        nonnegative: true,
        nodes: std::slice::from_ref(&corner),
        growth: std::slice::from_ref(&query),
        prior: &[],
    };
    answer(form, &question(&printed));
    answer(
        form,
        &Question {
            nonnegative: false,
            ..question(&printed)
        },
    );
    let mut contradicting = printed.clone();
    contradicting.push(Figure {
        id: "wrong".to_owned(),
        claim: Claim::Value {
            series: total,
            period: from,
            printed: PrintedNumber::rounded("1000"),
        },
    });
    answer(form, &question(&contradicting));
}

fn hidden(market: &Hierarchy, leaves: &[Vec<f64>; 2], from: Period, to: Period) -> Vec<Figure> {
    let truth = |key: &SeriesKey, when: usize| {
        let sum = |series| market.sum_of_leaves(&leaves[when], &series);
        market.series(key).map_or(0.0, sum)
    };
    let value = |key: SeriesKey, when: usize, period| Claim::Value {
        printed: PrintedNumber::rounded(&format!("{:.0}", truth(&key, when))),
        series: key,
        period,
    };
    let mut claims = vec![
        value(SeriesKey::default(), 0, from),
        value(SeriesKey::default(), 1, to),
    ];
    for region in REGIONS {
        let key = SeriesKey::of([("region", region)]);
        let percent = (truth(&key, 1) / truth(&key, 0) - 1.0) * 100.0;
        claims.push(Claim::Growth {
            series: key,
            from,
            to,
            percent: PrintedNumber::rounded(&format!("{percent:.0}")),
        });
    }
    let part = SeriesKey::of([("component", "c0")]);
    let percent = truth(&part, 1) / truth(&SeriesKey::default(), 1) * 100.0;
    claims.push(Claim::Share {
        part,
        whole: SeriesKey::default(),
        period: to,
        percent: PrintedNumber::rounded(&format!("{percent:.1}")),
    });
    let named = claims.into_iter().enumerate();
    named
        .map(|(n, claim)| Figure {
            id: format!("f{n}"),
            claim,
        })
        .collect()
}

fn answer(form: &mut Canonical, question: &Question<'_>) {
    match solve(question, &Unlimited) {
        Ok(Answer::Feasible(solution)) => solved(form, &solution),
        Ok(Answer::Conflicting(conflict)) => {
            form.text(&conflict.summary);
            for member in &conflict.members {
                form.text(&member.statement);
                interval(form, Some(member.says));
                interval(form, member.others_allow);
            }
        }
        Err(error) => {
            form.text(&error.to_string());
        }
    }
}

fn solved(form: &mut Canonical, solution: &Solution) {
    for node in &solution.nodes {
        interval(form, Some(node.interval));
        form.optional_number(node.central);
    }
    for growth in &solution.growth {
        interval(form, growth.growth_percent);
        interval(form, growth.cagr_percent);
    }
    for figure in &solution.center.opened {
        form.text(&figure.id).number(figure.part);
    }
}

fn interval(form: &mut Canonical, interval: Option<Interval>) {
    form.optional_number(interval.and_then(|i| i.lower))
        .optional_number(interval.and_then(|i| i.upper));
}

/// Growth, shares, paths and normal quantiles.
fn rates(form: &mut Canonical, random: &mut Random) {
    for periods in 1..40 {
        let (start, end) = (100.0 * random.unit(), 100.0 * random.unit());
        let told = growth(Some(start), Some(end), periods);
        form.optional_number(told.percent)
            .optional_number(told.cagr_percent)
            .optional_number(share(Some(start), Some(end)))
            .optional_number(contribution(Some(start), Some(end), Some(100.0)))
            .optional_number(normal::quantile(random.unit()));
        numbers(
            form,
            &constant_growth_path(start, end, periods).unwrap_or_default(),
        );
    }
}

fn numbers(form: &mut Canonical, values: &[f64]) {
    form.sequence(values.len());
    for value in values {
        form.number(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here is a change of what stored forecasts and answers replay to: it needs a new
    /// engine version.
    const RECORDED: &str =
        "blake3:085674e14bade5a2a5d27eaac34b335bed3f3b40ed71b53b76866dc12ddde122";

    #[test]
    fn the_bits_are_those_recorded() {
        assert_eq!(bit_probe(), RECORDED);
    }

    /// A fault hashes as well as a number does: the probe must meet none.
    #[test]
    fn the_workload_reaches_what_it_is_for() {
        let market = Hierarchy::new(&dimensions()).unwrap();
        let leaves = [(); 2].map(|()| vec![3.0, 5.0, 8.0, 13.0, 21.0, 34.0]);
        let periods = [2023, 2028].map(|y| Period::from_ordinal(Frequency::Yearly, y).unwrap());
        let figures = hidden(&market, &leaves, periods[0], periods[1]);
        let question = Question {
            hierarchy: &market,
            figures: &figures,
            nonnegative: true,
            nodes: &[],
            growth: &[],
            prior: &[],
        };
        let Ok(Answer::Feasible(solution)) = solve(&question, &Unlimited) else {
            panic!("not feasible");
        };
        assert!(solution.nodes.iter().all(|node| node.central.is_some()));
    }
}
