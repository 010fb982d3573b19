//! Wire to domain and back. Generated types stop here.
//!
//! What a request says is checked as a whole: every violation has the exact path of its field.

use almanac_proto::common::v1::ErrorReason;
use almanac_service_kit::{
    fault::Violations,
    name::{join, relative},
};

pub mod dataset;
pub mod edition;
pub mod entity;
pub mod filter;
pub mod framework;
pub mod index;
pub mod indicator;
pub mod methodology;
pub mod observation;
pub mod period;
pub mod scorecard;

/// Most bytes of a note.
pub const MAX_NOTE_BYTES: usize = 1024;
/// Collections of an indicator's name.
pub const INDICATOR: [&str; 2] = ["datasets", "indicators"];
/// Collections of an entity's name.
pub const ENTITY: [&str; 2] = ["datasets", "entities"];
/// Collections of a source's name.
pub const SOURCE: [&str; 2] = ["datasets", "sources"];
/// Collections of an index's name.
pub const INDEX: [&str; 2] = ["datasets", "indices"];
/// Collections of an edition's name.
pub const EDITION: [&str; 3] = ["datasets", "indices", "editions"];

/// The ID in a reference of `dataset` (a name or a bare ID); empty, with a violation, where it
/// is neither.
pub fn reference(
    field: &str,
    name: &str,
    collections: &[&str],
    dataset: &str,
    violations: &mut Violations,
) -> String {
    if name.is_empty() {
        violations.push(field, ErrorReason::FieldRequired, "is required");
        return String::new();
    }
    relative(name, collections, &[dataset]).unwrap_or_else(|text| {
        violations.push(field, ErrorReason::NameInvalid, text);
        String::new()
    })
}

/// As [`reference`], where the field may be empty.
pub fn optional_reference(
    field: &str,
    name: &str,
    collections: &[&str],
    dataset: &str,
    violations: &mut Violations,
) -> String {
    if name.is_empty() {
        return String::new();
    }
    reference(field, name, collections, dataset, violations)
}

/// The resource name of an ID in a collection of `dataset`; empty for an empty ID.
#[must_use]
pub fn named(collection: &str, dataset: &str, id: &str) -> String {
    if id.is_empty() {
        String::new()
    } else {
        join(&[("datasets", dataset), (collection, id)])
    }
}
