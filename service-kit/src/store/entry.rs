//! What one commit becomes in the index: pairs of bytes, each with a checksum.
//!
//! | pair | key | value |
//! |---|---|---|
//! | a version of a record | table id, key bytes, !revision (u64 BE) | 1, time (i64 BE), value version (u16 BE), payload, check |
//! | a deletion | table id, key bytes, !revision (u64 BE) | 0, time (i64 BE), check |
//! | a group of commits | 0, `c`, !revision of its first (u64 BE) | their time (i64 BE), check |
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
/// What the keys of all groups begin with.
pub(super) const GROUPS: [u8; 2] = [0, b'c'];
const DELETED: u8 = 0;
const STORED: u8 = 1;

/// An encoded value, without its table and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) version: u16,
    pub(super) payload: Arc<[u8]>,
}

/// One write of a commit: table id and key bytes, and what they get; `None` deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write<'a> {
    pub(super) key: &'a [u8],
    /// Version and bytes of the value.
    pub(super) value: Option<(u16, &'a [u8])>,
}

/// What a commit is, beside its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) time: CommitTime,
    /// How many commits of its group come before it. A group becomes durable together and has
    /// one time.
    pub(super) group: u32,
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

/// Appends the pairs of a commit and adds the hash of each to `set`.
pub(super) fn pairs<'w>(
    head: &Head,
    writes: impl Iterator<Item = Write<'w>>,
    set: &mut SetHash,
    out: &mut Vec<Pair>,
) {
    let time = head.time.nanoseconds().to_be_bytes();
    let mut push = |key: Vec<u8>, mut value: Vec<u8>| {
        set.add(&seal(&key, &mut value));
        out.push((key, value));
    };
    for write in writes {
        let (version, payload) = write.value.unwrap_or_default();
        let mut value = Vec::with_capacity(11 + payload.len() + CHECK);
        value.push(if write.value.is_some() {
            STORED
        } else {
            DELETED
        });
        value.extend_from_slice(&time);
        if write.value.is_some() {
            value.extend_from_slice(&version.to_be_bytes());
            value.extend_from_slice(payload);
        }
        push(version_key(write.key, head.revision), value);
    }
    if head.group == 0 {
        let mut value = Vec::with_capacity(8 + CHECK);
        value.extend_from_slice(&time);
        push(group_key(head.revision), value);
    }
}

/// The index key of one version of a record.
pub(super) fn version_key(key: &[u8], revision: Revision) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 8);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&(!revision.get()).to_be_bytes());
    bytes
}

/// The index key of the group that begins with a commit. The group of any commit is the first
/// key from here on.
pub(super) fn group_key(revision: Revision) -> Vec<u8> {
    version_key(&GROUPS, revision)
}

/// The time of a group out of its checked value.
pub(super) fn group_time(body: &[u8]) -> Option<CommitTime> {
    <[u8; 8]>::try_from(body)
        .ok()
        .map(|time| CommitTime::from_nanoseconds(i64::from_be_bytes(time)))
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
