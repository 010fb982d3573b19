//! The exact interval of a quantity over everything the figures allow.
//!
//! A linear quantity a'x has its extremes from two linear programs. A ratio n'x / d'x has them
//! from two more after the substitution of Charnes and Cooper (Naval Research Logistics
//! Quarterly 9, 1962): with t = 1 / d'x and y = t x, maximize n'y subject to the rows multiplied
//! by t, d'y = 1 and t >= 0. Points with d'x = 0 are left out: there the ratio means nothing.
//! An end that is only approached, never reached, is answered as the end.

use serde::{Deserialize, Serialize};

use almanac_service_kit::plain::control::Control;

use super::lp::{End, LpError, Optimum, Polyhedron, Row};
use super::system::{Form, Quantity, sum};

/// Everything between two ends, both included; an absent end is open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The least value; absent if there is no least one.
    pub lower: Option<f64>,
    /// The greatest value; absent if there is no greatest one.
    pub upper: Option<f64>,
}

impl Interval {
    /// The interval with these ends, infinite ones being open.
    pub(super) fn of_ends(lower: f64, upper: f64) -> Self {
        let finite = |end: f64| end.is_finite().then_some(end);
        Self {
            lower: finite(lower),
            upper: finite(upper),
        }
    }

    /// The same interval in other units; `map` must not decrease.
    #[must_use]
    pub(super) fn map(self, map: impl Fn(f64) -> f64) -> Self {
        Self {
            lower: self.lower.map(&map),
            upper: self.upper.map(&map),
        }
    }

    /// The middle and half the width, if both ends exist.
    pub(super) fn middle(self) -> Option<(f64, f64)> {
        let (lower, upper) = (self.lower?, self.upper?);
        Some((lower + (upper - lower) / 2.0, (upper - lower) / 2.0))
    }
}

/// The interval of a linear form; `None` if no point satisfies the rows.
pub(super) fn of_form(
    set: &Polyhedron,
    form: &Form,
    control: &dyn Control,
) -> Result<Option<Interval>, LpError> {
    let end = |end| -> Result<Option<Option<f64>>, LpError> {
        Ok(match set.extreme(form, end, control)? {
            Optimum::Infeasible => None,
            Optimum::Unbounded => Some(None),
            Optimum::At { value, .. } => Some(Some(value)),
        })
    };
    let (Some(lower), Some(upper)) = (end(End::Least)?, end(End::Most)?) else {
        return Ok(None);
    };
    Ok(Some(tidy(set, form, lower, upper)))
}

/// The interval of a quantity; `None` if no point gives it a value.
pub(super) fn of_quantity(
    set: &Polyhedron,
    quantity: &Quantity,
    control: &dyn Control,
) -> Result<Option<Interval>, LpError> {
    match &quantity.denominator {
        None => of_form(set, &quantity.numerator, control),
        Some(denominator) => {
            let homogeneous = charnes_cooper(set, denominator);
            of_form(&homogeneous, &quantity.numerator, control)
        }
    }
}

/// Undoes what rounding can do to two ends: a sum of nonnegative unknowns just below zero, or
/// the least value just above the greatest.
fn tidy(set: &Polyhedron, form: &Form, lower: Option<f64>, upper: Option<f64>) -> Interval {
    let nonnegative = form
        .iter()
        .all(|&(u, c)| c >= 0.0 && set.bounds[u].0 >= 0.0);
    let clip = |end: f64| if nonnegative { end.max(0.0) } else { end };
    match (lower.map(clip), upper.map(clip)) {
        (Some(low), Some(high)) if low > high => {
            let middle = high + (low - high) / 2.0;
            Interval::of_ends(middle, middle)
        }
        (lower, upper) => Interval { lower, upper },
    }
}

/// The rows in y = t x and t, the last unknown, where the denominator is one.
fn charnes_cooper(set: &Polyhedron, denominator: &Form) -> Polyhedron {
    let t = set.bounds.len();
    let mut bounds = set.bounds.clone();
    bounds.push((0.0, f64::INFINITY));
    let mut rows = vec![Row {
        form: denominator.clone(),
        lower: 1.0,
        upper: 1.0,
    }];
    for row in &set.rows {
        let shifted = |side: f64| sum(row.form.iter().copied().chain([(t, -side)]));
        if row.lower >= row.upper {
            rows.push(Row {
                form: shifted(row.lower),
                lower: 0.0,
                upper: 0.0,
            });
            continue;
        }
        if row.lower.is_finite() {
            rows.push(Row {
                form: shifted(row.lower),
                lower: 0.0,
                upper: f64::INFINITY,
            });
        }
        if row.upper.is_finite() {
            rows.push(Row {
                form: shifted(row.upper),
                lower: f64::NEG_INFINITY,
                upper: 0.0,
            });
        }
    }
    Polyhedron { bounds, rows }
}
