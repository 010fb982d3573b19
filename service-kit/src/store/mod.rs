//! An embedded, durable, multi-version store of typed tables.
//!
//! Everything committed is in an append-only log, which is the truth; an index over it, in sled,
//! answers reads and can be rebuilt at any time. Each commit has a [`Revision`]; a [`Snapshot`]
//! reads one revision, [`Store::transact`] makes the next. `docs/decisions/0001-store.md` says why
//! and draws what is on the disk.
//!
//! ```
//! use almanac_service_kit::store::{Read, Store, StoreError, StoreOptions, Table};
//!
//! /// Readers by dataset uid and name.
//! const READERS: Table<(u64, String), u64> = Table::new(3, "readers");
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let store = Store::open(dir, StoreOptions::default())?;
//! let committed = store
//!     .transact(|tx| {
//!         let before = tx.get(&READERS, &(7, "ann"))?.map_or(0, |found| found.value);
//!         tx.put(&READERS, &(7, "ann"), &(before + 1))?;
//!         Ok::<_, StoreError>(before)
//!     })
//!     .await?;
//! assert_eq!(committed.value, 0);
//! for reader in store.latest().scan(&READERS, &(7,)) {
//!     let ((_, name), readers) = reader?;
//!     assert_eq!((name.as_str(), readers.value), ("ann", 1));
//! }
//! store.close()?;
//! # Ok(())
//! # }
//! ```

mod backup;
mod claims;
mod committer;
mod compact;
mod directory;
mod disk;
mod engine;
mod entry;
mod error;
mod feed;
mod frame;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod group;
mod handle;
mod high;
mod index;
mod key;
mod lineage;
mod log;
mod open;
mod options;
mod queue;
mod read;
mod recent;
#[cfg(feature = "bench")]
pub mod reference;
mod scan;
mod seal;
mod segment;
mod shared;
mod sled_engine;
mod snapshot;
mod space;
mod table;
mod time;
mod tip;
mod token;
mod transaction;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::{CopyReport, backup, check, check_owner, restore};
pub use claims::Claim;
pub use compact::{CompactReport, Keep, Rules, compact};
pub use error::{StoreError, TransactError};
pub use feed::Changes;
pub use handle::Store;
pub use key::{AsKey, Key, KeyError, KeyReader, Prefix};
pub use options::StoreOptions;
pub use queue::Committed;
pub use read::{Read, Versioned, View};
pub use scan::Scan;
pub use shared::Health;
pub use snapshot::Snapshot;
pub use table::{Led, Record, RecordError, Table, decode_record};
pub use time::{Clock, CommitTime, Revision, system_clock};
pub use transaction::Transaction;
pub use verify::VerifyReport;
