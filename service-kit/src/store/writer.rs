//! Appending to the log and raising the high-water mark.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Disk, DiskFile};
use super::error::StoreError;
use super::segment::{self, HEADER, Position};
use super::tip::Tip;

/// The file is lengthened with zeros up to a multiple of this: syncing what is written over them
/// later changes no metadata, and so waits for no other file.
const STEP: u64 = 256 << 10;
/// Appends from this size on are not padded: they lengthen the file anyway.
const LARGE: usize = 64 << 10;

/// The last segment, open for appending.
pub(super) struct LogWriter {
    dir: PathBuf,
    incarnation: [u8; 16],
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    position: Position,
    /// The length of the file; from the position on it holds zeros.
    length: u64,
    segment_bytes: u64,
}

impl LogWriter {
    /// Begins the log of a new store.
    pub(super) fn create(
        dir: &Path,
        incarnation: [u8; 16],
        disk: &dyn Disk,
    ) -> Result<(), StoreError> {
        begin(dir, 1, &incarnation, &Tip::genesis(&incarnation), disk).map(|_| ())
    }

    /// Goes on at the high-water mark. What lies after it is cut off, durably.
    pub(super) fn open(
        dir: &Path,
        incarnation: [u8; 16],
        disk: Arc<dyn Disk>,
        end: Position,
        segment_bytes: u64,
    ) -> Result<Self, StoreError> {
        for part in segment::list(dir)?.iter().rev() {
            if part.number > end.segment {
                disk::remove(&part.path)?;
            }
        }
        let path = segment::path(dir, end.segment);
        let mut file = disk.open(&path).map_err(|error| io("open", &path, error))?;
        let length = std::fs::metadata(&path)
            .map_err(|error| io("measure", &path, error))?
            .len();
        if length != end.offset {
            file.truncate(end.offset)
                .and_then(|()| file.sync())
                .map_err(|error| io("cut", &path, error))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            incarnation,
            disk,
            file,
            position: end,
            length: end.offset,
            segment_bytes,
        })
    }

    /// Where the log ends.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Appends whole frames that follow `before` and returns once they are durable.
    pub(super) fn append(&mut self, mut frames: Vec<u8>, before: &Tip) -> Result<(), StoreError> {
        if self.position.offset >= self.segment_bytes {
            self.trim()?;
            self.position.segment += 1;
            self.position.offset = HEADER as u64;
            self.length = HEADER as u64;
            self.file = begin(
                &self.dir,
                self.position.segment,
                &self.incarnation,
                before,
                &*self.disk,
            )?;
        }
        let end = self.position.offset + frames.len() as u64;
        if end > self.length && frames.len() < LARGE {
            let padding = end.next_multiple_of(STEP) - end;
            frames.resize(frames.len() + usize::try_from(padding).unwrap_or(0), 0);
        }
        self.file
            .write_at(self.position.offset, &frames)
            .map_err(|error| self.io("append to", error))?;
        self.file.sync().map_err(|error| self.io("sync", error))?;
        self.length = self.length.max(self.position.offset + frames.len() as u64);
        self.position.offset = end;
        Ok(())
    }

    /// Cuts off the zeros, durably: a finished segment ends with a frame.
    pub(super) fn trim(&mut self) -> Result<(), StoreError> {
        if self.length > self.position.offset {
            self.file
                .truncate(self.position.offset)
                .and_then(|()| self.file.sync())
                .map_err(|error| self.io("trim", error))?;
            self.length = self.position.offset;
        }
        Ok(())
    }

    fn io(&self, action: &str, error: std::io::Error) -> StoreError {
        io(
            action,
            &segment::path(&self.dir, self.position.segment),
            error,
        )
    }
}

fn begin(
    dir: &Path,
    number: u64,
    incarnation: &[u8; 16],
    before: &Tip,
    disk: &dyn Disk,
) -> Result<Box<dyn DiskFile>, StoreError> {
    let path = segment::path(dir, number);
    let write = || {
        let mut file = disk.open(&path)?;
        file.truncate(0)?;
        file.write_at(0, &segment::header(incarnation, number, before))?;
        file.sync()?;
        Ok(file)
    };
    let file = write().map_err(|error| io("begin", &path, error))?;
    disk::sync_dir(dir)?;
    Ok(file)
}

fn io(action: &str, path: &Path, error: std::io::Error) -> StoreError {
    StoreError::io(format!("{action} {}", disk::name(path)), error)
}
