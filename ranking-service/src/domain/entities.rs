//! What is ranked: ids in the caller's order, and the canonical order beside it.
//!
//! Rows of every column and result follow the caller's order. Sums over entities and digests follow
//! the canonical one, the byte order of the ids, so that neither depends on how rows arrived.

use thiserror::Error;

/// Most entities of one ranking: ranks are 32-bit on the wire.
pub const MAX_ENTITIES: usize = i32::MAX as usize;

/// The entities of a ranking, each id once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entities {
    ids: Vec<String>,
    by_id: Vec<u32>,
}

/// Why a list of ids is no set of entities.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntitiesError {
    /// Ids that stand at more than one position.
    #[error("{} ids are repeated, the first at position {}", .repeated.len(), .repeated[0].1)]
    Repeated {
        /// (first position, later position), ascending by the later one; never empty.
        repeated: Vec<(usize, usize)>,
    },
    /// More than [`MAX_ENTITIES`].
    #[error("{count} entities; at most {MAX_ENTITIES} are possible")]
    TooMany {
        /// How many there were.
        count: usize,
    },
}

impl Entities {
    /// Takes the ids in the order of the rows. Cost O(n log n), O(n) where they are sorted.
    ///
    /// # Errors
    /// [`EntitiesError`] with all repetitions.
    pub fn new(ids: Vec<String>) -> Result<Self, EntitiesError> {
        let count = ids.len();
        let rows = u32::try_from(count)
            .ok()
            .filter(|_| count <= MAX_ENTITIES)
            .ok_or(EntitiesError::TooMany { count })?;
        let mut by_id: Vec<u32> = (0..rows).collect();
        // Stable, so that of equal ids the first position comes first.
        by_id.sort_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize]));
        let mut repeated = Vec::new();
        let mut first = 0;
        for place in 1..count {
            let (a, b) = (by_id[first] as usize, by_id[place] as usize);
            if ids[a] == ids[b] {
                repeated.push((a, b));
            } else {
                first = place;
            }
        }
        if repeated.is_empty() {
            Ok(Self { ids, by_id })
        } else {
            repeated.sort_unstable_by_key(|&(_, later)| later);
            Err(EntitiesError::Repeated { repeated })
        }
    }

    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids, by row.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The row of an entity. Cost O(log n).
    #[must_use]
    pub fn row(&self, id: &str) -> Option<usize> {
        self.by_id
            .binary_search_by(|&row| self.ids[row as usize].as_str().cmp(id))
            .ok()
            .map(|place| self.by_id[place] as usize)
    }

    /// The rows in canonical order: ascending by the bytes of the ids.
    pub fn canonical(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.by_id.iter().map(|&row| row as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities(ids: &[&str]) -> Result<Entities, EntitiesError> {
        Entities::new(ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rows_are_found_and_ordered_by_id() {
        let cities = entities(&["tokyo", "osaka", "seoul"]).unwrap();
        assert_eq!(cities.canonical().collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(cities.row("seoul"), Some(2));
        assert_eq!(cities.row("paris"), None);
    }

    #[test]
    fn every_repetition_is_named() {
        assert_eq!(
            entities(&["b", "a", "b", "a", "b"]),
            Err(EntitiesError::Repeated {
                repeated: vec![(0, 2), (1, 3), (0, 4)]
            })
        );
    }
}
