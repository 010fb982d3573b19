//! The ways a linear program is put to the solver until one works.

use microlp::{ComparisonOp, Problem, Variable};

use super::TOLERANCE;

/// Where a capped objective, in scaled units, counts as unlimited.
pub(super) const FAR: f64 = 1e6;

/// The tolerance of programs that cannot be decided at [`TOLERANCE`].
const LAST_TOLERANCE: f64 = 3e-8;

/// How a row with two ends is put to the solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slack {
    /// As an equation with an unknown of its own between the ends.
    Bounded,
    /// As two inequalities.
    Split,
}

/// One way of putting a program to the solver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) slack: Slack,
    pub(super) presolve: bool,
    /// Whether unknowns and rows come last to first.
    pub(super) backward: bool,
    pub(super) tolerance: f64,
    /// By how much rows are opened, each by another amount.
    pub(super) opened: f64,
    /// Whether the objective may not pass [`FAR`].
    pub(super) capped: bool,
}

/// The ways that are tried until one works.
///
/// The solver gives up on one program in some ten thousand, mostly sets that are a single point
/// up to rounding or cones whose every row is zero at the origin. The same program written
/// otherwise takes another path, and a cone with a far wall has another vertex. The last resorts are a
/// tolerance in which its gaps disappear, and rows opened by different amounts below that
/// tolerance, so that no two meet in one point.
pub(super) const ATTEMPTS: [Attempt; 13] = {
    use Slack::{Bounded, Split};
    const fn way(slack: Slack, presolve: bool, backward: bool) -> Attempt {
        Attempt {
            slack,
            presolve,
            backward,
            tolerance: TOLERANCE,
            opened: 0.0,
            capped: false,
        }
    }
    const fn capped(slack: Slack, backward: bool) -> Attempt {
        Attempt {
            capped: true,
            ..way(slack, true, backward)
        }
    }
    const fn last(slack: Slack, backward: bool, opened: f64) -> Attempt {
        Attempt {
            slack,
            presolve: true,
            backward,
            tolerance: LAST_TOLERANCE,
            opened,
            capped: false,
        }
    }
    [
        way(Bounded, true, false),
        way(Split, true, false),
        way(Bounded, false, false),
        way(Split, false, false),
        way(Bounded, true, true),
        way(Split, true, true),
        capped(Bounded, false),
        capped(Split, false),
        capped(Bounded, true),
        last(Bounded, false, 0.0),
        last(Split, false, 0.0),
        last(Bounded, false, LAST_TOLERANCE / 2.0),
        last(Split, true, LAST_TOLERANCE / 2.0),
    ]
};

/// The positions below `count`, forward or backward.
pub(super) fn ordered(count: usize, backward: bool) -> impl Iterator<Item = usize> {
    (0..count).map(move |n| if backward { count - 1 - n } else { n })
}

/// Adds lower <= terms <= upper.
pub(super) fn add_row(
    problem: &mut Problem,
    mut terms: Vec<(Variable, f64)>,
    (lower, upper): (f64, f64),
    slack: Slack,
) {
    // An exact figure: both limits are the same number.
    if lower.total_cmp(&upper).is_eq() {
        problem.add_constraint(terms, ComparisonOp::Eq, lower);
        return;
    }
    if slack == Slack::Bounded {
        terms.push((problem.add_var(0.0, (lower, upper)), -1.0));
        problem.add_constraint(terms, ComparisonOp::Eq, 0.0);
        return;
    }
    if lower.is_finite() {
        problem.add_constraint(terms.clone(), ComparisonOp::Ge, lower);
    }
    if upper.is_finite() {
        problem.add_constraint(terms, ComparisonOp::Le, upper);
    }
}
