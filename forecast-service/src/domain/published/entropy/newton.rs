//! Newton steps on the optimality conditions; see the parent module for what they are.

use nalgebra::{DMatrix, DVector};

use almanac_service_kit::plain::control::Control;

use super::super::lp::LpError;
use super::Measure;

/// What the method aims at before it stops.
const TARGET: f64 = 1e-12;
const MAX_STEPS: usize = 200;
/// By how much complementarity is asked to shrink in a step.
const SHRINK: f64 = 10.0;
/// How far to the boundary a step may go.
const NEAR_BOUNDARY: f64 = 0.99;
const SMALLEST_STEP: f64 = 1e-10;
/// A descent below this part of the barrier's weight is at the center.
const CENTERED: f64 = 1e-3;
const SMALLEST_SLACK: f64 = 1e-12;
/// Rows added to a matrix between two looks at the control.
const ROWS_BETWEEN_CHECKS: usize = 64;

/// row'u <= limit over the free unknowns.
pub(super) struct Inequality {
    pub(super) row: DVector<f64>,
    pub(super) limit: f64,
}

/// A problem over the free unknowns, and how far its solution has come.
pub(super) struct State {
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
    /// Starts at a point strictly inside; the columns of `basis` span the directions that keep
    /// the equations.
    pub(super) fn new(
        measure: Measure,
        weights: Vec<f64>,
        limits: Vec<Inequality>,
        basis: DMatrix<f64>,
        inside: DVector<f64>,
    ) -> Self {
        Self {
            measure,
            weights,
            limits,
            basis,
            now: Iterate {
                u: inside,
                slacks: Vec::new(),
                multipliers: Vec::new(),
            },
        }
    }

    /// Runs from products of slack and multiplier until one run reaches the tolerance; answers
    /// the violation that is left. All runs but the first go to the center first.
    pub(super) fn solve(
        &mut self,
        products: &[f64],
        tolerance: f64,
        control: &dyn Control,
    ) -> Result<f64, LpError> {
        let start = self.now.clone();
        let mut kkt = f64::INFINITY;
        for (attempt, &product) in products.iter().enumerate() {
            self.now = start.clone();
            if attempt > 0 {
                self.center(product, control)?;
            }
            self.run(product, control)?;
            kkt = self.relative_kkt();
            if kkt <= tolerance {
                break;
            }
        }
        Ok(kkt)
    }

    pub(super) fn point(&self) -> &DVector<f64> {
        &self.now.u
    }

    fn room(&self, u: &DVector<f64>) -> Vec<f64> {
        self.limits.iter().map(|l| l.limit - l.row.dot(u)).collect()
    }

    fn allows(&self, u: &DVector<f64>) -> bool {
        self.measure == Measure::Squares || u.iter().all(|value| *value > 0.0)
    }

    /// Goes halfway to another point, within the equations, if that leaves more room.
    pub(super) fn move_toward(&mut self, other: &DVector<f64>) {
        let least = |state: &Self, u: &DVector<f64>| {
            let signs = match state.measure {
                Measure::Entropy => u.iter().fold(f64::INFINITY, |m, v| m.min(*v)),
                Measure::Squares => f64::INFINITY,
            };
            state.room(u).iter().fold(signs, |m, slack| m.min(*slack))
        };
        let away = other - &self.now.u;
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

    /// The largest violation, that of stationarity and complementarity relative to the terms that
    /// cancel in them: the largest multiplier where that is above 1. Misses of limits count whole.
    fn relative_kkt(&self) -> f64 {
        let size = self.now.multipliers.iter().fold(1.0, |m, l| l.max(m));
        let gaps = self.gaps(&self.now).into_iter().map(f64::abs);
        gaps.fold(self.kkt(&self.now) / size, f64::max)
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

    /// Goes to where f - product sum log(slack) is least, by damped Newton steps, which get there
    /// from anywhere inside (Boyd and Vandenberghe, section 9.5).
    fn center(&mut self, product: f64, control: &dyn Control) -> Result<(), LpError> {
        for _ in 0..MAX_STEPS {
            control.check()?;
            self.start(product);
            let step = self.newton(product, control)?;
            let here = self.barrier(&self.now.u, product);
            let mut slope = self.slope(&self.now.u);
            for (limit, multiplier) in self.limits.iter().zip(&self.now.multipliers) {
                slope.axpy(*multiplier, &limit.row, 1.0);
            }
            let descent = slope.dot(&step.u);
            if descent > -CENTERED * product {
                break;
            }
            let mut length = 1.0_f64;
            let next = loop {
                let next = &self.now.u + &step.u * length;
                if self.barrier(&next, product) <= here + 0.25 * length * descent {
                    break next;
                }
                length *= 0.5;
                if length < SMALLEST_STEP {
                    return Ok(());
                }
            };
            self.now.u = next;
        }
        Ok(())
    }

    /// f - product sum log(slack); infinite outside.
    fn barrier(&self, u: &DVector<f64>, product: f64) -> f64 {
        let room = self.room(u);
        if !self.allows(u) || room.iter().any(|slack| *slack <= 0.0) {
            return f64::INFINITY;
        }
        let values = u.iter().zip(&self.weights);
        let distance = values.fold(0.0, |sum, (u, w)| sum + w * self.measure.distance(*u));
        room.iter()
            .fold(distance, |sum, slack| sum - product * libm::log(*slack))
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
