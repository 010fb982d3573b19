//! Work that blocks or computes, off the threads that answer calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    fault::Fault,
    plain::control::{Control, Stopped},
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

/// Runs `work` on a thread that may block; dropping the future stops it at its next check.
///
/// # Errors
/// What `work` answers, or INTERNAL if it panics.
pub async fn compute<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Caller) -> Result<T, Fault> + Send + 'static,
{
    let caller = Arc::new(Caller::default());
    let _hang_up = HangUp(Arc::clone(&caller));
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(|| work(&caller))).await;
    done.unwrap_or_else(|error| Err(Fault::internal(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_the_call_stops_the_work() {
        let (stopped, is_stopped) = std::sync::mpsc::channel();
        let call = tokio::spawn(compute(move |caller| {
            while caller.check().is_ok() {
                std::thread::yield_now();
            }
            stopped.send(()).unwrap();
            Ok(())
        }));
        tokio::task::yield_now().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        tokio::task::spawn_blocking(move || is_stopped.recv().unwrap())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_a_fault() {
        let fault = compute::<(), _>(|_| panic!("on purpose"))
            .await
            .unwrap_err();
        assert_eq!(fault.reason(), "INTERNAL");
    }
}
