//! The values of a market's leaves over time, as a computation wants them.

use std::collections::BTreeMap;

use almanac_service_kit::{
    fault::Fault,
    memory::Blocks,
    plain::control::{Control, Stopped, attended},
    store::Snapshot,
};

use crate::{
    domain::hierarchy::{Hierarchy, Series},
    store::{MarketView, points::PointColumns},
};

/// Bytes of a point in a panel: an entry of a tree, its place, and its share of a sum.
pub(super) const POINT_BYTES: usize = 64;
/// Bytes of a leaf beside its points: a tree of its own, which begins with room for eleven.
const LEAF_BYTES: usize = 256;

/// Leaf values: by position of the leaf, then by ordinal of the period.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    /// Leaves without a value are absent.
    pub leaves: BTreeMap<usize, BTreeMap<i64, f64>>,
    /// Number of values.
    pub points: usize,
}

impl Panel {
    /// Reads the leaf values of a market between two ordinals, both included.
    ///
    /// # Errors
    /// CANCELLED once nobody waits, INVALID_ARGUMENT (TOO_MANY_ITEMS) for a market of more than
    /// [`MAX_VALUES`](crate::store::points::MAX_VALUES).
    pub fn load(
        points: &PointColumns,
        read: &Snapshot,
        market: &MarketView,
        (from, to): (i64, i64),
        control: &dyn Control,
    ) -> Result<Self, Fault> {
        let mut panel = Self::default();
        let mut blocks = Blocks::new(control);
        let points = points.at(read, market.uid, control)?;
        for series in attended(points.series(), control) {
            let (coordinate, values) = series?;
            let Some(leaf) = market.hierarchy.leaf_position(&market.series(coordinate)?) else {
                continue;
            };
            let first = values.partition_point(|(ordinal, _)| *ordinal < from);
            let end = values.partition_point(|(ordinal, _)| *ordinal <= to);
            if let Some(values @ [_, ..]) = values.get(first..end) {
                blocks.claim(LEAF_BYTES + values.len() * POINT_BYTES)?;
                panel.points += values.len();
                let values = attended(values.iter().copied(), control);
                panel.leaves.insert(leaf, values.collect::<Result<_, _>>()?);
            }
        }
        Ok(panel)
    }

    /// The value of a leaf.
    #[must_use]
    pub fn value(&self, leaf: usize, ordinal: i64) -> Option<f64> {
        self.leaves.get(&leaf)?.get(&ordinal).copied()
    }

    /// The sum over the leaves below a series in each period in which all of them have a value,
    /// added in leaf order.
    ///
    /// # Errors
    /// [`Stopped`] once nobody waits.
    pub fn sums(
        &self,
        hierarchy: &Hierarchy,
        series: &Series,
        control: &dyn Control,
    ) -> Result<BTreeMap<i64, f64>, Stopped> {
        let mut sums: Option<BTreeMap<i64, f64>> = None;
        for leaf in hierarchy.leaves_of(series) {
            control.check()?;
            let Some(values) = self.leaves.get(&leaf) else {
                return Ok(BTreeMap::new());
            };
            sums = Some(match sums {
                None => values.clone(),
                Some(sums) => sums
                    .into_iter()
                    .filter_map(|(at, sum)| Some((at, sum + values.get(&at)?)))
                    .collect(),
            });
        }
        Ok(sums.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use almanac_service_kit::plain::control::Unlimited;

    use super::*;
    use crate::convert::series::tests::asia;

    #[test]
    fn a_sum_stands_where_every_leaf_has_a_value() {
        let mut panel = Panel::default();
        panel.leaves.insert(0, [(2023, 1.0), (2024, 2.0)].into());
        let sums = |panel: &Panel| panel.sums(&asia(), &asia().root(), &Unlimited).unwrap();
        assert!(sums(&panel).is_empty());
        panel.leaves.insert(1, [(2024, 3.0), (2025, 4.0)].into());
        assert_eq!(sums(&panel), [(2024, 5.0)].into());
        assert_eq!(panel.value(1, 2025), Some(4.0));
        assert_eq!(panel.value(1, 2023), None);
    }
}
