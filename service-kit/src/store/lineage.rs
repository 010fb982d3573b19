//! Whose revisions a store's revisions are: its own, and up to a point those of the store it was
//! restored from.

use super::time::Revision;

/// Names of stores, each for the revisions from some point on. What a token of a revision is
/// checked with, so that one from after a backup means nothing to what was restored from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage {
    /// The store that the log was begun by.
    pub(super) incarnation: [u8; 16],
    /// The service whose tables it has; empty where it was begun without one.
    pub(super) owner: String,
    /// By restore, the oldest first: the last revision that was in the backup, and the name from
    /// there on.
    pub(super) restored: Vec<(Revision, [u8; 16])>,
    /// The oldest revision that can be read: compaction has dropped versions below it.
    pub(super) floor: Revision,
}

impl Lineage {
    /// Of a new store.
    pub(super) fn new(incarnation: [u8; 16]) -> Self {
        Self {
            incarnation,
            owner: String::new(),
            restored: Vec::new(),
            floor: Revision::ZERO,
        }
    }

    /// Of a service.
    pub(super) fn owned_by(mut self, owner: &str) -> Self {
        owner.clone_into(&mut self.owner);
        self
    }

    /// Of what is restored from a backup that ends with `last`.
    pub(super) fn restored_at(mut self, last: Revision, name: [u8; 16]) -> Self {
        self.restored.push((last, name));
        self
    }

    /// Of what is compacted.
    pub(super) fn compacted_below(mut self, floor: Revision) -> Self {
        self.floor = floor;
        self
    }

    /// The store that committed a revision.
    pub(super) fn of(&self, revision: Revision) -> &[u8; 16] {
        let mut newest_first = self.restored.iter().rev();
        newest_first
            .find(|(last, _)| revision > *last)
            .map_or(&self.incarnation, |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_revision_belongs_to_the_store_that_committed_it() {
        let lineage = Lineage::new([0; 16])
            .restored_at(Revision::new(5), [1; 16])
            .restored_at(Revision::new(5), [2; 16])
            .restored_at(Revision::new(9), [3; 16]);
        for (revision, owner) in [(0, 0), (5, 0), (6, 2), (9, 2), (10, 3)] {
            assert_eq!(lineage.of(Revision::new(revision)), &[owner; 16]);
        }
    }
}
