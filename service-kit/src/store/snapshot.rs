//! One revision of the store, for reading as long as one likes.

use std::fmt;
use std::sync::Arc;

use super::error::StoreError;
use super::feed::Changes;
use super::key::{Key, Prefix};
use super::read::{Read, View};
use super::shared::Shared;
use super::table::{Record, Table};
use super::time::{CommitTime, Revision};

/// One revision of the store. Cheap to clone; what is committed later does not show.
///
/// Reads block for as long as the disk takes and belong on a thread that may.
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
    revision: Revision,
    time: CommitTime,
}

impl Snapshot {
    pub(super) fn new(shared: &Arc<Shared>, revision: Revision, time: CommitTime) -> Self {
        Self {
            shared: Arc::clone(shared),
            revision,
            time,
        }
    }

    /// The revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// When it was committed; [`CommitTime::MIN`] for revision 0.
    #[must_use]
    pub fn time(&self) -> CommitTime {
        self.time
    }

    /// The keys with a prefix that were written, or deleted, after revision `since`: what a state
    /// decoded there lacks. `None` where the store does not remember that far back (it keeps some
    /// megabytes of keys since it was opened), or `since` is after this snapshot.
    ///
    /// # Errors
    /// [`StoreError::CorruptValue`] for a key that does not decode.
    pub fn changed_keys<K: Key, V: Record, P: Prefix<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        prefix: &P,
        since: Revision,
    ) -> Result<Option<Changes<K>>, StoreError> {
        if since > self.revision {
            return Ok(None);
        }
        let prefix = table.prefix_bytes(prefix);
        let changed = self.shared.feed.changed(&prefix, since, self.revision);
        changed
            .map(|changed| {
                let keys = changed.keys.iter().map(|key| table.decode_key(key));
                Ok(Changes {
                    keys: keys.collect::<Result<_, _>>()?,
                    newest: changed.newest,
                })
            })
            .transpose()
    }

    /// The earliest revision from which on nothing under a prefix is known to have been written,
    /// up to this snapshot.
    #[must_use]
    pub fn unchanged_since<K: Key, V: Record, P: Prefix<K> + ?Sized>(
        &self,
        table: &Table<K, V>,
        prefix: &P,
    ) -> Revision {
        let prefix = table.prefix_bytes(prefix);
        self.shared.feed.unchanged_since(&prefix, self.revision)
    }
}

impl Read for Snapshot {
    fn view(&self) -> View<'_> {
        View {
            shared: &self.shared,
            at: self.revision,
            layers: Vec::new(),
            group: None,
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({})", self.revision)
    }
}
