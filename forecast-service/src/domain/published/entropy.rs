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
//! largest of 1.

use nalgebra::{DMatrix, DVector};

use almanac_service_kit::plain::control::Control;

use super::interior::{Interior, Limit};
use super::lp::{LpError, dot};
use super::system::Form;

/// How exactly the optimality conditions hold.
pub const KKT_TOLERANCE: f64 = 1e-9;

/// What the method aims at before it stops.
const TARGET: f64 = 1e-12;
const MAX_STEPS: usize = 200;
/// By how much complementarity is asked to shrink in a step.
const SHRINK: f64 = 10.0;
/// How far to the boundary a step may go.
const NEAR_BOUNDARY: f64 = 0.99;
const SMALLEST_STEP: f64 = 1e-10;
const SMALLEST_SLACK: f64 = 1e-12;
/// Products of slack and multiplier to start from; one is enough for nearly every problem.
const STARTS: [f64; 4] = [1e-2, 1.0, 1e-4, 1e-6];
/// No unknown is estimated below this part of its prior unless the figures force it to zero.
const FLOOR: f64 = 1e-9;
/// Pivots of the equations below this part of the largest count as zero.
const RANK_TOLERANCE: f64 = 1e-9;
/// Rows added to a matrix between two looks at the control.
const ROWS_BETWEEN_CHECKS: usize = 64;

/// How distance from the prior is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Kullback-Leibler; u > 0.
    Entropy,
    /// Squares.
    Squares,
}

impl Measure {
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
    let free: Vec<usize> = (0..weights.len()).filter(|&u| !interior.fixed[u]).collect();
    let mut place = vec![None; weights.len()];
    for (position, &unknown) in free.iter().enumerate() {
        place[unknown] = Some(position);
    }
    let dense = |form: &Form| {
        let mut row = DVector::zeros(free.len());
        for &(unknown, coefficient) in form {
            if let Some(position) = place[unknown] {
                row[position] = coefficient;
            }
        }
        row
    };
    let equations: Vec<DVector<f64>> = interior.equations.iter().map(dense).collect();
    let basis = null_space(&equations, free.len());
    if basis.ncols() == 0 {
        return Ok(Minimum {
            point: interior.point.clone(),
            kkt: 0.0,
        });
    }
    let heaviest = free.iter().fold(0.0_f64, |m, &u| m.max(weights[u]));
    let mut state = State {
        measure,
        weights: free.iter().map(|&u| weights[u] / heaviest).collect(),
        limits: interior
            .limits
            .iter()
            .map(|l| Inequality::new(l, &dense(&l.form), &interior.point, &place))
            .chain(floors(measure, free.len()))
            .collect(),
        now: Iterate {
            u: DVector::from_iterator(free.len(), free.iter().map(|&u| interior.point[u])),
            slacks: Vec::new(),
            multipliers: Vec::new(),
        },
        basis,
    };
    if let Some(other) = roomier {
        let other: Vec<f64> = free.iter().map(|&u| other[u]).collect();
        state.move_toward(&other);
    }
    let start = state.now.clone();
    for product in STARTS {
        state.now = start.clone();
        state.run(product, control)?;
        if state.kkt(&state.now) <= KKT_TOLERANCE {
            break;
        }
    }
    let mut point = interior.point.clone();
    for (value, &unknown) in state.now.u.iter().zip(&free) {
        point[unknown] = *value;
    }
    Ok(Minimum {
        point,
        kkt: state.kkt(&state.now),
    })
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

/// row'u <= limit over the free unknowns.
struct Inequality {
    row: DVector<f64>,
    limit: f64,
}

impl Inequality {
    fn new(limit: &Limit, row: &DVector<f64>, point: &[f64], place: &[Option<usize>]) -> Self {
        let settled: Form = limit
            .form
            .iter()
            .copied()
            .filter(|(unknown, _)| place[*unknown].is_none())
            .collect();
        Self {
            row: row.clone(),
            limit: limit.limit - dot(&settled, point),
        }
    }
}

struct State {
    measure: Measure,
    weights: Vec<f64>,
    limits: Vec<Inequality>,
    basis: DMatrix<f64>,
    now: Iterate,
}

/// The unknowns of the optimality conditions, or a step in them.
#[derive(Clone)]
struct Iterate {
    u: DVector<f64>,
    slacks: Vec<f64>,
    multipliers: Vec<f64>,
}

impl Iterate {
    fn moved(&self, step: &Self, length: f64) -> Self {
        let along = |values: &[f64], changes: &[f64]| {
            let pairs = values.iter().zip(changes);
            pairs
                .map(|(value, change)| value + length * change)
                .collect()
        };
        Self {
            u: &self.u + &step.u * length,
            slacks: along(&self.slacks, &step.slacks),
            multipliers: along(&self.multipliers, &step.multipliers),
        }
    }
}

impl State {
    fn room(&self, u: &DVector<f64>) -> Vec<f64> {
        self.limits.iter().map(|l| l.limit - l.row.dot(u)).collect()
    }

    fn allows(&self, u: &DVector<f64>) -> bool {
        self.measure == Measure::Squares || u.iter().all(|value| *value > 0.0)
    }

    /// Goes halfway to another point, within the equations, if that leaves more room.
    fn move_toward(&mut self, other: &[f64]) {
        let least = |state: &Self, u: &DVector<f64>| {
            let signs = match state.measure {
                Measure::Entropy => u.iter().fold(f64::INFINITY, |m, v| m.min(*v)),
                Measure::Squares => f64::INFINITY,
            };
            state.room(u).iter().fold(signs, |m, slack| m.min(*slack))
        };
        let away = DVector::from_column_slice(other) - &self.now.u;
        let moved = &self.now.u + &self.basis * (self.basis.tr_mul(&away) * 0.5);
        if least(self, &moved) > least(self, &self.now.u).max(0.0) {
            self.now.u = moved;
        }
    }

    /// Starts where every slack times its multiplier is the same.
    fn start(&mut self, product: f64) {
        let room = self.room(&self.now.u);
        self.now.slacks = room.iter().map(|slack| slack.max(SMALLEST_SLACK)).collect();
        let slacks = self.now.slacks.iter();
        self.now.multipliers = slacks.map(|slack| product / slack).collect();
    }

    fn slope(&self, u: &DVector<f64>) -> DVector<f64> {
        let slopes = u.iter().zip(&self.weights);
        let slopes = slopes.map(|(value, weight)| weight * self.measure.slope(*value));
        DVector::from_iterator(u.len(), slopes)
    }

    /// N'(grad f + G'l).
    fn stationarity(&self, at: &Iterate) -> DVector<f64> {
        let mut slope = self.slope(&at.u);
        for (limit, multiplier) in self.limits.iter().zip(&at.multipliers) {
            slope.axpy(*multiplier, &limit.row, 1.0);
        }
        self.basis.tr_mul(&slope)
    }

    /// G u + s - h.
    fn gaps(&self, at: &Iterate) -> Vec<f64> {
        let room = self.room(&at.u);
        at.slacks
            .iter()
            .zip(room)
            .map(|(slack, room)| slack - room)
            .collect()
    }

    /// The largest violation of the optimality conditions.
    fn kkt(&self, at: &Iterate) -> f64 {
        let products = at.slacks.iter().zip(&at.multipliers).map(|(s, l)| s * l);
        let gaps = self.gaps(at).into_iter().map(f64::abs);
        products
            .chain(gaps)
            .fold(self.stationarity(at).amax(), f64::max)
    }

    fn residual(&self, at: &Iterate, target: f64) -> f64 {
        let products = at
            .slacks
            .iter()
            .zip(&at.multipliers)
            .map(|(s, l)| s * l - target);
        let misses = products.chain(self.gaps(at));
        let sum = misses.fold(self.stationarity(at).norm_squared(), |sum, m| sum + m * m);
        sum.sqrt()
    }

    fn run(&mut self, product: f64, control: &dyn Control) -> Result<(), LpError> {
        self.start(product);
        let mut best = (self.kkt(&self.now), self.now.clone());
        for _ in 0..MAX_STEPS {
            control.check()?;
            if best.0 <= TARGET {
                break;
            }
            let products = self.now.slacks.iter().zip(&self.now.multipliers);
            let count = self.limits.len().max(1) as f64;
            let mean = products.fold(0.0, |sum, (s, l)| sum + s * l) / count;
            let target = mean / SHRINK;
            let step = self.newton(target, control)?;
            let Some(next) = self.take(&step, target) else {
                break;
            };
            self.now = next;
            let kkt = self.kkt(&self.now);
            if kkt < best.0 {
                best = (kkt, self.now.clone());
            }
        }
        self.now = best.1;
        Ok(())
    }

    /// Solves the linearized conditions, slacks and multipliers eliminated:
    /// N'(H + G' (l/s) G) N dz = -N'(grad f + G' (1/t + l gap) / s).
    fn newton(&self, target: f64, control: &dyn Control) -> Result<Iterate, LpError> {
        let size = self.basis.ncols();
        let mut matrix = DMatrix::zeros(size, size);
        for (n, (value, weight)) in self.now.u.iter().zip(&self.weights).enumerate() {
            if n % ROWS_BETWEEN_CHECKS == 0 {
                control.check()?;
            }
            let row = self.basis.row(n).transpose();
            matrix.ger(weight * self.measure.curvature(*value), &row, &row, 1.0);
        }
        let gaps = self.gaps(&self.now);
        let (slacks, multipliers) = (&self.now.slacks, &self.now.multipliers);
        let mut slope = self.slope(&self.now.u);
        for (n, limit) in self.limits.iter().enumerate() {
            if n % ROWS_BETWEEN_CHECKS == 0 {
                control.check()?;
            }
            let row = self.basis.tr_mul(&limit.row);
            matrix.ger(multipliers[n] / slacks[n], &row, &row, 1.0);
            let pull = (target + multipliers[n] * gaps[n]) / slacks[n];
            slope.axpy(pull, &limit.row, 1.0);
        }
        let along = factored_solve(&matrix, &-self.basis.tr_mul(&slope))?;
        let u = &self.basis * along;
        let changes = self.limits.iter().zip(&gaps);
        let changes: Vec<f64> = changes.map(|(l, gap)| -gap - l.row.dot(&u)).collect();
        let multipliers = (0..changes.len())
            .map(|n| (target - multipliers[n] * changes[n]) / slacks[n] - multipliers[n])
            .collect();
        Ok(Iterate {
            u,
            slacks: changes,
            multipliers,
        })
    }

    /// Goes along the step as far as the residual shrinks; `None` if it does not anywhere.
    fn take(&self, step: &Iterate, target: f64) -> Option<Iterate> {
        let positive = [
            (&self.now.multipliers, &step.multipliers),
            (&self.now.slacks, &step.slacks),
        ];
        let mut length = 1.0_f64;
        for (values, changes) in positive {
            for (value, change) in values.iter().zip(changes) {
                if *change < 0.0 {
                    length = length.min(-NEAR_BOUNDARY * value / change);
                }
            }
        }
        let before = self.residual(&self.now, target);
        while length > SMALLEST_STEP {
            let next = self.now.moved(step, length);
            if self.allows(&next.u) {
                let after = self.residual(&next, target);
                if after <= ((1.0 - 0.01 * length) * before).max(TARGET / 10.0) {
                    return Some(next);
                }
            }
            length *= 0.5;
        }
        None
    }
}

/// Solves a positive definite system; a matrix that rounding made indefinite gets a ridge.
fn factored_solve(matrix: &DMatrix<f64>, right: &DVector<f64>) -> Result<DVector<f64>, LpError> {
    let largest = matrix.diagonal().amax();
    for ridge in [0.0, 1e-14, 1e-11, 1e-8] {
        let mut trial = matrix.clone();
        for n in 0..trial.nrows() {
            trial[(n, n)] += ridge * largest;
        }
        if let Some(factor) = trial.cholesky() {
            return Ok(factor.solve(right));
        }
    }
    Err(LpError::Numerical(
        "a Newton matrix of the central estimate is not positive definite".to_owned(),
    ))
}
