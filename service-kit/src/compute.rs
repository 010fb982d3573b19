//! Work of calls that blocks or computes, off the threads that answer calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use almanac_proto::common::v1::ErrorReason;
use tonic::Code;

use crate::{
    fault::Fault,
    plain::control::{Control, Stopped},
    pool::{Pool, Slot},
};

/// The call that a computation is for: it stops once the caller goes away.
#[derive(Debug, Default)]
pub struct Caller {
    gone: AtomicBool,
}

impl Control for Caller {
    fn check(&self) -> Result<(), Stopped> {
        if self.gone.load(Ordering::Relaxed) {
            Err(Stopped)
        } else {
            Ok(())
        }
    }

    fn report(&self, _done: u64, _total: u64) {}
}

/// Tells the computation that its call was dropped.
struct HangUp(Arc<Caller>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on the pool of the server; dropping the future stops it at its next check, or keeps
/// it from starting.
///
/// # Errors
/// What `work` answers, RESOURCE_EXHAUSTED (COMPUTE_BUSY) where too many wait already, or INTERNAL
/// if `work` panics.
pub async fn compute<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Caller) -> Result<T, Fault> + Send + 'static,
{
    let pool = Pool::current()?;
    let slot = pool.call_slot().await?;
    attended(&pool, slot, work).await
}

/// As [`compute`], for a part of a stream: it waits for its turn and is never refused.
///
/// # Errors
/// What `work` answers, or INTERNAL if `work` panics.
pub(crate) async fn compute_part<T, F>(pool: Pool, work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Caller) -> Result<T, Fault> + Send + 'static,
{
    let slot = pool.part_slot().await?;
    attended(&pool, slot, work).await
}

/// Runs `work` for as long as this future is kept.
async fn attended<T, F>(pool: &Pool, slot: Slot, work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Caller) -> Result<T, Fault> + Send + 'static,
{
    let caller = Arc::new(Caller::default());
    let _hang_up = HangUp(Arc::clone(&caller));
    let work = move || {
        caller.check()?;
        work(&caller)
    };
    pool.run(slot, work).await
}

impl From<Stopped> for Fault {
    fn from(stopped: Stopped) -> Self {
        let text = stopped.to_string();
        Self::new(Code::Cancelled, ErrorReason::ComputationStopped, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::Limits, pool::PoolSettings};

    #[tokio::test]
    async fn a_panic_is_a_fault() {
        let settings = PoolSettings {
            threads: 1,
            queue: 0,
            memory_bytes: 1 << 30,
        };
        let test = async {
            let fault = compute::<(), _>(|_| panic!("on purpose")).await;
            assert_eq!(fault.unwrap_err().reason(), "INTERNAL");
            assert_eq!(compute(|_| Ok(1)).await, Ok(1));
        };
        Pool::new(settings, Limits::default())
            .unwrap()
            .scope(test)
            .await;
    }
}
