//! A point inside: off every inequality that does not hold with equality everywhere.
//!
//! Exact figures often leave a set without interior: some inequalities hold with equality at
//! every point, some unknowns are zero at every point. One linear program finds them all
//! (R. Freund, R. Roundy, M. Todd, "Identifying the set of always-active constraints in a system
//! of linear inequalities by a single linear program", MIT Sloan WP 1674-85, 1985): over the cone
//! of the rows, x scaled by s >= 1, maximize the sum of t with slack >= t and 0 <= t <= 1. At the
//! optimum t is 1 where some point has slack and 0 where none has, and x / s has all the slack
//! at once. Bounding s by a reach makes slacks below its half inverse, relative, count as none.

use almanac_service_kit::plain::control::Control;

use super::lp::{End, LpError, Optimum, Polyhedron, Row, dot};
use super::system::{Form, sum};

/// How a set is searched for its interior.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// The largest scale of the cone.
    pub(super) scale: f64,
    /// The largest value the point may have, in units of the prior.
    pub(super) value: f64,
}

/// The ways of searching, the first for nearly every set. Where a set has no limits, a point may
/// be too far out to start from: the next keep it near the prior. Sets that are thinner in some
/// directions than a step of the estimate can resolve are flattened by the last.
pub(super) const REACHES: [Reach; 4] = {
    const fn reach(scale: f64, value: f64) -> Reach {
        Reach { scale, value }
    }
    [
        reach(1e7, f64::INFINITY),
        reach(1e7, 1e3),
        reach(1e5, 1e3),
        reach(1e4, f64::INFINITY),
    ]
};

/// What is less than this, where unknowns are about one, comes from rounding.
const NOISE: f64 = 1e-13;

/// form'u <= limit, the largest coefficient being 1 in size.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) form: Form,
    pub(super) limit: f64,
}

/// A set of points told apart into what is fixed and what is free, and a point of it.
#[derive(Debug)]
pub(super) struct Interior {
    /// A point with slack in every limit and in every free unknown that cannot be negative.
    pub(super) point: Vec<f64>,
    /// Unknowns that are the same at every point of the set.
    pub(super) fixed: Vec<bool>,
    /// Forms that are the same at every point of the set.
    pub(super) equations: Vec<Form>,
    /// What remains: inequalities with slack.
    pub(super) limits: Vec<Limit>,
}

/// Finds the interior; `None` if the set has no point within reach.
pub(super) fn find(
    set: &Polyhedron,
    nonnegative: bool,
    reach: Reach,
    control: &dyn Control,
) -> Result<Option<Interior>, LpError> {
    let Optimum::At { point, .. } = set.extreme(&[], End::Least, control)? else {
        return Ok(None);
    };
    let set = &around(set, &point);
    let (mut equations, limits) = split(set);
    let Some(marked) = always_active(set, &equations, &limits, nonnegative, reach, control)? else {
        return Ok(None);
    };
    let mut free_limits = Vec::new();
    for (limit, has_slack) in limits.into_iter().zip(marked.limits) {
        if has_slack {
            free_limits.push(limit);
        } else {
            equations.push((limit.form, limit.limit));
        }
    }
    Ok(Some(Interior {
        point: marked.point,
        fixed: marked.unknowns.iter().map(|has_slack| !has_slack).collect(),
        equations: equations.into_iter().map(|(form, _)| form).collect(),
        limits: free_limits,
    }))
}

/// The set with its rows moved, by no more than the tolerance, to include a point for certain.
///
/// Exact figures may meet only within the tolerance. Without this the cone below, which magnifies
/// every gap, would see no point at all.
fn around(set: &Polyhedron, point: &[f64]) -> Polyhedron {
    let mut moved = set.clone();
    for row in &mut moved.rows {
        let value = dot(&row.form, point);
        let size = row.form.iter().fold(0.0_f64, |m, (_, c)| m.max(c.abs()));
        // A miss by rounding noise stays: as a right-hand side it would be a number of its own.
        let misses = |side: f64, by: f64| side.is_finite() && by > NOISE * size;
        if row.lower >= row.upper {
            if misses(row.lower, (value - row.lower).abs()) {
                (row.lower, row.upper) = (value, value);
            }
            continue;
        }
        if misses(row.lower, row.lower - value) {
            row.lower = value;
        }
        if misses(row.upper, value - row.upper) {
            row.upper = value;
        }
    }
    moved
}

/// The rows as equations and one-sided limits, each with a largest coefficient of 1.
fn split(set: &Polyhedron) -> (Vec<(Form, f64)>, Vec<Limit>) {
    let mut equations = Vec::new();
    let mut limits = Vec::new();
    for row in &set.rows {
        let size = row.form.iter().fold(0.0_f64, |m, (_, c)| m.max(c.abs()));
        if size <= 0.0 {
            continue;
        }
        let scaled = |by: f64| -> Form { row.form.iter().map(|&(u, c)| (u, c / by)).collect() };
        if row.lower >= row.upper {
            equations.push((scaled(size), row.lower / size));
            continue;
        }
        if row.upper.is_finite() {
            limits.push(Limit {
                form: scaled(size),
                limit: row.upper / size,
            });
        }
        if row.lower.is_finite() {
            limits.push(Limit {
                form: scaled(-size),
                limit: row.lower / -size,
            });
        }
    }
    (equations, limits)
}

struct Marked {
    point: Vec<f64>,
    limits: Vec<bool>,
    unknowns: Vec<bool>,
}

fn always_active(
    set: &Polyhedron,
    equations: &[(Form, f64)],
    limits: &[Limit],
    nonnegative: bool,
    reach: Reach,
    control: &dyn Control,
) -> Result<Option<Marked>, LpError> {
    let unknowns = set.bounds.len();
    let signs = if nonnegative { unknowns } else { 0 };
    let scale = unknowns;
    let mut cone = Polyhedron::new(unknowns, nonnegative);
    cone.bounds.push((1.0, reach.scale));
    cone.bounds
        .resize(unknowns + 1 + limits.len() + signs, (0.0, 1.0));
    for (form, value) in equations {
        cone.rows.push(Row {
            form: sum(form.iter().copied().chain([(scale, -value)])),
            lower: 0.0,
            upper: 0.0,
        });
    }
    let slack = |n: usize| unknowns + 1 + n;
    for (n, limit) in limits.iter().enumerate() {
        let extra = [(scale, -limit.limit), (slack(n), 1.0)];
        cone.rows.push(Row {
            form: sum(limit.form.iter().copied().chain(extra)),
            lower: f64::NEG_INFINITY,
            upper: 0.0,
        });
    }
    for unknown in 0..signs {
        cone.rows.push(Row {
            form: vec![(unknown, 1.0), (slack(limits.len() + unknown), -1.0)],
            lower: 0.0,
            upper: f64::INFINITY,
        });
    }
    if reach.value.is_finite() {
        for unknown in 0..unknowns {
            cone.rows.push(Row {
                form: vec![(unknown, 1.0), (scale, -reach.value)],
                lower: f64::NEG_INFINITY,
                upper: 0.0,
            });
        }
    }
    let objective: Form = (0..limits.len() + signs).map(|n| (slack(n), 1.0)).collect();
    let Optimum::At { point, .. } = cone.extreme(&objective, End::Most, control)? else {
        return Ok(None);
    };
    let has_slack = |n: usize| point[slack(n)] > 0.5;
    Ok(Some(Marked {
        point: point[..unknowns].iter().map(|x| x / point[scale]).collect(),
        limits: (0..limits.len()).map(has_slack).collect(),
        unknowns: (0..unknowns)
            .map(|u| !nonnegative || has_slack(limits.len() + u))
            .collect(),
    }))
}

/// A point with more slack than the first one, found by maximizing the least slack; it may
/// miss the equations by the tolerance of the linear program.
pub(super) fn roomier(
    interior: &Interior,
    nonnegative: bool,
    control: &dyn Control,
) -> Result<Option<Vec<f64>>, LpError> {
    let unknowns = interior.point.len();
    let mut set = Polyhedron::new(unknowns, nonnegative);
    set.bounds.push((0.0, 1.0));
    let same = |form: &Form| {
        let value = dot(form, &interior.point);
        Row {
            form: form.clone(),
            lower: value,
            upper: value,
        }
    };
    set.rows.extend(interior.equations.iter().map(same));
    for (unknown, fixed) in interior.fixed.iter().enumerate() {
        if *fixed {
            set.rows.push(same(&vec![(unknown, 1.0)]));
        } else if nonnegative {
            set.rows.push(Row {
                form: vec![(unknown, 1.0), (unknowns, -1.0)],
                lower: 0.0,
                upper: f64::INFINITY,
            });
        }
    }
    for limit in &interior.limits {
        set.rows.push(Row {
            form: sum(limit.form.iter().copied().chain([(unknowns, 1.0)])),
            lower: f64::NEG_INFINITY,
            upper: limit.limit,
        });
    }
    Ok(match set.extreme(&[(unknowns, 1.0)], End::Most, control)? {
        Optimum::At { mut point, .. } => {
            point.truncate(unknowns);
            Some(point)
        }
        _ => None,
    })
}
