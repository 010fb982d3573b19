//! Entities.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    resource::{Draft, Head, Stored},
};

use crate::store::Entity;

/// Checks an entity.
pub fn parse(proto: &pb::Entity, at: &str, violations: &mut Violations) -> Draft<Entity> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(
        &format!("{at}.description"),
        &proto.description,
        MAX_TEXT_BYTES,
    );
    Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: Entity {
            description: proto.description.clone(),
        },
    }
}

/// An entity on the wire.
#[must_use]
pub fn render(head: Head, stored: &Stored<Entity>) -> pb::Entity {
    pb::Entity {
        name: head.name,
        uid: head.uid,
        display_name: stored.display_name.clone(),
        labels: stored.labels.clone(),
        create_time: head.create_time,
        update_time: head.update_time,
        etag: head.etag,
        revision: head.revision,
        description: stored.body.description.clone(),
    }
}
