//! Points.

use almanac_proto::{
    common::v1::{ErrorReason as Common, Missing, Retracted, missing},
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    fault::Violations,
    time::{from_nanos, to_nanos},
};

use super::{MAX_NOTE_BYTES, period::period, series};
use crate::{
    domain::hierarchy::SeriesKey,
    store::{Bounds, BoundsMeaning, MarketView, Point, PointKey, PointState, PointStatus},
};

/// What a request says of a point, and where it belongs.
pub fn parse(
    proto: &pb::Point,
    at: &str,
    market: &MarketView,
    violations: &mut Violations,
) -> Option<(PointKey, Point)> {
    let hierarchy = &market.hierarchy;
    let series = series::required(
        &format!("{at}.series"),
        proto.series.as_ref(),
        hierarchy,
        violations,
    );
    let frequency = Some(market.body.frequency);
    let period = period(
        &format!("{at}.period"),
        &proto.period,
        frequency,
        violations,
    );
    let state = state(proto, at, market.body.nonnegative, violations);
    let status = status(&format!("{at}.status"), proto.status, violations);
    violations.text(&format!("{at}.source"), &proto.source, MAX_NOTE_BYTES);
    violations.text(&format!("{at}.note"), &proto.note, MAX_NOTE_BYTES);
    let value = match state {
        Some(PointState::Value(value)) => Some(value),
        _ => None,
    };
    let bounds = match &proto.bounds {
        None => None,
        Some(wire) => Some(bounds(wire, &format!("{at}.bounds"), value, violations)?),
    };
    let release_time = proto
        .release_time
        .as_ref()
        .map(|time| to_nanos(&format!("{at}.release_time"), time, violations));
    let (series, status) = (series?, status?);
    if status != PointStatus::Published && !hierarchy.is_leaf(&series) {
        let label = hierarchy.label(&series);
        let text = format!("{label:?} is summed from others; write its leaves, or PUBLISHED");
        violations.push(format!("{at}.series"), ErrorReason::NotALeaf, text);
    }
    let (source, note) = (proto.source.clone(), proto.note.clone());
    let point = Point {
        state: state?,
        status,
        source,
        note,
        bounds,
        release_time,
    };
    Some((market.point_key(&series, period?), point))
}

fn state(
    proto: &pb::Point,
    at: &str,
    nonnegative: bool,
    violations: &mut Violations,
) -> Option<PointState> {
    use pb::point::State;
    match &proto.state {
        None => {
            let text = "set value, missing or retracted";
            violations.push(format!("{at}.state"), Common::OneofUnset, text);
            None
        }
        Some(State::Value(value)) => {
            let field = format!("{at}.value");
            let finite = violations.finite(&field, *value);
            if finite && nonnegative && *value < 0.0 {
                let text = format!("{value} is negative; the market is nonnegative");
                violations.push(field, ErrorReason::NegativeValue, text);
            }
            // Adding +0 turns -0 into +0.
            finite.then_some(PointState::Value(value + 0.0))
        }
        Some(State::Missing(Missing { reason, note })) => {
            violations.text(&format!("{at}.missing.note"), note, MAX_NOTE_BYTES);
            if missing::Reason::try_from(*reason).is_err() {
                let text = format!("{reason} is no reason that this version knows");
                violations.push(format!("{at}.missing.reason"), Common::FieldInvalid, text);
            }
            Some(PointState::Missing {
                reason: *reason,
                note: note.clone(),
            })
        }
        Some(State::Retracted(Retracted { note })) => {
            violations.text(&format!("{at}.retracted.note"), note, MAX_NOTE_BYTES);
            Some(PointState::Retracted { note: note.clone() })
        }
    }
}

fn status(field: &str, wire: i32, violations: &mut Violations) -> Option<PointStatus> {
    match pb::PointStatus::try_from(wire) {
        Ok(pb::PointStatus::Unspecified | pb::PointStatus::Actual) => Some(PointStatus::Actual),
        Ok(pb::PointStatus::Estimate) => Some(PointStatus::Estimate),
        Ok(pb::PointStatus::Published) => Some(PointStatus::Published),
        Err(_) => {
            let text = format!("{wire} is no status that this version knows");
            violations.push(field, Common::FieldInvalid, text);
            None
        }
    }
}

fn bounds(
    wire: &pb::Bounds,
    at: &str,
    value: Option<f64>,
    violations: &mut Violations,
) -> Option<Bounds> {
    use pb::bounds::Meaning;
    let meaning = match &wire.meaning {
        None => {
            let text = "set hard_limits, rounding or probability_interval";
            violations.push(format!("{at}.meaning"), Common::OneofUnset, text);
            return None;
        }
        Some(Meaning::HardLimits(_)) => BoundsMeaning::Hard,
        Some(Meaning::Rounding(_)) => BoundsMeaning::Rounding,
        Some(Meaning::ProbabilityInterval(interval)) => {
            if !(interval.level > 0.0 && interval.level < 1.0) {
                let text = format!("{} is not between 0 and 1", interval.level);
                let field = format!("{at}.probability_interval.level");
                violations.push(field, ErrorReason::LevelInvalid, text);
            }
            BoundsMeaning::Probability(interval.level)
        }
    };
    let (lower, upper) = (wire.lower, wire.upper);
    let finite = |field: &str, limit: Option<f64>, violations: &mut Violations| {
        limit.is_none_or(|limit| violations.finite(&format!("{at}.{field}"), limit))
    };
    let finite = finite("lower", lower, violations) & finite("upper", upper, violations);
    let (low, high) = (
        lower.unwrap_or(f64::NEG_INFINITY),
        upper.unwrap_or(f64::INFINITY),
    );
    let problem = match value {
        _ if !finite => None,
        _ if lower.is_none() && upper.is_none() => Some("needs lower, upper or both".to_owned()),
        _ if low > high => Some(format!("the lower limit {low} is above the upper {high}")),
        Some(value) if value < low || value > high => {
            Some(format!("the value {value} lies outside of its limits"))
        }
        _ => None,
    };
    if let Some(text) = problem {
        violations.push(at, ErrorReason::BoundsInvalid, text);
    }
    Some(Bounds {
        lower,
        upper,
        meaning,
    })
}

/// The name of a status, for filters.
#[must_use]
pub fn status_name(status: PointStatus) -> &'static str {
    match status {
        PointStatus::Actual => "ACTUAL",
        PointStatus::Estimate => "ESTIMATE",
        PointStatus::Published => "PUBLISHED",
    }
}

/// A stored point on the wire, without when and as what it was written.
#[must_use]
pub fn render(key: SeriesKey, period: String, point: &Point) -> pb::Point {
    use pb::point::State;
    let state = match &point.state {
        PointState::Value(value) => State::Value(*value),
        PointState::Missing { reason, note } => State::Missing(Missing {
            reason: *reason,
            note: note.clone(),
        }),
        PointState::Retracted { note } => State::Retracted(Retracted { note: note.clone() }),
    };
    let status = match point.status {
        PointStatus::Actual => pb::PointStatus::Actual,
        PointStatus::Estimate => pb::PointStatus::Estimate,
        PointStatus::Published => pb::PointStatus::Published,
    };
    pb::Point {
        series: Some(series::render(key)),
        period,
        status: status.into(),
        source: point.source.clone(),
        note: point.note.clone(),
        bounds: point.bounds.map(render_bounds),
        derived: false,
        write_time: None,
        revision: String::new(),
        release_time: point.release_time.map(from_nanos),
        state: Some(state),
    }
}

fn render_bounds(bounds: Bounds) -> pb::Bounds {
    use pb::bounds::Meaning;
    let meaning = match bounds.meaning {
        BoundsMeaning::Hard => Meaning::HardLimits(pb::HardLimits {}),
        BoundsMeaning::Rounding => Meaning::Rounding(pb::Rounding {}),
        BoundsMeaning::Probability(level) => {
            Meaning::ProbabilityInterval(pb::ProbabilityInterval { level })
        }
    };
    pb::Bounds {
        lower: bounds.lower,
        upper: bounds.upper,
        meaning: Some(meaning),
    }
}

/// A sum of leaves on the wire.
#[must_use]
pub fn derived(key: SeriesKey, period: String, value: f64) -> pb::Point {
    pb::Point {
        series: Some(series::render(key)),
        period,
        derived: true,
        state: Some(pb::point::State::Value(value)),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
