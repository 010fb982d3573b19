//! Powers of two that bring the entries of a linear program near one.

use super::Polyhedron;

/// Rounds of scaling: the exponents settle in three or four.
const SCALING_ROUNDS: usize = 6;

/// Powers of two for rows and columns.
pub(super) struct Scales {
    pub(super) rows: Vec<f64>,
    pub(super) columns: Vec<f64>,
}

impl Scales {
    /// The scales of a set's rows and unknowns.
    pub(super) fn of(set: &Polyhedron) -> Self {
        let mut rows = vec![0_i32; set.rows.len()];
        let mut columns = vec![0_i32; set.bounds.len()];
        for _ in 0..SCALING_ROUNDS {
            for (row, own) in set.rows.iter().zip(&mut rows) {
                let entries = row.form.iter().map(|&(u, c)| exponent(c) + columns[u]);
                let sides = [row.lower, row.upper].into_iter().filter(|s| has_size(*s));
                *own = centered(entries.chain(sides.map(exponent)));
            }
            let mut spans: Vec<Option<(i32, i32)>> = vec![None; columns.len()];
            for (row, own) in set.rows.iter().zip(&rows) {
                for &(unknown, coefficient) in &row.form {
                    let size = exponent(coefficient) + own;
                    let (low, high) = spans[unknown].unwrap_or((size, size));
                    spans[unknown] = Some((low.min(size), high.max(size)));
                }
            }
            for (own, span) in columns.iter_mut().zip(spans) {
                *own = span.map_or(0, |(low, high)| centered([low, high].into_iter()));
            }
        }
        Self {
            rows: rows.into_iter().map(power_of_two).collect(),
            columns: columns.into_iter().map(power_of_two).collect(),
        }
    }
}

fn has_size(side: f64) -> bool {
    side.is_finite() && side.abs() > 0.0
}

/// The binary exponent of a number; 0 for zero.
pub(super) fn exponent(value: f64) -> i32 {
    libm::frexp(value).1
}

pub(super) fn power_of_two(exponent: i32) -> f64 {
    // Far inside the range of f64, whatever the input.
    libm::ldexp(1.0, exponent.clamp(-300, 300))
}

/// Minus the middle between the extreme exponents.
fn centered(exponents: impl Iterator<Item = i32>) -> i32 {
    let span = exponents.fold(None, |span: Option<(i32, i32)>, e| {
        Some(span.map_or((e, e), |(low, high)| (low.min(e), high.max(e))))
    });
    span.map_or(0, |(low, high)| -(low + high).div_euclid(2))
}
