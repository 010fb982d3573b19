//! How much is left on the disk: writes are refused before it is full.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::error::StoreError;

/// How long it is believed what was seen, while there is enough.
const BELIEVED: Duration = Duration::from_millis(100);
/// How many bytes of log may be written until the next look.
const UNSEEN: u64 = 8 << 20;

/// What the index may make of a byte of log: it writes a page anew every few records, and sets the
/// old one free later. Measured: 3.7 to 3.8 for large commits of small records, which is the worst.
const INDEX_FACTOR: u64 = 4;
/// What it needs beyond that: it writes whole segments of its own.
const SLACK: u64 = 4 << 20;

/// The free space of the disk that the store is on, as the committer sees it.
pub(super) struct Space {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Below this nothing is written; 0 where nobody looks.
    least: u64,
    free: u64,
    looked: Instant,
    /// Bytes written since.
    written: u64,
    /// Whether the last write was refused.
    refusing: bool,
}

impl Space {
    /// Looks for the first time.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the system does not say how much is left.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, least: u64) -> Result<Self, StoreError> {
        let mut space = Self {
            disk,
            dir,
            least,
            free: u64::MAX,
            looked: Instant::now(),
            written: 0,
            refusing: false,
        };
        if least > 0 {
            space.look()?;
        }
        Ok(space)
    }

    /// Makes sure that there is room for a write.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] below the least.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        if self.least == 0 {
            return Ok(());
        }
        // While there is too little, each write looks: the first that has room is taken.
        let stale =
            self.free < self.least || self.written >= UNSEEN || self.looked.elapsed() >= BELIEVED;
        if stale && let Err(error) = self.look() {
            tracing::warn!(%error, "the last known free space is believed");
        }
        if self.free >= self.least {
            return Ok(());
        }
        let full = StoreError::DiskFull {
            detail: format!(
                "{} bytes are free, and writes are taken from {} bytes on",
                self.free, self.least
            ),
        };
        self.refused(&full);
        Err(full)
    }

    /// Whether there is room for what the index makes of so many bytes of log.
    pub(super) fn has(&mut self, unflushed: u64) -> bool {
        match self.look() {
            Ok(()) => self.free >= needed(unflushed),
            Err(error) => {
                tracing::warn!(%error, "the index is flushed");
                true
            }
        }
    }

    /// Notes that a write was refused.
    pub(super) fn refused(&mut self, full: &StoreError) {
        if !self.refusing {
            self.refusing = true;
            tracing::warn!(reason = %full, "writes are refused until there is room; reads go on");
        }
    }

    /// Notes that so many bytes of log were written.
    pub(super) fn took(&mut self, bytes: u64) {
        self.written += bytes;
        if self.refusing {
            self.refusing = false;
            tracing::info!("there is room again; writes are taken");
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        self.looked = Instant::now();
        self.written = 0;
        self.free = self
            .disk
            .free(&self.dir)
            .map_err(|error| StoreError::io("measure the free space of the disk", error))?;
        Ok(())
    }
}

/// The free space that the index needs for so many bytes of log.
fn needed(log_bytes: u64) -> u64 {
    log_bytes.saturating_mul(INDEX_FACTOR).saturating_add(SLACK)
}
