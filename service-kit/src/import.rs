//! Imports: rows of any number in a stream that can be cut and resumed.
//!
//! The protocol is here once, for any kind of row; a service says what its rows are ([`Import`]).
//! A stream is `start`, chunks, `finish`. Each chunk is one commit that also keeps the hash of its
//! rows and its answer, so a chunk that is sent again is answered again and not written again. That
//! makes a race of two streams of one import harmless; still a newer stream takes the import over
//! from an older one, because a caller who comes back after a cut network must not wait until the
//! service has noticed the cut.
//!
//! The answers are a stream that does its work when it is polled: while the transport cannot send
//! acknowledgements, no frame is read, and at most [`WINDOW`] chunks are held.

mod running;
mod session;
mod state;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use almanac_proto::common::v1::{
    ImportAck, ImportFinish, ImportResume, ImportStart, ImportSummary,
};
use futures_util::Stream;
use prost::Message;
use tonic::Status;

use crate::{
    fault::{Fault, Violations},
    plain::control::Control,
    store::{Store, Transaction},
};

pub use running::{Imports, MAX_RUNNING};
pub use session::{WINDOW, serve};
pub use state::KEPT_HOURS;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use state::again;
pub(crate) use state::keep;

/// Most rows of a chunk, unless a service is told otherwise (`max-chunk-rows`).
pub const MAX_ROWS: usize = 5_000;
/// Most chunks of an import: half a billion rows.
pub const MAX_CHUNKS: i64 = 100_000;
/// Most bytes of the row errors of one acknowledgement, as encoded.
pub const MAX_ROW_ERROR_BYTES: usize = 256 * 1024;

/// What a service says of the rows it imports.
pub trait Import: Send + Sync + Sized + 'static {
    /// A frame on the wire.
    type Request: Send + 'static;
    /// An answer on the wire.
    type Response: Send + 'static;
    /// A row on the wire.
    type Row: Message + 'static;
    /// The rows of a chunk after they were checked by themselves.
    type Checked: Send + 'static;
    /// Name of the method: `ImportObservations`.
    const METHOD: &'static str;
    /// Error domain of the service.
    const DOMAIN: &'static str;
    /// What the rows are called in field paths: `observations`.
    const ROWS: &'static str;

    /// What a frame is; none where no member is set that this version knows.
    fn frame(request: Self::Request) -> Option<Frame<Self::Row>>;

    /// An answer on the wire.
    fn response(answer: Answer) -> Self::Response;

    /// The import of rows into `parent`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a malformed name, NOT_FOUND.
    fn open(store: &Store, parent: &str) -> Result<Self, Fault>;

    /// Checks rows as far as that goes outside of a transaction. Blocks.
    ///
    /// # Errors
    /// A fault of the chunk as a whole, or that nobody waits; bad rows are no fault.
    fn check(&self, rows: Vec<Self::Row>, control: &dyn Control) -> Result<Self::Checked, Fault>;

    /// Writes the good rows.
    ///
    /// # Errors
    /// A fault of the chunk as a whole; bad rows are no fault.
    fn write(&self, tx: &mut Transaction<'_>, checked: Self::Checked) -> Result<Written, Fault>;
}

/// A frame of a stream.
#[derive(Debug)]
pub enum Frame<R> {
    /// The first.
    Start(ImportStart),
    /// Rows.
    Chunk {
        /// 1, 2, 3.
        sequence: i64,
        /// The rows.
        rows: Vec<R>,
    },
    /// The last.
    Finish(ImportFinish),
}

/// An answer in a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Where to go on.
    Resume(ImportResume),
    /// A chunk is committed.
    Ack(ImportAck),
    /// The import is finished.
    Summary(ImportSummary),
}

/// What became of the rows of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// How many were written.
    pub count: usize,
    /// The bad ones by their place, and what is wrong with each.
    pub rejected: Vec<(usize, Violations)>,
}

impl Written {
    /// # Errors
    /// INVALID_ARGUMENT with what is wrong with all the bad rows, if there are any.
    pub fn all_or_nothing(rejected: Vec<(usize, Violations)>) -> Result<(), Fault> {
        let mut all = Violations::new();
        for (_, violations) in rejected {
            all.absorb(violations);
        }
        all.finish()
    }
}

/// The answers of a stream.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
