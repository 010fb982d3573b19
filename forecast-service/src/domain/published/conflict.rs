//! Why figures cannot hold together: an irreducible conflict, told in words.
//!
//! A conflict is *irreducible* when it cannot hold together but would if any one of its figures
//! were left out. It is found by `QuickXplain` (U. Junker, AAAI 2004): k members of n figures
//! take about k log(n/k) linear programs. Several irreducible conflicts may exist; the search
//! runs from several orders and around each member of the best one so far, and keeps the
//! smallest, the earliest in case of a tie. It is not proven to be the smallest of all.

use serde::{Deserialize, Serialize};

use almanac_service_kit::plain::control::Control;

use super::intervals::{Interval, of_quantity};
use super::lp::LpError;
use super::system::System;
use super::words;

/// How many further conflicts are looked for once one is known.
const FURTHER_SEARCHES: usize = 12;

/// Figures that cannot hold together although any of them can be left out to mend it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The figures, in the caller's order.
    pub members: Vec<ConflictMember>,
    /// Why they fail, in one sentence.
    pub summary: String,
}

/// One figure of a conflict, seen by itself and by the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictMember {
    /// The caller's name of the figure.
    pub id: String,
    /// Its position among the figures.
    pub figure: usize,
    /// What it says, in words.
    pub statement: String,
    /// What it says of its quantity: in the market's unit, or in percent.
    pub says: Interval,
    /// What the other members allow for that quantity; absent if they leave it undefined.
    pub others_allow: Option<Interval>,
}

/// Finds the conflict of figures that are known not to hold together.
pub(super) fn explain(system: &System<'_>, control: &dyn Control) -> Result<Conflict, LpError> {
    let count = system.figures.len();
    let mut asked = 0_u64;
    let mut feasible = |figures: &[usize]| {
        asked += 1;
        control.report(asked, 0);
        system
            .polyhedron(figures.iter().map(|&figure| (figure, 1.0)))
            .is_feasible(control)
    };
    let members = smallest(count, &mut feasible)?;
    let members = members
        .iter()
        .map(|&figure| member(system, &members, figure, control))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Conflict {
        summary: words::summary(system, &members),
        members,
    })
}

fn member(
    system: &System<'_>,
    members: &[usize],
    figure: usize,
    control: &dyn Control,
) -> Result<ConflictMember, LpError> {
    let others = members.iter().filter(|m| **m != figure);
    let set = system.polyhedron(others.map(|&other| (other, 1.0)));
    let constraint = &system.constraints[figure];
    let allowed = of_quantity(&set, &constraint.quantity, control)?;
    let (id, claim) = (&system.figures[figure].id, &system.figures[figure].claim);
    let says = Interval::of_ends(constraint.lower, constraint.upper);
    let as_printed = |interval: Interval| interval.map(|value| words::as_printed(claim, value));
    Ok(ConflictMember {
        id: id.clone(),
        figure,
        statement: words::statement(system, figure),
        says: words::printed_interval(claim).unwrap_or_else(|| as_printed(says)),
        others_allow: allowed.map(as_printed),
    })
}

/// A test whether a set of figures can hold together.
type Feasible<'a> = dyn FnMut(&[usize]) -> Result<bool, LpError> + 'a;

/// The smallest irreducible conflict found, ascending.
fn smallest(count: usize, feasible: &mut Feasible<'_>) -> Result<Vec<usize>, LpError> {
    let forward: Vec<usize> = (0..count).collect();
    let backward: Vec<usize> = forward.iter().rev().copied().collect();
    let mut best = irreducible(&forward, feasible)?;
    let keep_smaller = |best: &mut Vec<usize>, found: Vec<usize>| {
        if found.len() < best.len() {
            *best = found;
        }
    };
    if best.len() > 1 {
        keep_smaller(&mut best, irreducible(&backward, feasible)?);
    }
    let mut searches = 0;
    let mut left_out = 0;
    while left_out < best.len() && best.len() > 2 && searches < FURTHER_SEARCHES {
        searches += 1;
        let without: Vec<usize> = backward
            .iter()
            .copied()
            .filter(|figure| *figure != best[left_out])
            .collect();
        let size = best.len();
        if !feasible(&without)? {
            keep_smaller(&mut best, irreducible(&without, feasible)?);
        }
        left_out = if best.len() < size { 0 } else { left_out + 1 };
    }
    Ok(best)
}

/// An irreducible conflict among figures that cannot hold together, ascending.
///
/// Figures that come early in `order` are preferred as members.
pub(super) fn irreducible(
    order: &[usize],
    feasible: &mut Feasible<'_>,
) -> Result<Vec<usize>, LpError> {
    let mut found = quick_xplain(&[], false, order, feasible)?;
    found.sort_unstable();
    // With a tolerance in every test, a last pass makes sure that each member is needed.
    let mut position = 0;
    while position < found.len() && found.len() > 1 {
        let mut without = found.clone();
        without.remove(position);
        if feasible(&without)? {
            position += 1;
        } else {
            found = without;
        }
    }
    Ok(found)
}

/// The members of a conflict within `candidates`, given figures that are kept in any case.
fn quick_xplain(
    kept: &[usize],
    kept_changed: bool,
    candidates: &[usize],
    feasible: &mut Feasible<'_>,
) -> Result<Vec<usize>, LpError> {
    if kept_changed && !feasible(kept)? {
        return Ok(Vec::new());
    }
    if candidates.len() <= 1 {
        return Ok(candidates.to_vec());
    }
    let (first, second) = candidates.split_at(candidates.len() / 2);
    let with_first = [kept, first].concat();
    let from_second = quick_xplain(&with_first, true, second, feasible)?;
    let with_second = [kept, &from_second].concat();
    let changed = !from_second.is_empty();
    let from_first = quick_xplain(&with_second, changed, first, feasible)?;
    Ok([from_first, from_second].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a made-up world with known conflicts: sets of figures that cannot all hold.
        #[test]
        fn finds_an_irreducible_conflict(
            conflicts in prop::collection::vec(prop::collection::btree_set(0..12_usize, 1..6), 1..6),
        ) {
            let mut feasible = |figures: &[usize]| {
                Ok(!conflicts.iter().any(|c| c.iter().all(|m| figures.contains(m))))
            };
            let found = smallest(12, &mut feasible).unwrap();
            prop_assert!(!feasible(&found).unwrap());
            for &member in &found {
                let without: Vec<usize> = found.iter().copied().filter(|m| *m != member).collect();
                prop_assert!(feasible(&without).unwrap());
            }
        }
    }

    #[test]
    fn prefers_the_smaller_of_two_conflicts() {
        let world = [vec![0, 1, 2, 3], vec![4, 9]];
        let mut feasible =
            |figures: &[usize]| Ok(!world.iter().any(|c| c.iter().all(|m| figures.contains(m))));
        assert_eq!(smallest(10, &mut feasible).unwrap(), [4, 9]);
    }
}
