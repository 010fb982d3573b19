//! Which figure counts: the latest usable value at or before a period (look-back).
//!
//! Method: COINr `impute_panel(i_latest)`, with a limit. Of the cells of one indicator and entity,
//! the value of the latest period p with target - max_age <= p <= target is taken; age = target -
//! p, in periods. Periods are ordinals at one frequency, so that ages are differences.
//!
//! - Without a `max_age` only the period itself counts (max_age 0): old figures are never taken
//!   unasked.
//! - A retracted cell is invisible, as if it had never been written.
//! - A cell that is known to be missing says that there is no figure for ITS period; the search
//!   goes on to older ones, as COINr's does. It is told as the reason where nothing is found.
//! - Cells after the target are not looked at.
//!
//! Cost: O(cells), in any order, no allocation. A key has one cell a period; should a caller give
//! two, the first wins.

use serde::{Deserialize, Serialize};

/// What is recorded for one indicator, entity and period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum CellState {
    /// A figure; finite.
    Value(f64),
    /// Known to be missing.
    Missing,
    /// Taken back: neither a figure nor a gap.
    Retracted,
}

/// A cell and its period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodCell {
    /// The period's ordinal, at the frequency of the target.
    pub ordinal: i64,
    /// What is recorded.
    pub state: CellState,
}

/// Which periods are in reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookBack {
    target: i64,
    max_age: u32,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Selection {
    /// A value.
    Found(Figure),
    /// None, and why.
    NotFound(Absence),
}

/// A value and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The value.
    pub value: f64,
    /// Its period.
    pub ordinal: i64,
    /// Periods between the target and it.
    pub age: u32,
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Nothing is recorded in reach, nor a value before.
    NotRecorded,
    /// The latest cell in reach says so.
    KnownMissing {
        /// The period of that cell.
        ordinal: i64,
    },
    /// The latest value is too old, and no cell in reach says anything.
    TooOld {
        /// The period of that value.
        ordinal: i64,
    },
}

impl LookBack {
    /// From a target back to `max_age` periods before it; `None` is 0.
    #[must_use]
    pub fn new(target: i64, max_age: Option<u32>) -> Self {
        Self {
            target,
            max_age: max_age.unwrap_or(0),
        }
    }

    /// The period asked for.
    #[must_use]
    pub fn target(self) -> i64 {
        self.target
    }

    /// The greatest age in reach.
    #[must_use]
    pub fn max_age(self) -> u32 {
        self.max_age
    }

    /// Takes the cell that counts.
    #[must_use]
    pub fn select(self, cells: impl IntoIterator<Item = PeriodCell>) -> Selection {
        let mut value: Option<(i64, f64)> = None;
        let mut gap: Option<i64> = None;
        for cell in cells {
            if cell.ordinal > self.target {
                continue;
            }
            match cell.state {
                CellState::Value(figure) => {
                    if value.is_none_or(|(ordinal, _)| cell.ordinal > ordinal) {
                        value = Some((cell.ordinal, figure));
                    }
                }
                CellState::Missing => gap = gap.max(Some(cell.ordinal)),
                CellState::Retracted => {}
            }
        }
        if let Some((ordinal, value)) = value
            && let Some(age) = self.age(ordinal)
        {
            return Selection::Found(Figure {
                value,
                ordinal,
                age,
            });
        }
        Selection::NotFound(match (gap, value) {
            (Some(ordinal), _) if self.age(ordinal).is_some() => Absence::KnownMissing { ordinal },
            (_, Some((ordinal, _))) => Absence::TooOld { ordinal },
            _ => Absence::NotRecorded,
        })
    }

    /// The age of a period in reach; `None` out of reach.
    fn age(self, ordinal: i64) -> Option<u32> {
        let age = self.target.checked_sub(ordinal)?;
        u32::try_from(age).ok().filter(|&age| age <= self.max_age)
    }
}

impl Selection {
    /// The value found.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Found(figure) => Some(figure.value),
            Self::NotFound(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(ordinal: i64, value: f64) -> PeriodCell {
        let state = CellState::Value(value);
        PeriodCell { ordinal, state }
    }

    fn missing(ordinal: i64) -> PeriodCell {
        let state = CellState::Missing;
        PeriodCell { ordinal, state }
    }

    fn retracted(ordinal: i64) -> PeriodCell {
        let state = CellState::Retracted;
        PeriodCell { ordinal, state }
    }

    fn found(value: f64, ordinal: i64, age: u32) -> Selection {
        Selection::Found(Figure {
            value,
            ordinal,
            age,
        })
    }

    #[test]
    fn the_latest_value_at_or_before_the_target_counts() {
        let cells = [
            value(2019, 1.0),
            value(2021, 3.0),
            value(2020, 2.0),
            value(2023, 9.0),
        ];
        assert_eq!(LookBack::new(2021, None).select(cells), found(3.0, 2021, 0));
        assert_eq!(
            LookBack::new(2022, Some(1)).select(cells),
            found(3.0, 2021, 1)
        );
        assert_eq!(
            LookBack::new(2022, Some(9)).select(cells),
            found(3.0, 2021, 1)
        );
        assert_eq!(
            LookBack::new(2022, None).select(cells),
            Selection::NotFound(Absence::TooOld { ordinal: 2021 })
        );
        assert_eq!(
            LookBack::new(2018, Some(9)).select(cells),
            Selection::NotFound(Absence::NotRecorded)
        );
    }

    #[test]
    fn retracted_cells_are_invisible_and_gaps_are_looked_behind() {
        let cells = [value(2020, 2.0), missing(2021), retracted(2022)];
        let back = LookBack::new(2022, Some(2));
        assert_eq!(back.select(cells), found(2.0, 2020, 2));
        assert_eq!(
            LookBack::new(2022, Some(1)).select(cells),
            Selection::NotFound(Absence::KnownMissing { ordinal: 2021 })
        );
        assert_eq!(
            LookBack::new(2022, Some(0)).select(cells),
            Selection::NotFound(Absence::TooOld { ordinal: 2020 })
        );
        assert_eq!(
            back.select([retracted(2022)]),
            Selection::NotFound(Absence::NotRecorded)
        );
    }

    #[test]
    fn ordinals_of_any_size_are_safe() {
        let back = LookBack::new(i64::MAX, Some(u32::MAX));
        let absent = Selection::NotFound(Absence::TooOld { ordinal: i64::MIN });
        assert_eq!(back.select([value(i64::MIN, 1.0)]), absent);
    }
}
