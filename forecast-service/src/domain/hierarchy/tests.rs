//! Tests of hierarchies.

use almanac_service_kit::plain::control::{LOOK_EVERY, StopsAt};
use proptest::prelude::*;

use super::*;

fn member(id: &str, parent: Option<&str>) -> Member {
    Member {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        display_name: String::new(),
    }
}

fn dimension(id: &str, members: &[(&str, Option<&str>)]) -> Dimension {
    Dimension {
        id: id.to_owned(),
        members: members.iter().map(|(id, p)| member(id, *p)).collect(),
    }
}

fn market() -> Hierarchy {
    Hierarchy::new(&[
        dimension(
            "region",
            &[
                ("in", Some("south")),
                ("asia", None),
                ("south", Some("asia")),
                ("east", Some("asia")),
                ("jp", Some("east")),
                ("cn", Some("east")),
            ],
        ),
        dimension(
            "component",
            &[("all", None), ("sw", Some("all")), ("hw", Some("all"))],
        ),
    ])
    .unwrap()
}

fn told(dimensions: &[Dimension]) -> Vec<String> {
    let faults = Hierarchy::new(dimensions).unwrap_err();
    faults
        .iter()
        .map(|f| format!("{:?}/{:?} {f}", f.dimension, f.member))
        .collect()
}

#[test]
fn canonical_order_is_depth_first_with_siblings_by_id() {
    let ids: Vec<Vec<String>> = market()
        .dimensions()
        .iter()
        .map(|d| d.members.iter().map(|m| m.id.clone()).collect())
        .collect();
    assert_eq!(
        ids,
        [
            vec!["all", "hw", "sw"],
            vec!["asia", "east", "cn", "jp", "south", "in"]
        ]
    );
}

#[test]
fn aggregates_are_products_of_ranges() {
    let market = market();
    assert_eq!((market.leaf_count(), market.series_count()), (6, 18));
    let values: Vec<f64> = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    let sum = |pairs: &[(&str, &str)]| {
        let series = market
            .series(&SeriesKey::of(pairs.iter().copied()))
            .unwrap();
        market.sum_of_leaves(&values, &series)
    };
    assert_eq!(sum(&[]).to_bits(), 63.0_f64.to_bits());
    assert_eq!(sum(&[("region", "east")]).to_bits(), 27.0_f64.to_bits());
    let one = [("region", "east"), ("component", "sw")];
    assert_eq!(sum(&one).to_bits(), 24.0_f64.to_bits());
    let one = [("region", "in"), ("component", "hw")];
    assert_eq!(sum(&one).to_bits(), 4.0_f64.to_bits());
}

#[test]
fn keys_positions_and_labels_agree() {
    let market = market();
    for series in market.all_series() {
        assert_eq!(market.series(&market.key(&series)).unwrap(), series);
        let leaves: Vec<usize> = market.leaves_of(&series).collect();
        assert!(leaves.is_sorted());
        if let Some(leaf) = market.leaf_position(&series) {
            assert_eq!(market.leaf_at(leaf).unwrap(), series);
            assert_eq!(leaves, [leaf]);
        }
        for other in market.all_series() {
            let all_inside = market.leaves_of(&other).all(|leaf| leaves.contains(&leaf));
            assert_eq!(market.contains(&series, &other), all_inside);
        }
    }
    assert_eq!(market.label(&market.root()), "all");
    let east = market.series(&SeriesKey::of([("region", "east")])).unwrap();
    assert_eq!(market.label(&east), "east");
    assert_eq!(market.parent(&east, 1), Some(market.root()));
    assert_eq!(market.parent(&east, 0), None);
    // "south" has one leaf beneath it and is an aggregate all the same.
    let south = SeriesKey::of([("region", "south"), ("component", "hw")]);
    assert!(!market.is_leaf(&market.series(&south).unwrap()));
    assert_eq!(market.leaf_at(6), None);
}

#[test]
fn unknown_names_are_told() {
    let fault = |pairs| {
        market()
            .series(&SeriesKey::of(pairs))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fault([("place", "asia")]),
        "there is no dimension \"place\""
    );
    assert_eq!(
        fault([("region", "mars")]),
        "dimension \"region\" has no member \"mars\""
    );
}

#[test]
fn every_fault_is_reported_with_its_position() {
    assert_eq!(
        told(&[]),
        ["None/None a hierarchy needs at least one dimension"]
    );
    let broken = dimension(
        "r",
        &[
            ("a", None),
            ("b", Some("a")),
            ("b", Some("a")),
            ("c", Some("nowhere")),
            ("d", None),
            ("e", Some("f")),
            ("f", Some("e")),
            ("g", Some("g")),
            ("h", Some("e")),
        ],
    );
    let rootless = dimension("r", &[]);
    assert_eq!(
        told(&[broken, rootless]),
        [
            "Some(1)/None dimension \"r\" is declared twice",
            "Some(0)/Some(2) member \"b\" of dimension \"r\" is declared twice",
            "Some(0)/Some(3) the parent \"nowhere\" of \"c\" is no member of dimension \"r\"",
            "Some(0)/Some(4) \"d\" has no parent, but the root of dimension \"r\" is \"a\"",
            "Some(0)/Some(5) members of dimension \"r\" are their own ancestors: e in f",
            "Some(0)/Some(7) members of dimension \"r\" are their own ancestors: g",
            "Some(1)/None dimension \"r\" has no root: one member must have no parent",
        ]
    );
    let large = dimension("r", &vec![("x", None); MAX_MEMBERS + 1]);
    assert!(told(&[large])[0].contains("more than 20000"));
    let many: Vec<Dimension> = (0..=MAX_DIMENSIONS)
        .map(|n| dimension(&n.to_string(), &[("a", None)]))
        .collect();
    assert!(told(&many)[0].contains("more than 8"));
}

#[test]
fn too_many_combinations_are_refused() {
    let names: Vec<String> = (0..1001).map(|n| format!("m{n}")).collect();
    let mut members = vec![("root", None)];
    members.extend(names.iter().map(|n| (n.as_str(), Some("root"))));
    let faults = told(&[dimension("a", &members), dimension("b", &members)]);
    assert!(
        faults[0].contains("more than 1000000 leaf series"),
        "{faults:?}"
    );
}

#[test]
fn equal_split_divides_at_every_member() {
    let split = market().equal_split();
    assert_eq!(split, [vec![0.5, 0.5], vec![0.25, 0.25, 0.5]]);
}

#[test]
fn the_stored_form_is_the_declaration() {
    let market = market();
    let json = serde_json::to_string(&market).unwrap();
    assert_eq!(serde_json::from_str::<Hierarchy>(&json).unwrap(), market);
    assert!(serde_json::from_str::<Hierarchy>("[]").is_err());
}

#[test]
fn a_large_hierarchy_is_built_whole_or_left_at_a_look() {
    let count = 2 * LOOK_EVERY + 5;
    let children = (0..count).map(|n| member(&format!("m{n}"), Some("all")));
    let declared = [Dimension {
        id: "d".to_owned(),
        members: children.chain([member("all", None)]).collect(),
    }];
    let whole = Hierarchy::new(&declared).unwrap();
    for look in 0.. {
        let control = StopsAt::look(look);
        let end = Hierarchy::attended(&declared, &control);
        if !control.has_stopped() {
            assert_eq!(end, Ok(Ok(whole)));
            // In each of the five passes over the members, and as siblings are sorted.
            assert_eq!(look, 5 * 3 + 2);
            break;
        }
        assert_eq!(end, Err(Stopped));
    }
}

proptest! {
    #[test]
    fn order_of_declaration_does_not_matter(
        parents in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        seed in any::<u64>(),
    ) {
        let mut members = vec![member("m0", None)];
        for (n, parent) in parents.iter().enumerate() {
            let parent = format!("m{}", parent.index(n + 1));
            members.push(member(&format!("m{}", n + 1), Some(&parent)));
        }
        let declared = Dimension { id: "d".to_owned(), members };
        let mut shuffled = declared.clone();
        shuffled.members.sort_by_key(|m| {
            m.id.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
        });
        let tree = Hierarchy::new(&[declared]).unwrap();
        prop_assert_eq!(&Hierarchy::new(&[shuffled]).unwrap(), &tree);
        // Every aggregate is the sum of its children.
        let values: Vec<f64> = (0..tree.leaf_count()).map(|n| (n * n + 1) as f64).collect();
        for series in tree.all_series().filter(|s| !tree.is_leaf(s)) {
            let children = tree.all_series().filter(|s| tree.parent(s, 0).as_ref() == Some(&series));
            let sum: f64 = children.map(|c| tree.sum_of_leaves(&values, &c)).sum();
            prop_assert!((sum - tree.sum_of_leaves(&values, &series)).abs() < 1e-9);
        }
    }
}
