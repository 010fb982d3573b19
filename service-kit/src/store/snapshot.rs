//! One revision of the store, for reading as long as one likes.

use std::fmt;
use std::sync::Arc;

use super::read::{Read, View};
use super::shared::Shared;
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
