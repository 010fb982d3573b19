//! What the store needs of the engine that holds its index: ordered bytes, nothing more.

use std::ops::ControlFlow;

use super::entry::Pair;

/// What an engine says when it fails, panics included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EngineError(pub(super) String);

/// Called with each pair of a range; says whether to go on.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered map of bytes. Reads may run beside each other and beside one writer.
///
/// No method may panic.
pub(super) trait Engine: Send + Sync {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Visits the pairs from `from` (included) to `to` (excluded), in order.
    fn visit(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), EngineError>;

    /// Inserts the pairs in this order. If the process dies, only those up to some place are there.
    fn insert(&self, pairs: Vec<Pair>) -> Result<(), EngineError>;

    /// Hands everything applied so far to the operating system.
    fn flush(&self) -> Result<(), EngineError>;

    /// Whether everything that went on in the background went well so far. Costs next to nothing.
    fn check(&self) -> Result<(), EngineError>;

    /// Flushes and lets go of the files.
    fn close(self: Box<Self>) -> Result<(), EngineError>;
}
