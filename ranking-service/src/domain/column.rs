//! One number per entity, some of them missing: an indicator's values or a node's scores.
//!
//! Eight bytes a row, contiguous, so that the passes of the pipeline run at the speed of memory.
//! A missing row is a NaN inside and `None` outside: no NaN ever enters or leaves, because
//! constructors refuse what is not finite and readers answer `Option`. The two zeros are one value.

use thiserror::Error;

/// One number per entity, some of them missing.
#[derive(Debug, Clone, Default)]
pub struct Column {
    values: Vec<f64>,
}

/// Rows that cannot be part of a column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ColumnError {
    /// These rows are NaN or infinite.
    #[error("{} rows are not finite, the first is row {}", .rows.len(), .rows[0])]
    NotFinite {
        /// Every such row, ascending; never empty.
        rows: Vec<usize>,
    },
    /// A row is said to be missing that the column does not have.
    #[error("row {row} is said to be missing, but the column has {length} rows")]
    NoSuchRow {
        /// The row named.
        row: usize,
        /// Number of rows in the column.
        length: usize,
    },
}

impl Column {
    /// A column of optional numbers.
    ///
    /// # Errors
    /// [`ColumnError::NotFinite`] with all rows that are NaN or infinite.
    pub fn from_options(cells: &[Option<f64>]) -> Result<Self, ColumnError> {
        let mut rows = Vec::new();
        let values = cells
            .iter()
            .enumerate()
            .map(|(row, cell)| {
                cell.map_or(f64::NAN, |value| {
                    if !value.is_finite() {
                        rows.push(row);
                    }
                    value + 0.0
                })
            })
            .collect();
        refuse(rows, Self { values })
    }

    /// A dense column and the rows of it that are missing; what stands in those rows is ignored.
    ///
    /// # Errors
    /// [`ColumnError`] for rows out of range, then for numbers that are not finite.
    pub fn from_dense(mut values: Vec<f64>, missing: &[u32]) -> Result<Self, ColumnError> {
        let length = values.len();
        let mut absent = vec![false; length];
        for &row in missing {
            let row = row as usize;
            *absent
                .get_mut(row)
                .ok_or(ColumnError::NoSuchRow { row, length })? = true;
        }
        let mut rows = Vec::new();
        for (row, (value, &absent)) in values.iter_mut().zip(&absent).enumerate() {
            if absent {
                *value = f64::NAN;
            } else if value.is_finite() {
                *value += 0.0;
            } else {
                rows.push(row);
            }
        }
        refuse(rows, Self { values })
    }

    /// Scores computed here: NaN means missing, nothing is infinite.
    pub(super) fn from_scores(values: Vec<f64>) -> Self {
        Self { values }
    }

    /// The rows as they lie in memory: NaN means missing.
    pub(super) fn raw(&self) -> &[f64] {
        &self.values
    }

    /// Whether every row holds the same bits.
    pub(super) fn same_bits(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .values
                .iter()
                .zip(&other.values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the column has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value in a row; `None` where it is missing or there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<f64> {
        self.values
            .get(row)
            .copied()
            .filter(|value| !value.is_nan())
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.values
            .iter()
            .map(|&value| (!value.is_nan()).then_some(value))
    }

    /// Number of rows that have a value.
    #[must_use]
    pub fn present(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// The column as optional numbers.
    #[must_use]
    pub fn to_options(&self) -> Vec<Option<f64>> {
        self.iter().collect()
    }
}

/// Columns are equal where they hold the same numbers and miss the same rows.
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

fn refuse(rows: Vec<usize>, column: Column) -> Result<Column, ColumnError> {
    if rows.is_empty() {
        Ok(column)
    } else {
        Err(ColumnError::NotFinite { rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_goes_in_and_comes_out_as_missing() {
        let cells = [Some(1.5), None, Some(-0.0)];
        let column = Column::from_options(&cells).unwrap();
        assert_eq!(column.to_options(), [Some(1.5), None, Some(0.0)]);
        assert!(column.get(2).unwrap().is_sign_positive());
        assert_eq!((column.len(), column.present()), (3, 2));
        assert_eq!(column.get(3), None);
        let dense = Column::from_dense(vec![1.5, 9.0, 0.0], &[1]).unwrap();
        assert_eq!(dense, column);
    }

    #[test]
    fn all_rows_that_are_not_finite_are_named() {
        let cells = [Some(f64::NAN), Some(1.0), Some(f64::INFINITY)];
        let refused = ColumnError::NotFinite { rows: vec![0, 2] };
        assert_eq!(Column::from_options(&cells), Err(refused.clone()));
        assert_eq!(
            Column::from_dense(vec![f64::NAN, 1.0, f64::NEG_INFINITY], &[]),
            Err(refused)
        );
        assert_eq!(
            Column::from_dense(vec![f64::NAN, 1.0], &[0]).map(|c| c.present()),
            Ok(1)
        );
        assert_eq!(
            Column::from_dense(vec![1.0], &[1]),
            Err(ColumnError::NoSuchRow { row: 1, length: 1 })
        );
    }
}
