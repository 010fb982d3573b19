//! How a long computation learns that nobody waits for it any more, and says how far it is.

use std::{
    cmp::Ordering,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

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

/// Stops at a look and at all after it: for tests.
#[derive(Debug)]
pub struct StopsAt {
    number: usize,
    looks: AtomicUsize,
}

impl StopsAt {
    /// Stops at the look of a number; the first one is number 0.
    #[must_use]
    pub fn look(number: usize) -> Self {
        let looks = AtomicUsize::new(0);
        Self { number, looks }
    }

    /// Whether it came to that look.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.looks.load(Relaxed) > self.number
    }
}

impl Control for StopsAt {
    fn check(&self) -> Result<(), Stopped> {
        match self.looks.fetch_add(1, Relaxed) < self.number {
            true => Ok(()),
            false => Err(Stopped),
        }
    }

    fn report(&self, _done: u64, _total: u64) {}
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

/// Sorted at once by [`sort_unstable_by`]: a few milliseconds of comparing.
const SORTED_AT_ONCE: usize = 1 << 14;

/// As the method of slices, with looks at `control`: larger ones are first parted at their median.
///
/// # Errors
/// [`Stopped`] once nobody waits; the items are then in any order.
pub fn sort_unstable_by<T>(
    items: &mut [T],
    control: &dyn Control,
    compare: impl Fn(&T, &T) -> Ordering + Copy,
) -> Result<(), Stopped> {
    control.check()?;
    if items.len() <= SORTED_AT_ONCE {
        items.sort_unstable_by(compare);
        return Ok(());
    }
    let (below, _, above) = items.select_nth_unstable_by(items.len() / 2, compare);
    sort_unstable_by(below, control, compare)?;
    sort_unstable_by(above, control, compare)
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
    use super::*;

    #[test]
    fn attended_items_come_whole_or_end_at_a_look() {
        let count = 3 * LOOK_EVERY + 1;
        for look in 0..6 {
            let control = StopsAt::look(look);
            let seen: Result<Vec<usize>, Stopped> = attended(0..count, &control).collect();
            assert_eq!(seen.is_ok(), look > 3, "{look}");
            let control = StopsAt::look(look);
            let before = attended(0..count, &control).take_while(Result::is_ok);
            assert_eq!(before.count(), (look * LOOK_EVERY).min(count), "{look}");
        }
    }

    #[test]
    fn large_slices_are_sorted_or_left_at_a_look() {
        let mixed = || -> Vec<usize> {
            let count = 3 * SORTED_AT_ONCE;
            (0..count).map(|n| n * 7919 % count / 2).collect()
        };
        let mut sorted = mixed();
        sorted.sort_unstable();
        for look in 0.. {
            let mut items = mixed();
            let control = StopsAt::look(look);
            let end = sort_unstable_by(&mut items, &control, usize::cmp);
            if !control.has_stopped() {
                assert_eq!((end, look), (Ok(()), 7));
                assert_eq!(items, sorted);
                break;
            }
            assert_eq!(end, Err(Stopped));
        }
    }
}
