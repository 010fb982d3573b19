//! Indices.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    resource::{Draft, Head, Stored},
};

use super::{filter, framework, methodology};
use crate::store::Index;

/// Checks an index of `dataset`.
pub fn parse(
    proto: &pb::Index,
    at: &str,
    dataset: &str,
    violations: &mut Violations,
) -> Option<Draft<Index>> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(
        &format!("{at}.description"),
        &proto.description,
        MAX_TEXT_BYTES,
    );
    let mut nodes = framework::parse(&proto.nodes, &format!("{at}.nodes"), dataset, violations);
    let field = format!("{at}.methodology");
    let plan = methodology::parse(proto.methodology.as_ref(), &field, &mut nodes, violations);
    let entities = proto
        .entities
        .as_ref()
        .map(|entities| filter::parse(entities, &format!("{at}.entities"), dataset, violations));
    Some(Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: Index {
            description: proto.description.clone(),
            nodes,
            plan: plan?,
            entities,
        },
    })
}

/// An index of `dataset` on the wire.
#[must_use]
pub fn render(head: Head, stored: &Stored<Index>, dataset: &str) -> pb::Index {
    let body = &stored.body;
    pb::Index {
        name: head.name,
        uid: head.uid,
        display_name: stored.display_name.clone(),
        labels: stored.labels.clone(),
        create_time: head.create_time,
        update_time: head.update_time,
        etag: head.etag,
        revision: head.revision,
        description: body.description.clone(),
        nodes: framework::render(&body.nodes, dataset),
        methodology: Some(methodology::render(&body.plan)),
        entities: body
            .entities
            .as_ref()
            .map(|entities| filter::render(entities, dataset)),
    }
}
