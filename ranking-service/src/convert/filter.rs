//! Which entities take part.

use almanac_proto::{common::v1::ErrorReason, ranking::v1 as pb};
use almanac_service_kit::{fault::Violations, filter::Filter, resource::FILTER_FIELDS};

use super::{ENTITY, named, reference};
use crate::store::EntityFilter;

/// Most entities that a filter may name.
const MAX_ENTITIES: usize = 100_000;

/// Checks an entity filter.
pub fn parse(
    proto: &pb::EntityFilter,
    at: &str,
    dataset: &str,
    violations: &mut Violations,
) -> EntityFilter {
    let field = format!("{at}.filter");
    if let Err(fault) = Filter::parse(&field, &proto.filter, FILTER_FIELDS) {
        let text = fault
            .message()
            .trim_start_matches(&format!("{field}: "))
            .to_owned();
        violations.push(field, ErrorReason::FilterInvalid, text);
    }
    if proto.entities.len() > MAX_ENTITIES {
        let text = format!(
            "has {} items, the limit is {MAX_ENTITIES}",
            proto.entities.len()
        );
        violations.push(format!("{at}.entities"), ErrorReason::TooManyItems, text);
    }
    let entities = proto
        .entities
        .iter()
        .take(MAX_ENTITIES)
        .enumerate()
        .map(|(row, name)| {
            reference(
                &format!("{at}.entities[{row}]"),
                name,
                &ENTITY,
                dataset,
                violations,
            )
        });
    EntityFilter {
        filter: proto.filter.clone(),
        entities: entities.collect(),
    }
}

/// An entity filter on the wire.
#[must_use]
pub fn render(filter: &EntityFilter, dataset: &str) -> pb::EntityFilter {
    pb::EntityFilter {
        filter: filter.filter.clone(),
        entities: filter
            .entities
            .iter()
            .map(|id| named("entities", dataset, id))
            .collect(),
    }
}
