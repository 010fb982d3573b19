//! What recent commits wrote: so that what was decoded from the store is brought forward by
//! reading a few records instead of all.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use super::entry::{self, Pair};
use super::time::Revision;

/// Most bytes of the keys that are kept.
const FEED_BYTES: usize = 8 << 20;
/// What a key costs beside its bytes: revision, length, pointer, allocation.
const KEY_OVERHEAD: usize = 48;

/// Records that were written between two revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<K> {
    /// Their keys, in order, each once.
    pub keys: Vec<K>,
    /// The last revision that wrote one of them; none without keys.
    pub newest: Option<Revision>,
}

/// As [`Changes`], keys as table id and key bytes.
#[derive(Debug, Default)]
pub(super) struct ChangedBytes {
    pub(super) keys: BTreeSet<Vec<u8>>,
    pub(super) newest: Option<Revision>,
}

/// The keys of recent commits, oldest first, bounded in bytes.
pub(super) struct Feed(RwLock<Ring>);

struct Ring {
    /// Table id and key bytes, ascending by revision.
    keys: VecDeque<(Revision, Box<[u8]>)>,
    bytes: usize,
    limit: usize,
    /// Every key written after this revision is there.
    complete_after: Revision,
}

impl Feed {
    /// A feed of what comes after a revision.
    pub(super) fn new(after: Revision) -> Self {
        Self::with_limit(after, FEED_BYTES)
    }

    fn with_limit(after: Revision, limit: usize) -> Self {
        Self(RwLock::new(Ring {
            keys: VecDeque::new(),
            bytes: 0,
            limit,
            complete_after: after,
        }))
    }

    /// Takes note of a group of commits, before any reader sees them.
    pub(super) fn record(&self, pairs: &[Pair]) {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in pairs {
            // Table 0 is the store's own.
            let record = entry::split_version_key(key).filter(|(key, _)| key.first() != Some(&0));
            if let Some((key, revision)) = record {
                ring.bytes += key.len() + KEY_OVERHEAD;
                ring.keys.push_back((revision, key.into()));
            }
            ring.trim();
        }
    }

    /// The keys with a prefix that were written after `since` and not after `to`, each once;
    /// `None` where that is no longer known.
    pub(super) fn changed(
        &self,
        prefix: &[u8],
        since: Revision,
        to: Revision,
    ) -> Option<ChangedBytes> {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if since < ring.complete_after {
            return None;
        }
        let first = ring
            .keys
            .partition_point(|(revision, _)| *revision <= since);
        let range = ring.keys.range(first..);
        let range = range.take_while(|(revision, _)| *revision <= to);
        let mut changed = ChangedBytes::default();
        for (revision, key) in range.filter(|(_, key)| key.starts_with(prefix)) {
            changed.newest = Some(*revision);
            changed.keys.insert(key.to_vec());
        }
        Some(changed)
    }

    /// The last revision up to `to` that wrote a key with a prefix, as far as is known: nothing
    /// did between it and `to`.
    pub(super) fn unchanged_since(&self, prefix: &[u8], to: Revision) -> Revision {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let end = ring.keys.partition_point(|(revision, _)| *revision <= to);
        let mut newest = ring.keys.range(..end).rev();
        let newest = newest.find(|(_, key)| key.starts_with(prefix));
        newest
            .map_or(ring.complete_after, |(revision, _)| *revision)
            .min(to)
    }
}

impl Ring {
    fn trim(&mut self) {
        while self.bytes > self.limit
            && let Some((revision, key)) = self.keys.pop_front()
        {
            self.bytes -= key.len() + KEY_OVERHEAD;
            self.complete_after = revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(revision: u64, name: &str) -> Pair {
        let key = [&[7], name.as_bytes()].concat();
        (
            entry::version_key(&key, Revision::new(revision)),
            Vec::new(),
        )
    }

    fn changed(feed: &Feed, since: u64, to: u64) -> Option<Vec<String>> {
        let keys = feed.changed(&[7], Revision::new(since), Revision::new(to))?;
        let name = |key: &Vec<u8>| String::from_utf8(key[1..].to_vec()).unwrap();
        Some(keys.keys.iter().map(name).collect())
    }

    #[test]
    fn keys_between_two_revisions_are_told_once() {
        let feed = Feed::new(Revision::new(3));
        let group = super::super::index::applied(&crate::store::tip::Tip::genesis(&[0; 16]));
        feed.record(&[pair(4, "a"), pair(5, "b"), pair(5, "a"), group]);
        feed.record(&[pair(6, "c")]);
        assert_eq!(changed(&feed, 3, 6).unwrap(), ["a", "b", "c"]);
        assert_eq!(changed(&feed, 4, 5).unwrap(), ["a", "b"]);
        assert_eq!(changed(&feed, 5, 6).unwrap(), ["c"]);
        assert!(changed(&feed, 6, 6).unwrap().is_empty());
        assert_eq!(changed(&feed, 2, 6), None);
        let all = feed.changed(&[7, b'a'], Revision::new(3), Revision::new(6));
        assert_eq!(all.unwrap().newest, Some(Revision::new(5)));
        let since = |prefix: &[u8], to| feed.unchanged_since(prefix, Revision::new(to)).get();
        assert_eq!((since(&[7, b'b'], 6), since(&[7, b'a'], 4)), (5, 4));
        // Nothing is known of the time before the feed.
        assert_eq!((since(&[8], 6), since(&[8], 2)), (3, 2));
    }

    #[test]
    fn what_is_beyond_the_limit_is_said_to_be_unknown() {
        let feed = Feed::with_limit(Revision::ZERO, 2 * (2 + KEY_OVERHEAD));
        feed.record(&[pair(1, "a"), pair(2, "b"), pair(2, "c")]);
        assert_eq!(changed(&feed, 0, 2), None);
        assert_eq!(changed(&feed, 1, 2).unwrap(), ["b", "c"]);
        feed.record(&[pair(3, "d")]);
        assert_eq!(changed(&feed, 1, 3), None);
        assert_eq!(changed(&feed, 2, 3).unwrap(), ["d"]);
    }
}
