//! The point of least divergence from a prior, by a primal-dual interior point method.
//!
//! # Problem
//! Minimize f(u) = sum w phi(u) subject to E u = E u0 and G u <= h, where u is the unknown in
//! units of its prior and
//!
//! * phi(u) = u ln u - u + 1 where values cannot be negative. With w the prior p and x = p u
//!   this is the generalized Kullback-Leibler divergence sum x ln(x/p) - x + p, the maximum
//!   entropy estimate (I. Csiszar, Annals of Statistics 19, 1991);
//! * phi(u) = u^2 / 2 where they can, u being the distance from the prior in units of its spread.
//!
//! # Method
//! The start lies strictly inside, so equations are eliminated: u = u0 + N z with N an
//! orthonormal basis of the null space of E (Householder QR with column pivoting, which also
//! settles dependent equations). The inequalities are handled as in S. Boyd and L. Vandenberghe,
//! Convex Optimization (2004), section 11.7: Newton steps on the optimality conditions
//!
//! N'(grad f + G'l) = 0, G u + s = h, l s = 1/t, l > 0, s > 0
//!
//! with t growing, a step to the boundary at most, and backtracking on the residual. The slacks s
//! are unknowns of their own: computed as h - G u they would lose all digits where they matter
//! most. Where u > 0, u >= [`FLOOR`] is one of the inequalities: the slope of phi is infinite at 0,
//! but optima far below that, which Newton steps reach only by halving, are of no use to anyone. Each step factors one positive definite
//! matrix of the size of z (Cholesky). Logarithms are `libm`'s; sums run in order.
//!
//! # Accuracy
//! The answer satisfies the conditions to [`KKT_TOLERANCE`], prior weights being scaled to a
//! largest of 1: G u + s = h as it stands, stationarity and complementarity relative to the largest
//! multiplier where that is above 1. Multipliers are large where a figure moves the estimate far;
//! there the estimate is nearest to the prior to fewer digits, but holds the figures to all.

use nalgebra::{DMatrix, DVector};

use almanac_service_kit::plain::control::Control;

use super::interior::{Interior, Limit};
use super::lp::{LpError, dot};
use super::system::Form;

mod newton;

use newton::{Inequality, State};

/// How exactly the optimality conditions of the central estimate hold: limits of values in units of
/// the prior, stationarity and complementarity relative to the largest multiplier where that is
/// above 1.
pub const KKT_TOLERANCE: f64 = 1e-9;

/// Products of slack and multiplier to start from; one is enough for nearly every problem.
const STARTS: [f64; 4] = [1e-2, 1.0, 1e-4, 1e-6];
/// No unknown is estimated below this part of its prior unless the figures force it to zero.
const FLOOR: f64 = 1e-9;
/// Pivots of the equations below this part of the largest count as zero.
const RANK_TOLERANCE: f64 = 1e-9;
/// How distance from the prior is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Kullback-Leibler; u > 0.
    Entropy,
    /// Squares.
    Squares,
}

impl Measure {
    fn distance(self, u: f64) -> f64 {
        match self {
            Self::Entropy => u * libm::log(u) - u + 1.0,
            Self::Squares => u * u / 2.0,
        }
    }

    fn slope(self, u: f64) -> f64 {
        match self {
            Self::Entropy => libm::log(u),
            Self::Squares => u,
        }
    }

    fn curvature(self, u: f64) -> f64 {
        match self {
            Self::Entropy => 1.0 / u,
            Self::Squares => 1.0,
        }
    }
}

/// The minimizer, and how far it is from the optimality conditions.
#[derive(Debug)]
pub(super) struct Minimum {
    pub(super) point: Vec<f64>,
    pub(super) kkt: f64,
}

/// Minimizes over the set described by `interior`; `roomier` is another point of the set, if one
/// with more slack is known.
pub(super) fn minimize(
    weights: &[f64],
    measure: Measure,
    interior: &Interior,
    roomier: Option<&[f64]>,
    control: &dyn Control,
) -> Result<Minimum, LpError> {
    let free = Free::of(interior);
    let equations: Vec<DVector<f64>> = interior.equations.iter().map(|e| free.dense(e)).collect();
    let basis = null_space(&equations, free.unknowns.len());
    if basis.ncols() == 0 {
        return Ok(Minimum {
            point: interior.point.clone(),
            kkt: 0.0,
        });
    }
    let limits = interior
        .limits
        .iter()
        .map(|limit| free.inequality(limit, interior));
    let limits = limits.chain(floors(measure, free.unknowns.len())).collect();
    let own = free.pick(weights);
    let heaviest = own.iter().fold(0.0_f64, |m, weight| m.max(*weight));
    let scaled = own.iter().map(|weight| weight / heaviest).collect();
    let mut state = State::new(measure, scaled, limits, basis, free.pick(&interior.point));
    if let Some(other) = roomier {
        state.move_toward(&free.pick(other));
    }
    let kkt = state.solve(&STARTS, KKT_TOLERANCE, control)?;
    let mut point = interior.point.clone();
    for (value, &unknown) in state.point().iter().zip(&free.unknowns) {
        point[unknown] = *value;
    }
    Ok(Minimum { point, kkt })
}

/// The unknowns that are not fixed.
struct Free {
    unknowns: Vec<usize>,
    /// Where each unknown stands among the free ones.
    place: Vec<Option<usize>>,
}

impl Free {
    fn of(interior: &Interior) -> Self {
        let all = 0..interior.fixed.len();
        let unknowns: Vec<usize> = all.filter(|&u| !interior.fixed[u]).collect();
        let mut place = vec![None; interior.fixed.len()];
        for (position, &unknown) in unknowns.iter().enumerate() {
            place[unknown] = Some(position);
        }
        Self { unknowns, place }
    }

    fn pick(&self, values: &[f64]) -> DVector<f64> {
        let picked = self.unknowns.iter().map(|&unknown| values[unknown]);
        DVector::from_iterator(self.unknowns.len(), picked)
    }

    fn dense(&self, form: &Form) -> DVector<f64> {
        let mut row = DVector::zeros(self.unknowns.len());
        for &(unknown, coefficient) in form {
            if let Some(position) = self.place[unknown] {
                row[position] = coefficient;
            }
        }
        row
    }

    /// The limit on the free unknowns that remains when the fixed ones have their values.
    fn inequality(&self, limit: &Limit, interior: &Interior) -> Inequality {
        let terms = limit.form.iter().copied();
        let settled: Form = terms.filter(|(u, _)| self.place[*u].is_none()).collect();
        Inequality {
            row: self.dense(&limit.form),
            limit: limit.limit - dot(&settled, &interior.point),
        }
    }
}

/// The null space of some rows, as orthonormal columns.
fn null_space(rows: &[DVector<f64>], size: usize) -> DMatrix<f64> {
    let rows: Vec<DVector<f64>> = rows
        .iter()
        .filter_map(|row| row.clone().try_normalize(0.0))
        .collect();
    if rows.is_empty() || size == 0 {
        return DMatrix::identity(size, size);
    }
    let qr = DMatrix::from_columns(&rows).col_piv_qr();
    let r = qr.r();
    let largest = r[(0, 0)].abs();
    let rank = (0..r.nrows().min(r.ncols()))
        .filter(|&n| r[(n, n)].abs() > RANK_TOLERANCE * largest)
        .count();
    let mut transposed = DMatrix::identity(size, size);
    qr.q_tr_mul(&mut transposed);
    transposed.rows(rank, size - rank).transpose()
}

/// u >= [`FLOOR`], where unknowns have a sign.
fn floors(measure: Measure, size: usize) -> impl Iterator<Item = Inequality> {
    let signs = match measure {
        Measure::Entropy => size,
        Measure::Squares => 0,
    };
    (0..signs).map(move |n| {
        let mut row = DVector::zeros(size);
        row[n] = -1.0;
        Inequality { row, limit: -FLOOR }
    })
}
