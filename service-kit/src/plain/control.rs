//! How a long computation learns that nobody waits for it any more, and says how far it is.

use thiserror::Error;

/// The computation was told to stop: its deadline passed or its caller went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("stopped: the deadline passed or the caller went away")]
pub struct Stopped;

/// Handed to every long function of a domain.
///
/// Call [`Control::check`] at least every few milliseconds of work and pass its error on.
pub trait Control: Sync {
    /// Whether to go on.
    ///
    /// # Errors
    /// [`Stopped`] once the result is no longer wanted.
    fn check(&self) -> Result<(), Stopped>;

    /// Says that `done` of `total` units of work are finished.
    fn report(&self, done: u64, total: u64);
}

/// Never stops and listens to no report: for tests and short work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Control for Unlimited {
    fn check(&self) -> Result<(), Stopped> {
        Ok(())
    }

    fn report(&self, _done: u64, _total: u64) {}
}
