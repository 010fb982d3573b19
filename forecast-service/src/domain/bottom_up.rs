//! Bottom-up forecasts of a hierarchy: leaves are forecast, everything above is their sum.
//!
//! Hyndman & Athanasopoulos, *Forecasting: Principles and Practice* (3rd ed.), section 11.2.
//! The interval of an aggregate comes from the errors of the aggregate, never from adding bounds:
//! its residual in a period is the sum of its leaves' residuals there, over the periods in which
//! every leaf has one. These models are linear, so where all leaves share their sample this is
//! what forecasting the summed series gives.
//!
//! In a market that cannot be negative, means and limits are cut at 0; means are cut at the
//! leaves, so that sums still add up. Cost: O(series x leaves beneath x (n + h)).

use almanac_service_kit::plain::control::{Control, Stopped, attended};
use thiserror::Error;

use super::{
    hierarchy::{Hierarchy, Series},
    models::{Fitted, Model, ModelFault, residual_sd},
    normal,
};

/// The values of a leaf: the first one's ordinal, then one a period up to the cut-off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeafHistory<'a> {
    /// Ordinal of the first value's period.
    pub first: i64,
    /// The values.
    pub values: &'a [Option<f64>],
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'a> {
    /// How each leaf is forecast.
    pub model: Model,
    /// Number of periods ahead.
    pub horizon: usize,
    /// Probabilities of the intervals, in (0, 1).
    pub levels: &'a [f64],
    /// Whether values below 0 are impossible.
    pub nonnegative: bool,
}

/// The forecast of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// Expected values, one a period.
    pub means: Vec<f64>,
    /// Limits by level; empty where the leaves share too few periods to tell the spread.
    pub intervals: Vec<Limits>,
    /// Residual sd, one step ahead.
    pub residual_sd: Option<f64>,
    /// Number of residuals that it rests on.
    pub residuals: usize,
}

/// Limits between which values lie with a probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The probability.
    pub level: f64,
    /// Lower limits, one a period.
    pub lower: Vec<f64>,
    /// Upper limits, one a period.
    pub upper: Vec<f64>,
}

/// Why a hierarchy, or a series, cannot be forecast.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ForecastFault {
    /// Nobody waits any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A leaf cannot be forecast.
    #[error("leaf {leaf}: {fault}")]
    Leaf {
        /// Its position, in canonical order.
        leaf: usize,
        /// Why.
        fault: ModelFault,
    },
}

/// Forecasts one series by itself.
///
/// # Errors
/// [`ModelFault`].
pub fn forecast_one(
    values: &[Option<f64>],
    question: &Question<'_>,
) -> Result<Outlook, ModelFault> {
    let fitted = question.model.fit(values)?;
    let means = leaf_means(&fitted, question)?;
    let residuals: Vec<Option<f64>> = fitted.residuals().to_vec();
    finish(means, &residuals, fitted.span(), question)
}

/// Forecasts every series of a hierarchy, in canonical order; one history for each leaf.
///
/// # Errors
/// [`ForecastFault`] with the first leaf that cannot be forecast.
pub fn bottom_up(
    hierarchy: &Hierarchy,
    histories: &[LeafHistory<'_>],
    question: &Question<'_>,
    control: &dyn Control,
) -> Result<Vec<Outlook>, ForecastFault> {
    let leaves = leaves(histories, question, control)?;
    let total = hierarchy.series_count() as u64;
    let mut outlooks = Vec::new();
    for (done, series) in hierarchy.all_series().enumerate() {
        control.check()?;
        control.report(done as u64, total);
        outlooks.push(sum(hierarchy, &series, &leaves, question, control)?);
    }
    Ok(outlooks)
}

/// Says whether every leaf can be forecast, at a fraction of the cost of [`bottom_up`]: O(leaves x
/// (n + h)).
///
/// # Errors
/// [`ForecastFault`] with the first leaf that cannot be forecast.
pub fn check(
    histories: &[LeafHistory<'_>],
    question: &Question<'_>,
    control: &dyn Control,
) -> Result<(), ForecastFault> {
    leaves(histories, question, control).map(drop)
}

fn leaves(
    histories: &[LeafHistory<'_>],
    question: &Question<'_>,
    control: &dyn Control,
) -> Result<Vec<Leaf>, ForecastFault> {
    let mut leaves = Vec::with_capacity(histories.len());
    for (leaf, history) in histories.iter().enumerate() {
        control.check()?;
        let at = |fault| ForecastFault::Leaf { leaf, fault };
        let fitted = question.model.fit(history.values).map_err(at)?;
        let means = leaf_means(&fitted, question).map_err(at)?;
        leaves.push(Leaf {
            first: history.first,
            fitted,
            means,
        });
    }
    Ok(leaves)
}

struct Leaf {
    first: i64,
    fitted: Fitted,
    means: Vec<f64>,
}

fn leaf_means(fitted: &Fitted, question: &Question<'_>) -> Result<Vec<f64>, ModelFault> {
    let means = fitted.means(question.horizon)?;
    let cut = |mean: f64| {
        if question.nonnegative {
            mean.max(0.0)
        } else {
            mean
        }
    };
    Ok(means.into_iter().map(cut).collect())
}

fn sum(
    hierarchy: &Hierarchy,
    series: &Series,
    leaves: &[Leaf],
    question: &Question<'_>,
    control: &dyn Control,
) -> Result<Outlook, ForecastFault> {
    let beneath = attended(hierarchy.leaves_of(series), control);
    let beneath: Vec<usize> = beneath.collect::<Result<_, _>>()?;
    let fault = |fault| ForecastFault::Leaf {
        leaf: beneath.first().copied().unwrap_or(0),
        fault,
    };
    let mut means = vec![0.0; question.horizon];
    // All histories end at the cut-off, so the latest start bounds what they share.
    let first = beneath
        .iter()
        .map(|leaf| leaves[*leaf].first)
        .max()
        .unwrap_or(0);
    let mut residuals: Option<Vec<Option<f64>>> = None;
    let mut span = usize::MAX;
    for &leaf in &beneath {
        // Values and means of one leaf are up to thousands.
        control.check()?;
        let Leaf {
            first: own,
            fitted,
            means: leaf_means,
        } = &leaves[leaf];
        for (sum, mean) in means.iter_mut().zip(leaf_means) {
            *sum += mean;
        }
        let skip = usize::try_from(first.saturating_sub(*own)).unwrap_or(usize::MAX);
        let shared = fitted.residuals().iter().skip(skip);
        span = span.min(fitted.span());
        match &mut residuals {
            None => residuals = Some(shared.copied().collect()),
            Some(sums) => {
                for (sum, residual) in sums.iter_mut().zip(shared) {
                    *sum = sum.zip(*residual).map(|(sum, residual)| sum + residual);
                }
            }
        }
    }
    if !means.iter().all(|mean| mean.is_finite()) {
        return Err(fault(ModelFault::TooLarge));
    }
    finish(means, &residuals.unwrap_or_default(), span, question).map_err(fault)
}

fn finish(
    means: Vec<f64>,
    residuals: &[Option<f64>],
    span: usize,
    question: &Question<'_>,
) -> Result<Outlook, ModelFault> {
    let sd = residual_sd(residuals, question.model.parameters());
    let mut intervals = Vec::new();
    if let Some(sd) = sd {
        for &level in question.levels {
            let Some(z) = normal::two_sided(level) else {
                continue;
            };
            let limit = |sign: f64| -> Vec<f64> {
                let of = |(at, mean): (usize, &f64)| {
                    let limit = mean + sign * z * sd * question.model.spread(at + 1, span);
                    if question.nonnegative {
                        limit.max(0.0)
                    } else {
                        limit
                    }
                };
                means.iter().enumerate().map(of).collect()
            };
            let (lower, upper) = (limit(-1.0), limit(1.0));
            if !lower.iter().chain(&upper).all(|limit| limit.is_finite()) {
                return Err(ModelFault::TooLarge);
            }
            intervals.push(Limits {
                level,
                lower,
                upper,
            });
        }
    }
    let residuals = residuals.iter().flatten().count();
    Ok(Outlook {
        means,
        intervals,
        residual_sd: sd,
        residuals,
    })
}

#[cfg(test)]
mod tests {
    use almanac_service_kit::plain::control::Unlimited;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::hierarchy::{Dimension, Member};

    fn regions() -> Hierarchy {
        let member = |id: &str, parent: Option<&str>| Member {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            display_name: String::new(),
        };
        Hierarchy::new(&[Dimension {
            id: "region".to_owned(),
            members: vec![
                member("all", None),
                member("a", Some("all")),
                member("b", Some("all")),
            ],
        }])
        .unwrap()
    }

    fn question(model: Model) -> Question<'static> {
        Question {
            model,
            horizon: 3,
            levels: &[0.8, 0.95],
            nonnegative: false,
        }
    }

    fn options(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    proptest! {
        #[test]
        fn an_aggregate_is_what_forecasting_the_sum_gives(
            a in prop::collection::vec(-1e3..1e3f64, 8),
            b in prop::collection::vec(-1e3..1e3f64, 8),
            season_length in 1usize..4,
        ) {
            for model in [Model::Naive, Model::Drift, Model::SeasonalNaive { season_length }] {
                let (va, vb) = (options(&a), options(&b));
                let histories =
                    [LeafHistory { first: 0, values: &va }, LeafHistory { first: 0, values: &vb }];
                let all = bottom_up(&regions(), &histories, &question(model), &Unlimited).unwrap();
                let sums: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
                let one = forecast_one(&options(&sums), &question(model)).unwrap();
                let near = |x: f64, y: f64| (x - y).abs() < 1e-9 * (1.0 + y.abs());
                for (x, y) in all[0].means.iter().zip(&one.means) {
                    prop_assert!(near(*x, *y));
                }
                for (x, y) in all[0].intervals.iter().zip(&one.intervals) {
                    prop_assert!(x.lower.iter().zip(&y.lower).all(|(x, y)| near(*x, *y)));
                    prop_assert!(x.upper.iter().zip(&y.upper).all(|(x, y)| near(*x, *y)));
                }
                for h in 0..3 {
                    prop_assert!(near(all[0].means[h], all[1].means[h] + all[2].means[h]));
                }
            }
        }
    }

    #[test]
    fn leaves_that_move_together_widen_their_sum_and_opposites_narrow_it() {
        let up = options(&[1.0, 2.0, 1.0, 3.0]);
        let down = options(&[3.0, 2.0, 3.0, 1.0]);
        let width = |b: &[Option<f64>]| {
            let histories = [
                LeafHistory {
                    first: 0,
                    values: &up,
                },
                LeafHistory {
                    first: 0,
                    values: b,
                },
            ];
            let all =
                bottom_up(&regions(), &histories, &question(Model::Naive), &Unlimited).unwrap();
            let limits = &all[0].intervals[0];
            limits.upper[0] - limits.lower[0]
        };
        assert!(width(&down) < 1e-12);
        assert!(width(&up) > 4.0);
    }

    #[test]
    fn residuals_are_summed_over_the_periods_that_leaves_share() {
        let long = options(&[5.0, 1.0, 2.0, 4.0]);
        let short = options(&[10.0, 11.0, 13.0]);
        let histories = [
            LeafHistory {
                first: 0,
                values: &long,
            },
            LeafHistory {
                first: 1,
                values: &short,
            },
        ];
        let all = bottom_up(&regions(), &histories, &question(Model::Naive), &Unlimited).unwrap();
        // Shared: 1+1 and 2+2; the fall from 5 to 1 is the long one's alone.
        assert_eq!(all[0].residuals, 2);
        assert_eq!(all[0].residual_sd, Some(libm::sqrt((4.0 + 16.0) / 2.0)));
    }

    #[test]
    fn a_market_that_cannot_be_negative_is_cut_at_zero() {
        let fall = options(&[9.0, 6.0, 2.0]);
        let question = Question {
            nonnegative: true,
            ..question(Model::Drift)
        };
        let outlook = forecast_one(&fall, &question).unwrap();
        assert_eq!(outlook.means, [0.0, 0.0, 0.0]);
        assert!(
            outlook
                .intervals
                .iter()
                .all(|limits| limits.lower == [0.0; 3])
        );
    }

    #[test]
    fn a_leaf_that_cannot_be_forecast_is_named() {
        let good = options(&[1.0, 2.0, 3.0]);
        let histories = [
            LeafHistory {
                first: 0,
                values: &good,
            },
            LeafHistory {
                first: 2,
                values: &good[2..],
            },
        ];
        let fault = bottom_up(&regions(), &histories, &question(Model::Drift), &Unlimited);
        assert!(matches!(fault, Err(ForecastFault::Leaf { leaf: 1, .. })));
        let fault = check(&histories, &question(Model::Drift), &Unlimited);
        assert!(matches!(fault, Err(ForecastFault::Leaf { leaf: 1, .. })));
        assert_eq!(
            check(&histories[..1], &question(Model::Drift), &Unlimited),
            Ok(())
        );
    }
}
