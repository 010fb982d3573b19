//! Forecasts: plans from the wire, forecasts and their values onto it.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    plain::period::{Frequency, Period},
    resource::{Draft, Head, Stored},
    time,
};
use prost::Message as _;

use super::period::optional_period;
use crate::store::{
    Forecast, ForecastState,
    forecasts::{Method, Model, Plan, Reconciliation, SeriesValues},
};

/// Most periods of a forecast.
pub const MAX_HORIZON: i32 = 1000;
/// Most intervals of a forecast.
pub const MAX_LEVELS: usize = 10;
/// Most periods of a season.
pub const MAX_SEASON: i32 = 10_000;
/// Most bytes of a forecast's notes.
const MAX_NOTES_BYTES: usize = 4 * MAX_TEXT_BYTES;
/// The levels of a request that names none.
const DEFAULT_LEVELS: [f64; 2] = [0.8, 0.95];

/// What a request says of a new forecast: its plan and its notes.
pub fn parse(
    proto: Option<&pb::Forecast>,
    at: &str,
    frequency: Frequency,
    violations: &mut Violations,
) -> Option<Draft<(Plan, String)>> {
    let Some(proto) = proto else {
        violations.push(at, Common::FieldRequired, "is required");
        return None;
    };
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(&format!("{at}.notes"), &proto.notes, MAX_NOTES_BYTES);
    let method = method(&format!("{at}.method"), proto.method.as_ref(), violations);
    let field = format!("{at}.reconciliation");
    let reconciliation = reconciliation(&field, proto.reconciliation.as_ref(), violations);
    let horizon = horizon(&format!("{at}.horizon"), proto.horizon, violations);
    let field = format!("{at}.last_period");
    let last_period = optional_period(&field, &proto.last_period, Some(frequency), violations);
    let levels = levels(&format!("{at}.levels"), &proto.levels, violations);
    let plan = Plan {
        method: method?,
        reconciliation: reconciliation?,
        horizon: horizon?,
        last_period,
        levels,
    };
    Some(Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: (plan, proto.notes.clone()),
    })
}

/// A method, required.
pub fn method(
    field: &str,
    wire: Option<&pb::ForecastMethod>,
    violations: &mut Violations,
) -> Option<Method> {
    use pb::forecast_method::Method as Wire;
    match wire.and_then(|wire| wire.method.as_ref()) {
        None => {
            let text = "set naive, seasonal_naive or drift";
            violations.push(format!("{field}.method"), Common::OneofUnset, text);
            None
        }
        Some(Wire::Naive(_)) => Some(Method::Naive),
        Some(Wire::Drift(_)) => Some(Method::Drift),
        Some(Wire::SeasonalNaive(seasonal)) => {
            let field = format!("{field}.seasonal_naive.season_length");
            let length = seasonal.season_length;
            let length = length.map(|length| season(&field, length, 2, violations));
            Some(Method::SeasonalNaive(length.flatten()))
        }
    }
}

/// The length of a season.
pub fn season(field: &str, length: i32, least: i32, violations: &mut Violations) -> Option<u32> {
    if !(least..=MAX_SEASON).contains(&length) {
        let text = format!("must be {least} to {MAX_SEASON}");
        violations.push(field, Common::FieldInvalid, text);
        return None;
    }
    u32::try_from(length).ok()
}

fn reconciliation(
    field: &str,
    wire: Option<&pb::ReconciliationMethod>,
    violations: &mut Violations,
) -> Option<Reconciliation> {
    use pb::reconciliation_method::Method as Wire;
    match wire.and_then(|wire| wire.method.as_ref()) {
        None => {
            violations.push(
                format!("{field}.method"),
                Common::OneofUnset,
                "set bottom_up",
            );
            None
        }
        Some(Wire::BottomUp(_)) => Some(Reconciliation::BottomUp),
    }
}

/// A number of periods to forecast.
pub fn horizon(field: &str, horizon: i32, violations: &mut Violations) -> Option<u32> {
    if !(1..=MAX_HORIZON).contains(&horizon) {
        let text = format!("{horizon} is not within 1 to {MAX_HORIZON}");
        violations.push(field, ErrorReason::HorizonInvalid, text);
        return None;
    }
    u32::try_from(horizon).ok()
}

/// Probabilities of intervals, ascending; the usual ones where none are named.
pub fn levels(field: &str, wire: &[f64], violations: &mut Violations) -> Vec<f64> {
    if wire.is_empty() {
        return DEFAULT_LEVELS.to_vec();
    }
    if !violations.list(field, wire.len(), MAX_LEVELS) {
        return Vec::new();
    }
    let mut levels: Vec<f64> = Vec::with_capacity(wire.len());
    for (row, &level) in wire.iter().enumerate() {
        let at = format!("{field}[{row}]");
        if !(level > 0.0 && level < 1.0) {
            let text = format!("{level} is not between 0 and 1");
            violations.push(at, ErrorReason::LevelInvalid, text);
        } else if levels
            .iter()
            .any(|other| other.to_bits() == level.to_bits())
        {
            violations.push(
                at,
                ErrorReason::LevelInvalid,
                format!("{level} stands twice"),
            );
        } else {
            levels.push(level);
        }
    }
    levels.sort_by(f64::total_cmp);
    levels
}

/// The states by their names in filters.
pub const STATES: &[&str] = &["CREATING", "PUBLISHED", "FAILED", "WITHDRAWN"];

/// The name of a state, as filters know it.
#[must_use]
pub fn state_name(state: &ForecastState) -> &'static str {
    match state {
        ForecastState::Creating => "CREATING",
        ForecastState::Published => "PUBLISHED",
        ForecastState::Failed(_) => "FAILED",
        ForecastState::Withdrawn(_) => "WITHDRAWN",
    }
}

/// A forecast on the wire, without its values.
#[must_use]
pub fn render(head: Head, stored: &Stored<Forecast>) -> pb::Forecast {
    use pb::forecast::State;
    let body = &stored.body;
    let (state, error, withdraw_reason) = match &body.state {
        ForecastState::Creating => (State::Creating, None, String::new()),
        ForecastState::Published => (State::Published, None, String::new()),
        ForecastState::Failed(status) => {
            // What was encoded here decodes here.
            let status = tonic_types::pb::Status::decode(&status[..]).unwrap_or_default();
            (State::Failed, Some(status), String::new())
        }
        ForecastState::Withdrawn(reason) => (State::Withdrawn, None, reason.clone()),
    };
    let mut proto = pb::Forecast {
        name: head.name,
        state: state.into(),
        error,
        data_revision: body.data_revision.clone(),
        withdraw_reason,
        uid: head.uid,
        display_name: stored.display_name.clone(),
        labels: stored.labels.clone(),
        create_time: head.create_time,
        update_time: head.update_time,
        etag: head.etag,
        revision: head.revision,
        notes: body.notes.clone(),
        ..pb::Forecast::default()
    };
    render_plan(&body.plan, &mut proto);
    if let Some(outcome) = &body.outcome {
        proto.input_digest.clone_from(&outcome.input_digest);
        proto.result_digest.clone_from(&outcome.result_digest);
        proto.engine_version = outcome.engine_version.to_string();
        proto.publish_time = Some(time::from_nanos(outcome.publish_time));
        proto.series_count = i32::try_from(outcome.series).unwrap_or(i32::MAX);
        proto.leaf_count = i32::try_from(outcome.leaves).unwrap_or(i32::MAX);
        proto.point_count = i64::try_from(outcome.points).unwrap_or(i64::MAX);
    }
    proto
}

fn render_plan(plan: &Plan, proto: &mut pb::Forecast) {
    use pb::{
        forecast_method::Method as Wire, reconciliation_method::Method as WireReconciliation,
    };
    let method = match plan.method {
        Method::Naive => Wire::Naive(pb::Naive {}),
        Method::SeasonalNaive(length) => {
            let season_length = length.and_then(|length| i32::try_from(length).ok());
            Wire::SeasonalNaive(pb::SeasonalNaive { season_length })
        }
        Method::Drift => Wire::Drift(pb::Drift {}),
    };
    let reconciliation = match plan.reconciliation {
        Reconciliation::BottomUp => WireReconciliation::BottomUp(pb::BottomUp {}),
    };
    proto.method = Some(pb::ForecastMethod {
        method: Some(method),
    });
    proto.reconciliation = Some(pb::ReconciliationMethod {
        method: Some(reconciliation),
    });
    proto.horizon = i32::try_from(plan.horizon).unwrap_or(i32::MAX);
    proto.last_period = plan
        .last_period
        .map(|period| period.to_string())
        .unwrap_or_default();
    proto.levels.clone_from(&plan.levels);
}

/// The periods after a cut-off.
#[must_use]
pub fn periods(last: Period, horizon: usize) -> Vec<String> {
    let ahead = (1..).map_while(|step| last.offset(step));
    ahead
        .take(horizon)
        .map(|period| period.to_string())
        .collect()
}

/// What a forecast says about a series, on the wire.
#[must_use]
pub fn render_values(values: SeriesValues, periods: Vec<String>) -> pb::SeriesForecast {
    let intervals = values
        .intervals
        .into_iter()
        .map(|interval| pb::PredictionInterval {
            level: interval.level,
            lower: interval.lower,
            upper: interval.upper,
        });
    pb::SeriesForecast {
        periods,
        means: values.means,
        intervals: intervals.collect(),
        model: values.model.map(render_model),
    }
}

fn render_model(model: Model) -> pb::ModelChoice {
    pb::ModelChoice {
        model: model.name,
        reasons: model.reasons,
        residual_standard_deviation: model.residual_standard_deviation,
    }
}

#[cfg(test)]
mod tests;
