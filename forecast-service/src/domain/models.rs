//! The simple models: naive, seasonal naive, drift.
//!
//! Hyndman & Athanasopoulos, *Forecasting: Principles and Practice* (3rd ed.):
//! - section 5.2: y^(T+h) is y_T (naive), the value of the same season in the last year (seasonal
//!   naive), or y_T + h (y_T - y_1)/(T - 1) (drift);
//! - section 5.3: residuals are one-step errors in the sample;
//! - section 5.5: residual sd = sqrt(sum e^2 / (N - K)) over N residuals and K parameters (1 for
//!   drift, else 0); h-step sd = sd sqrt(h), sd sqrt(k + 1) with k = floor((h - 1)/m), and
//!   sd sqrt(h (1 + h/(T - 1))).
//!
//! Gaps: a residual exists where both values that it compares exist; for drift, T - 1 counts
//! periods between the first and the last value. Cost: O(n + h).

use thiserror::Error;

/// A model, ready to be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The last value goes on.
    Naive,
    /// The last season repeats.
    SeasonalNaive {
        /// Number of periods in a season; at least 1.
        season_length: usize,
    },
    /// The average change goes on.
    Drift,
}

/// Why a series cannot be forecast by a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelFault {
    /// The series is too short for the model.
    #[error("periods from the first value to the last: {found}; the model needs at least {needed}")]
    TooShort {
        /// Number of periods from the first value to the last.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// Gaps leave too few pairs of values to tell the spread of the model's errors.
    #[error(
        "values that also have one {apart} periods earlier: {found}; the model needs at least \
         {needed} to tell the spread of its errors"
    )]
    Sparse {
        /// How many periods the model looks back.
        apart: usize,
        /// How many pairs there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A value that the forecast starts from is missing.
    #[error(
        "the value {back} periods before the cut-off is missing, and the forecast starts from it"
    )]
    Missing {
        /// Periods before the last one.
        back: usize,
    },
    /// A forecast is too large for a double.
    #[error("the forecast is too large for a double")]
    TooLarge,
}

/// A model that knows its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    model: Model,
    /// The values that forecasts start from: one, or a season.
    last: Vec<f64>,
    slope: f64,
    span: usize,
    residuals: Vec<Option<f64>>,
}

impl Model {
    /// Its name: `naive`, `seasonal_naive(4)`, `drift`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Naive => "naive".to_owned(),
            Self::SeasonalNaive { season_length } => format!("seasonal_naive({season_length})"),
            Self::Drift => "drift".to_owned(),
        }
    }

    /// Number of estimated parameters, K.
    #[must_use]
    pub fn parameters(self) -> usize {
        usize::from(self == Self::Drift)
    }

    /// Fewest periods from the first value to the last.
    #[must_use]
    pub fn needs(self) -> usize {
        match self {
            Self::Naive => 2,
            Self::SeasonalNaive { season_length } => season_length + 1,
            Self::Drift => 3,
        }
    }

    /// How many sd of one step the forecast h periods ahead has, with T - 1 = `span`.
    #[must_use]
    pub fn spread(self, h: usize, span: usize) -> f64 {
        let steps = h as f64;
        libm::sqrt(match self {
            Self::Naive => steps,
            Self::SeasonalNaive { season_length } => ((h - 1) / season_length.max(1) + 1) as f64,
            Self::Drift => steps * (1.0 + steps / span as f64),
        })
    }

    /// Fits the model to values, oldest first; the first and the last are there.
    ///
    /// # Errors
    /// [`ModelFault`].
    pub fn fit(self, values: &[Option<f64>]) -> Result<Fitted, ModelFault> {
        let start = values
            .iter()
            .position(Option::is_some)
            .unwrap_or(values.len());
        let values = &values[start..];
        let (found, needed) = (values.len(), self.needs());
        if found < needed {
            return Err(ModelFault::TooShort { found, needed });
        }
        let lag = match self {
            Self::SeasonalNaive { season_length } => season_length.max(1),
            Self::Naive | Self::Drift => 1,
        };
        let tail = values[found - lag..].iter().enumerate();
        let last = tail.map(|(at, value)| value.ok_or(ModelFault::Missing { back: lag - 1 - at }));
        let last = last.collect::<Result<Vec<f64>, _>>()?;
        let span = found - 1;
        let slope = match (self, values.first(), last.last()) {
            (Self::Drift, Some(Some(first)), Some(last)) => (last - first) / span as f64,
            _ => 0.0,
        };
        let residual = |at: usize| Some(values[at]? - values[at - lag]? - slope);
        let residuals = (0..found).map(|at| if at < lag { None } else { residual(at) });
        let mut padded = vec![None; start];
        padded.extend(residuals);
        let fitted = Fitted {
            model: self,
            last,
            slope,
            span,
            residuals: padded,
        };
        let (pairs, needed) = (
            fitted.residuals.iter().flatten().count(),
            self.parameters() + 1,
        );
        if pairs < needed {
            return Err(ModelFault::Sparse {
                apart: lag,
                found: pairs,
                needed,
            });
        }
        if fitted.residual_sd().is_none() {
            return Err(ModelFault::TooLarge);
        }
        Ok(fitted)
    }
}

impl Fitted {
    /// The model.
    #[must_use]
    pub fn model(&self) -> Model {
        self.model
    }

    /// T - 1: periods from the first value to the last.
    #[must_use]
    pub fn span(&self) -> usize {
        self.span
    }

    /// One-step errors in the sample, one for each value given; none where there is no pair.
    #[must_use]
    pub fn residuals(&self) -> &[Option<f64>] {
        &self.residuals
    }

    /// The residual sd; none where there are too few residuals.
    #[must_use]
    pub fn residual_sd(&self) -> Option<f64> {
        residual_sd(&self.residuals, self.model.parameters())
    }

    /// Point forecasts 1 to `horizon` periods ahead.
    ///
    /// # Errors
    /// [`ModelFault::TooLarge`].
    pub fn means(&self, horizon: usize) -> Result<Vec<f64>, ModelFault> {
        let lag = self.last.len();
        let mean = |h: usize| self.last[(h - 1) % lag] + h as f64 * self.slope;
        let means: Vec<f64> = (1..=horizon).map(mean).collect();
        if means.iter().all(|mean| mean.is_finite()) {
            Ok(means)
        } else {
            Err(ModelFault::TooLarge)
        }
    }
}

/// sqrt(sum e^2 / (N - K)) over the N residuals that exist; none unless N > K.
#[must_use]
pub fn residual_sd(residuals: &[Option<f64>], parameters: usize) -> Option<f64> {
    let present = residuals.iter().flatten();
    let (count, sum) = present.fold((0_usize, 0.0), |(n, sum), e| (n + 1, sum + e * e));
    let freedom = count
        .checked_sub(parameters)
        .filter(|freedom| *freedom > 0)?;
    Some(libm::sqrt(sum / freedom as f64)).filter(|sd| sd.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(model: Model, values: &[f64]) -> Fitted {
        model
            .fit(&values.iter().copied().map(Some).collect::<Vec<_>>())
            .unwrap()
    }

    #[test]
    fn closed_forms() {
        let naive = fit(Model::Naive, &[1.0, 3.0, 2.0]);
        assert_eq!(naive.means(2).unwrap(), [2.0, 2.0]);
        assert_eq!(naive.residual_sd(), Some(libm::sqrt(5.0 / 2.0)));
        assert_eq!(naive.model().spread(4, naive.span()), 2.0);

        let drift = fit(Model::Drift, &[1.0, 2.0, 5.0]);
        assert_eq!(drift.means(2).unwrap(), [7.0, 9.0]);
        assert_eq!(drift.residual_sd(), Some(libm::sqrt(2.0)));
        assert_eq!(drift.model().spread(2, drift.span()), 2.0);

        let seasonal = fit(
            Model::SeasonalNaive { season_length: 2 },
            &[1.0, 2.0, 2.0, 4.0],
        );
        assert_eq!(seasonal.means(3).unwrap(), [2.0, 4.0, 2.0]);
        assert_eq!(seasonal.residual_sd(), Some(libm::sqrt(5.0 / 2.0)));
        assert_eq!(seasonal.model().spread(2, seasonal.span()), 1.0);
        assert_eq!(seasonal.model().spread(3, seasonal.span()), libm::sqrt(2.0));
    }

    #[test]
    fn gaps_take_their_residuals_away() {
        let values = [None, Some(1.0), None, Some(2.0), Some(4.0), Some(7.0)];
        let naive = Model::Naive.fit(&values).unwrap();
        assert_eq!(
            naive.residuals(),
            [None, None, None, None, Some(2.0), Some(3.0)]
        );
        let drift = Model::Drift.fit(&values).unwrap();
        assert_eq!(drift.means(1).unwrap(), [8.5]);
    }

    #[test]
    fn faults_say_how_much_there_is_and_how_much_is_needed() {
        let told =
            |model: Model, values: &[Option<f64>]| model.fit(values).unwrap_err().to_string();
        assert_eq!(
            told(Model::Drift, &[None, Some(1.0), Some(2.0)]),
            "periods from the first value to the last: 2; the model needs at least 3"
        );
        // Long enough, but only one change from a period to the next is known.
        assert_eq!(
            told(Model::Drift, &[Some(1.0), None, Some(2.0), Some(3.0)]),
            "values that also have one 1 periods earlier: 1; the model needs at least 2 to tell \
             the spread of its errors"
        );
        let season = Model::SeasonalNaive { season_length: 2 };
        assert_eq!(
            season.fit(&[Some(1.0), Some(1.0), None, None, Some(2.0), Some(3.0)]),
            Err(ModelFault::Sparse {
                apart: 2,
                found: 0,
                needed: 1
            })
        );
    }

    #[test]
    fn what_cannot_be_forecast() {
        assert_eq!(
            Model::Drift.fit(&[Some(1.0), Some(2.0)]),
            Err(ModelFault::TooShort {
                found: 2,
                needed: 3
            })
        );
        assert_eq!(
            Model::Naive.fit(&[Some(1.0), Some(2.0), None]),
            Err(ModelFault::Missing { back: 0 })
        );
        assert_eq!(
            Model::Naive.fit(&[None, None]),
            Err(ModelFault::TooShort {
                found: 0,
                needed: 2
            })
        );
        let large = [Some(0.0), Some(1e308), Some(-1e308)];
        assert_eq!(Model::Naive.fit(&large), Err(ModelFault::TooLarge));
        let steep = fit(Model::Drift, &[0.0, 1e150, 2e150]);
        assert!(steep.means(3).is_ok());
    }
}
