//! Tests of [`super`].

use super::*;

fn dimension(members: &[(&str, &str)]) -> Vec<Dimension> {
    let members = members.iter().map(|(id, parent)| hierarchy::Member {
        id: (*id).to_owned(),
        parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
        display_name: String::new(),
    });
    let declared = hierarchy::Dimension {
        id: "region".to_owned(),
        members: members.collect(),
    };
    vec![Dimension {
        declared,
        display_name: String::new(),
        labels: Default::default(),
    }]
}

#[test]
fn members_may_come_and_nothing_else_may_change() {
    let old = dimension(&[("asia", ""), ("china", "asia")]);
    let with = |more: &[(&str, &str)]| {
        keeps_dimensions(&old, &dimension(more))
            .err()
            .map(|fault| fault.reason())
    };
    assert_eq!(
        with(&[("asia", ""), ("china", "asia"), ("india", "asia")]),
        None
    );
    let refused = Some("DIMENSIONS_IMMUTABLE");
    assert_eq!(
        with(&[("asia", ""), ("china", "asia"), ("north", "china")]),
        refused
    );
    assert_eq!(with(&[("asia", "")]), refused);
    assert_eq!(
        with(&[("world", ""), ("asia", "world"), ("china", "asia")]),
        refused
    );
    assert_eq!(
        keeps_dimensions(&old, &[]).unwrap_err().reason(),
        "DIMENSIONS_IMMUTABLE"
    );
}
