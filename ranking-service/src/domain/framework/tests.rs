//! Every fault has its place, and what follows from a valid tree is right.

use super::{FrameworkFaultKind as Kind, *};

fn node(id: &str, parent: &str, weight: f64, indicator: &str) -> Node {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Node {
        id: id.to_owned(),
        parent: given(parent),
        weight,
        indicator: given(indicator),
        display_name: id.to_uppercase(),
    }
}

fn faults(nodes: Vec<Node>) -> Vec<(Option<usize>, Kind)> {
    let faults = Framework::new(nodes).unwrap_err().0;
    faults.into_iter().map(|f| (f.position, f.kind)).collect()
}

#[test]
fn shares_levels_and_orders_follow_from_the_list() {
    let framework = Framework::new(vec![
        node("z", "top", 1.0, "i1"),
        node("b", "a", 2.0, "i2"),
        node("top", "", 0.0, ""),
        node("a", "top", 3.0, ""),
        node("c", "a", 6.0, "i1"),
    ])
    .unwrap();
    assert_eq!(framework.root(), 2);
    assert_eq!(framework.children(2), [3, 0]);
    assert_eq!(framework.bottom_up(), [1, 4, 3, 0, 2]);
    assert_eq!(framework.by_id(), [3, 1, 4, 2, 0]);
    let of = |f: fn(&Framework, usize) -> f64| -> Vec<f64> {
        (0..5).map(|node| f(&framework, node)).collect()
    };
    assert_eq!(of(Framework::share), [0.25, 0.25, 1.0, 0.75, 0.75]);
    assert_eq!(
        of(Framework::effective_weight),
        [0.25, 0.1875, 1.0, 0.75, 0.5625]
    );
    assert_eq!(of(Framework::weight), [0.125, 0.125, 1.0, 0.375, 0.375]);
    let levels: Vec<_> = (0..5).map(|node| framework.level(node)).collect();
    let depths: Vec<_> = (0..5).map(|node| framework.depth(node)).collect();
    assert_eq!((levels, depths), (vec![1, 1, 3, 2, 1], vec![1, 2, 0, 1, 2]));
    assert_eq!(framework.position("c"), Some(4));
    assert_eq!(framework.position("d"), None);
    assert_eq!(
        framework.leaves().collect::<Vec<_>>(),
        [(0, "i1"), (1, "i2"), (4, "i1")]
    );
}

#[test]
fn weights_of_any_magnitude_have_shares() {
    for scale in [f64::MIN_POSITIVE / 1e10, 1e-300, 1.0, 1e300] {
        let framework = Framework::new(vec![
            node("top", "", 1.0, ""),
            node("a", "top", scale, "i1"),
            node("b", "top", scale, "i2"),
            node("c", "top", 0.0, "i3"),
        ])
        .unwrap();
        let shares: Vec<_> = (1..4).map(|node| framework.share(node)).collect();
        assert_eq!(shares, [0.5, 0.5, 0.0]);
    }
}

#[test]
fn one_leaf_is_an_index() {
    let framework = Framework::new(vec![node("only", "", 1.0, "i")]).unwrap();
    assert!(framework.is_leaf(framework.root()));
}

#[test]
fn all_faults_are_told_at_once() {
    let own = |text: &str| text.to_owned();
    let told = faults(vec![
        node("top", "", 1.0, ""),
        node("a", "top", 1.0, ""),
        node("b", "top", -1.0, "i"),
        node("b", "top", f64::NAN, "i"),
        node("c", "nowhere", 1.0, "i"),
        node("d", "top", 1.0, "i"),
        node("e", "d", 0.0, "i"),
        node("", "", 1.0, "i"),
    ]);
    let (first, rest) = told.split_at(3);
    assert_eq!(
        first,
        [
            (Some(1), Kind::NeitherLeafNorInner { id: own("a") }),
            (
                Some(2),
                Kind::InvalidWeight {
                    id: own("b"),
                    weight: -1.0
                }
            ),
            (
                Some(3),
                Kind::DuplicateId {
                    id: own("b"),
                    first: 2
                }
            ),
        ]
    );
    // NaN equals nothing, so this one is matched by shape.
    assert!(matches!(
        &rest[0],
        (Some(3), Kind::InvalidWeight { weight, .. }) if weight.is_nan()
    ));
    assert_eq!(
        rest[1..],
        [
            (
                Some(4),
                Kind::UnknownParent {
                    id: own("c"),
                    parent: own("nowhere")
                }
            ),
            (
                Some(5),
                Kind::InnerWithIndicator {
                    id: own("d"),
                    indicator: own("i")
                }
            ),
            (Some(5), Kind::ZeroWeights { parent: own("d") }),
            (Some(7), Kind::EmptyId),
            (
                Some(7),
                Kind::ExtraRoot {
                    id: own(""),
                    first: own("top")
                }
            ),
        ]
    );
}

#[test]
fn cycles_name_their_members_once() {
    let told = faults(vec![
        node("tail", "b", 1.0, "i"),
        node("c", "b", 1.0, ""),
        node("a", "c", 1.0, ""),
        node("b", "a", 1.0, ""),
        node("self", "self", 1.0, ""),
    ]);
    let members = |ids: &[&str]| Kind::Cycle {
        members: ids.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        told,
        [
            (None, Kind::NoRoot),
            (Some(1), members(&["c", "b", "a"])),
            (Some(4), members(&["self"])),
        ]
    );
}

#[test]
fn size_and_depth_are_limited() {
    assert_eq!(faults(Vec::new()), [(None, Kind::Empty)]);
    let many = vec![node("a", "", 1.0, "i"); MAX_NODES + 1];
    assert_eq!(
        faults(many),
        [(
            None,
            Kind::TooManyNodes {
                count: MAX_NODES + 1
            }
        )]
    );
    let chain = |length: usize| -> Vec<Node> {
        (0..length)
            .map(|place| {
                let parent = if place == 0 {
                    String::new()
                } else {
                    format!("n{}", place - 1)
                };
                let indicator = if place + 1 == length { "i" } else { "" };
                node(&format!("n{place}"), &parent, 1.0, indicator)
            })
            .collect()
    };
    assert!(Framework::new(chain(MAX_DEPTH)).is_ok());
    assert_eq!(
        faults(chain(MAX_DEPTH + 2)),
        [(
            Some(64),
            Kind::TooDeep {
                id: "n64".to_owned(),
                depth: 65
            }
        )]
    );
}

#[test]
fn faults_read_as_sentences() {
    let faults = Framework::new(vec![node("a", "b", 1.0, "i")]).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "no node is without a parent: the index itself is missing; \
         nodes[0]: 'a' names 'b' as its parent, which is no node of the framework"
    );
}
