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
    let named = &proto.entities[..];
    let fits = violations.list(&format!("{at}.entities"), named.len(), MAX_ENTITIES);
    let named = if fits { named } else { &[] };
    let entities = named.iter().enumerate().map(|(row, name)| {
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
