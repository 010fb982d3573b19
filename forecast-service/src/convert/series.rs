//! Series of a market.

use almanac_proto::{common::v1::ErrorReason, forecast::v1 as pb};
use almanac_service_kit::fault::Violations;

use crate::{
    domain::hierarchy::{Hierarchy, Series, SeriesKey},
    error::series_reason,
};

/// The series that a request names; absent means the whole market.
pub fn series(
    field: &str,
    wire: Option<&pb::SeriesKey>,
    hierarchy: &Hierarchy,
    violations: &mut Violations,
) -> Option<Series> {
    let key = wire.map(key).unwrap_or_default();
    hierarchy
        .series(&key)
        .map_err(|fault| {
            violations.push(
                format!("{field}.members"),
                series_reason(&fault),
                fault.to_string(),
            );
        })
        .ok()
}

/// As [`series`], where the message itself is required.
pub fn required(
    field: &str,
    wire: Option<&pb::SeriesKey>,
    hierarchy: &Hierarchy,
    violations: &mut Violations,
) -> Option<Series> {
    if wire.is_none() {
        let text = "is required; an empty key is the whole market";
        violations.push(field, ErrorReason::FieldRequired, text);
        return None;
    }
    series(field, wire, hierarchy, violations)
}

/// As [`series`], by its names with every dimension.
pub fn full_key(
    field: &str,
    wire: Option<&pb::SeriesKey>,
    hierarchy: &Hierarchy,
    violations: &mut Violations,
) -> Option<SeriesKey> {
    series(field, wire, hierarchy, violations).map(|series| hierarchy.key(&series))
}

fn key(wire: &pb::SeriesKey) -> SeriesKey {
    SeriesKey {
        members: wire.members.clone(),
    }
}

/// A series on the wire, every dimension named.
#[must_use]
pub fn render(key: SeriesKey) -> pb::SeriesKey {
    pb::SeriesKey {
        members: key.members,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::hierarchy::{Dimension, Member};

    /// Asia of two regions, crossed with a component dimension of one member.
    pub(crate) fn asia() -> Hierarchy {
        let member = |id: &str, parent: Option<&str>| Member {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            display_name: String::new(),
        };
        let region = Dimension {
            id: "region".to_owned(),
            members: vec![
                member("asia", None),
                member("china", Some("asia")),
                member("india", Some("asia")),
            ],
        };
        let component = Dimension {
            id: "component".to_owned(),
            members: vec![member("all", None)],
        };
        Hierarchy::new(&[region, component]).unwrap()
    }

    #[test]
    fn unknown_names_are_told_apart() {
        for (dimension, member, reason) in [
            ("city", "asia", "DIMENSION_UNKNOWN"),
            ("region", "mars", "MEMBER_UNKNOWN"),
        ] {
            let members = [(dimension.to_owned(), member.to_owned())].into();
            let wire = pb::SeriesKey { members };
            let mut violations = Violations::new();
            assert_eq!(
                series("series", Some(&wire), &asia(), &mut violations),
                None
            );
            let fault = violations.finish().unwrap_err();
            assert_eq!(fault.reason(), reason);
            assert!(fault.message().starts_with("series.members: "), "{fault:?}");
        }
    }

    #[test]
    fn absent_is_the_whole_where_it_may_be() {
        let mut violations = Violations::new();
        let whole = series("series", None, &asia(), &mut violations);
        assert_eq!(whole, Some(asia().root()));
        assert_eq!(required("series", None, &asia(), &mut violations), None);
        assert_eq!(violations.finish().unwrap_err().reason(), "FIELD_REQUIRED");
    }
}
