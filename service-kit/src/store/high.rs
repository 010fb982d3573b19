//! The high-water mark, `HIGH`: how far commits have been acknowledged.
//!
//! It is written before a commit is acknowledged and synced a little later: see the committer.
//! Two slots, at offsets 0 and 4096. The other one is taken after each sync, so that one of them is
//! always whole and on the disk:
//!
//! | offset | bytes | what (numbers little-endian) |
//! |---|---|---|
//! | 0 | 8 | `ALMAHIGH` |
//! | 8 | 16 | incarnation of the store |
//! | 24 | 8 | segment of the log |
//! | 32 | 8 | offset in the segment |
//! | 40 | 96 | the chain's end there, as in [`super::tip::Tip`] |
//! | 136 | 32 | BLAKE3 of the 136 bytes above |

use std::path::Path;

use super::disk::{self, Disk, DiskFile};
use super::error::StoreError;
use super::segment::Position;
use super::tip::{TIP_BYTES, Tip};

const MAGIC: [u8; 8] = *b"ALMAHIGH";
const CHECKED: usize = 136;
pub(super) const SLOT: usize = 168;
const SPACING: usize = 4096;
/// Bytes of the file.
const LENGTH: u64 = 2 * SPACING as u64;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct High {
    pub(super) tip: Tip,
    pub(super) position: Position,
}

/// What was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The later of the good slots.
    pub(super) high: High,
    /// Whether a slot is damaged: torn by a crash, or rotten.
    pub(super) damaged: bool,
    /// Whether the later one is the second slot.
    pub(super) second: bool,
}

/// Reads the mark.
///
/// # Errors
/// [`StoreError::Corrupt`] when neither slot is good: then nobody knows what was acknowledged.
pub(super) fn read(path: &Path, incarnation: &[u8; 16]) -> Result<Found, StoreError> {
    let bytes = disk::read_if_present(path)?.unwrap_or_default();
    let slot = |offset: usize| {
        let bytes = bytes.get(offset..offset + SLOT)?.first_chunk::<SLOT>()?;
        parse(bytes, incarnation)
    };
    let (high, damaged, second) = match (slot(0), slot(SPACING)) {
        (Some(a), Some(b)) if a.tip.revision >= b.tip.revision => (a, false, false),
        (Some(_), Some(b)) => (b, false, true),
        (Some(a), None) => (a, true, false),
        (None, Some(b)) => (b, true, true),
        (None, None) => {
            return Err(StoreError::corrupt(
                disk::name(path),
                "neither slot of the high-water mark is readable",
            ));
        }
    };
    Ok(Found {
        high,
        damaged,
        second,
    })
}

pub(super) fn parse(bytes: &[u8; SLOT], incarnation: &[u8; 16]) -> Option<High> {
    let good = bytes[..8] == MAGIC
        && bytes[8..24] == *incarnation
        && blake3::hash(&bytes[..CHECKED]).as_bytes()[..] == bytes[CHECKED..];
    if !good {
        return None;
    }
    let words = bytes.as_chunks::<8>().0;
    let mut tip = [0; TIP_BYTES];
    tip.copy_from_slice(&bytes[40..CHECKED]);
    Some(High {
        tip: Tip::from_bytes(&tip),
        position: Position {
            segment: u64::from_le_bytes(words[3]),
            offset: u64::from_le_bytes(words[4]),
        },
    })
}

pub(super) fn encode(high: &High, incarnation: &[u8; 16]) -> [u8; SLOT] {
    let mut bytes = [0; SLOT];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..24].copy_from_slice(incarnation);
    bytes[24..32].copy_from_slice(&high.position.segment.to_le_bytes());
    bytes[32..40].copy_from_slice(&high.position.offset.to_le_bytes());
    bytes[40..CHECKED].copy_from_slice(&high.tip.to_bytes());
    let check = blake3::hash(&bytes[..CHECKED]);
    bytes[CHECKED..].copy_from_slice(check.as_bytes());
    bytes
}

/// Raises the mark.
pub(super) struct HighWriter {
    file: Box<dyn DiskFile>,
    incarnation: [u8; 16],
    /// Whether the second slot is written next.
    second: bool,
    unsynced: bool,
}

impl HighWriter {
    /// Opens the file and writes both slots anew, the worse one first: what an earlier process
    /// wrote but could not sync may be readable and yet not be on the disk.
    pub(super) fn open(
        path: &Path,
        incarnation: [u8; 16],
        disk: &dyn Disk,
        high: &High,
        second_is_good: bool,
    ) -> Result<Self, StoreError> {
        let file = disk
            .open(path)
            .map_err(|error| StoreError::io("open HIGH", error))?;
        let mut writer = Self {
            file,
            incarnation,
            second: !second_is_good,
            unsynced: false,
        };
        // Its full length, and both slots written and synced: raising the mark then changes no
        // metadata and needs no room on the disk.
        writer
            .file
            .truncate(LENGTH)
            .map_err(|error| StoreError::io("begin HIGH", error))?;
        writer.write_both(high)?;
        Ok(writer)
    }

    /// Writes the mark without syncing it.
    pub(super) fn write(&mut self, high: &High) -> Result<(), StoreError> {
        let offset = if self.second { SPACING as u64 } else { 0 };
        self.unsynced = true;
        self.file
            .write_at(offset, &encode(high, &self.incarnation))
            .map_err(|error| StoreError::io("write HIGH", error))
    }

    /// Whether something is written and not synced.
    pub(super) fn unsynced(&self) -> bool {
        self.unsynced
    }

    /// Returns once what was written is durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if self.unsynced {
            self.file
                .sync()
                .map_err(|error| StoreError::io("sync HIGH", error))?;
            self.unsynced = false;
            self.second = !self.second;
        }
        Ok(())
    }

    /// Writes both slots, one durable before the other is touched.
    pub(super) fn write_both(&mut self, high: &High) -> Result<(), StoreError> {
        // An unsynced slot is the one to write first: the other one is whole.
        for _ in 0..2 {
            self.write(high)?;
            self.sync()?;
        }
        Ok(())
    }
}
