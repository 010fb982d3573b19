//! Where the chain of commits ends, as the log, the high-water mark and the index each tell it.

use super::entry::SetHash;
use super::time::{CommitTime, Revision};

/// BLAKE3 over everything committed so far.
pub(super) type Digest = [u8; 32];

/// The end of the chain after some commit.
///
/// As bytes (little-endian): revision u64, time i64, next uid u64, pairs u64, set hash 32,
/// digest 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) revision: Revision,
    pub(super) time: CommitTime,
    /// The uid that is given out next.
    pub(super) next_uid: u64,
    /// How many pairs the index holds, without the one that says how far it is.
    pub(super) pairs: u64,
    /// The hash over these pairs.
    pub(super) set: SetHash,
    /// The digest of the last frame, which covers all before it.
    pub(super) digest: Digest,
}

/// Bytes of an encoded [`Tip`].
pub(super) const TIP_BYTES: usize = 96;

impl Tip {
    /// Before the first commit. The incarnation starts the chain, so that frames of two stores
    /// never fit each other.
    pub(super) fn genesis(incarnation: &[u8; 16]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"almanac log");
        hasher.update(incarnation);
        Self {
            revision: Revision::ZERO,
            time: CommitTime::MIN,
            next_uid: 1,
            pairs: 0,
            set: SetHash::default(),
            digest: *hasher.finalize().as_bytes(),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; TIP_BYTES] {
        let mut bytes = [0; TIP_BYTES];
        bytes[..8].copy_from_slice(&self.revision.get().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.time.nanoseconds().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.next_uid.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.pairs.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.set.to_bytes());
        bytes[64..].copy_from_slice(&self.digest);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; TIP_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let (hashes, _) = bytes.as_chunks::<32>();
        Self {
            revision: Revision::new(u64::from_le_bytes(words[0])),
            time: CommitTime::from_nanoseconds(i64::from_le_bytes(words[1])),
            next_uid: u64::from_le_bytes(words[2]),
            pairs: u64::from_le_bytes(words[3]),
            set: SetHash::from_bytes(&hashes[1]),
            digest: hashes[2],
        }
    }
}
