//! Memory that computations share: each says how much it will take before it takes it.
//!
//! A computation runs on one thread of the pool from its beginning to its end, and what it has
//! claimed is that thread's until then. A call for which there is no room is refused; a job, whose
//! effect is promised, waits for the others to end. Estimates are of what one computation allocates
//! for itself; what is kept decoded for all is bounded by `snapshot-mib`.

use std::{
    cell::RefCell,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use tonic::Code;

use crate::{fault::Fault, plain::control::Control};

/// When a refused caller may find room.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Memory is claimed in blocks of so many bytes where many small things are.
const BLOCK: usize = 256 << 10;
/// How often a job that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

thread_local! {
    /// What the computation on this thread holds.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The memory of one pool.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Whether one waits that holds some: a second one could wait for the first.
    holder_waits: bool,
}

/// What one computation holds.
#[derive(Debug)]
struct Held {
    memory: Arc<Memory>,
    bytes: u64,
    waits: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.lock().used -= self.bytes;
        self.memory.freed.notify_all();
    }
}

impl Memory {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Runs a computation that may [`claim`]; what it claimed is free again afterwards, also if it
    /// panics. `waits` is for jobs.
    pub(crate) fn lend<T>(self: &Arc<Self>, waits: bool, work: impl FnOnce() -> T) -> T {
        struct Ended;
        impl Drop for Ended {
            fn drop(&mut self) {
                HELD.take();
            }
        }
        HELD.set(Some(Held {
            memory: Arc::clone(self),
            bytes: 0,
            waits,
        }));
        let _ended = Ended;
        work()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The numbers are whole between any two statements, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn claim(&mut self, bytes: u64, control: &dyn Control) -> Result<(), Fault> {
        let wanted = self.bytes.saturating_add(bytes);
        if wanted > self.memory.limit {
            return Err(self.too_large(wanted));
        }
        let mut state = self.memory.lock();
        while state.used.saturating_add(bytes) > self.memory.limit {
            let holds = self.bytes > 0;
            if !self.waits || (holds && state.holder_waits) {
                let free = self.memory.limit - state.used;
                return Err(busy(bytes, free).retry_after(RETRY_AFTER));
            }
            if let Err(stopped) = control.check() {
                return Err(stopped.into());
            }
            state.holder_waits |= holds;
            let woken = self.memory.freed.wait_timeout(state, LOOK);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            if holds {
                state.holder_waits = false;
            }
        }
        state.used += bytes;
        self.bytes = wanted;
        Ok(())
    }

    fn too_large(&self, wanted: u64) -> Fault {
        let (wanted, limit) = (mib(wanted), self.memory.limit >> 20);
        let text = format!(
            "the computation is estimated to take {wanted} MiB, and all together may take {limit} \
             (compute-memory-mib); ask for less"
        );
        told(text, wanted, limit)
    }
}

fn busy(bytes: u64, free: u64) -> Fault {
    let (wanted, free) = (mib(bytes), free >> 20);
    let text = format!(
        "the computation is estimated to take {wanted} MiB more, and others leave {free} MiB; try \
         again a little later"
    );
    told(text, wanted, free)
}

fn told(text: String, estimated: u64, available: u64) -> Fault {
    Fault::new(Code::ResourceExhausted, ErrorReason::ComputeMemory, text)
        .with("estimated_mib", estimated.to_string())
        .with("available_mib", available.to_string())
}

/// Rounded up: a refusal never says less than there was room for.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Claims memory for the computation on this thread, before it is allocated; held until the
/// computation ends. Outside of a pool there is nothing to share.
///
/// # Errors
/// RESOURCE_EXHAUSTED (COMPUTE_MEMORY): with RetryInfo where others hold it, without where the
/// computation is too large for all of it. CANCELLED for a job that is told to stop while it waits.
pub fn claim(bytes: usize, control: &dyn Control) -> Result<(), Fault> {
    HELD.with_borrow_mut(|held| match held {
        // A usize has at most 64 bits.
        Some(held) => held.claim(bytes as u64, control),
        None => Ok(()),
    })
}

/// Claims for many small things, a block at a time.
pub struct Blocks<'a> {
    control: &'a dyn Control,
    claimed: usize,
    left: usize,
}

impl<'a> Blocks<'a> {
    /// None yet.
    #[must_use]
    pub fn new(control: &'a dyn Control) -> Self {
        Self {
            control,
            claimed: 0,
            left: 0,
        }
    }

    /// Claims memory for one more.
    ///
    /// # Errors
    /// See [`claim`].
    pub fn claim(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.left {
            let block = bytes.max(BLOCK);
            claim(block, self.control)?;
            self.claimed += block;
            self.left += block;
        }
        self.left -= bytes;
        Ok(())
    }

    /// All of them are gone, and their memory is for the next ones.
    pub fn freed(&mut self) {
        self.left = self.claimed;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tonic_types::StatusExt as _;

    use super::*;
    use crate::plain::control::{Stopped, Unlimited};

    const MIB: usize = 1 << 20;

    fn refused(claimed: Result<(), Fault>) -> bool {
        let status = claimed.unwrap_err().into_status("kit.almanac");
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "COMPUTE_MEMORY");
        details.retry_info().is_some()
    }

    #[test]
    fn what_can_never_fit_is_refused_for_good_and_the_rest_for_now() {
        let memory = Memory::new(10 << 20);
        memory.lend(false, || {
            assert!(!refused(claim(11 * MIB, &Unlimited)));
            claim(6 * MIB, &Unlimited).unwrap();
            // More than all, together with what it holds.
            assert!(!refused(claim(5 * MIB, &Unlimited)));
            let other = Arc::clone(&memory);
            std::thread::spawn(move || {
                other.lend(false, || {
                    assert!(refused(claim(5 * MIB, &Unlimited)));
                    claim(4 * MIB, &Unlimited).unwrap();
                });
            })
            .join()
            .unwrap();
            claim(4 * MIB, &Unlimited).unwrap();
        });
        assert_eq!(memory.lock().used, 0);
        claim(usize::MAX, &Unlimited).unwrap();
    }

    #[test]
    fn many_small_things_are_claimed_in_blocks_and_what_is_freed_is_claimed_once() {
        let memory = Memory::new(4 << 20);
        memory.lend(false, || {
            let mut blocks = Blocks::new(&Unlimited);
            for _ in 0..3 {
                for _ in 0..3 * 1024 {
                    blocks.claim(1024).unwrap();
                }
                assert_eq!(memory.lock().used, 3 << 20);
                blocks.freed();
            }
            blocks.claim(3 * MIB).unwrap();
            assert!(!refused(blocks.claim(2 * MIB)));
        });
        assert_eq!(memory.lock().used, 0);
    }

    #[test]
    fn what_a_panic_held_is_free_again() {
        let memory = Memory::new(10 << 20);
        let held = Arc::clone(&memory);
        let panicked = std::thread::spawn(move || {
            held.lend(false, || {
                claim(7 * MIB, &Unlimited).unwrap();
                panic!("on purpose");
            })
        });
        assert!(panicked.join().is_err());
        assert_eq!(memory.lock().used, 0);
    }

    struct Gone;

    impl Control for Gone {
        fn check(&self) -> Result<(), Stopped> {
            Err(Stopped)
        }

        fn report(&self, _done: u64, _total: u64) {}
    }

    #[test]
    fn a_job_waits_until_there_is_room_or_it_is_told_to_stop() {
        let memory = Memory::new(10 << 20);
        let other = Arc::clone(&memory);
        let job = memory.lend(false, || {
            claim(8 * MIB, &Unlimited).unwrap();
            let (begun, begins) = channel();
            let job = std::thread::spawn(move || {
                other.lend(true, || {
                    let stopped = claim(4 * MIB, &Gone).unwrap_err();
                    assert_eq!(stopped.reason(), "COMPUTATION_STOPPED");
                    begun.send(()).unwrap();
                    claim(4 * MIB, &Unlimited)
                })
            });
            begins.recv().unwrap();
            job
        });
        assert_eq!(job.join().unwrap(), Ok(()));
        assert_eq!(memory.lock().used, 0);
    }
}
