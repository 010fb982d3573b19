//! What the leaves of an edition read. Stored, every cell says all of its own; in memory the cells of
//! a leaf share what they say besides their figures, which is mostly the same, so that a million of
//! them is read, kept and let go of quickly.

use std::{collections::HashSet, fmt, sync::Arc};

use almanac_service_kit::store::Record;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

use crate::domain::direction::Direction;

/// Most of a cell in the store but for its texts: the figure, the ordinal, two numbers, two lengths.
const CELL_BYTES: usize = 32;
/// What cells say, but for its texts, with its counts and its place in the set that finds it again.
const TOLD_BYTES: usize = size_of::<CellTold>() + 40;
/// So many cells are made room for before any was read, whatever the bytes say.
const ROOM: usize = 1 << 16;

/// What a leaf of an edition read, one cell for each entity row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditionCells {
    /// Which way the indicator counted.
    pub direction: Direction,
    /// The indicator's unit.
    pub unit: String,
    /// The indicator's name for people.
    pub display_name: String,
    /// The indicator's default source.
    pub source: String,
    /// What was selected.
    #[serde(deserialize_with = "cells")]
    pub cells: Arc<Vec<EditionCell>>,
}

/// One cell of an edition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EditionCell {
    /// Value and ordinal of its period; none where nothing was found.
    pub figure: Option<(f64, i64)>,
    /// What it says besides.
    pub told: Arc<CellTold>,
}

/// What a cell says besides its figure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CellTold {
    /// ID of its own source; empty for the indicator's.
    pub source: String,
    /// Number of ObservationStatus.
    pub status: i32,
    /// Reason and note, where the data say that it is missing.
    pub missing: Option<(i32, String)>,
}

impl CellTold {
    /// Bytes of its texts.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.source.len() + self.missing.as_ref().map_or(0, |(_, note)| note.len())
    }
}

impl EditionCells {
    /// About how many bytes it takes in the store.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cells = self.cells.iter();
        let cells = cells.map(|cell| cell.told.text_bytes() + CELL_BYTES);
        cells.sum::<usize>() + self.unit.len() + self.display_name.len() + self.source.len() + 64
    }

    /// About how many bytes of memory what the cells say takes, besides the cells.
    #[must_use]
    pub fn told_bytes(&self) -> usize {
        let runs = self.cells.chunk_by(|a, b| Arc::ptr_eq(&a.told, &b.told));
        let told = runs.filter_map(|run| Some(&run.first()?.told));
        let mut counted = HashSet::new();
        let distinct = told.filter(|told| counted.insert(Arc::as_ptr(told)));
        distinct.map(|told| TOLD_BYTES + told.text_bytes()).sum()
    }
}

impl Record for EditionCells {}

/// A cell as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename = "EditionCell")]
struct StoredCell<'a> {
    figure: Option<(f64, i64)>,
    source: &'a str,
    status: i32,
    #[serde(borrow)]
    missing: Option<(i32, &'a str)>,
}

impl<'a> StoredCell<'a> {
    fn new(figure: Option<(f64, i64)>, told: &'a CellTold) -> Self {
        let missing = told.missing.as_ref();
        Self {
            figure,
            source: &told.source,
            status: told.status,
            missing: missing.map(|(reason, note)| (*reason, note.as_str())),
        }
    }

    fn says(&self, told: &CellTold) -> bool {
        let other = StoredCell::new(self.figure, told);
        (self.source, self.status, self.missing) == (other.source, other.status, other.missing)
    }

    fn told(&self) -> CellTold {
        let missing = self.missing;
        CellTold {
            source: self.source.to_owned(),
            status: self.status,
            missing: missing.map(|(reason, note)| (reason, note.to_owned())),
        }
    }
}

impl Serialize for EditionCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredCell::new(self.figure, &self.told).serialize(serializer)
    }
}

/// Reads cells such that those that say the same share it.
fn cells<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Vec<EditionCell>>, D::Error> {
    deserializer.deserialize_seq(Cells).map(Arc::new)
}

struct Cells;

impl<'de> Visitor<'de> for Cells {
    type Value = Vec<EditionCell>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the cells of a leaf")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut stored: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::with_capacity(stored.size_hint().unwrap_or(0).min(ROOM));
        let mut last = Arc::<CellTold>::default();
        let mut all = HashSet::from([Arc::clone(&last)]);
        while let Some(cell) = stored.next_element::<StoredCell<'de>>()? {
            if !cell.says(&last) {
                let told = cell.told();
                last = all.get(&told).cloned().unwrap_or_else(|| Arc::new(told));
                all.insert(Arc::clone(&last));
            }
            cells.push(EditionCell {
                figure: cell.figure,
                told: Arc::clone(&last),
            });
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cells as they were encoded from the first day on.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct First {
        direction: Direction,
        unit: String,
        display_name: String,
        source: String,
        cells: Vec<FirstCell>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct FirstCell {
        figure: Option<(f64, i64)>,
        source: String,
        status: i32,
        missing: Option<(i32, String)>,
    }

    fn cell() -> impl Strategy<Value = FirstCell> {
        let figure = proptest::option::of((-1e9..1e9, -9..9_i64));
        let missing = proptest::option::of((0..3, "[a-b]{0,2}"));
        let told = ("[a-b]{0,2}", 0..3, missing);
        (figure, told).prop_map(|(figure, (source, status, missing))| FirstCell {
            figure,
            source,
            status,
            missing,
        })
    }

    proptest! {
        #[test]
        fn the_encoded_form_is_that_of_the_first_day(cells in prop::collection::vec(cell(), 0..40)) {
            let first = First {
                direction: Direction::HigherIsBetter,
                unit: "%".to_owned(),
                display_name: "Name".to_owned(),
                source: "s".to_owned(),
                cells,
            };
            let bytes = postcard::to_allocvec(&first).unwrap();
            let read: EditionCells = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(postcard::to_allocvec(&read).unwrap(), bytes);
            let mut told = HashSet::new();
            for (read, first) in read.cells.iter().zip(&first.cells) {
                prop_assert_eq!(read.figure, first.figure);
                prop_assert_eq!(&read.told.source, &first.source);
                prop_assert_eq!(read.told.status, first.status);
                prop_assert_eq!(&read.told.missing, &first.missing);
                told.insert((&*read.told, Arc::as_ptr(&read.told)));
            }
            let texts = told.iter().map(|(told, _)| told.text_bytes() + TOLD_BYTES);
            prop_assert_eq!(read.told_bytes(), texts.sum::<usize>());
            let distinct: HashSet<_> = told.iter().map(|(told, _)| told).collect();
            prop_assert_eq!(distinct.len(), told.len(), "what is the same is not shared");
        }
    }
}
