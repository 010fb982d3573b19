//! Hierarchies: crossed dimensions, each a tree of members.
//!
//! A *series* names one member of every dimension. A *leaf series* names a leaf in every
//! dimension; every other series is an aggregate: the sum over the leaf series beneath it, which
//! are all combinations of the leaves beneath its members.
//!
//! # Canonical order
//! Dimensions are sorted by id. Members stand in depth-first order from the root, siblings by
//! id (bytes). Series are ordered by their members, the first dimension slowest. The order does
//! not depend on the order of declaration, and the leaves beneath any member are neighbors, so
//! a member is a range of leaves and an aggregate a product of ranges.

use std::collections::BTreeMap;
use std::ops::Range;

use almanac_service_kit::plain::control::{Control, Stopped, Unlimited};
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod faults;
mod tree;

pub(crate) use faults::told;
pub use faults::{HierarchyFault, HierarchyProblem};
pub use tree::{Dimension, Member};

use tree::Tree;

/// The most dimensions a hierarchy may cross.
pub const MAX_DIMENSIONS: usize = 8;
/// The most members a dimension may have.
pub const MAX_MEMBERS: usize = 20_000;
/// The most leaf series a hierarchy may have.
pub const MAX_LEAVES: usize = 1_000_000;

/// A series by its names: the member chosen in each dimension; a dimension left out means its
/// root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesKey {
    /// Dimension id to member id.
    pub members: BTreeMap<String, String>,
}

impl SeriesKey {
    /// A key from pairs of dimension and member.
    pub fn of<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            members: members
                .into_iter()
                .map(|(dimension, member)| (dimension.to_owned(), member.to_owned()))
                .collect(),
        }
    }
}

/// A series of one hierarchy: the position of a member in each dimension, canonical order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    members: Vec<usize>,
}

/// Why a key names no series of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SeriesFault {
    /// The hierarchy has no such dimension.
    #[error("there is no dimension {dimension:?}")]
    UnknownDimension {
        /// The name given.
        dimension: String,
    },
    /// The dimension has no such member.
    #[error("dimension {dimension:?} has no member {member:?}")]
    UnknownMember {
        /// The dimension.
        dimension: String,
        /// The name given.
        member: String,
    },
}

/// Checked, crossed dimensions in canonical order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Dimension>", into = "Vec<Dimension>")]
pub struct Hierarchy {
    trees: Vec<Tree>,
}

impl TryFrom<Vec<Dimension>> for Hierarchy {
    type Error = String;

    fn try_from(dimensions: Vec<Dimension>) -> Result<Self, String> {
        Self::new(&dimensions).map_err(|faults| told(&faults))
    }
}

impl From<Hierarchy> for Vec<Dimension> {
    fn from(hierarchy: Hierarchy) -> Self {
        hierarchy.trees.iter().map(Tree::declaration).collect()
    }
}

impl Hierarchy {
    /// Checks the dimensions and puts them into canonical order.
    ///
    /// # Errors
    /// Every fault there is, with its position in the declaration.
    pub fn new(dimensions: &[Dimension]) -> Result<Self, Vec<HierarchyFault>> {
        let attended = Self::attended(dimensions, &Unlimited);
        // Which is never stopped.
        attended.unwrap_or_else(|Stopped| Err(Vec::new()))
    }

    /// As [`Hierarchy::new`], with looks at `control`.
    ///
    /// # Errors
    /// [`Stopped`] once nobody waits.
    pub fn attended<'a>(
        dimensions: impl IntoIterator<Item = &'a Dimension>,
        control: &dyn Control,
    ) -> Result<Result<Self, Vec<HierarchyFault>>, Stopped> {
        let dimensions: Vec<&Dimension> = dimensions.into_iter().collect();
        let mut faults = faults::of_dimensions(&dimensions);
        let mut trees = Vec::with_capacity(dimensions.len());
        for (position, dimension) in dimensions.into_iter().enumerate() {
            let found = faults::of_members(position, dimension, control)?;
            if found.is_empty() {
                trees.push(Tree::new(dimension, control)?);
            }
            faults.extend(found);
        }
        trees.sort_by(|a, b| a.id().cmp(b.id()));
        let leaves = trees.iter().try_fold(1_usize, |product, tree| {
            product.checked_mul(tree.leaf_count())
        });
        if leaves.is_none_or(|count| count > MAX_LEAVES) {
            faults.push(HierarchyFault::of(HierarchyProblem::TooManyLeaves));
        }
        Ok(match faults.is_empty() {
            true => Ok(Self { trees }),
            false => Err(faults),
        })
    }

    /// The declaration, in canonical order.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Dimension> {
        self.clone().into()
    }

    /// The grand total: the root of every dimension.
    #[must_use]
    pub fn root(&self) -> Series {
        Series {
            members: vec![0; self.trees.len()],
        }
    }

    /// The series a key names.
    ///
    /// # Errors
    /// [`SeriesFault`] if a dimension or member is unknown.
    pub fn series(&self, key: &SeriesKey) -> Result<Series, SeriesFault> {
        let mut series = self.root();
        for (dimension, member) in &key.members {
            let position = self
                .trees
                .binary_search_by(|tree| tree.id().cmp(dimension))
                .map_err(|_| SeriesFault::UnknownDimension {
                    dimension: dimension.clone(),
                })?;
            series.members[position] = self.trees[position].position(member).ok_or_else(|| {
                SeriesFault::UnknownMember {
                    dimension: dimension.clone(),
                    member: member.clone(),
                }
            })?;
        }
        Ok(series)
    }

    /// The key of a series, every dimension named.
    #[must_use]
    pub fn key(&self, series: &Series) -> SeriesKey {
        SeriesKey::of(
            self.placed(series)
                .map(|(tree, member)| (tree.id(), tree.member(member).id.as_str())),
        )
    }

    /// How a person would call the series: the display names of its members, roots left out
    /// unless nothing else remains.
    #[must_use]
    pub fn label(&self, series: &Series) -> String {
        let names: Vec<&str> = self
            .placed(series)
            .filter(|(_, member)| *member != 0)
            .map(|(tree, member)| tree.name(member))
            .collect();
        match (names.is_empty(), self.trees.first()) {
            (true, Some(tree)) => tree.name(0).to_owned(),
            _ => names.join(" / "),
        }
    }

    /// The number of leaf series.
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.trees.iter().map(Tree::leaf_count).product()
    }

    /// The number of series, leaves and aggregates.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.trees.iter().map(Tree::member_count).product()
    }

    /// Every series, in canonical order.
    pub fn all_series(&self) -> impl Iterator<Item = Series> + '_ {
        let sizes: Vec<usize> = self.trees.iter().map(Tree::member_count).collect();
        (0..self.series_count()).map(move |position| Series {
            members: mixed_radix(position, &sizes),
        })
    }

    /// Whether the series is a leaf in every dimension.
    #[must_use]
    pub fn is_leaf(&self, series: &Series) -> bool {
        self.leaf_ranges(series)
            .iter()
            .all(|range| range.len() == 1)
            && self
                .placed(series)
                .all(|(tree, member)| tree.is_leaf(member))
    }

    /// The position of a leaf series among the leaves; `None` for an aggregate.
    #[must_use]
    pub fn leaf_position(&self, series: &Series) -> Option<usize> {
        self.is_leaf(series)
            .then(|| self.leaves_of(series).next())
            .flatten()
    }

    /// The leaf series at a position; `None` past the last.
    #[must_use]
    pub fn leaf_at(&self, position: usize) -> Option<Series> {
        (position < self.leaf_count()).then(|| {
            let sizes: Vec<usize> = self.trees.iter().map(Tree::leaf_count).collect();
            let members = mixed_radix(position, &sizes)
                .into_iter()
                .zip(&self.trees)
                .map(|(leaf, tree)| tree.leaf_member(leaf))
                .collect();
            Series { members }
        })
    }

    /// For each dimension, the leaves beneath the series' member.
    #[must_use]
    pub fn leaf_ranges(&self, series: &Series) -> Vec<Range<usize>> {
        self.placed(series)
            .map(|(tree, member)| tree.leaves(member))
            .collect()
    }

    /// The positions of the leaf series beneath a series, ascending.
    pub fn leaves_of(&self, series: &Series) -> impl Iterator<Item = usize> + use<> {
        let ranges = self.leaf_ranges(series);
        let counts: Vec<usize> = self.trees.iter().map(Tree::leaf_count).collect();
        let sizes: Vec<usize> = ranges.iter().map(Range::len).collect();
        (0..sizes.iter().product()).map(move |n| {
            mixed_radix(n, &sizes)
                .iter()
                .zip(&ranges)
                .zip(&counts)
                .fold(0, |leaf, ((step, range), count)| {
                    leaf * count + range.start + step
                })
        })
    }

    /// The sum of leaf values beneath a series, added in leaf order.
    ///
    /// `values` holds one value for each leaf, in order; leaves past its end count as 0.
    #[must_use]
    pub fn sum_of_leaves(&self, values: &[f64], series: &Series) -> f64 {
        self.leaves_of(series)
            .map(|leaf| values.get(leaf).copied().unwrap_or(0.0))
            .fold(0.0, |sum, value| sum + value)
    }

    /// Whether every leaf beneath `inner` is beneath `outer` as well.
    #[must_use]
    pub fn contains(&self, outer: &Series, inner: &Series) -> bool {
        self.leaf_ranges(outer)
            .iter()
            .zip(self.leaf_ranges(inner))
            .all(|(o, i)| o.start <= i.start && i.end <= o.end)
    }

    /// The parent of a series along one dimension (canonical position); `None` at its root.
    #[must_use]
    pub fn parent(&self, series: &Series, dimension: usize) -> Option<Series> {
        let member = *series.members.get(dimension)?;
        let parent = self.trees.get(dimension)?.parent(member)?;
        let mut members = series.members.clone();
        members[dimension] = parent;
        Some(Series { members })
    }

    /// For each dimension, the weight of every leaf when each member divides its own weight
    /// equally among its children and the root weighs 1.
    pub(crate) fn equal_split(&self) -> Vec<Vec<f64>> {
        self.trees.iter().map(Tree::equal_split).collect()
    }

    fn placed<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = (&'a Tree, usize)> {
        self.trees.iter().zip(series.members.iter().copied())
    }
}

/// The digits of `position` in a mixed-radix system, the last digit fastest.
fn mixed_radix(mut position: usize, sizes: &[usize]) -> Vec<usize> {
    let mut digits = vec![0; sizes.len()];
    for (digit, size) in digits.iter_mut().zip(sizes).rev() {
        *digit = position % size;
        position /= size;
    }
    digits
}

#[cfg(test)]
mod tests;
