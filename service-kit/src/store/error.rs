//! What can go wrong in the store, and what it means for the caller.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::disk;
use super::time::Revision;

/// Why the store did not do what it was asked.
///
/// Nothing here is a "maybe" except [`StoreError::Failed`]: every other error of a write means
/// that nothing of it was stored.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another handle, in this process or another, has the data directory open.
    #[error("data directory {} is in use{}", dir.display(), holder(*pid))]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// There is no store in the directory and the options forbid creating one.
    #[error("no store in data directory {}", dir.display())]
    Absent {
        /// The data directory.
        dir: PathBuf,
    },
    /// The store is another service's.
    #[error("{} is a store of {found}, not of {wanted}; name another directory", dir.display())]
    Foreign {
        /// The data directory.
        dir: PathBuf,
        /// The service that it is of.
        found: String,
        /// The service that asked.
        wanted: String,
    },
    /// A copy is to go into what it is of.
    #[error("{} is inside of what would be copied; name a directory elsewhere", dir.display())]
    Inside {
        /// The directory.
        dir: PathBuf,
    },
    /// A copy is to go where something is.
    #[error("{} is not empty; name a directory that is empty or absent", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The data directory was written by a newer release.
    #[error("the store has format {found}; this release reads up to {supported}")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest format that this release knows.
        supported: u32,
    },
    /// What was acknowledged is damaged or gone. The store refuses to guess.
    #[error("corrupt {place}: {detail}")]
    Corrupt {
        /// The file, and the offset and revision where they are known.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// A stored value does not match its checksum or cannot be decoded.
    #[error("corrupt value in table {table}, key {key}: {detail}")]
    CorruptValue {
        /// The table's name.
        table: String,
        /// The key in readable form.
        key: String,
        /// What is wrong with the value.
        detail: String,
    },
    /// A stored value was written by a newer release, or by an older one that is no longer read.
    #[error(
        "value in table {table}, key {key} has version {found}; this release reads {supported}"
    )]
    ValueVersion {
        /// The table's name.
        table: String,
        /// The key in readable form.
        key: String,
        /// The version found.
        found: u16,
        /// The version that this release writes.
        supported: u16,
    },
    /// A value handed in could not be encoded.
    #[error("cannot encode a value for table {table}: {detail}")]
    Encode {
        /// The table's name.
        table: String,
        /// What the encoder said.
        detail: String,
    },
    /// One transaction wants to write more than a commit may hold.
    #[error("the transaction writes {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Bytes of keys and values so far.
        bytes: usize,
        /// The most that one transaction may write, in bytes.
        limit: usize,
    },
    /// The revision is not of this store: from the future, from another store, or not a token.
    #[error("the revision is not known to this store")]
    RevisionUnknown,
    /// The revision is older than what the store still keeps.
    #[error("revisions below {floor} have been compacted")]
    RevisionCompacted {
        /// The oldest revision that can still be read.
        floor: Revision,
    },
    /// The engine under the store failed or panicked.
    #[error("storage engine: {0}")]
    Engine(String),
    /// The operating system refused a file operation.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted, with the file.
        action: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room on the disk. Of a write: nothing of it was stored, and later ones are taken
    /// once there is room again. Of an open or a copy: nothing that was acknowledged is lost.
    #[error("the disk is full: {detail}")]
    DiskFull {
        /// What could not be done, or how much is left.
        detail: String,
    },
    /// An earlier write could not be made durable: all writes are refused until the store is
    /// opened again. For the write that failed first it is unknown whether it survives; the
    /// next open decides, and repeating it under the same request id is safe.
    #[error("the store no longer accepts writes: {reason}")]
    Failed {
        /// The failure that stopped it.
        reason: String,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a transaction had no effect (or, for [`StoreError::Failed`], may have had none).
#[derive(Debug, Clone, Error)]
pub enum TransactError<E> {
    /// The closure refused: its own error. Nothing was written.
    #[error("{0}")]
    Aborted(E),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The closure panicked. Nothing was written; the store goes on.
    #[error("the transaction panicked: {0}")]
    Panicked(String),
}

impl StoreError {
    pub(super) fn io(action: impl Into<String>, source: io::Error) -> Self {
        let action = action.into();
        if disk::is_full(&source) {
            return Self::DiskFull {
                detail: format!("cannot {action}: {source}"),
            };
        }
        Self::Io {
            action,
            source: Arc::new(source),
        }
    }

    pub(super) fn corrupt(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            place: place.into(),
            detail: detail.into(),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// The text of a caught panic.
pub(super) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
