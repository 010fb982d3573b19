//! One commit as a frame of the log.
//!
//! | offset | bytes | what (numbers little-endian) |
//! |---|---|---|
//! | 0 | 4 | `ALMF` |
//! | 4 | 4 | length of the whole frame |
//! | 8 | 8 | revision |
//! | 16 | 8 | commit time, nanoseconds since the epoch |
//! | 24 | 8 | next uid |
//! | 32 | 4 | number of writes |
//! | 36 | 4 | zero |
//! | 40 | 8 | pairs of the index after this commit |
//! | 48 | 32 | hash over these pairs |
//! | 80 | | the writes |
//! | length - 32 | 32 | BLAKE3 of the digest of the frame before, then all bytes of this frame above |
//!
//! A write: kind (0 deletes, 1 stores) u8, key length u32, key (table id first); when it stores,
//! also value version u16, payload length u32, payload.

use super::entry::{Commit, Encoded, SetHash, Write};
use super::time::{CommitTime, Revision};
use super::tip::{Digest, Tip};

const MAGIC: [u8; 4] = *b"ALMF";
const HEAD: usize = 80;
const DIGEST: usize = 32;
/// The most bytes that the writes of one transaction may take in a frame.
pub(super) const MAX_WRITES: usize = 64 << 20;
/// Bytes that a write takes beside its key and payload.
pub(super) const WRITE_OVERHEAD: usize = 11;
const MAX_FRAME: usize = HEAD + MAX_WRITES + DIGEST;

/// Why bytes are not the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameError {
    /// The bytes end inside the frame.
    Short,
    /// The bytes were never a frame that follows.
    Broken(&'static str),
}

impl FrameError {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Short => "the frame is cut off",
            Self::Broken(text) => text,
        }
    }
}

/// A whole and checked frame.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// The chain's end after it.
    pub(super) tip: Tip,
    /// All its bytes.
    pub(super) bytes: &'a [u8],
    writes: u32,
}

/// Appends the frame of a commit. `next` is the tip after it, its digest yet unknown.
pub(super) fn encode(commit: &Commit, mut next: Tip, before: &Digest, out: &mut Vec<u8>) -> Tip {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&commit.revision.get().to_le_bytes());
    out.extend_from_slice(&commit.time.nanoseconds().to_le_bytes());
    out.extend_from_slice(&commit.next_uid.to_le_bytes());
    out.extend_from_slice(&length(commit.writes.len()));
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&next.pairs.to_le_bytes());
    out.extend_from_slice(&next.set.to_bytes());
    for write in &commit.writes {
        out.push(u8::from(write.value.is_some()));
        out.extend_from_slice(&length(write.key.len()));
        out.extend_from_slice(&write.key);
        if let Some(value) = &write.value {
            out.extend_from_slice(&value.version.to_le_bytes());
            out.extend_from_slice(&length(value.payload.len()));
            out.extend_from_slice(&value.payload);
        }
    }
    let frame_length = length(out.len() - start + DIGEST);
    out[start + 4..start + 8].copy_from_slice(&frame_length);
    next.digest = digest(before, &out[start..]);
    out.extend_from_slice(&next.digest);
    next
}

/// A length that [`MAX_WRITES`] has kept far below 4 GiB.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn digest(before: &Digest, body: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

/// Reads the frame at the front of `bytes` that follows `before`.
pub(super) fn parse<'a>(bytes: &'a [u8], before: &Tip) -> Result<Frame<'a>, FrameError> {
    let head: &[u8; HEAD] = bytes.first_chunk().ok_or(FrameError::Short)?;
    if head[..4] != MAGIC {
        return Err(FrameError::Broken("no frame begins here"));
    }
    let words = head.as_chunks::<4>().0;
    let length = u32::from_le_bytes(words[1]) as usize;
    if !(HEAD + DIGEST..=MAX_FRAME).contains(&length) {
        return Err(FrameError::Broken("the length of the frame is impossible"));
    }
    let frame = bytes.get(..length).ok_or(FrameError::Short)?;
    let (body, found) = frame
        .split_last_chunk::<DIGEST>()
        .ok_or(FrameError::Short)?;
    if digest(&before.digest, body) != *found {
        return Err(FrameError::Broken("the digest does not match"));
    }
    let longs = head.as_chunks::<8>().0;
    let mut set = [0; 32];
    set.copy_from_slice(&head[48..]);
    let tip = Tip {
        revision: Revision::new(u64::from_le_bytes(longs[1])),
        time: CommitTime::from_nanoseconds(i64::from_le_bytes(longs[2])),
        next_uid: u64::from_le_bytes(longs[3]),
        pairs: u64::from_le_bytes(longs[5]),
        set: SetHash::from_bytes(&set),
        digest: *found,
    };
    if tip.revision != before.revision.next() || tip.time < before.time {
        return Err(FrameError::Broken("the revision or time does not follow"));
    }
    Ok(Frame {
        tip,
        bytes: frame,
        writes: u32::from_le_bytes(words[8]),
    })
}

impl Frame<'_> {
    /// The commit in the frame.
    pub(super) fn commit(&self) -> Result<Commit, FrameError> {
        let mut rest = &self.bytes[HEAD..self.bytes.len() - DIGEST];
        let mut writes = Vec::new();
        for _ in 0..self.writes {
            writes.push(read_write(&mut rest).ok_or(FrameError::Broken("a write is cut off"))?);
        }
        if !rest.is_empty() {
            return Err(FrameError::Broken("bytes follow the last write"));
        }
        Ok(Commit {
            revision: self.tip.revision,
            time: self.tip.time,
            next_uid: self.tip.next_uid,
            writes,
        })
    }
}

fn read_write(rest: &mut &[u8]) -> Option<Write> {
    let [kind] = take(rest)?;
    let key = take_counted(rest)?.to_vec();
    let value = match kind {
        0 => None,
        1 => Some(Encoded {
            version: u16::from_le_bytes(take(rest)?),
            payload: take_counted(rest)?.into(),
        }),
        _ => return None,
    };
    Some(Write { key, value })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}
