//! What one commit becomes in the index: pairs of bytes, each with a checksum.
//!
//! | pair | key | value |
//! |---|---|---|
//! | a version of a record | table id, key bytes, !revision (u64 BE) | 1, time (i64 BE), value version (u16 BE), payload, check |
//! | a deletion | table id, key bytes, !revision (u64 BE) | 0, time (i64 BE), check |
//! | a commit | 0, `c`, revision (u64 BE) | time (i64 BE), writes (u32 BE), next uid (u64 BE), check |
//! | how far the index is | 0, `a` | see [`super::tip::Tip`], check |
//!
//! The complement of the revision puts the newest version of a key first. The check is the first
//! eight bytes of the BLAKE3 hash of the pair: length of the key (u32 BE), key, value. The sum of
//! the whole hashes over all pairs but the last kind is the [`SetHash`] by which a complete index
//! is told from one with holes.

use std::sync::Arc;

use super::time::{CommitTime, Revision};

/// Bytes of a check at the end of a value in the index.
pub(super) const CHECK: usize = 8;
const DELETED: u8 = 0;
const STORED: u8 = 1;

/// An encoded value, without its table and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) version: u16,
    pub(super) payload: Arc<[u8]>,
}

/// One write of a transaction: table id and key bytes, and what they get; `None` deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Encoded>,
}

/// One transaction that is to be, or has been, committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) revision: Revision,
    pub(super) time: CommitTime,
    pub(super) next_uid: u64,
    pub(super) writes: Vec<Write>,
}

/// A pair for the index.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The sum modulo 2^256 of the hashes of a set of pairs: the same in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SetHash([u64; 4]);

impl SetHash {
    pub(super) fn add(&mut self, hash: &blake3::Hash) {
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        let mut carry = false;
        for (mine, theirs) in self.0.iter_mut().zip(words) {
            let (sum, over) = mine.overflowing_add(u64::from_le_bytes(*theirs));
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *mine = sum;
            carry = over || over_again;
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self(words)
    }
}

/// The hash of a pair whose value has no check yet.
fn pair_hash(key: &[u8], value: &[u8]) -> blake3::Hash {
    // A key is far below 4 GiB: transactions are limited to less.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// Ends a value with its check; the hash of the pair is for the set.
pub(super) fn seal(key: &[u8], value: &mut Vec<u8>) -> blake3::Hash {
    let hash = pair_hash(key, value);
    value.extend_from_slice(
        hash.as_bytes()
            .first_chunk::<CHECK>()
            .unwrap_or(&[0; CHECK]),
    );
    hash
}

/// Checks a pair from the index: the value without its check, and the hash of the pair.
pub(super) fn unseal<'a>(
    key: &[u8],
    value: &'a [u8],
) -> Result<(&'a [u8], blake3::Hash), &'static str> {
    let (body, check) = value
        .split_last_chunk::<CHECK>()
        .ok_or("too short for a checksum")?;
    let hash = pair_hash(key, body);
    if hash.as_bytes().first_chunk() != Some(check) {
        return Err("the checksum does not match");
    }
    Ok((body, hash))
}

/// The pairs of a commit, each with its hash added to `set`.
pub(super) fn pairs(commit: &Commit, set: &mut SetHash) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(commit.writes.len() + 1);
    for write in &commit.writes {
        let key = version_key(&write.key, commit.revision);
        let mut value = Vec::new();
        match &write.value {
            None => {
                value.push(DELETED);
                value.extend_from_slice(&commit.time.nanoseconds().to_be_bytes());
            }
            Some(encoded) => {
                value.reserve_exact(11 + encoded.payload.len() + CHECK);
                value.push(STORED);
                value.extend_from_slice(&commit.time.nanoseconds().to_be_bytes());
                value.extend_from_slice(&encoded.version.to_be_bytes());
                value.extend_from_slice(&encoded.payload);
            }
        }
        set.add(&seal(&key, &mut value));
        pairs.push((key, value));
    }
    let key = commit_key(commit.revision);
    let mut value = Vec::with_capacity(20 + CHECK);
    value.extend_from_slice(&commit.time.nanoseconds().to_be_bytes());
    let writes = u32::try_from(commit.writes.len()).unwrap_or(u32::MAX);
    value.extend_from_slice(&writes.to_be_bytes());
    value.extend_from_slice(&commit.next_uid.to_be_bytes());
    set.add(&seal(&key, &mut value));
    pairs.push((key, value));
    pairs
}

/// The index key of one version of a record.
pub(super) fn version_key(key: &[u8], revision: Revision) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 8);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&(!revision.get()).to_be_bytes());
    bytes
}

/// The index key of a commit.
pub(super) fn commit_key(revision: Revision) -> Vec<u8> {
    let mut bytes = vec![0, b'c'];
    bytes.extend_from_slice(&revision.get().to_be_bytes());
    bytes
}

/// The time of a commit out of its checked value.
pub(super) fn commit_time(body: &[u8]) -> Option<CommitTime> {
    (body.len() == 20)
        .then(|| body.first_chunk())
        .flatten()
        .map(|time| CommitTime::from_nanoseconds(i64::from_be_bytes(*time)))
}

/// Splits an index key into table id and key bytes, and the revision.
pub(super) fn split_version_key(key: &[u8]) -> Option<(&[u8], Revision)> {
    let (key, revision) = key.split_last_chunk::<8>()?;
    (!key.is_empty()).then(|| (key, Revision::new(!u64::from_be_bytes(*revision))))
}

/// One version as it stands in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VersionRef<'a> {
    pub(super) time: CommitTime,
    /// The version and bytes of the value; `None` is a deletion.
    pub(super) value: Option<(u16, &'a [u8])>,
}

/// Checks and takes apart the value of a version.
pub(super) fn parse_version<'a>(
    key: &[u8],
    value: &'a [u8],
) -> Result<VersionRef<'a>, &'static str> {
    let (body, _) = unseal(key, value)?;
    let (kind, rest) = body.split_first().ok_or("empty")?;
    let (time, rest) = rest.split_first_chunk::<8>().ok_or("no commit time")?;
    let time = CommitTime::from_nanoseconds(i64::from_be_bytes(*time));
    let value = match *kind {
        DELETED if rest.is_empty() => None,
        STORED => {
            let (version, payload) = rest.split_first_chunk::<2>().ok_or("no value version")?;
            Some((u16::from_be_bytes(*version), payload))
        }
        _ => return Err("neither a value nor a deletion"),
    };
    Ok(VersionRef { time, value })
}
