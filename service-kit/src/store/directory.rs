//! The data directory: its lock and its format.
//!
//! `LOCK` is locked as long as the store is open and holds the process id in decimal. `FORMAT` is
//! text, written last when a store is created:
//!
//! ```text
//! almanac-store 1
//! incarnation 00112233445566778899aabbccddeeff
//! check 0011223344556677
//! ```
//!
//! The check is the first eight bytes of the BLAKE3 hash of the two lines before it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::disk;
use super::error::StoreError;
use super::segment::HEADER;
use super::table::hex;

/// The format that this release writes and the newest that it reads.
const FORMAT: u32 = 1;
const TITLE: &str = "almanac-store ";

/// A locked data directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) root: PathBuf,
    /// Unlocked when it is dropped.
    _lock: File,
}

impl Directory {
    /// Locks the directory, creating it if it may be.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when it is locked already, [`StoreError::Absent`].
    pub(super) fn lock(root: &Path, create: bool) -> Result<Self, StoreError> {
        if !create && !root.is_dir() {
            return Err(StoreError::Absent {
                dir: root.to_owned(),
            });
        }
        disk::create_dir(root)?;
        let io = |error| StoreError::io("lock LOCK", error);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("LOCK"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = lock.read_to_string(&mut pid);
                return Err(StoreError::InUse {
                    dir: root.to_owned(),
                    pid: read.ok().and_then(|_| pid.trim().parse().ok()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io)?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(super) fn high(&self) -> PathBuf {
        self.root.join("HIGH")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(super) fn seal(&self) -> PathBuf {
        self.root.join("index.sum")
    }

    /// The incarnation of the store; `None` when there is no store here yet.
    ///
    /// # Errors
    /// [`StoreError::NewerFormat`]; [`StoreError::Corrupt`] when the file is damaged, or absent
    /// beside data.
    pub(super) fn incarnation(&self) -> Result<Option<[u8; 16]>, StoreError> {
        match disk::read_if_present(&self.root.join("FORMAT"))? {
            Some(bytes) => parse(&bytes).map(Some),
            None if self.holds_data()? => Err(StoreError::corrupt(
                "FORMAT",
                "the file is missing and the directory holds data",
            )),
            None => Ok(None),
        }
    }

    /// Makes the directory a store. Everything else must be in place and durable.
    pub(super) fn write_format(&self, incarnation: &[u8; 16]) -> Result<(), StoreError> {
        disk::write_atomically(&self.root.join("FORMAT"), render(incarnation).as_bytes())
    }

    /// Removes what a creation left that did not reach its end.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        disk::remove(&self.high())?;
        disk::remove(&self.log())
    }

    /// Whether there is more than an unfinished creation leaves.
    fn holds_data(&self) -> Result<bool, StoreError> {
        if self.index().exists() || self.seal().exists() {
            return Ok(true);
        }
        let log = self.log();
        if !log.exists() {
            return Ok(false);
        }
        let io = |error| StoreError::io("list the log", error);
        for entry in fs::read_dir(log).map_err(io)? {
            let length = entry.and_then(|entry| entry.metadata()).map_err(io)?.len();
            if length > HEADER as u64 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn render(incarnation: &[u8; 16]) -> String {
    let head = format!("{TITLE}{FORMAT}\nincarnation {}\n", hex(incarnation));
    let check = hex(&blake3::hash(head.as_bytes()).as_bytes()[..8]);
    format!("{head}check {check}\n")
}

fn parse(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    let damaged = || StoreError::corrupt("FORMAT", "the file is damaged");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix(TITLE)?.parse::<u32>().ok())
        .ok_or_else(damaged)?;
    if version > FORMAT {
        return Err(StoreError::NewerFormat {
            found: version,
            supported: FORMAT,
        });
    }
    let incarnation = lines
        .next()
        .and_then(|line| line.strip_prefix("incarnation "))
        .and_then(|digits| data_encoding::HEXLOWER.decode(digits.as_bytes()).ok())
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        .ok_or_else(damaged)?;
    if render(&incarnation) != text {
        return Err(damaged());
    }
    Ok(incarnation)
}
