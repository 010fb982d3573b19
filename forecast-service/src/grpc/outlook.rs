//! From inputs to forecasts and their digests: the one way that previews, jobs, replays and
//! series sent in take.

use almanac_service_kit::{
    fault::Fault,
    memory::claim,
    plain::{
        control::{Control, Stopped, attended},
        period::Frequency,
    },
};

use super::{growth::Span, inputs::Inputs, series_count};
pub use crate::domain::digest::ENGINE_VERSION;
use crate::{
    convert::{growth::Summary, input::SeriesQuestion},
    domain::{
        bottom_up::{self, LeafHistory, Question, bottom_up, forecast_one},
        digest::{InputForm, ResultForm, input_digest, result_digest},
        growth::{self, growth, share},
        hierarchy::{Hierarchy, Series},
        models,
    },
    error,
    store::forecasts::{Interval, Method, Model, Plan, Reconciliation, SeriesValues},
};

/// A forecast of every series, with what it is known by.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// What is said about each series, in canonical order.
    pub series: Vec<SeriesValues>,
    /// Digest of the inputs.
    pub input_digest: String,
    /// Digest of means and intervals.
    pub result_digest: String,
}

impl Outlook {
    /// Forecasts every series of a market.
    ///
    /// # Errors
    /// See [`error::forecast`]; INVALID_ARGUMENT (SEASON_LENGTH_REQUIRED).
    pub fn compute(inputs: &Inputs, control: &dyn Control) -> Result<Self, Fault> {
        let (question, hierarchy) = (question(inputs)?, &inputs.hierarchy);
        claim(estimate(hierarchy, &question), control)?;
        let model = question.model;
        let found = bottom_up(hierarchy, &histories(inputs), &question, control)
            .map_err(|fault| error::forecast(&fault, hierarchy))?;
        let found = found.into_iter().zip(hierarchy.all_series());
        let series: Vec<SeriesValues> = attended(found, control)
            .map(|found| {
                let (outlook, one) = found?;
                let named = hierarchy.is_leaf(&one).then_some(model);
                Ok(values(outlook, named))
            })
            .collect::<Result<_, Stopped>>()?;
        let result_digest = digest(&series, control)?;
        Ok(Self {
            input_digest: digest_of_inputs(inputs, model, control)?,
            result_digest,
            series,
        })
    }
}

/// Bytes of a number of a forecast: as it is summed and as it is kept. A chunk at a time is stored.
const NUMBER_BYTES: usize = 32;
/// Bytes of a series beside its numbers.
const SERIES_BYTES: usize = 512;

/// How many bytes the forecasts of every series take.
fn estimate(hierarchy: &Hierarchy, question: &Question<'_>) -> usize {
    let numbers = question.horizon * (1 + 2 * question.levels.len());
    let series = series_count(hierarchy).unwrap_or(usize::MAX);
    series.saturating_mul(SERIES_BYTES + NUMBER_BYTES * numbers)
}

/// Bytes of a value that a request brings: as asked about, as fitted, and the error of its fit.
const ASKED_BYTES: usize = 64;
/// Bytes of the text of a period.
const PERIOD_BYTES: usize = 64;

/// How many bytes the forecast of one series takes.
#[must_use]
pub fn estimate_one(question: &SeriesQuestion) -> usize {
    let numbers = 1 + 2 * question.levels.len();
    let a_step = NUMBER_BYTES * numbers + PERIOD_BYTES;
    SERIES_BYTES + question.values.len() * ASKED_BYTES + question.horizon as usize * a_step
}

fn question(inputs: &Inputs) -> Result<Question<'_>, Fault> {
    let plan = &inputs.fixed.plan;
    let own = error::season_of(inputs.fixed.last_period.frequency());
    Ok(Question {
        model: model(plan.method, own, "forecast.method")?,
        horizon: plan.horizon as usize,
        levels: &plan.levels,
        nonnegative: inputs.fixed.nonnegative,
    })
}

fn histories(inputs: &Inputs) -> Vec<LeafHistory<'_>> {
    let histories = inputs.histories.iter();
    let histories = histories.map(|history| LeafHistory {
        first: history.first,
        values: &history.values,
    });
    histories.collect()
}

/// Checks that every leaf can be forecast, without forecasting what lies above the leaves.
///
/// # Errors
/// See [`error::forecast`]; INVALID_ARGUMENT (SEASON_LENGTH_REQUIRED).
pub fn check_leaves(inputs: &Inputs, control: &dyn Control) -> Result<(), Fault> {
    bottom_up::check(&histories(inputs), &question(inputs)?, control)
        .map_err(|fault| error::forecast(&fault, &inputs.hierarchy))
}

/// Checks that the method of a plan can be used at a frequency.
///
/// # Errors
/// INVALID_ARGUMENT (SEASON_LENGTH_REQUIRED).
pub fn check_method(plan: &Plan, frequency: Frequency) -> Result<(), Fault> {
    model(plan.method, error::season_of(frequency), "forecast.method").map(drop)
}

/// The domain's model of a method; `own` is the season that the series itself has.
fn model(method: Method, own: Option<u32>, field: &str) -> Result<models::Model, Fault> {
    match method {
        Method::Naive => Ok(models::Model::Naive),
        Method::Drift => Ok(models::Model::Drift),
        Method::SeasonalNaive(length) => match length.or(own).filter(|length| *length >= 2) {
            Some(length) => Ok(models::Model::SeasonalNaive {
                season_length: length as usize,
            }),
            None => Err(error::season_required(&format!(
                "{field}.seasonal_naive.season_length"
            ))),
        },
    }
}

fn values(outlook: bottom_up::Outlook, model: Option<models::Model>) -> SeriesValues {
    let intervals = outlook.intervals.into_iter().map(|limits| Interval {
        level: limits.level,
        lower: limits.lower,
        upper: limits.upper,
    });
    let spread = match outlook.residual_sd {
        Some(_) => format!(
            "its intervals rest on {} one-step errors",
            outlook.residuals
        ),
        None => "there are too few values to tell the spread of its errors".to_owned(),
    };
    let model = model.map(|model| Model {
        name: model.name(),
        reasons: vec!["the request names this method".to_owned(), spread],
        residual_standard_deviation: outlook.residual_sd,
    });
    SeriesValues {
        means: outlook.means,
        intervals: intervals.collect(),
        model,
    }
}

fn digest_of_inputs(
    inputs: &Inputs,
    model: models::Model,
    control: &dyn Control,
) -> Result<String, Stopped> {
    let (plan, last) = (&inputs.fixed.plan, inputs.fixed.last_period);
    let form = InputForm {
        dimensions: &inputs.fixed.dimensions,
        method: &model.name(),
        reconciliation: match plan.reconciliation {
            Reconciliation::BottomUp => "bottom_up",
        },
        horizon: plan.horizon,
        last_period: &last.to_string(),
        nonnegative: inputs.fixed.nonnegative,
        levels: &plan.levels,
    };
    let histories = inputs.histories.iter();
    input_digest(
        &form,
        histories.map(|history| (last.ordinal() - history.first, history.values.as_slice())),
        control,
    )
}

/// The digest of means and intervals.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub fn digest(series: &[SeriesValues], control: &dyn Control) -> Result<String, Stopped> {
    let forms = series.iter().map(|one| ResultForm {
        means: &one.means,
        intervals: &one.intervals,
    });
    result_digest(
        forms,
        |interval| (interval.level, &interval.lower, &interval.upper),
        control,
    )
}

/// Forecasts one series.
///
/// # Errors
/// See [`error::series`]; INVALID_ARGUMENT (SEASON_LENGTH_REQUIRED).
pub fn one(question: &SeriesQuestion) -> Result<SeriesValues, Fault> {
    let frequency = question.first.map(|first| first.frequency());
    let own = question
        .season_length
        .or_else(|| error::season_of(frequency?));
    let model = model(question.method, own, "method")?;
    let asked = Question {
        model,
        horizon: question.horizon as usize,
        levels: &question.levels,
        nonnegative: false,
    };
    let outlook = forecast_one(&question.values, &asked).map_err(|fault| error::series(&fault))?;
    Ok(values(outlook, Some(model)))
}

/// Bytes of what is said of the growth of a series: as computed, and against each of its parents.
const SUMMARY_BYTES: usize = 512;
const PARENT_BYTES: usize = 192;

/// How each of some series grows, and what that means to the whole.
///
/// # Errors
/// CANCELLED once nobody waits.
pub fn summarize(
    span: &Span,
    series: &[Series],
    control: &dyn Control,
) -> Result<Vec<Summary>, Fault> {
    let periods = span.to.periods_since(span.from).unwrap_or(1);
    let periods = u32::try_from(periods).unwrap_or(1);
    let whole = span.ends(&span.hierarchy.root(), control)?;
    let dimensions = span.hierarchy.key(&span.hierarchy.root()).members.len();
    claim(
        series.len() * (SUMMARY_BYTES + dimensions * PARENT_BYTES),
        control,
    )?;
    let mut summaries = Vec::with_capacity(series.len());
    for one in series {
        control.check()?;
        let (start, end) = span.ends(one, control)?;
        let shares = |(s, e): (Option<f64>, Option<f64>)| (share(start, s), share(end, e));
        let mut parents = Vec::new();
        for dimension in 0..dimensions {
            let Some(parent) = span.hierarchy.parent(one, dimension) else {
                continue;
            };
            let ends = span.ends(&parent, control)?;
            let points = growth::contribution(start, end, ends.0);
            let points = points.filter(|_| ends.1.is_some());
            parents.push((dimension, parent, shares(ends), points));
        }
        let points = growth::contribution(start, end, whole.0).filter(|_| whole.1.is_some());
        summaries.push(Summary {
            series: one.clone(),
            ends: (start, end),
            growth: growth(start, end, periods),
            share_of_total: shares(whole),
            parents,
            contribution: points,
            rank: None,
        });
    }
    let percents: Vec<Option<f64>> = summaries
        .iter()
        .map(|summary| summary.growth.percent)
        .collect();
    for (summary, rank) in summaries.iter_mut().zip(growth::ranks(&percents)) {
        summary.rank = rank;
    }
    Ok(summaries)
}

#[cfg(test)]
mod tests;
