//! Random systems made from a hidden truth, and random estimates checked by themselves.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::super::entropy::{Measure, minimize};
use super::super::interior::{REACHES, find, roomier};
use super::super::lp::{Polyhedron, Row, dot};
use super::super::system::Form;
use super::*;

/// A generator of its own, so that a case is one number.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }

    fn next(&mut self) -> f64 {
        self.bits() as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.bits() >> 20) % n as u64).unwrap()
    }
}

const REGIONS: [&str; 8] = ["asia", "east", "cn", "jp", "south", "in", "pk", "rest"];

fn market() -> Hierarchy {
    Hierarchy::new(&[
        tree(
            "region",
            &[
                ("asia", ""),
                ("east", "asia"),
                ("cn", "east"),
                ("jp", "east"),
                ("south", "asia"),
                ("in", "south"),
                ("pk", "south"),
                ("rest", "asia"),
            ],
        ),
        tree("component", &[("all", ""), ("hw", "all"), ("sw", "all")]),
    ])
    .unwrap()
}

/// A market nobody sees, and figures printed from it.
struct Hidden {
    market: Hierarchy,
    /// Leaf values in 2023, 2024 and 2028.
    leaves: [Vec<f64>; 3],
    figures: Vec<Figure>,
}

const PERIODS: [&str; 3] = ["2023", "2024", "2028"];

/// Kinds of figures within one period or of growth, and all kinds.
const OLDER_KINDS: usize = 7;
const ALL_KINDS: usize = 9;

impl Hidden {
    fn new(random: &mut Random, count: usize, kinds: usize) -> Self {
        let market = market();
        let leaves = [(); 3].map(|()| {
            (0..market.leaf_count())
                .map(|_| {
                    if random.below(8) == 0 {
                        0.0
                    } else {
                        100.0 * random.next()
                    }
                })
                .collect()
        });
        let mut hidden = Self {
            market,
            leaves,
            figures: Vec::new(),
        };
        while hidden.figures.len() < count {
            if let Some(claim) = hidden.claim(random, kinds) {
                let id = format!("f{}", hidden.figures.len());
                hidden.figures.push(figure(&id, claim));
            }
        }
        hidden
    }

    fn series(random: &mut Random) -> SeriesKey {
        let component = ["all", "all", "hw", "sw"][random.below(4)];
        SeriesKey::of([
            ("region", REGIONS[random.below(8)]),
            ("component", component),
        ])
    }

    fn truth(&self, key: &SeriesKey, when: usize) -> f64 {
        let series = self.market.series(key).unwrap();
        self.market.sum_of_leaves(&self.leaves[when], &series)
    }

    fn claim(&self, random: &mut Random, kinds: usize) -> Option<Claim> {
        let series = Self::series(random);
        let when = random.below(3);
        let at = period(PERIODS[when]);
        let truth = self.truth(&series, when);
        let printed =
            |value: f64, places: usize| PrintedNumber::rounded(&format!("{value:.places$}"));
        let places = random.below(3);
        Some(match random.below(kinds) {
            0..3 => Claim::Value {
                series,
                period: at,
                printed: printed(truth, places),
            },
            3 => {
                let to = when + 1 + random.below(2);
                let later = PERIODS.get(to)?;
                if truth < 1.0 {
                    return None;
                }
                let percent = (self.truth(&series, to) / truth - 1.0) * 100.0;
                Claim::Growth {
                    series,
                    from: at,
                    to: period(later),
                    percent: printed(percent, places),
                }
            }
            4 => {
                let whole = SeriesKey::default();
                let percent = truth / self.truth(&whole, when) * 100.0;
                Claim::Share {
                    part: series,
                    whole,
                    period: at,
                    percent: printed(percent, places),
                }
            }
            5 => Claim::Bound {
                series,
                period: at,
                lower: Some(truth * random.next()),
                upper: Some(truth * (1.0 + random.next())),
            },
            6 => {
                let other = Self::series(random);
                let sum = truth + self.truth(&other, when);
                let term = |series| NodeAt { series, period: at };
                Claim::Sum {
                    terms: vec![term(series), term(other)],
                    printed: printed(sum, places),
                }
            }
            7 => {
                let term = |series: &SeriesKey, when: &str| NodeAt {
                    series: series.clone(),
                    period: period(when),
                };
                let sum = (0..3).fold(0.0, |sum, n| sum + self.truth(&series, n));
                Claim::Sum {
                    terms: PERIODS.iter().map(|when| term(&series, when)).collect(),
                    printed: printed(sum, places),
                }
            }
            _ => {
                let (other, then) = (Self::series(random), random.below(3));
                if truth < 1.0 {
                    return None;
                }
                Claim::Multiple {
                    times: printed(self.truth(&other, then) / truth, places),
                    left: NodeAt {
                        series: other,
                        period: period(PERIODS[then]),
                    },
                    right: NodeAt { series, period: at },
                }
            }
        })
    }
}

fn hidden_truth_is_found(seed: u64, count: usize, kinds: usize) -> Result<(), TestCaseError> {
    let mut random = Random(seed);
    let hidden = Hidden::new(&mut random, count, kinds);
    let question = Question {
        nodes: &[SeriesKey::default()],
        ..ask(&hidden.market, &hidden.figures)
    };
    let solution = match solve(&question, &Unlimited) {
        Ok(Answer::Feasible(solution)) => solution,
        other => return Err(TestCaseError::fail(format!("seed {seed}: {other:?}"))),
    };
    prop_assert!(
        solution.center.none != Some(NoCenter::Unresolved),
        "seed {}",
        seed
    );
    prop_assert!(solution.center.kkt_residual <= KKT_TOLERANCE);
    for answer in &solution.nodes {
        let when = PERIODS
            .iter()
            .position(|p| period(p) == answer.period)
            .unwrap();
        let truth = hidden.truth(&answer.series, when);
        let slack = 1e-8 * truth.abs().max(1.0);
        let Interval { lower, upper } = answer.interval;
        prop_assert!(
            lower.unwrap_or(truth) <= truth + slack,
            "seed {}: {:?}",
            seed,
            answer
        );
        prop_assert!(
            upper.unwrap_or(truth) >= truth - slack,
            "seed {}: {:?}",
            seed,
            answer
        );
        if let Some(central) = answer.central {
            prop_assert!(
                lower.unwrap() <= central + slack,
                "seed {}: {:?}",
                seed,
                answer
            );
            prop_assert!(
                upper.unwrap() >= central - slack,
                "seed {}: {:?}",
                seed,
                answer
            );
        }
    }
    adds_up(&hidden.market, &solution)
}

/// Where a node and all its children along a dimension are answered, they add up.
fn adds_up(market: &Hierarchy, solution: &Solution) -> Result<(), TestCaseError> {
    for answer in &solution.nodes {
        let series = market.series(&answer.series).unwrap();
        for dimension in 0..2 {
            let children: BTreeSet<SeriesKey> = market
                .all_series()
                .filter(|s| market.parent(s, dimension).as_ref() == Some(&series))
                .map(|s| market.key(&s))
                .collect();
            let values: Vec<f64> = solution
                .nodes
                .iter()
                .filter(|n| n.period == answer.period && children.contains(&n.series))
                .filter_map(|n| n.central)
                .collect();
            if let (Some(central), false) = (answer.central, children.is_empty())
                && values.len() == children.len()
            {
                let sum: f64 = values.iter().sum();
                prop_assert!((sum - central).abs() <= 1e-8 * central.abs().max(1.0));
            }
        }
    }
    Ok(())
}

fn contradictions_are_irreducible(
    seed: u64,
    count: usize,
    kinds: usize,
) -> Result<(), TestCaseError> {
    let mut random = Random(seed);
    let mut hidden = Hidden::new(&mut random, count, kinds);
    // Figures printed from another market.
    let other = Hidden::new(&mut random, count, kinds);
    for (n, mut stranger) in other.figures.into_iter().enumerate() {
        stranger.id = format!("g{n}");
        hidden.figures.push(stranger);
    }
    let question = ask(&hidden.market, &hidden.figures);
    match solve(&question, &Unlimited) {
        Ok(Answer::Conflicting(conflict)) => {
            assert_irreducible(&question, &conflict);
            for member in &conflict.members {
                // What the others allow and what the member says do not meet.
                let Some(allowed) = member.others_allow else {
                    continue;
                };
                let below = allowed
                    .upper
                    .zip(member.says.lower)
                    .is_some_and(|(a, s)| a < s);
                let above = allowed
                    .lower
                    .zip(member.says.upper)
                    .is_some_and(|(a, s)| a > s);
                prop_assert!(below || above, "seed {}: {:?}", seed, member);
            }
        }
        Ok(Answer::Feasible(_)) => {}
        Err(error) => return Err(TestCaseError::fail(format!("seed {seed}: {error}"))),
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config::with_cases(60))]

    #[test]
    fn the_truth_lies_within_every_interval(seed in any::<u64>(), count in 1..14_usize) {
        hidden_truth_is_found(seed, count, OLDER_KINDS)?;
        hidden_truth_is_found(seed, count, ALL_KINDS)?;
    }

    #[test]
    fn contradictions_are_found_and_irreducible(seed in any::<u64>(), count in 4..12_usize) {
        contradictions_are_irreducible(seed, count, OLDER_KINDS)?;
        contradictions_are_irreducible(seed, count, ALL_KINDS)?;
    }

    #[test]
    fn estimates_fulfill_their_optimality_conditions(
        seed in any::<u64>(),
        size in 1..12_usize,
        rows in 0..10_usize,
        signed in any::<bool>(),
    ) {
        let mut random = Random(seed);
        let hidden: Vec<f64> = (0..size)
            .map(|_| if random.below(5) == 0 { 0.0 } else { 2.0 * random.next() })
            .collect();
        let weights: Vec<f64> = (0..size).map(|_| 1e-3 + random.next()).collect();
        let mut set = Polyhedron::new(size, !signed);
        for _ in 0..rows {
            let form: Form = (0..size)
                .filter_map(|u| {
                    let c = [0.0, 1.0, 1.0, -1.0, 2.5 * random.next() - 1.25][random.below(5)];
                    (c != 0.0).then_some((u, c))
                })
                .collect();
            let at = dot(&form, &hidden);
            let (lower, upper) = match random.below(4) {
                0 => (at, at),
                1 => (at, at + random.next()),
                2 => (at - 1e-6 * random.next(), at + random.next()),
                _ => (at - random.next(), f64::INFINITY),
            };
            set.rows.push(Row { form, lower, upper });
        }
        let measure = if signed { Measure::Squares } else { Measure::Entropy };
        let mut solved = None;
        for reach in REACHES {
            let Some(interior) = find(&set, !signed, reach, &Unlimited).unwrap() else {
                continue;
            };
            let room = roomier(&interior, !signed, &Unlimited).unwrap();
            let found = minimize(&weights, measure, &interior, room.as_deref(), &Unlimited).unwrap();
            if found.kkt <= KKT_TOLERANCE {
                solved = Some((found, interior, room));
                break;
            }
        }
        prop_assert!(solved.is_some(), "seed {}", seed);
        let (minimum, interior, room) = solved.unwrap();
        for row in &set.rows {
            let at = dot(&row.form, &minimum.point);
            prop_assert!(at >= row.lower - 2e-8 && at <= row.upper + 2e-8, "seed {}", seed);
        }
        // No point on the way to any other point of the set is nearer to the prior.
        let distance = |point: &[f64]| -> f64 {
            let each = point.iter().zip(&weights).map(|(u, w)| w * match measure {
                Measure::Entropy if *u > 0.0 => u * libm::log(*u) - u + 1.0,
                Measure::Entropy => 1.0,
                Measure::Squares => u * u / 2.0,
            });
            each.sum()
        };
        let best = distance(&minimum.point);
        for other in [Some(interior.point), room, Some(hidden)].into_iter().flatten() {
            for step in [1e-4, 1e-2, 1.0] {
                let moved: Vec<f64> = minimum.point.iter().zip(&other)
                    .map(|(a, b)| a + step * (b - a)).collect();
                prop_assert!(distance(&moved) >= best - 1e-6 * step, "seed {}", seed);
            }
        }
    }
}

/// Fixed markets, so that an estimate that is no longer found is noticed at once. The named ones
/// were hard: figures met only by an unlimited market, starts far from the center, programs that
/// the simplex method gives up on.
#[test]
fn estimates_are_resolved() {
    let fixed = (0..60).map(|seed| (seed, 1 + usize::try_from(seed % 13).unwrap()));
    let hard = [
        (12_686_855_837_658_888_245, 9),
        (16_891_148_513_904_043_448, 11),
        (10_114_559_284_869_364_964, 12),
        (11_488_725_720_846_488_534, 8),
        (5_012_536_856_767_548_463, 5),
    ];
    for (seed, count) in fixed.chain(hard) {
        let found = hidden_truth_is_found(seed, count, OLDER_KINDS);
        assert!(found.is_ok(), "seed {seed}, {count} figures: {found:?}");
    }
    // Just below its least part this one misses by about the tolerance: no program can tell.
    hidden_truth_is_found(2_553_020_377_723_937_809, 7, ALL_KINDS).unwrap();
}

#[test]
fn contradictions_the_simplex_gives_up_on_are_told() {
    for seed in [13_974_510_240_999_442_101, 15_023_037_669_266_045_063] {
        contradictions_are_irreducible(seed, 10, OLDER_KINDS).unwrap();
    }
}
