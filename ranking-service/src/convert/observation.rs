//! Observations.

use almanac_proto::{
    common::v1::{self as common, ErrorReason},
    ranking::v1 as pb,
};
use almanac_service_kit::{
    fault::Violations,
    plain::period::Period,
    store::{CommitTime, Revision, Store},
    time,
};
use pb::observation::State;

use super::{
    ENTITY, INDICATOR, MAX_NOTE_BYTES, SOURCE, named, optional_reference, period, reference,
};
use crate::{domain::selection::CellState, store::Observation};

/// An observation as a request gives it: what it is about, by ID, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// ID of the indicator.
    pub indicator: String,
    /// ID of the entity.
    pub entity: String,
    /// The period, of a frequency still to be compared with the indicator's.
    pub period: Period,
    /// What it says.
    pub observation: Observation,
}

/// Checks one observation of `dataset`; none where a violation was found.
pub fn parse(
    proto: &pb::Observation,
    at: &str,
    dataset: &str,
    violations: &mut Violations,
) -> Option<Written> {
    let indicator = reference(
        &format!("{at}.indicator"),
        &proto.indicator,
        &INDICATOR,
        dataset,
        violations,
    );
    let entity = reference(
        &format!("{at}.entity"),
        &proto.entity,
        &ENTITY,
        dataset,
        violations,
    );
    let period = period::period(&format!("{at}.period"), &proto.period, violations);
    let source = optional_reference(
        &format!("{at}.source"),
        &proto.source,
        &SOURCE,
        dataset,
        violations,
    );
    violations.text(&format!("{at}.note"), &proto.note, MAX_NOTE_BYTES);
    if pb::ObservationStatus::try_from(proto.status).is_err() {
        let text = format!("{} is no status that this version knows", proto.status);
        violations.push(format!("{at}.status"), ErrorReason::FieldInvalid, text);
    }
    let release = proto.release_time.as_ref();
    let release_time =
        release.map(|time| time::to_nanos(&format!("{at}.release_time"), time, violations));
    let (state, missing_reason, state_note) = state(proto, at, violations)?;
    let (indicator, entity) = (some(indicator)?, some(entity)?);
    let observation = Observation {
        state,
        missing_reason,
        state_note,
        source,
        note: proto.note.clone(),
        status: proto.status,
        release_time,
    };
    Some(Written {
        indicator,
        entity,
        period: period?,
        observation,
    })
}

fn some(id: String) -> Option<String> {
    (!id.is_empty()).then_some(id)
}

fn state(
    proto: &pb::Observation,
    at: &str,
    violations: &mut Violations,
) -> Option<(CellState, i32, String)> {
    match &proto.state {
        Some(State::Value(value)) => violations
            .finite(&format!("{at}.value"), *value)
            .then(|| (CellState::Value(*value), 0, String::new())),
        Some(State::Missing(missing)) => {
            violations.text(&format!("{at}.missing.note"), &missing.note, MAX_NOTE_BYTES);
            if common::missing::Reason::try_from(missing.reason).is_err() {
                let text = format!("{} is no reason that this version knows", missing.reason);
                violations.push(
                    format!("{at}.missing.reason"),
                    ErrorReason::FieldInvalid,
                    text,
                );
            }
            Some((CellState::Missing, missing.reason, missing.note.clone()))
        }
        Some(State::Retracted(retracted)) => {
            violations.text(
                &format!("{at}.retracted.note"),
                &retracted.note,
                MAX_NOTE_BYTES,
            );
            Some((CellState::Retracted, 0, retracted.note.clone()))
        }
        None => {
            let text = "set value, missing or retracted";
            violations.push(format!("{at}.state"), ErrorReason::OneofUnset, text);
            None
        }
    }
}

/// Where a version stands in the store.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The store, for tokens.
    pub store: &'a Store,
    /// ID of the dataset.
    pub dataset: &'a str,
    /// ID of the indicator.
    pub indicator: &'a str,
    /// ID of the entity.
    pub entity: &'a str,
    /// The period.
    pub period: Period,
    /// When and as what it was written.
    pub written: (Revision, CommitTime),
}

/// A version of an observation on the wire.
#[must_use]
pub fn render(place: Place<'_>, observation: &Observation) -> pb::Observation {
    let state = match observation.state {
        CellState::Value(value) => State::Value(value),
        CellState::Missing => State::Missing(common::Missing {
            reason: observation.missing_reason,
            note: observation.state_note.clone(),
        }),
        CellState::Retracted => State::Retracted(common::Retracted {
            note: observation.state_note.clone(),
        }),
    };
    pb::Observation {
        indicator: named("indicators", place.dataset, place.indicator),
        entity: named("entities", place.dataset, place.entity),
        period: place.period.to_string(),
        state: Some(state),
        source: named("sources", place.dataset, &observation.source),
        note: observation.note.clone(),
        status: observation.status,
        write_time: Some(time::timestamp(place.written.1)),
        revision: place.store.token(place.written.0),
        release_time: observation.release_time.map(time::from_nanos),
    }
}
