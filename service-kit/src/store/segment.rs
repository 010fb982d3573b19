//! The files of the log: `log/00000001`, `log/00000002`, …
//!
//! | offset | bytes | header (numbers little-endian) |
//! |---|---|---|
//! | 0 | 8 | `ALMANLOG` |
//! | 8 | 16 | incarnation of the store |
//! | 24 | 8 | number of the segment, from 1 |
//! | 32 | 96 | the chain's end before the segment, as in [`super::tip::Tip`] |
//! | 128 | 32 | BLAKE3 of the 128 bytes above |
//!
//! Frames follow without gaps. All but the last segment end with the end of a frame; after the
//! frames of the last there may be zeros.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk;
use super::error::StoreError;
use super::tip::{TIP_BYTES, Tip};

const MAGIC: [u8; 8] = *b"ALMANLOG";
/// Bytes before the first frame.
pub(super) const HEADER: usize = 160;

/// A place in the log: the first byte after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A segment that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// The path of a segment.
pub(super) fn path(log: &Path, number: u64) -> PathBuf {
    log.join(format!("{number:08}"))
}

/// The header of a segment that begins after `before`.
pub(super) fn header(incarnation: &[u8; 16], number: u64, before: &Tip) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..24].copy_from_slice(incarnation);
    bytes[24..32].copy_from_slice(&number.to_le_bytes());
    bytes[32..128].copy_from_slice(&before.to_bytes());
    let check = blake3::hash(&bytes[..128]);
    bytes[128..].copy_from_slice(check.as_bytes());
    bytes
}

/// Reads a header: the chain's end before the segment.
pub(super) fn parse_header(
    bytes: &[u8],
    incarnation: &[u8; 16],
    number: u64,
) -> Result<Tip, &'static str> {
    let bytes: &[u8; HEADER] = bytes.first_chunk().ok_or("the header is cut off")?;
    if blake3::hash(&bytes[..128]).as_bytes()[..] != bytes[128..] || bytes[..8] != MAGIC {
        return Err("the header is damaged");
    }
    if bytes[8..24] != *incarnation {
        return Err("the segment belongs to another store");
    }
    if bytes[24..32] != number.to_le_bytes() {
        return Err("the segment has another number than its file name");
    }
    let mut tip = [0; TIP_BYTES];
    tip.copy_from_slice(&bytes[32..128]);
    Ok(Tip::from_bytes(&tip))
}

/// All segments in order, without gaps.
pub(super) fn list(log: &Path) -> Result<Vec<Segment>, StoreError> {
    let io = |error| StoreError::io("list the log", error);
    let mut segments = Vec::new();
    for entry in fs::read_dir(log).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.parse().map_err(|_| {
            StoreError::corrupt(format!("log/{name}"), "this is not a segment of the log")
        })?;
        segments.push(Segment { number, path });
    }
    segments.sort_by_key(|segment| segment.number);
    for (expected, segment) in (1..).zip(&segments) {
        if segment.number != expected {
            return Err(StoreError::corrupt(
                disk::name(&path(log, expected)),
                "the segment is missing",
            ));
        }
    }
    Ok(segments)
}
