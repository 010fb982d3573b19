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

/// Units of small work (a row, a value, a name) between two looks at a [`Control`]. The slowest of
/// them, a row of an import, takes a few microseconds.
pub const LOOK_EVERY: usize = 512;

/// `items`, with a look at `control` before the first and after every [`LOOK_EVERY`] of them. The
/// first error ends it.
pub fn attended<I: IntoIterator>(
    items: I,
    control: &dyn Control,
) -> impl Iterator<Item = Result<I::Item, Stopped>> {
    let items = items.into_iter().enumerate();
    items.map(move |(at, item)| match at % LOOK_EVERY {
        0 => control.check().map(|()| item),
        _ => Ok(item),
    })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Stops at a look.
    struct StopsAt(AtomicUsize);

    impl Control for StopsAt {
        fn check(&self) -> Result<(), Stopped> {
            match self.0.fetch_sub(1, Ordering::Relaxed) {
                0 => Err(Stopped),
                _ => Ok(()),
            }
        }

        fn report(&self, _done: u64, _total: u64) {}
    }

    #[test]
    fn attended_items_come_whole_or_end_at_a_look() {
        let count = 3 * LOOK_EVERY + 1;
        for look in 0..6 {
            let control = StopsAt(look.into());
            let seen: Result<Vec<usize>, Stopped> = attended(0..count, &control).collect();
            assert_eq!(seen.is_ok(), look > 3, "{look}");
            let control = StopsAt(look.into());
            let before = attended(0..count, &control).take_while(Result::is_ok);
            assert_eq!(before.count(), (look * LOOK_EVERY).min(count), "{look}");
        }
    }
}
