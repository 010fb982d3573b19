//! Tests of [`super`].

use super::*;

fn member(id: &str, parent: &str) -> pb::Member {
    pb::Member {
        id: id.to_owned(),
        parent: parent.to_owned(),
        ..Default::default()
    }
}

fn market(members: Vec<pb::Member>) -> pb::Market {
    let region = pb::Dimension {
        id: "region".to_owned(),
        members,
        ..Default::default()
    };
    pb::Market {
        frequency: 1,
        dimensions: vec![region],
        ..Default::default()
    }
}

/// The reason of each violation and the text of the status.
fn refusal(proto: &pb::Market) -> (&'static str, String) {
    let mut violations = Violations::new();
    parse(proto, "market", &mut violations);
    let fault = violations.finish().unwrap_err();
    (fault.reason(), fault.message().to_owned())
}

#[test]
fn a_market_goes_there_and_back_in_canonical_order() {
    let proto = market(vec![
        member("b", "all"),
        member("all", ""),
        member("a", "all"),
    ]);
    let mut violations = Violations::new();
    let parsed = parse(&proto, "market", &mut violations).unwrap();
    violations.finish().unwrap();
    let mut rendered = pb::Market::default();
    render(&parsed, &mut rendered);
    let ids: Vec<&str> = rendered.dimensions[0]
        .members
        .iter()
        .map(|member| member.id.as_str())
        .collect();
    assert_eq!(ids, ["all", "a", "b"]);
    assert_eq!(rendered.frequency, 1);
}

#[test]
fn faults_of_dimensions_have_their_paths() {
    let at = "market.dimensions[0].members";
    for (members, reason, path) in [
        (vec![member("a", "b")], "INVALID_FIELDS", at.to_owned()),
        (
            vec![member("a", ""), member("b", "x")],
            "PARENT_UNKNOWN",
            format!("{at}[1].parent"),
        ),
        (
            vec![member("a", ""), member("b", "")],
            "DIMENSION_ROOT",
            format!("{at}[1].parent"),
        ),
        (
            vec![member("a", ""), member("a", "a")],
            "DUPLICATE_KEY",
            format!("{at}[1].id"),
        ),
        (vec![member("A", "")], "ID_INVALID", format!("{at}[0].id")),
        (
            vec![member("r", ""), member("a", "b"), member("b", "a")],
            "DIMENSION_CYCLE",
            format!("{at}[1].parent"),
        ),
    ] {
        let (found, text) = refusal(&market(members));
        assert_eq!(found, reason, "{text}");
        assert!(text.contains(&path), "{text}");
    }
    let none = pb::Market {
        frequency: 1,
        ..Default::default()
    };
    assert_eq!(refusal(&none).0, "FIELD_REQUIRED");
}

#[test]
fn every_fault_of_a_market_is_told_together() {
    let mut proto = market(vec![member("all", "")]);
    proto.frequency = 99;
    proto.unit = "x".repeat(300);
    proto.measurement_basis = Some(pb::MeasurementBasis {
        currency: "usd".to_owned(),
        measure_kind: 77,
        ..Default::default()
    });
    let (reason, text) = refusal(&proto);
    assert_eq!(reason, "INVALID_FIELDS");
    assert!(text.starts_with("4 fields are invalid"), "{text}");
}
