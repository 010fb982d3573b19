//! What computations read, decoded once and kept in memory: at a revision, brought forward by what
//! changed, shared by all readers, bounded.
//!
//! A container (the observations of an indicator, the points of a market) has a uid and is decoded
//! as a whole. The first read of it loads it from the store; whoever asks meanwhile waits for that
//! load instead of making its own. Later reads find it, or bring it forward by the keys that the
//! store says were written since ([`Snapshot::changed_keys`]). What is decoded never changes: a
//! change makes the next generation, and whoever computes with the one before keeps it.
//!
//! A read at a revision that is no longer kept, and of a container that is larger than the whole
//! budget, decodes for itself and keeps nothing: slower, never refused, the same bits.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    fault::Fault,
    plain::control::{Control, Stopped},
    store::{Revision, Snapshot},
};

/// Generations of a container that are kept: who began to read just before a write finds the one
/// before it.
const GENERATIONS: usize = 2;
/// How often who waits for a load looks whether it is still wanted itself.
const LOOK: Duration = Duration::from_millis(10);

/// Something that can be decoded from the store and brought forward.
pub trait Decoded: Sized + Send + Sync + 'static {
    /// Reads all of a container.
    ///
    /// # Errors
    /// A fault of the store, or that `control` says to stop.
    fn load(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault>;

    /// The earliest revision from which on the container is known to be what it is in `read`.
    fn unchanged_since(read: &Snapshot, uid: u64) -> Revision;

    /// What the container is in `read`, given that `self` is what it was at `since`.
    ///
    /// # Errors
    /// As [`Decoded::load`].
    fn advance(
        &self,
        read: &Snapshot,
        uid: u64,
        since: Revision,
        control: &dyn Control,
    ) -> Result<Advance<Self>, Fault>;

    /// Bytes of memory, roughly.
    fn bytes(&self) -> usize;
}

/// How a container is brought forward.
#[derive(Debug)]
pub enum Advance<D> {
    /// Nothing in it was written.
    Same,
    /// The next generation, and the last revision that wrote in it.
    Changed(D, Revision),
    /// The store does not remember: it has to be loaded.
    Unknown,
}

/// Decoded containers of one kind, bounded in bytes: those not used for longest go first.
#[derive(Debug)]
pub struct Columns<D> {
    budget: usize,
    kept: Mutex<Kept<D>>,
}

#[derive(Debug)]
struct Kept<D> {
    slots: HashMap<u64, Entry<D>>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry<D> {
    slot: Arc<Slot<D>>,
    bytes: usize,
    used: u64,
}

#[derive(Debug)]
struct Slot<D> {
    state: Mutex<State<D>>,
    changed: Condvar,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State<D> {
    /// The newest first.
    generations: VecDeque<Generation<D>>,
    /// Whether one of the readers is decoding.
    busy: bool,
    /// Larger than the budget: everybody decodes for itself.
    oversized: bool,
}

/// A container as it is from one revision to another, both included.
#[derive(Debug)]
struct Generation<D> {
    from: Revision,
    to: Revision,
    data: Arc<D>,
}

impl<D> Clone for Generation<D> {
    fn clone(&self) -> Self {
        Self {
            data: Arc::clone(&self.data),
            ..*self
        }
    }
}

impl<D: Decoded> Columns<D> {
    /// An empty cache of at most `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        let kept = Kept {
            slots: HashMap::new(),
            bytes: 0,
            clock: 0,
        };
        Self {
            budget,
            kept: Mutex::new(kept),
        }
    }

    /// Bytes that are kept, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        lock(&self.kept).bytes
    }

    /// A container as it is in a snapshot. May read the store: call it off the serving threads.
    ///
    /// # Errors
    /// A fault of the store, or that `control` says to stop. A load goes on without its first
    /// caller as long as others wait for it.
    pub fn at(&self, read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Arc<D>, Fault> {
        let slot = self.slot(uid);
        let mut state = lock(&slot.state);
        loop {
            if let Some(found) = state.find(read.revision()) {
                return Ok(found);
            }
            if state.oversized || state.is_past(read.revision()) {
                drop(state);
                return D::load(read, uid, control).map(Arc::new);
            }
            if !state.busy {
                break;
            }
            state = slot.wait(state);
            control.check()?;
        }
        state.busy = true;
        let newest = state.generations.front().cloned();
        drop(state);
        let _busy = Busy(&slot);
        let wanted = Wanted {
            control,
            waiting: &slot.waiting,
        };
        let next = bring(newest, read, uid, &wanted)?;
        let data = Arc::clone(&next.data);
        let bytes = lock(&slot.state).keep(next, self.budget);
        self.account(uid, &slot, bytes);
        Ok(data)
    }

    fn slot(&self, uid: u64) -> Arc<Slot<D>> {
        let mut kept = lock(&self.kept);
        kept.clock += 1;
        let used = kept.clock;
        let entry = kept.slots.entry(uid).or_insert_with(|| Entry {
            slot: Arc::new(Slot::new()),
            bytes: 0,
            used,
        });
        entry.used = used;
        Arc::clone(&entry.slot)
    }

    /// Notes what a container takes now, and lets go of others until all is within the budget.
    fn account(&self, uid: u64, slot: &Arc<Slot<D>>, bytes: usize) {
        let mut kept = lock(&self.kept);
        let Kept {
            slots, bytes: all, ..
        } = &mut *kept;
        // It may have been let go of while it was loaded.
        match slots.get_mut(&uid) {
            Some(entry) if Arc::ptr_eq(&entry.slot, slot) => {
                *all = *all - entry.bytes + bytes;
                entry.bytes = bytes;
            }
            _ => return,
        }
        while *all > self.budget {
            let others = slots.iter().filter(|(other, _)| **other != uid);
            let Some(oldest) = others.min_by_key(|(_, entry)| entry.used) else {
                break;
            };
            let oldest = *oldest.0;
            *all -= slots.remove(&oldest).map_or(0, |entry| entry.bytes);
        }
    }
}

/// The generation of a snapshot, from the newest one that is kept or from the store.
fn bring<D: Decoded>(
    newest: Option<Generation<D>>,
    read: &Snapshot,
    uid: u64,
    control: &dyn Control,
) -> Result<Generation<D>, Fault> {
    let to = read.revision();
    if let Some(newest) = newest {
        match newest.data.advance(read, uid, newest.to, control)? {
            Advance::Same => return Ok(Generation { to, ..newest }),
            Advance::Changed(data, from) => {
                let data = Arc::new(data);
                return Ok(Generation { from, to, data });
            }
            Advance::Unknown => {}
        }
    }
    let data = Arc::new(D::load(read, uid, control)?);
    let from = D::unchanged_since(read, uid).min(to);
    Ok(Generation { from, to, data })
}

impl<D> Slot<D> {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                generations: VecDeque::new(),
                busy: false,
                oversized: false,
            }),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<D>>) -> MutexGuard<'a, State<D>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.changed.wait_timeout(state, LOOK);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl<D: Decoded> State<D> {
    fn find(&self, at: Revision) -> Option<Arc<D>> {
        let holds = |found: &&Generation<D>| (found.from..=found.to).contains(&at);
        let found = self.generations.iter().find(holds)?;
        Some(Arc::clone(&found.data))
    }

    /// Whether what is kept is newer than a revision.
    fn is_past(&self, at: Revision) -> bool {
        self.generations
            .front()
            .is_some_and(|newest| newest.to > at)
    }

    /// Takes in the newest generation; the bytes of all that are kept.
    fn keep(&mut self, next: Generation<D>, budget: usize) -> usize {
        match self.generations.front_mut() {
            Some(newest) if Arc::ptr_eq(&newest.data, &next.data) => *newest = next,
            _ => self.generations.push_front(next),
        }
        let mut bytes = 0;
        let mut fit = 0;
        for generation in self.generations.iter().take(GENERATIONS) {
            let more = bytes + generation.data.bytes();
            if more > budget {
                break;
            }
            bytes = more;
            fit += 1;
        }
        self.generations.truncate(fit);
        self.oversized = fit == 0;
        bytes
    }
}

/// Lets the next reader decode, whatever became of this one.
struct Busy<'a, D>(&'a Slot<D>);

impl<D> Drop for Busy<'_, D> {
    fn drop(&mut self) {
        lock(&self.0.state).busy = false;
        self.0.changed.notify_all();
    }
}

/// A load is wanted as long as its caller or anybody else waits for it.
struct Wanted<'a> {
    control: &'a dyn Control,
    waiting: &'a AtomicUsize,
}

impl Control for Wanted<'_> {
    fn check(&self) -> Result<(), Stopped> {
        let stopped = self.control.check();
        stopped.or_else(|stopped| match self.waiting.load(Ordering::Relaxed) {
            0 => Err(stopped),
            _ => Ok(()),
        })
    }

    fn report(&self, done: u64, total: u64) {
        self.control.report(done, total);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
