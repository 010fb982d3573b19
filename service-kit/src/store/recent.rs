//! Versions that were read lately, so that what is read again and again is not searched again.
//!
//! What is kept can never be wrong: that a version was the newest one at some revision stays true
//! whatever is committed later. So nothing has to be thrown out by a commit; a read at a revision
//! after the last one for which this is known goes to the index.

use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use super::shared::RawVersion;
use super::time::Revision;

/// Versions that are kept, each in the place that the hash of its key gives it.
const PLACES: usize = 4096;
/// Larger keys and values are not kept: with those that are, at most 16 MiB are.
const LARGEST: usize = 4096;

struct Known {
    key: Vec<u8>,
    version: RawVersion,
    /// The last revision at which it is known to be the newest.
    until: Revision,
}

pub(super) struct Recent {
    hasher: RandomState,
    places: Vec<RwLock<Option<Known>>>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| RwLock::default()).collect(),
        }
    }

    fn place(&self, key: &[u8]) -> Option<&RwLock<Option<Known>>> {
        let hash = self.hasher.hash_one(key);
        self.places
            .get(usize::try_from(hash).unwrap_or_default() % PLACES)
    }

    /// The newest version at a revision, if that is known.
    pub(super) fn newest(&self, key: &[u8], at: Revision) -> Option<RawVersion> {
        let place = self.place(key)?.read();
        let place = place.unwrap_or_else(PoisonError::into_inner);
        place
            .as_ref()
            .filter(|known| {
                known.key == key && (known.version.revision..=known.until).contains(&at)
            })
            .map(|known| known.version.clone())
    }

    /// Takes note that this is the newest version at a revision.
    pub(super) fn note(&self, key: &[u8], at: Revision, version: &RawVersion) {
        let size = version
            .value
            .as_ref()
            .map_or(0, |value| value.payload.len());
        if key.len() + size > LARGEST {
            return;
        }
        let Some(place) = self.place(key) else { return };
        *place.write().unwrap_or_else(PoisonError::into_inner) = Some(Known {
            key: key.to_owned(),
            version: version.clone(),
            until: at,
        });
    }
}
