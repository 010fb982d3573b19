//! Series that requests bring.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    fault::{Fault, Violations},
    plain::period::Period,
    sizes::Sizes,
};

use super::{
    forecast::{MAX_SEASON, horizon, levels, method, season},
    period::optional_period,
};
use crate::store::forecasts::Method;

/// What a request asks about the series that it brings.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuestion {
    /// The values, oldest first.
    pub values: Vec<Option<f64>>,
    /// Period of the first value, where said.
    pub first: Option<Period>,
    /// Number of periods in a season, where said.
    pub season_length: Option<u32>,
    /// Position of the first value in its season.
    pub season_position: u32,
    /// How to forecast it.
    pub method: Method,
    /// Number of periods to forecast.
    pub horizon: u32,
    /// Probabilities of the intervals, ascending.
    pub levels: Vec<f64>,
}

impl SeriesQuestion {
    /// The period of the last value.
    #[must_use]
    pub fn last_period(&self) -> Option<Period> {
        let ahead = i64::try_from(self.values.len()).ok()? - 1;
        self.first?.offset(ahead)
    }
}

/// The question of a request.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn parse(request: &pb::ForecastSeriesRequest) -> Result<SeriesQuestion, Fault> {
    let mut violations = Violations::new();
    let unset = pb::InputSeries::default();
    if request.series.is_none() {
        violations.push("series", Common::FieldRequired, "is required");
    }
    let series = request.series.as_ref().unwrap_or(&unset);
    let values = match &request.series {
        Some(series) => values(series, &mut violations),
        None => Vec::new(),
    };
    let first = optional_period(
        "series.first_period",
        &series.first_period,
        None,
        &mut violations,
    );
    let length = series.season_length;
    let field = "series.season_length";
    let season_length = length.and_then(|length| season(field, length, 1, &mut violations));
    let season_position = season_position(series, &mut violations);
    let method = method("method", request.method.as_ref(), &mut violations);
    let horizon = horizon("horizon", request.horizon, &mut violations);
    let levels = levels("levels", &request.levels, &mut violations);
    if let (Some(first), Some(horizon)) = (first, horizon) {
        let ahead = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let ahead = ahead.saturating_add(i64::from(horizon)).saturating_sub(1);
        if first.offset(ahead).is_none() {
            let text = "leaves the calendar, which ends with the year 9999";
            violations.push("horizon", ErrorReason::HorizonInvalid, text);
        }
    }
    violations.finish()?;
    match (method, horizon) {
        (Some(method), Some(horizon)) => Ok(SeriesQuestion {
            values,
            first,
            season_length,
            season_position,
            method,
            horizon,
            levels,
        }),
        _ => Err(Fault::internal(&"a series was refused without a violation")),
    }
}

fn values(series: &pb::InputSeries, violations: &mut Violations) -> Vec<Option<f64>> {
    let most = Sizes::current().values;
    let fits = violations.count("series.values", series.values.len(), most);
    let (field, missing) = ("series.missing", series.missing.len());
    if missing > most {
        violations.count(field, missing, most);
        return Vec::new();
    }
    if !fits {
        return Vec::new();
    }
    let mut values: Vec<Option<f64>> = Vec::with_capacity(series.values.len());
    for (row, &value) in series.values.iter().enumerate() {
        violations.finite(&format!("series.values[{row}]"), value);
        // Adding +0 turns -0 into +0.
        values.push(Some(value + 0.0));
    }
    let mut previous = None;
    for (row, &missing) in series.missing.iter().enumerate() {
        let at = format!("series.missing[{row}]");
        let position = usize::try_from(missing).unwrap_or(usize::MAX);
        if previous.is_some_and(|previous| previous >= missing) {
            violations.push(&*at, Common::FieldInvalid, "positions must ascend");
        }
        previous = Some(missing);
        match values.get_mut(position) {
            Some(value) => {
                if value.is_some_and(|value| value != 0.0) {
                    let text = format!("series.values[{position}] must be 0 where it is missing");
                    violations.push(at, Common::FieldInvalid, text);
                }
                *value = None;
            }
            None => {
                let text = format!("{missing} is no position in `values`");
                violations.push(at, Common::FieldInvalid, text);
            }
        }
    }
    values
}

fn season_position(series: &pb::InputSeries, violations: &mut Violations) -> u32 {
    let Some(position) = series.season_position else {
        return 0;
    };
    let field = "series.season_position";
    let length = series.season_length.unwrap_or(MAX_SEASON);
    if !series.first_period.is_empty() {
        let text = "is only for a series without first_period, which says the season";
        violations.push(field, Common::FieldInvalid, text);
    } else if !(0..length.max(1)).contains(&position) {
        let text = format!("{position} is not a position in a season, from 0");
        violations.push(field, Common::FieldInvalid, text);
    }
    u32::try_from(position).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut pb::InputSeries)) -> pb::ForecastSeriesRequest {
        let mut series = pb::InputSeries {
            values: vec![1.0, 0.0, 3.0],
            ..Default::default()
        };
        change(&mut series);
        pb::ForecastSeriesRequest {
            series: Some(series),
            method: Some(pb::ForecastMethod {
                method: Some(pb::forecast_method::Method::Naive(pb::Naive {})),
            }),
            horizon: 2,
            levels: Vec::new(),
        }
    }

    #[test]
    fn missing_values_are_positions() {
        let question = parse(&request(|series| {
            series.missing = vec![1];
            series.first_period = "2020".to_owned();
        }))
        .unwrap();
        assert_eq!(question.values, [Some(1.0), None, Some(3.0)]);
        assert_eq!(question.last_period().unwrap().to_string(), "2022");
    }

    #[test]
    fn what_is_wrong_has_its_path_and_reason() {
        let told = |change: fn(&mut pb::InputSeries), reason: &str, path: &str| {
            let fault = parse(&request(change)).unwrap_err();
            assert_eq!(fault.reason(), reason, "{fault:?}");
            assert!(
                fault.message().starts_with(&format!("{path}: ")),
                "{fault:?}"
            );
        };
        told(|s| s.values.clear(), "FIELD_REQUIRED", "series.values");
        told(
            |s| s.values = vec![0.0; 10_001],
            "TOO_MANY_ITEMS",
            "series.values",
        );
        told(
            |s| s.values[2] = f64::NAN,
            "VALUE_NOT_FINITE",
            "series.values[2]",
        );
        told(
            |s| s.missing = vec![3],
            "FIELD_INVALID",
            "series.missing[0]",
        );
        told(
            |s| s.missing = vec![0],
            "FIELD_INVALID",
            "series.missing[0]",
        );
        told(
            |s| s.missing = vec![1, 1],
            "FIELD_INVALID",
            "series.missing[1]",
        );
        told(
            |s| s.season_length = Some(0),
            "FIELD_INVALID",
            "series.season_length",
        );
        told(
            |s| s.season_position = Some(-1),
            "FIELD_INVALID",
            "series.season_position",
        );
        told(
            |s| s.first_period = "9999".to_owned(),
            "HORIZON_INVALID",
            "horizon",
        );
    }
}
