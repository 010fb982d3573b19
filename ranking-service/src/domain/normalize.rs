//! Indicators onto one scale.
//!
//! Method: OECD/JRC handbook, step 5; COINr `n_minmax`, `n_zscore`. On the directed column x' = d x
//! over the values present:
//!
//! | method | score |
//! |---|---|
//! | identity | x' |
//! | min-max l, u | (x' - min) / (max - min) (u - l) + l |
//! | z-score m, s | (x' - mean) / sd s + m, sd over n - 1 |
//!
//! Missing stays missing. Both scales start from t = (x' - min) / (max - min): the mean and the
//! standard deviation are those of t, which gives the same z-score and neither overflows nor loses
//! digits to a large offset. Where max - min itself overflows, all three are halved first, which is
//! exact there. A min-max score never leaves [l, u].
//!
//! A column has no spread if its smallest and largest value are equal or it has none; the
//! methodology says what then. Identity needs no spread.
//!
//! Order: mean and variance add up over entities by id, so rows may come in any order.
//! Cost: one pass over the column to fit min-max, three for a z-score; a few operations a cell to
//! apply.

use thiserror::Error;

use super::column::Column;
use super::direction::Direction;
use super::entities::Entities;
use super::methodology::{ConstantColumn, Normalization, NormalizationMethod};

/// Why a column cannot be brought to a scale.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum NoSpread {
    /// All its values are equal.
    #[error("all values are {value}")]
    Constant {
        /// That value, as recorded (not directed).
        value: f64,
    },
    /// It has no value.
    #[error("there is no value")]
    Empty,
}

/// A normalization fitted to a column: maps a value to its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Direction, and the halving that keeps max - min finite.
    factor: f64,
    map: Map,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Map {
    Identity,
    Constant(f64),
    /// t gain + lower, kept in [lower, upper].
    MinMax {
        spread: Spread,
        gain: f64,
        lower: f64,
        upper: f64,
    },
    /// (t - center) / deviation gain + offset.
    ZScore {
        spread: Spread,
        center: f64,
        deviation: f64,
        gain: f64,
        offset: f64,
    },
}

/// Smallest directed value and the distance to the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    low: f64,
    range: f64,
}

impl Spread {
    fn place(self, directed: f64) -> f64 {
        (directed - self.low) / self.range
    }
}

/// Fits a normalization to a column whose rows are `entities`.
///
/// # Errors
/// [`NoSpread`] where the method needs spread, the column has none and the methodology does not say
/// what becomes of it.
pub fn fit(
    column: &Column,
    entities: &Entities,
    direction: Direction,
    normalization: &Normalization,
) -> Result<Scale, NoSpread> {
    let factor = direction.sign();
    if normalization.method == NormalizationMethod::Identity {
        let map = Map::Identity;
        return Ok(Scale { factor, map });
    }
    let Some((smallest, largest)) = extremes(column.raw()).filter(|(a, b)| a < b) else {
        return without_spread(column, factor, normalization.constant_column);
    };
    let halving = if (largest - smallest).is_finite() {
        1.0
    } else {
        0.5
    };
    let factor = factor * halving;
    let ends = (smallest * factor, largest * factor);
    let spread = Spread {
        low: ends.0.min(ends.1),
        range: (ends.1 - ends.0).abs(),
    };
    let map = match normalization.method {
        NormalizationMethod::Identity => Map::Identity,
        NormalizationMethod::MinMax { lower, upper } => Map::MinMax {
            spread,
            gain: upper - lower,
            lower,
            upper,
        },
        NormalizationMethod::ZScore {
            mean,
            standard_deviation,
        } => {
            let places = || {
                let present = entities.canonical().filter_map(|row| column.get(row));
                present.map(|value| spread.place(value * factor))
            };
            let (center, deviation) = moments(places);
            Map::ZScore {
                spread,
                center,
                deviation,
                gain: standard_deviation,
                offset: mean,
            }
        }
    };
    Ok(Scale { factor, map })
}

fn without_spread(column: &Column, factor: f64, policy: ConstantColumn) -> Result<Scale, NoSpread> {
    match policy {
        ConstantColumn::Value(score) => Ok(Scale {
            factor,
            map: Map::Constant(score + 0.0),
        }),
        ConstantColumn::Error => Err(match column.iter().flatten().next() {
            Some(value) => NoSpread::Constant { value },
            None => NoSpread::Empty,
        }),
    }
}

/// Smallest and largest value present. Eight lanes let the compiler use wide registers; smallest
/// and largest are the same in any order.
fn extremes(values: &[f64]) -> Option<(f64, f64)> {
    const LANES: usize = 8;
    let mut low = [f64::INFINITY; LANES];
    let mut high = [f64::NEG_INFINITY; LANES];
    let mut see = |chunk: &[f64]| {
        for ((&value, low), high) in chunk.iter().zip(&mut low).zip(&mut high) {
            // Comparisons with NaN are false: what is missing changes nothing.
            *low = if value < *low { value } else { *low };
            *high = if value > *high { value } else { *high };
        }
    };
    let chunks = values.chunks_exact(LANES);
    see(chunks.remainder());
    chunks.for_each(see);
    let low = low.into_iter().fold(f64::INFINITY, f64::min);
    let high = high.into_iter().fold(f64::NEG_INFINITY, f64::max);
    (low <= high).then_some((low, high))
}

/// Mean and standard deviation (n - 1) in two passes.
fn moments<I: Iterator<Item = f64>>(values: impl Fn() -> I) -> (f64, f64) {
    let (mut count, mut sum) = (0.0, 0.0);
    for value in values() {
        count += 1.0;
        sum += value;
    }
    let mean = sum / count;
    let squares = values().fold(0.0, |squares, value| {
        let distance = value - mean;
        squares + distance * distance
    });
    (mean, (squares / (count - 1.0)).sqrt())
}

impl Scale {
    /// The score of a value.
    #[must_use]
    pub fn score(&self, value: f64) -> f64 {
        let directed = value * self.factor;
        match self.map {
            Map::Identity => directed + 0.0,
            Map::Constant(score) => score,
            Map::MinMax {
                spread,
                gain,
                lower,
                upper,
            } => (spread.place(directed) * gain + lower).clamp(lower, upper),
            Map::ZScore {
                spread,
                center,
                deviation,
                gain,
                offset,
            } => (spread.place(directed) - center) / deviation * gain + offset,
        }
    }

    /// The scores of a stretch of a column; NaN is missing on both sides.
    pub(super) fn apply(&self, values: &[f64], scores: &mut [f64]) {
        let each = |scores: &mut [f64], map: &dyn Fn(f64) -> f64| {
            for (score, &value) in scores.iter_mut().zip(values) {
                *score = map(value);
            }
        };
        match self.map {
            Map::Constant(constant) => each(scores, &|value| {
                if value.is_nan() { value } else { constant }
            }),
            // The commonest method gets a loop of its own that the compiler can vectorize.
            Map::MinMax {
                spread,
                gain,
                lower,
                upper,
            } => {
                for (score, &value) in scores.iter_mut().zip(values) {
                    let place = spread.place(value * self.factor);
                    *score = (place * gain + lower).clamp(lower, upper);
                }
            }
            Map::Identity | Map::ZScore { .. } => each(scores, &|value| self.score(value)),
        }
    }
}

/// Normalizes a column at once.
///
/// # Errors
/// As [`fit`].
pub fn normalize(
    column: &Column,
    entities: &Entities,
    direction: Direction,
    normalization: &Normalization,
) -> Result<Column, NoSpread> {
    let scale = fit(column, entities, direction, normalization)?;
    let mut scores = vec![0.0; column.len()];
    scale.apply(column.raw(), &mut scores);
    Ok(Column::from_scores(scores))
}

#[cfg(test)]
mod tests;
