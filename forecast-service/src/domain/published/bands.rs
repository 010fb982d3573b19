//! How much of its rounding each figure must use for all of them to hold together.
//!
//! A report's "42" most likely stands for something near 42, not for 41.5. So the central
//! estimate first tries every figure at exactly what it prints. Where that fails (19, 42 and
//! +120 % do: 42 is 19 plus 121.05 %), the rounding is opened as little as possible: the least
//! part, the same for all figures, at which they can hold together. The figures that force it,
//! an irreducible conflict just below that part, keep it; all others start again from their
//! middles. So a disagreement in one corner does not loosen the rest.
//!
//! # Formula
//! With the figure's quantity n'x / d'x (d'x = 1 for a plain one), its middle m and half-width h,
//! the part is the minimum over x of the largest |n'x - m d'x| / (h d'x): a generalized
//! fractional program, solved by the Dinkelbach-type algorithm of J. Crouzeix, J. Ferland and
//! S. Schaible (Journal of Optimization Theory and Applications 47, 1985). At a part p reached by
//! a point y, minimize over x the largest (|n'x - m d'x| - p h d'x) / (h d'y), a linear program;
//! the ratio at its solution is the next part. Each part is reached by a point, the sequence
//! falls, and its convergence is superlinear.

use almanac_service_kit::plain::control::Control;

use super::conflict::irreducible;
use super::lp::{End, LpError, Optimum, Polyhedron, Row, dot};
use super::system::{Constraint, System, sum};

/// Rounds after which the figures left all get the same part.
const MAX_ROUNDS: usize = 6;
/// Steps of the fractional program; five or six are usual.
const MAX_STEPS: usize = 40;
/// A fall of the part below this, relative to it, ends the steps.
const RESOLUTION: f64 = 1e-13;
/// No smaller part is told apart from none. Where a growth rate can only be met by an unlimited
/// market, parts would fall towards zero without end.
const SMALLEST_PART: f64 = 1e-6;
/// How far below the least part, relative to it, the figures that force it are looked for: close
/// enough to be those figures, far enough to tell a conflict from the tolerance.
const CLEARLY_BELOW: f64 = 1e-3;

/// The part of its rounding each figure is given, 0 (as printed) to 1 (all of it).
///
/// Expects figures that can hold together with all of their rounding.
pub(super) fn fit(system: &System<'_>, control: &dyn Control) -> Result<Vec<f64>, LpError> {
    let mut parts: Vec<f64> = vec![1.0; system.figures.len()];
    let mut free: Vec<usize> = (0..parts.len())
        .filter(|&figure| can_open(&system.constraints[figure]))
        .collect();
    for round in 0..=MAX_ROUNDS {
        give(&mut parts, &free, 0.0);
        if free.is_empty() || holds(system, &parts, control)? {
            break;
        }
        let part = least_part(system, &parts, &free, control)?;
        let forced = if round == MAX_ROUNDS {
            free.clone()
        } else {
            give(&mut parts, &free, part * (1.0 - CLEARLY_BELOW));
            forcing(system, &parts, &free, control)?
        };
        give(&mut parts, &forced, part);
        free.retain(|figure| !forced.contains(figure));
    }
    Ok(parts)
}

/// Whether the figure is rounded, so that there is something to open.
pub(super) fn can_open(constraint: &Constraint) -> bool {
    constraint.middle.is_some() && constraint.lower < constraint.upper
}

fn give(parts: &mut [f64], figures: &[usize], part: f64) {
    for &figure in figures {
        parts[figure] = part;
    }
}

fn holds(system: &System<'_>, parts: &[f64], control: &dyn Control) -> Result<bool, LpError> {
    system
        .polyhedron(parts.iter().copied().enumerate())
        .is_feasible(control)
}

/// The least part at which the free figures can hold together beside the settled ones.
fn least_part(
    system: &System<'_>,
    parts: &[f64],
    free: &[usize],
    control: &dyn Control,
) -> Result<f64, LpError> {
    let settled = (0..parts.len()).filter(|figure| !free.contains(figure));
    let settled: Vec<(usize, f64)> = settled.map(|figure| (figure, parts[figure])).collect();
    let opened = free.iter().map(|&figure| (figure, 1.0));
    let start = system
        .polyhedron(settled.iter().copied().chain(opened))
        .extreme(&[], End::Least, control)?;
    let Optimum::At { mut point, .. } = start else {
        return Ok(1.0);
    };
    let mut part = part_at(system, free, &point).min(1.0);
    for _ in 0..MAX_STEPS {
        let mut set = system.polyhedron(settled.iter().copied());
        let excess = add_excess(&mut set, system, free, part, &point);
        let objective = [(excess, 1.0)];
        let Optimum::At { point: next, .. } = set.extreme(&objective, End::Least, control)? else {
            break;
        };
        let reached = part_at(system, free, &next);
        if reached >= part * (1.0 - RESOLUTION) || reached < SMALLEST_PART {
            part = part.min(reached.max(SMALLEST_PART));
            break;
        }
        (part, point) = (reached, next);
    }
    Ok(part)
}

/// The part of its rounding the worst of some figures uses at a point.
fn part_at(system: &System<'_>, figures: &[usize], point: &[f64]) -> f64 {
    let parts = figures.iter().filter_map(|&figure| {
        let constraint = &system.constraints[figure];
        let (middle, size) = (constraint.middle?, denominator(constraint, point));
        let miss = dot(&constraint.quantity.numerator, point) - middle * size;
        let half = if miss < 0.0 {
            middle - constraint.lower
        } else {
            constraint.upper - middle
        };
        (size > 0.0).then(|| miss.abs() / (half * size))
    });
    parts.fold(0.0, f64::max)
}

fn denominator(constraint: &Constraint, point: &[f64]) -> f64 {
    match &constraint.quantity.denominator {
        Some(form) => dot(form, point),
        None => 1.0,
    }
}

/// Adds one unknown, the excess over the part, and the rows that measure it; answers which
/// unknown it is.
fn add_excess(
    set: &mut Polyhedron,
    system: &System<'_>,
    free: &[usize],
    part: f64,
    point: &[f64],
) -> usize {
    let excess = system.unknowns();
    set.bounds.push((f64::NEG_INFINITY, f64::INFINITY));
    // Any positive weights lead to the same part; a denominator near zero would only slow them.
    let smallest = 1e-2 * point.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for &figure in free {
        let constraint = &system.constraints[figure];
        let (lower, upper) = constraint.ends(part);
        let half = (constraint.upper - constraint.lower) / 2.0;
        let scale = half * denominator(constraint, point).max(smallest);
        for (sign, end) in [(1.0, upper), (-1.0, -lower)] {
            let numerator = constraint.quantity.numerator.iter();
            let numerator = numerator.map(|&(u, c)| (u, sign * c));
            let (against, limit) = match &constraint.quantity.denominator {
                Some(form) => (form.iter().map(|&(u, c)| (u, -end * c)).collect(), 0.0),
                None => (Vec::new(), end),
            };
            set.rows.push(Row {
                form: sum(numerator.chain(against).chain([(excess, -scale)])),
                lower: f64::NEG_INFINITY,
                upper: limit,
            });
        }
        if let (false, Some(form)) = (system.nonnegative, &constraint.quantity.denominator) {
            set.rows.push(Row {
                form: form.clone(),
                lower: 0.0,
                upper: f64::INFINITY,
            });
        }
    }
    excess
}

/// The free figures among an irreducible conflict of figures that cannot hold together.
fn forcing(
    system: &System<'_>,
    parts: &[f64],
    free: &[usize],
    control: &dyn Control,
) -> Result<Vec<usize>, LpError> {
    let all: Vec<usize> = (0..parts.len()).collect();
    let mut feasible = |figures: &[usize]| {
        system
            .polyhedron(figures.iter().map(|&figure| (figure, parts[figure])))
            .is_feasible(control)
    };
    let found = match feasible(&all) {
        // Only the tolerance can do this: then nothing is gained by going on.
        Ok(true) => return Ok(free.to_vec()),
        Ok(false) => irreducible(&all, &mut feasible),
        Err(error) => Err(error),
    };
    let conflict = match found {
        // The gap is so near the tolerance that nobody can tell.
        Err(LpError::Numerical(_)) => return Ok(free.to_vec()),
        found => found?,
    };
    let forced: Vec<usize> = conflict.into_iter().filter(|f| free.contains(f)).collect();
    Ok(if forced.is_empty() {
        free.to_vec()
    } else {
        forced
    })
}
