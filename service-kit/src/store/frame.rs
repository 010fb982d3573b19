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
//! | 36 | 4 | how many frames of its group come before it |
//! | 40 | 8 | pairs of the index after this commit |
//! | 48 | 32 | hash over these pairs |
//! | 80 | | the writes |
//! | length - 32 | 32 | BLAKE3 of the digest of the frame before, then all bytes of this frame above |
//!
//! A write: kind (0 deletes, 1 stores) u8, key length u32, key (table id first); when it stores,
//! also value version u16, payload length u32, payload.

use super::entry::{Head, SetHash, Write};
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
    group: u32,
    writes: u32,
}

/// Appends the frame of a commit. `next` is the tip after it, its digest yet unknown.
pub(super) fn encode<'w>(
    head: &Head,
    writes: impl ExactSizeIterator<Item = Write<'w>>,
    mut next: Tip,
    before: &Digest,
    out: &mut Vec<u8>,
) -> Tip {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.revision.get().to_le_bytes());
    out.extend_from_slice(&head.time.nanoseconds().to_le_bytes());
    out.extend_from_slice(&next.next_uid.to_le_bytes());
    out.extend_from_slice(&length(writes.len()));
    out.extend_from_slice(&head.group.to_le_bytes());
    out.extend_from_slice(&next.pairs.to_le_bytes());
    out.extend_from_slice(&next.set.to_bytes());
    for write in writes {
        out.push(u8::from(write.value.is_some()));
        out.extend_from_slice(&length(write.key.len()));
        out.extend_from_slice(write.key);
        if let Some((version, payload)) = write.value {
            out.extend_from_slice(&version.to_le_bytes());
            out.extend_from_slice(&length(payload.len()));
            out.extend_from_slice(payload);
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
        group: u32::from_le_bytes(words[9]),
        writes: u32::from_le_bytes(words[8]),
    })
}

/// Whether a whole frame stands somewhere behind the broken one that `bytes` begin with and that
/// should have followed `before`, of a group that began after it. Then the broken frame had been
/// durable: a group is begun only when the one before is.
pub(super) fn later_group(bytes: &[u8], before: &Tip) -> bool {
    let broken = before.revision.next().get();
    // Where the broken frame ends and what its digest should be, if its length can be believed.
    let mended = length_at(bytes)
        .filter(|length| (HEAD + DIGEST..=bytes.len()).contains(length))
        .map(|length| (length, digest(&before.digest, &bytes[..length - DIGEST])));
    let marks = bytes.windows(MAGIC.len()).enumerate().skip(DIGEST);
    marks.filter(|(_, mark)| **mark == MAGIC).any(|(at, _)| {
        // The digest of the frame before stands right before it.
        let mut previous = [0; DIGEST];
        previous.copy_from_slice(&bytes[at - DIGEST..at]);
        let mended = mended
            .filter(|(end, _)| *end == at)
            .map(|(_, digest)| digest);
        [Some(previous), mended]
            .into_iter()
            .flatten()
            .any(|previous| group_start(&bytes[at..], &previous).is_some_and(|rev| rev > broken))
    })
}

fn length_at(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(4..8)?.try_into().ok()?;
    Some(u32::from_le_bytes(length) as usize)
}

/// The first revision of the group of the whole frame that stands here, whatever came before it.
fn group_start(bytes: &[u8], previous: &Digest) -> Option<u64> {
    let frame = bytes.get(..length_at(bytes)?)?;
    let (body, found) = frame.split_last_chunk::<DIGEST>()?;
    if body.len() < HEAD || digest(previous, body) != *found {
        return None;
    }
    let revision = u64::from_le_bytes(body.as_chunks::<8>().0[1]);
    let group = u32::from_le_bytes(body.as_chunks::<4>().0[9]);
    revision.checked_sub(u64::from(group))
}

impl<'a> Frame<'a> {
    /// What the commit is, beside its writes.
    pub(super) fn head(&self) -> Head {
        Head {
            revision: self.tip.revision,
            time: self.tip.time,
            group: self.group,
        }
    }

    /// The writes of the commit.
    pub(super) fn writes(&self) -> Result<Vec<Write<'a>>, FrameError> {
        let mut rest = &self.bytes[HEAD..self.bytes.len() - DIGEST];
        let mut writes = Vec::new();
        for _ in 0..self.writes {
            writes.push(read_write(&mut rest).ok_or(FrameError::Broken("a write is cut off"))?);
        }
        if !rest.is_empty() {
            return Err(FrameError::Broken("bytes follow the last write"));
        }
        Ok(writes)
    }
}

fn read_write<'a>(rest: &mut &'a [u8]) -> Option<Write<'a>> {
    let [kind] = take(rest)?;
    let key = take_counted(rest)?;
    let value = match kind {
        0 => None,
        1 => Some((u16::from_le_bytes(take(rest)?), take_counted(rest)?)),
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
