//! Indicators.

use almanac_proto::{common::v1::ErrorReason, ranking::v1 as pb};
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::Violations,
    resource::{Draft, Head, Stored},
};

use super::{INDICATOR, SOURCE, dataset::MAX_LICENSE_BYTES, named, optional_reference, period};
use crate::{domain::direction::Direction, store::Indicator};

/// Most bytes of a unit.
const MAX_UNIT_BYTES: usize = 256;

/// Checks an indicator of `dataset`.
pub fn parse(
    proto: &pb::Indicator,
    at: &str,
    dataset: &str,
    violations: &mut Violations,
) -> Draft<Indicator> {
    violations.standard(at, &proto.display_name, &proto.labels);
    violations.text(
        &format!("{at}.description"),
        &proto.description,
        MAX_TEXT_BYTES,
    );
    violations.text(&format!("{at}.unit"), &proto.unit, MAX_UNIT_BYTES);
    violations.text(&format!("{at}.license"), &proto.license, MAX_LICENSE_BYTES);
    let direction = direction(&format!("{at}.direction"), proto.direction, violations);
    let frequency = period::frequency(&format!("{at}.frequency"), proto.frequency, violations);
    let source = optional_reference(
        &format!("{at}.source"),
        &proto.source,
        &SOURCE,
        dataset,
        violations,
    );
    let field = format!("{at}.denominator");
    let denominator =
        optional_reference(&field, &proto.denominator, &INDICATOR, dataset, violations);
    let goalposts = proto
        .goalposts
        .as_ref()
        .map(|g| goalposts(at, g, violations));
    if let Some(target) = proto.target {
        violations.finite(&format!("{at}.target"), target);
    }
    Draft {
        display_name: proto.display_name.clone(),
        labels: proto.labels.clone(),
        body: Indicator {
            description: proto.description.clone(),
            unit: proto.unit.clone(),
            direction,
            frequency,
            source,
            license: proto.license.clone(),
            denominator,
            goalposts,
            target: proto.target,
        },
    }
}

fn direction(field: &str, wire: i32, violations: &mut Violations) -> Direction {
    match pb::Direction::try_from(wire) {
        Ok(pb::Direction::HigherIsBetter) => Direction::HigherIsBetter,
        Ok(pb::Direction::LowerIsBetter) => Direction::LowerIsBetter,
        Ok(pb::Direction::Unspecified) => {
            violations.push(field, ErrorReason::FieldRequired, "is required");
            Direction::HigherIsBetter
        }
        Err(_) => {
            let text = format!("{wire} is no direction that this version knows");
            violations.push(field, ErrorReason::FieldInvalid, text);
            Direction::HigherIsBetter
        }
    }
}

fn goalposts(at: &str, posts: &pb::Goalposts, violations: &mut Violations) -> (f64, f64) {
    let lower = violations.finite(&format!("{at}.goalposts.lower"), posts.lower);
    let upper = violations.finite(&format!("{at}.goalposts.upper"), posts.upper);
    if lower && upper && posts.lower >= posts.upper {
        let text = format!(
            "{} must be greater than lower, {}",
            posts.upper, posts.lower
        );
        violations.push(
            format!("{at}.goalposts.upper"),
            ErrorReason::FieldInvalid,
            text,
        );
    }
    (posts.lower, posts.upper)
}

/// An indicator of `dataset` on the wire.
#[must_use]
pub fn render(head: Head, stored: &Stored<Indicator>, dataset: &str) -> pb::Indicator {
    let body = &stored.body;
    let direction = match body.direction {
        Direction::HigherIsBetter => pb::Direction::HigherIsBetter,
        Direction::LowerIsBetter => pb::Direction::LowerIsBetter,
    };
    pb::Indicator {
        name: head.name,
        uid: head.uid,
        display_name: stored.display_name.clone(),
        labels: stored.labels.clone(),
        create_time: head.create_time,
        update_time: head.update_time,
        etag: head.etag,
        revision: head.revision,
        description: body.description.clone(),
        unit: body.unit.clone(),
        direction: direction.into(),
        frequency: period::wire_frequency(body.frequency),
        source: named("sources", dataset, &body.source),
        license: body.license.clone(),
        denominator: named("indicators", dataset, &body.denominator),
        goalposts: body
            .goalposts
            .map(|(lower, upper)| pb::Goalposts { lower, upper }),
        target: body.target,
    }
}
