//! Datasets and sources.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    resource::{Draft, Head, Stored},
};

use crate::store::{Dataset, Source};

/// Most bytes of an address.
const MAX_URL_BYTES: usize = 2048;
/// Most bytes of a license.
pub const MAX_LICENSE_BYTES: usize = 256;

/// Checks a dataset.
pub fn parse(proto: &pb::Dataset, at: &str, violations: &mut Violations) -> Draft<Dataset> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(
        &format!("{at}.description"),
        &proto.description,
        MAX_TEXT_BYTES,
    );
    Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: Dataset {
            description: proto.description.clone(),
        },
    }
}

/// A dataset on the wire.
#[must_use]
pub fn render(head: Head, stored: &Stored<Dataset>) -> pb::Dataset {
    pb::Dataset {
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

/// Checks a source.
pub fn parse_source(proto: &pb::Source, at: &str, violations: &mut Violations) -> Draft<Source> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(&format!("{at}.citation"), &proto.citation, MAX_TEXT_BYTES);
    violations.text(&format!("{at}.url"), &proto.url, MAX_URL_BYTES);
    violations.text(&format!("{at}.license"), &proto.license, MAX_LICENSE_BYTES);
    violations.text(
        &format!("{at}.attribution"),
        &proto.attribution,
        MAX_TEXT_BYTES,
    );
    Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: Source {
            citation: proto.citation.clone(),
            url: proto.url.clone(),
            license: proto.license.clone(),
            attribution: proto.attribution.clone(),
        },
    }
}

/// A source on the wire.
#[must_use]
pub fn render_source(head: Head, stored: &Stored<Source>) -> pb::Source {
    pb::Source {
        name: head.name,
        uid: head.uid,
        display_name: stored.display_name.clone(),
        labels: stored.labels.clone(),
        create_time: head.create_time,
        update_time: head.update_time,
        etag: head.etag,
        revision: head.revision,
        citation: stored.body.citation.clone(),
        url: stored.body.url.clone(),
        license: stored.body.license.clone(),
        attribution: stored.body.attribution.clone(),
    }
}
