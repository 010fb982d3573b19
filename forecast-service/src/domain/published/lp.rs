//! Linear programs over the unknowns, scaled before and verified after they are solved.
//!
//! The simplex method itself is the `microlp` crate's: plain Rust, deterministic. Around it:
//!
//! * **Scaling.** Rows and columns, the right-hand sides counting as one more column, are
//!   multiplied by powers of two that bring their entries near one (alternating geometric
//!   means), so that markets in dollars and in billions are the same program and a figure of
//!   0.001 beside one of 1e6 keeps its own precision. Exponents are integers: no logarithm and
//!   no rounding is involved.
//! * **Tolerance.** A row counts as held when it is missed by at most [`TOLERANCE`] after
//!   scaling, which is relative to the size of the numbers in the row up to a factor of two.
//! * **Verification.** Every point is put back into every row and bound as stated; one that
//!   misses any by more than [`TOLERANCE`], relative, is not answered but an error. That the
//!   objective is best there is the solver's word.

use almanac_service_kit::plain::control::{Control, Stopped};
use microlp::{OptimizationDirection, Problem, SolveOptions};
use thiserror::Error;

use super::system::Form;

mod attempts;
mod scales;

use attempts::{ATTEMPTS, Attempt, FAR, Slack, add_row, ordered};
use scales::{Scales, exponent, power_of_two};

/// By how much a row may be missed, relative to the size of its numbers.
pub const TOLERANCE: f64 = 1e-9;

/// lower <= form <= upper.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) form: Form,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

/// A set of points: the unknowns that satisfy every row.
#[derive(Debug, Clone)]
pub(super) struct Polyhedron {
    /// The lower and upper end of each unknown.
    pub(super) bounds: Vec<(f64, f64)>,
    pub(super) rows: Vec<Row>,
}

/// Which end of an objective is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Least,
    Most,
}

/// What a linear program has for an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Optimum {
    /// No point satisfies the rows.
    Infeasible,
    /// The objective has no limit.
    Unbounded,
    /// The best value, and a point that has it.
    At { value: f64, point: Vec<f64> },
}

/// Why a linear program was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LpError {
    /// Nobody waits for the answer any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The arithmetic failed: no answer that can be verified was found.
    #[error("a linear program could not be solved to the tolerance: {0}")]
    Numerical(String),
}

impl Polyhedron {
    pub(super) fn new(unknowns: usize, nonnegative: bool) -> Self {
        let least = if nonnegative { 0.0 } else { f64::NEG_INFINITY };
        Self {
            bounds: vec![(least, f64::INFINITY); unknowns],
            rows: Vec::new(),
        }
    }

    /// Whether any point satisfies the rows.
    pub(super) fn is_feasible(&self, control: &dyn Control) -> Result<bool, LpError> {
        let optimum = self.extreme(&[], End::Least, control)?;
        Ok(optimum != Optimum::Infeasible)
    }

    /// The least or greatest value of a linear objective.
    pub(super) fn extreme(
        &self,
        objective: &[(usize, f64)],
        end: End,
        control: &dyn Control,
    ) -> Result<Optimum, LpError> {
        let scales = Scales::of(self);
        let mut trouble = String::new();
        for attempt in ATTEMPTS {
            control.check()?;
            let (problem, variables) = self.problem(objective, end, &scales, attempt);
            let mut options = SolveOptions::default();
            options.presolve = attempt.presolve;
            options.tolerances.feasibility = attempt.tolerance;
            let solution = match problem.solve_with(options) {
                Ok(outcome) => outcome.into_solution().ok(),
                Err(microlp::Error::Infeasible) => return Ok(Optimum::Infeasible),
                Err(microlp::Error::Unbounded) => return Ok(Optimum::Unbounded),
                Err(error) => {
                    trouble = error.to_string();
                    None
                }
            };
            let Some(solution) = solution else { continue };
            let point: Vec<f64> = variables
                .iter()
                .zip(&scales.columns)
                .map(|(variable, scale)| solution.var_value(*variable) * scale)
                .collect();
            match self.worst_miss(&point, &scales) {
                miss if miss <= TOLERANCE => {
                    let value = dot(objective, &point);
                    if attempt.capped && reaches(objective, &scales, value, end) {
                        return Ok(Optimum::Unbounded);
                    }
                    return Ok(Optimum::At { value, point });
                }
                miss => trouble = format!("a row is missed by {miss:e}"),
            }
        }
        Err(LpError::Numerical(trouble))
    }

    fn problem(
        &self,
        objective: &[(usize, f64)],
        end: End,
        scales: &Scales,
        attempt: Attempt,
    ) -> (Problem, Vec<microlp::Variable>) {
        let mut problem = Problem::new(match end {
            End::Least => OptimizationDirection::Minimize,
            End::Most => OptimizationDirection::Maximize,
        });
        let (costs, unit) = costs(objective, scales);
        let mut variables: Vec<_> = ordered(costs.len(), attempt.backward)
            .map(|u| {
                let ((lower, upper), scale) = (self.bounds[u], scales.columns[u]);
                problem.add_var(costs[u] * unit, (lower / scale, upper / scale))
            })
            .collect();
        if attempt.backward {
            variables.reverse();
        }
        for place in ordered(self.rows.len(), attempt.backward) {
            let (row, scale) = (&self.rows[place], scales.rows[place]);
            let terms = row.form.iter();
            let terms = terms.map(|&(u, c)| (variables[u], c * scales.columns[u] * scale));
            // Between half of and all of what may be opened, in steps of the golden section.
            let opened = attempt.opened * (0.5 + 0.5 * (place as f64 * 0.618_034).fract());
            let (lower, upper) = (row.lower * scale - opened, row.upper * scale + opened);
            add_row(&mut problem, terms.collect(), (lower, upper), attempt.slack);
        }
        if attempt.capped {
            let terms = (costs.iter().zip(&variables)).map(|(cost, v)| (*v, cost * unit));
            let terms = terms.filter(|(_, cost)| cost.abs() > 0.0).collect();
            add_row(&mut problem, terms, (-FAR, FAR), Slack::Bounded);
        }
        (problem, variables)
    }

    /// By how much a point misses the worst of the rows and bounds, relative to the size of the
    /// numbers in it.
    pub(super) fn miss(&self, point: &[f64]) -> f64 {
        self.worst_miss(point, &Scales::of(self))
    }

    /// By how much the point misses its worst row or bound, relative to the scale of the row or
    /// to the numbers added in it, whichever is larger.
    fn worst_miss(&self, point: &[f64], scales: &Scales) -> f64 {
        let mut worst = 0.0_f64;
        for (row, scale) in self.rows.iter().zip(&scales.rows) {
            let activity = dot(&row.form, point);
            let size = row
                .form
                .iter()
                .fold(0.0, |sum, &(u, c)| sum + (c * point[u]).abs());
            let miss = (row.lower - activity).max(activity - row.upper).max(0.0);
            worst = worst.max(miss / size.max(1.0 / scale));
        }
        for ((value, (lower, upper)), scale) in point.iter().zip(&self.bounds).zip(&scales.columns)
        {
            let miss = (lower - value).max(value - upper).max(0.0);
            worst = worst.max(miss / value.abs().max(*scale));
        }
        worst
    }
}

/// The objective in scaled units, and the power of two that brings its largest entry to about
/// one: its size says nothing about the program.
fn costs(objective: &[(usize, f64)], scales: &Scales) -> (Vec<f64>, f64) {
    let mut costs = vec![0.0; scales.columns.len()];
    for &(unknown, coefficient) in objective {
        costs[unknown] += coefficient * scales.columns[unknown];
    }
    let largest = costs.iter().fold(0.0_f64, |m, c| m.max(c.abs()));
    (costs, power_of_two(-exponent(largest)))
}

/// Whether a capped objective stands at its cap.
fn reaches(objective: &[(usize, f64)], scales: &Scales, value: f64, end: End) -> bool {
    let (_, unit) = costs(objective, scales);
    let toward = if end == End::Most { value } else { -value };
    toward * unit > 0.99 * FAR
}

/// The sum of a linear form at a point, in the order of its terms.
pub(super) fn dot(form: &[(usize, f64)], point: &[f64]) -> f64 {
    form.iter().fold(0.0, |sum, &(u, c)| sum + c * point[u])
}

#[cfg(test)]
mod tests {
    use almanac_service_kit::plain::control::Unlimited;

    use super::*;

    fn row(form: &[(usize, f64)], lower: f64, upper: f64) -> Row {
        Row {
            form: form.to_vec(),
            lower,
            upper,
        }
    }

    fn value(optimum: Optimum) -> f64 {
        match optimum {
            Optimum::At { value, .. } => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn units_do_not_matter() {
        for unit in [1e-9, 1e-6, 1.0, 1e9, 1e14] {
            let mut set = Polyhedron::new(2, true);
            set.rows
                .push(row(&[(0, 1.0), (1, 1.0)], 19.0 * unit, 20.0 * unit));
            set.rows.push(row(&[(0, 1.0), (1, -2.2)], 0.0, 0.0));
            let least = value(set.extreme(&[(1, 1.0)], End::Least, &Unlimited).unwrap());
            let most = value(set.extreme(&[(1, 1.0)], End::Most, &Unlimited).unwrap());
            assert!(
                (least / unit - 19.0 / 3.2).abs() < 1e-13,
                "{unit:e}: {least:e}"
            );
            assert!(
                (most / unit - 20.0 / 3.2).abs() < 1e-13,
                "{unit:e}: {most:e}"
            );
        }
    }

    #[test]
    fn small_figures_beside_large_ones_keep_their_digits() {
        let mut set = Polyhedron::new(3, true);
        set.rows
            .push(row(&[(0, 1.0), (1, 1.0), (2, 1.0)], 1e6, 1e6 + 1.0));
        set.rows.push(row(&[(1, 1.0)], 0.0005, 0.0015));
        let least = value(set.extreme(&[(1, 1.0)], End::Least, &Unlimited).unwrap());
        assert!((least - 0.0005).abs() < 1e-12, "{least:e}");
    }

    #[test]
    fn the_three_answers() {
        let mut set = Polyhedron::new(1, true);
        let most = set.extreme(&[(0, 1.0)], End::Most, &Unlimited).unwrap();
        assert_eq!(most, Optimum::Unbounded);
        set.rows.push(row(&[(0, 1.0)], f64::NEG_INFINITY, -1.0));
        assert!(!set.is_feasible(&Unlimited).unwrap());
        set.bounds[0].0 = f64::NEG_INFINITY;
        let most = set.extreme(&[(0, 1.0)], End::Most, &Unlimited).unwrap();
        assert!((value(most) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn feasibility_is_decided_at_the_stated_tolerance() {
        let gap = |relative: f64| {
            let mut set = Polyhedron::new(1, true);
            set.rows.push(row(&[(0, 1.0)], 42.0, 42.0));
            set.rows
                .push(row(&[(0, 1.0)], 42.0 * (1.0 + relative), f64::INFINITY));
            set.is_feasible(&Unlimited).unwrap()
        };
        assert!(gap(1e-11));
        assert!(!gap(1e-8));
    }

    #[test]
    fn a_stopped_caller_gets_no_answer() {
        struct Gone;
        impl Control for Gone {
            fn check(&self) -> Result<(), Stopped> {
                Err(Stopped)
            }
            fn report(&self, _: u64, _: u64) {}
        }
        let set = Polyhedron::new(1, true);
        assert_eq!(set.is_feasible(&Gone), Err(LpError::Stopped(Stopped)));
    }
}
