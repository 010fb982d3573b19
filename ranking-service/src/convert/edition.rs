//! Editions.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    plain::period::Period,
    resource::{Draft, Head, Stored},
    time,
};
use prost::Message as _;

use super::{framework, methodology, named};
use crate::store::{
    Edition, EditionCell, EditionCells, EditionInputs, EditionState, PeriodSelection,
};

/// Most bytes of an edition's notes.
const MAX_NOTES_BYTES: usize = 4 * MAX_TEXT_BYTES;

/// What a request says of a new edition.
pub fn parse(proto: Option<&pb::Edition>, at: &str, violations: &mut Violations) -> Draft<String> {
    let unset = pb::Edition::default();
    let proto = proto.unwrap_or(&unset);
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(&format!("{at}.notes"), &proto.notes, MAX_NOTES_BYTES);
    Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: proto.notes.clone(),
    }
}

/// The states by their names in filters.
pub const STATES: &[&str] = &["CREATING", "PUBLISHED", "FAILED", "WITHDRAWN"];

/// The name of a state, as filters know it.
#[must_use]
pub fn state_name(state: &EditionState) -> &'static str {
    match state {
        EditionState::Creating => "CREATING",
        EditionState::Published => "PUBLISHED",
        EditionState::Failed(_) => "FAILED",
        EditionState::Withdrawn(_) => "WITHDRAWN",
    }
}

/// An edition on the wire; with its framework and methodology where `inputs` are given.
#[must_use]
pub fn render(
    head: Head,
    stored: &Stored<Edition>,
    dataset: &str,
    inputs: Option<&EditionInputs>,
) -> pb::Edition {
    let body = &stored.body;
    let (state, error, withdraw_reason) = match &body.state {
        EditionState::Creating => (pb::edition::State::Creating, None, String::new()),
        EditionState::Published => (pb::edition::State::Published, None, String::new()),
        EditionState::Failed(status) => {
            // What was encoded here decodes here.
            let status = tonic_types::pb::Status::decode(&status[..]).unwrap_or_default();
            (pb::edition::State::Failed, Some(status), String::new())
        }
        EditionState::Withdrawn(reason) => (pb::edition::State::Withdrawn, None, reason.clone()),
    };
    let mut proto = pb::Edition {
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
        ..pb::Edition::default()
    };
    if let Some(outcome) = &body.outcome {
        proto.input_digest = outcome.input_digest.clone();
        proto.result_digest = outcome.result_digest.clone();
        proto.engine_version = outcome.engine_version.to_string();
        proto.publish_time = Some(time::from_nanos(outcome.publish_time));
        proto.entity_count = i32::try_from(outcome.entities).unwrap_or(i32::MAX);
        proto.ranked_count = i32::try_from(outcome.ranked).unwrap_or(i32::MAX);
        proto.cell_count = i64::try_from(outcome.cells).unwrap_or(i64::MAX);
    }
    if let Some(inputs) = inputs {
        proto.nodes = framework::render(&inputs.nodes, dataset);
        proto.methodology = Some(methodology::render(&inputs.plan));
    }
    proto
}

/// The period that a cell's value comes from.
#[must_use]
pub fn cell_period(selection: PeriodSelection, ordinal: i64) -> Option<Period> {
    selection
        .period
        .offset(ordinal.checked_sub(selection.period.ordinal())?)
}

/// Periods between the one asked for and a cell's value.
#[must_use]
pub fn cell_age(selection: PeriodSelection, ordinal: i64) -> i32 {
    i32::try_from(selection.period.ordinal().saturating_sub(ordinal)).unwrap_or(i32::MAX)
}

/// The ID of the source of a cell: its own, else its indicator's.
#[must_use]
pub fn cell_source<'a>(cells: &'a EditionCells, cell: &'a EditionCell) -> &'a str {
    if cell.told.source.is_empty() {
        &cells.source
    } else {
        &cell.told.source
    }
}

/// A cell of an edition on the wire.
#[must_use]
pub fn render_cell(
    dataset: &str,
    indicator: &str,
    entity: &str,
    selection: PeriodSelection,
    cells: &EditionCells,
    cell: &EditionCell,
) -> pb::EditionObservation {
    let mut proto = pb::EditionObservation {
        indicator: named("indicators", dataset, indicator),
        entity: named("entities", dataset, entity),
        ..pb::EditionObservation::default()
    };
    if let Some((value, ordinal)) = cell.figure {
        proto.period = cell_period(selection, ordinal)
            .map(|p| p.to_string())
            .unwrap_or_default();
        proto.value = Some(value);
        proto.age = cell_age(selection, ordinal);
        proto.source = named("sources", dataset, cell_source(cells, cell));
    }
    proto
}
