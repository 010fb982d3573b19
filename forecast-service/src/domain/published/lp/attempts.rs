//! The ways a linear program is put to the solver until one works.

use microlp::{ComparisonOp, Problem, Variable};

use super::TOLERANCE;

/// Where a capped objective, in scaled units, counts as unlimited.
pub(super) const FAR: f64 = 1e6;

/// What the solver may miss a row by, and the bound of the unknown that stands between the row's
/// two ends: together no more than [`TOLERANCE`].
const SOLVER_TOLERANCE: f64 = TOLERANCE / 2.0;

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
    /// What the solver may miss a row or a bound by.
    pub(super) tolerance: f64,
    /// By how much rows are opened, each by another amount.
    pub(super) opened: f64,
    /// Whether the objective may not pass [`FAR`].
    pub(super) capped: bool,
}

/// The ways that are tried until one works.
///
/// The solver gives up on one program in some thirty thousand, mostly sets that are a single point
/// up to rounding or cones whose every row is zero at the origin. The same program written
/// otherwise takes another path, and a cone with a far wall has another vertex. The last resort
/// are rows opened by different amounts, so that no two meet in one point; what they are opened by
/// and what the solver may miss them by are [`TOLERANCE`] together. So every way answers to the
/// same tolerance.
pub(super) const ATTEMPTS: [Attempt; 12] = {
    use Slack::{Bounded, Split};
    const fn way(slack: Slack, presolve: bool, backward: bool) -> Attempt {
        Attempt {
            slack,
            presolve,
            backward,
            tolerance: SOLVER_TOLERANCE,
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
    const fn opened(backward: bool) -> Attempt {
        Attempt {
            opened: TOLERANCE - SOLVER_TOLERANCE,
            ..way(Split, true, backward)
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
        capped(Split, true),
        opened(false),
        opened(true),
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
