//! The coarsest cut of a market's leaves that still tells apart every node named.
//!
//! Two leaves that lie beneath exactly the same named nodes appear in every figure together, so
//! only their sum can ever be known: they form one *class*, and a class in a period is one
//! unknown. Leaves beneath no named node play no part. A market of ten thousand leaves with six
//! figures has a handful of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::domain::hierarchy::{Hierarchy, Series};

/// How many products of groups are looked at before the question is refused.
const MAX_CELLS: usize = 50_000;

/// The classes, and which of them make up each named node.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    classes_of: BTreeMap<Series, Vec<usize>>,
    weights: Vec<f64>,
}

/// Leaves of one dimension that lie beneath the same named members.
struct Group {
    /// Which of the dimension's named ranges contain it.
    within: BTreeSet<usize>,
    /// Its part of the dimension's equal split.
    weight: f64,
}

impl Partition {
    /// Cuts the leaves; `None` if the cut is too fine.
    pub(super) fn new(hierarchy: &Hierarchy, named: &BTreeSet<Series>) -> Option<Self> {
        let ranges: Vec<Vec<Range<usize>>> =
            named.iter().map(|s| hierarchy.leaf_ranges(s)).collect();
        let split = hierarchy.equal_split();
        let groups: Vec<Vec<Group>> = split
            .iter()
            .enumerate()
            .map(|(dimension, weights)| {
                let along: Vec<&Range<usize>> = ranges.iter().map(|r| &r[dimension]).collect();
                groups_along(&along, weights)
            })
            .collect();
        let cells = groups
            .iter()
            .try_fold(1_usize, |product, g| product.checked_mul(g.len()))
            .filter(|cells| *cells <= MAX_CELLS)?;
        let mut classes: BTreeMap<Vec<usize>, f64> = BTreeMap::new();
        for cell in 0..cells {
            let (within, weight) = crossed(&groups, cell);
            if !within.is_empty() {
                *classes.entry(within).or_insert(0.0) += weight;
            }
        }
        let mut members = vec![Vec::new(); named.len()];
        for (class, within) in classes.keys().enumerate() {
            for &node in within {
                members[node].push(class);
            }
        }
        Some(Self {
            classes_of: named.iter().cloned().zip(members).collect(),
            weights: classes.into_values().collect(),
        })
    }

    /// The number of classes.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The classes whose sum is the node; empty for a node that was not named.
    pub(super) fn classes_of(&self, series: &Series) -> &[usize] {
        self.classes_of.get(series).map_or(&[], Vec::as_slice)
    }

    /// Each class's part of the market when every member divides equally among its children.
    pub(super) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The nodes named, in canonical order.
    pub(super) fn named(&self) -> impl Iterator<Item = &Series> {
        self.classes_of.keys()
    }
}

fn groups_along(ranges: &[&Range<usize>], weights: &[f64]) -> Vec<Group> {
    let cuts: BTreeSet<usize> = ranges.iter().flat_map(|r| [r.start, r.end]).collect();
    let cuts: Vec<usize> = cuts.into_iter().collect();
    let mut groups: BTreeMap<BTreeSet<usize>, f64> = BTreeMap::new();
    for pair in cuts.windows(2) {
        let within: BTreeSet<usize> = (0..ranges.len())
            .filter(|&n| ranges[n].start <= pair[0] && pair[1] <= ranges[n].end)
            .collect();
        if !within.is_empty() {
            let weight = weights[pair[0]..pair[1]].iter().fold(0.0, |sum, w| sum + w);
            *groups.entry(within).or_insert(0.0) += weight;
        }
    }
    groups
        .into_iter()
        .map(|(within, weight)| Group { within, weight })
        .collect()
}

/// The named nodes that contain a product of groups, and its weight.
fn crossed(groups: &[Vec<Group>], mut cell: usize) -> (Vec<usize>, f64) {
    let mut chosen = groups.iter().rev().map(|along| {
        let group = &along[cell % along.len()];
        cell /= along.len();
        group
    });
    let Some(first) = chosen.next() else {
        return (Vec::new(), 0.0);
    };
    let (within, weight) = chosen.fold(
        (first.within.clone(), first.weight),
        |(within, weight), group| (&within & &group.within, weight * group.weight),
    );
    (within.into_iter().collect(), weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hierarchy::{Dimension, Member, SeriesKey};

    fn tree(id: &str, groups: usize, leaves: usize) -> Dimension {
        let member = |id: String, parent: Option<String>| Member {
            display_name: id.clone(),
            id,
            parent,
        };
        let mut members = vec![member("all".to_owned(), None)];
        for group in 0..groups {
            members.push(member(format!("g{group}"), Some("all".to_owned())));
            for leaf in 0..leaves {
                let parent = Some(format!("g{group}"));
                members.push(member(format!("g{group}-{leaf}"), parent));
            }
        }
        Dimension {
            id: id.to_owned(),
            members,
        }
    }

    fn partition(hierarchy: &Hierarchy, named: &[&[(&str, &str)]]) -> Partition {
        let named: BTreeSet<Series> = named
            .iter()
            .map(|pairs| {
                let key = SeriesKey::of(pairs.iter().copied());
                hierarchy.series(&key).unwrap()
            })
            .collect();
        Partition::new(hierarchy, &named).unwrap()
    }

    #[test]
    fn ten_thousand_leaves_with_a_few_named_nodes_stay_small() {
        let hierarchy = Hierarchy::new(&[tree("a", 10, 10), tree("b", 10, 10)]).unwrap();
        assert_eq!(hierarchy.leaf_count(), 10_000);
        let cut = partition(
            &hierarchy,
            &[
                &[],
                &[("a", "g1")],
                &[("a", "g1"), ("b", "g2-3")],
                &[("b", "g2")],
            ],
        );
        // g1 x g2-3, rest of g1 x g2, rest of g1, rest of g2, the rest of everything.
        assert_eq!(cut.len(), 5);
        let total: f64 = cut.weights().iter().sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn leaves_beneath_no_named_node_are_left_out() {
        let hierarchy = Hierarchy::new(&[tree("a", 3, 2)]).unwrap();
        let cut = partition(&hierarchy, &[&[("a", "g0")], &[("a", "g1-0")]]);
        assert_eq!(cut.len(), 2);
        assert_eq!(cut.named().count(), 2);
        let unnamed = hierarchy.root();
        assert!(cut.classes_of(&unnamed).is_empty());
    }

    #[test]
    fn naming_every_leaf_gives_one_class_each() {
        let hierarchy = Hierarchy::new(&[tree("a", 2, 3), tree("b", 1, 2)]).unwrap();
        let named: BTreeSet<Series> = hierarchy.all_series().collect();
        let cut = Partition::new(&hierarchy, &named).unwrap();
        assert_eq!(cut.len(), hierarchy.leaf_count());
        for series in &named {
            let leaves = hierarchy.leaves_of(series).count();
            assert_eq!(cut.classes_of(series).len(), leaves);
        }
    }
}
