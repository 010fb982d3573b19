//! How a store is opened.

use std::fmt;
use std::time::Duration;

use super::time::{Clock, system_clock};

/// How a store is opened. Start from [`StoreOptions::default`].
#[derive(Clone)]
pub struct StoreOptions {
    /// The service whose tables the store has: it is refused where it says that it is another's.
    /// Default: empty, for whichever.
    pub owner: &'static str,
    /// Whether an absent store is created. Default: yes.
    ///
    /// Where the directory is a mount that may be missing, `false` keeps a service from coming
    /// up empty.
    pub create: bool,
    /// The most memory that the index may use as cache, in bytes. Default: 256 MiB.
    ///
    /// While much is written it takes some tens of MiB beside it, for what writes replace.
    pub cache_bytes: u64,
    /// How many transactions may wait for the committer; more wait with their callers.
    /// Default: 1,024.
    pub queue: usize,
    /// The size at which a segment of the log is ended and another begun, in bytes.
    /// Default: 64 MiB.
    pub segment_bytes: u64,
    /// How many bytes of log may pass before the index is flushed. Default: 64 MiB.
    pub checkpoint_bytes: u64,
    /// How long without a commit until the index is flushed. Default: 2 s.
    pub idle: Duration,
    /// The free space on the disk below which writes are refused, in bytes; 0 for none. What a
    /// write needs in the log and, later, in the index must fit into it. Default: 256 MiB.
    pub min_free_bytes: u64,
    /// Where commit times come from. Default: the machine's clock.
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            owner: "",
            create: true,
            cache_bytes: 256 << 20,
            queue: 1024,
            segment_bytes: 64 << 20,
            checkpoint_bytes: 64 << 20,
            idle: Duration::from_secs(2),
            min_free_bytes: 256 << 20,
            clock: system_clock(),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("owner", &self.owner)
            .field("create", &self.create)
            .field("cache_bytes", &self.cache_bytes)
            .field("queue", &self.queue)
            .field("segment_bytes", &self.segment_bytes)
            .field("checkpoint_bytes", &self.checkpoint_bytes)
            .field("idle", &self.idle)
            .field("min_free_bytes", &self.min_free_bytes)
            .finish_non_exhaustive()
    }
}
