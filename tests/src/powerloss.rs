//! The loss of power, simulated.
//!
//! A worker process writes to a store under a preloaded library (`powerloss/shim.c`) that records
//! every change of a file, every sync, and the acknowledgements, in one order. The [`Recording`] is
//! cut at any point, and of what no completed sync covers any part is dropped, kept or torn. The
//! store is then opened on what is left.
//!
//! Why this is honest:
//! - The store is the real one, in a process of its own, with nothing replaced in it; what records
//!   lies between it and the kernel, below everything that it could get wrong.
//! - Data is kept only by an `fsync` or `fdatasync` of that very file that has returned, a name only
//!   by one of its directory, and `sync_file_range` counts for nothing. Everything else may be
//!   there or not, by sectors of 512 bytes, in any combination: a disk does no more harm, as long as
//!   it keeps what it said it had synced and writes a sector whole.
//! - Acknowledgements are lines in a file beside the store and recorded like everything else, so
//!   "acknowledged before" needs no clock.
//! - A recording of which everything is kept has to be what is on the disk, byte for byte. So
//!   nothing went past the library.
//! - Syncs can be disbelieved ([`Disbelief`]): then losses have to be found.
//!
//! Sessions end by a close or a kill, and the next recording begins with what a loss of power left
//! of the one before, so that power is lost while the store recovers, too.

mod files;
mod image;
mod recording;
mod shim;
pub mod worker;

pub use image::{Disbelief, Harm};
pub use recording::Recording;
pub use shim::Shim;
pub use worker::Acknowledged;
