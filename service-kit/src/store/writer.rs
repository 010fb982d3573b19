//! Appending to the log.

use std::fs;
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

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum NotAppended {
    /// The disk is full. The log is as it was, durably, and may be appended to again.
    Undone(StoreError),
    /// Nobody knows what is on the disk.
    Unknown(StoreError),
}

impl From<StoreError> for NotAppended {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error)
    }
}

impl From<NotAppended> for StoreError {
    fn from(error: NotAppended) -> Self {
        match error {
            NotAppended::Undone(error) | NotAppended::Unknown(error) => error,
        }
    }
}

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

    /// Goes on at the end of what is durable. What lies after it is cut off, durably.
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
        let length = fs::metadata(&path)
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
    pub(super) fn append(&mut self, mut frames: Vec<u8>, before: &Tip) -> Result<(), NotAppended> {
        if self.position.offset >= self.segment_bytes {
            self.next_segment(before)?;
        }
        let end = self.position.offset + frames.len() as u64;
        if end > self.length && frames.len() < LARGE {
            let padding = end.next_multiple_of(STEP) - end;
            frames.resize(frames.len() + usize::try_from(padding).unwrap_or(0), 0);
        }
        if let Err(error) = self.file.write_at(self.position.offset, &frames) {
            return Err(self.undo(self.io("append to", error)));
        }
        self.file.sync().map_err(|error| self.io("sync", error))?;
        self.length = self.length.max(self.position.offset + frames.len() as u64);
        self.position.offset = end;
        Ok(())
    }

    /// Ends the segment and begins the next one, which holds what follows `before`.
    fn next_segment(&mut self, before: &Tip) -> Result<(), NotAppended> {
        self.trim()?;
        let number = self.position.segment + 1;
        match begin(&self.dir, number, &self.incarnation, before, &*self.disk) {
            Ok(file) => self.file = file,
            Err(full @ StoreError::DiskFull { .. }) => {
                disk::remove(&segment::path(&self.dir, number))?;
                return Err(NotAppended::Undone(full));
            }
            Err(error) => return Err(error.into()),
        }
        self.position = Position {
            segment: number,
            offset: HEADER as u64,
        };
        self.length = HEADER as u64;
        Ok(())
    }

    /// After a write that failed: where the disk is full, cuts off what there is of it. Before that
    /// is durable nobody may be told that nothing was written: some of the frames may be whole.
    fn undo(&mut self, error: StoreError) -> NotAppended {
        if !matches!(error, StoreError::DiskFull { .. }) {
            return error.into();
        }
        match self.cut() {
            Ok(()) => NotAppended::Undone(error),
            Err(uncut) => uncut.into(),
        }
    }

    /// Cuts off the zeros, durably: a finished segment ends with a frame.
    pub(super) fn trim(&mut self) -> Result<(), StoreError> {
        if self.length > self.position.offset {
            self.cut()?;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), StoreError> {
        self.file
            .truncate(self.position.offset)
            .and_then(|()| self.file.sync())
            .map_err(|error| self.io("cut", error))?;
        self.length = self.position.offset;
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

/// Makes frames durable that were read after the high-water mark, writing them over themselves:
/// what an earlier process failed to sync can be read and still not be on the disk. They may have
/// been acknowledged, so they are not cut off first, when the disk might be too full to write them
/// again.
pub(super) fn rewrite(
    dir: &Path,
    disk: &dyn Disk,
    frames: &[(Position, Vec<u8>)],
) -> Result<(), StoreError> {
    for (place, bytes) in frames {
        let path = segment::path(dir, place.segment);
        disk.open(&path)
            .and_then(|mut file| {
                file.write_at(place.offset, bytes)?;
                file.sync()
            })
            .map_err(|error| io("write again", &path, error))?;
    }
    Ok(())
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
