//! How a job keeps what it computed: in commits that nobody reads before the last one, and anew
//! where there was no room for them.

use std::{future::Future, sync::Arc};

use super::Job;
use crate::{
    fault::Fault,
    plain::control::Control as _,
    store::{Record, Store, Table, Transaction},
    write,
};

/// About how many bytes one transaction writes, and how many records. A commit goes to its end,
/// also where its job is cancelled meanwhile, and keeps other writers waiting: one of this size
/// takes about 10 ms.
const CHUNK_BYTES: usize = 512 << 10;
const CHUNK_ITEMS: usize = 512;

/// Cuts items, one a record, into what one transaction writes.
fn chunks<T>(items: impl Iterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = Vec::new();
    let mut left = 0;
    for item in items {
        let size = bytes(&item);
        match chunks.last_mut() {
            Some(chunk) if left >= size && chunk.len() < CHUNK_ITEMS => chunk.push(item),
            _ => {
                chunks.push(vec![item]);
                left = CHUNK_BYTES;
            }
        }
        left = left.saturating_sub(size);
    }
    chunks
}

impl Job {
    /// Runs `effect` in one transaction and waits for it. For computations: where this is called,
    /// the result is still within their claim of memory, and nobody else computes in their place.
    ///
    /// # Errors
    /// CANCELLED (COMPUTATION_STOPPED) if the job was told to stop before, what `effect` answers,
    /// or a fault of the store; then nothing was written.
    pub fn commit(
        &self,
        store: &Store,
        effect: impl FnOnce(&mut Transaction<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        self.check()?;
        self.runtime.block_on(write::commit(store, effect))
    }

    /// Writes the rows of a result under its uid and their numbers. The commits are short, so that
    /// others get their turn between them; `bytes` says about how much a row is.
    ///
    /// # Errors
    /// As [`Job::commit`]; then some of the rows may be there.
    pub fn put_rows<V: Record>(
        &self,
        store: &Store,
        table: Table<(u64, u32), V>,
        uid: u64,
        rows: impl Iterator<Item = (u32, V)>,
        bytes: impl Fn(&V) -> usize,
    ) -> Result<(), Fault> {
        for chunk in chunks(rows, |(_, row)| bytes(row)) {
            self.commit(store, move |tx| {
                let mut rows = chunk.iter();
                rows.try_for_each(|(number, row)| tx.put(&table, &(uid, *number), row))
                    .map_err(|error| write::store_fault(&error))
            })?;
        }
        Ok(())
    }

    /// Ends a job by what became of its work: one that was cancelled has failed with `cancelled`, one
    /// that found no room may find it later, one that the end of the service stopped is resumed by
    /// its next start, and whatever else went wrong is why it has failed. `failed` says in the store
    /// that it has; while the disk is full that is waited for.
    ///
    /// # Errors
    /// That there was no room, what `failed` answers, or a fault of the store.
    pub async fn conclude(
        &self,
        store: &Store,
        done: Result<(), Fault>,
        cancelled: Fault,
        failed: impl Fn(&mut Transaction<'_>, Fault) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Result<(), Fault> {
        let why = match done {
            Err(_) if self.is_cancelled() => cancelled,
            Err(_) if self.check().is_err() => return Ok(()),
            Err(fault) if fault.retry_delay().is_none() => fault,
            ended => return ended,
        };
        write::transact(store, move |tx| failed(tx, why.clone())).await
    }

    /// Does `work`, and again for as long as it finds no room, on the disk or in memory, holding
    /// neither meanwhile. A job that is told to stop while it waits does it once more at once: that
    /// is when it says what became of it.
    ///
    /// # Errors
    /// What `work` answers in the end, or a fault of the store.
    pub async fn with_room<F>(
        self: &Arc<Self>,
        store: &Store,
        work: impl Fn() -> F,
    ) -> Result<(), Fault>
    where
        F: Future<Output = Result<(), Fault>>,
    {
        loop {
            let fault = match work().await {
                Err(fault) if fault.retry_delay().is_some() => fault,
                ended => return ended,
            };
            tracing::info!(reason = fault.message(), "begun again once there is room");
            tokio::select! {
                waited = room(store, &fault) => waited?,
                () = self.stopped() => {}
            }
        }
    }
}

/// Waits until what found no room may find it.
async fn room(store: &Store, fault: &Fault) -> Result<(), Fault> {
    if write::is_disk_full(fault) {
        // The smallest commit there is, so that nothing is computed for a disk that is still full.
        let probe = |tx: &mut Transaction<'_>| {
            tx.allocate_uid();
            Ok(())
        };
        return write::transact(store, probe).await;
    }
    tokio::time::sleep(fault.retry_delay().unwrap_or_default()).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU8, Ordering},
        time::Duration,
    };

    use almanac_proto::common::v1::ErrorReason;

    use super::*;
    use crate::{
        jobs::Jobs,
        limits::Limits,
        pool::{Pool, PoolSettings},
        store::{Read as _, StoreOptions},
    };

    /// Runs a job that counts how often it is done and writes once, on a store that takes writes
    /// from so many free bytes on. Cancels it in the middle where `cancel`.
    async fn ran(min_free_bytes: u64, cancel: bool) -> (u8, Result<(), Fault>) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            min_free_bytes,
            ..StoreOptions::default()
        };
        let store = Store::open(dir.path(), options).unwrap();
        let settings = PoolSettings {
            threads: 1,
            queue: 0,
            memory_bytes: 1 << 30,
        };
        let pool = Pool::new(settings, Limits::default()).unwrap();
        let inner = pool.clone();
        let test = async {
            let jobs = Jobs::default();
            let done = Arc::new(AtomicU8::new(0));
            let (told, outcome) = tokio::sync::oneshot::channel();
            let (begun, has_begun) = std::sync::mpsc::channel();
            let (count, to) = (Arc::clone(&done), store.clone());
            jobs.start("a", |job| async move {
                let work = || {
                    let (count, begun, store) = (Arc::clone(&count), begun.clone(), to.clone());
                    job.compute(move |job| {
                        count.fetch_add(1, Ordering::SeqCst);
                        begun.send(()).unwrap();
                        job.commit(&store, |tx| {
                            tx.allocate_uid();
                            Ok(())
                        })
                    })
                };
                told.send(job.with_room(&to, work).await).unwrap();
            });
            if cancel {
                tokio::task::yield_now().await;
                has_begun.recv().unwrap();
                // It waits outside: the only thread for jobs is free.
                drop(inner.job_slot().await.unwrap());
                jobs.cancel("a");
            }
            let outcome = outcome.await.unwrap();
            (done.load(Ordering::SeqCst), outcome)
        };
        pool.scope(test).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_that_finds_no_room_waits_without_a_thread_and_hears_a_cancel() {
        let (times, outcome) = ran(u64::MAX, true).await;
        assert_eq!(outcome.unwrap_err().reason(), "COMPUTATION_STOPPED");
        // Not computed again for a disk that is still full.
        assert_eq!(times, 1);
        let (times, outcome) = ran(0, false).await;
        assert_eq!((times, outcome), (1, Ok(())));
    }

    /// What a job whose work is `done` writes of why it failed, after it was told to stop by `stop`.
    async fn concluded(
        done: Result<(), Fault>,
        stop: fn(&Jobs),
    ) -> (Result<(), Fault>, Option<String>) {
        const WHY: Table<u64, String> = Table::new(7, "why");
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let jobs = Jobs::default();
        let (told, outcome) = tokio::sync::oneshot::channel();
        let (stopped, has_stopped) = tokio::sync::oneshot::channel();
        let to = store.clone();
        jobs.start("a", |job| async move {
            has_stopped.await.unwrap();
            let failed = |tx: &mut Transaction<'_>, why: Fault| {
                let why = why.reason().to_owned();
                tx.put(&WHY, &1, &why)
                    .map_err(|error| write::store_fault(&error))
            };
            let concluded = job.conclude(&to, done, given_up(), failed).await;
            told.send(concluded).unwrap();
        });
        stop(&jobs);
        stopped.send(()).unwrap();
        let concluded = outcome.await.unwrap();
        let why = store.latest().get(&WHY, &1).unwrap();
        (concluded, why.map(|why| why.value))
    }

    fn given_up() -> Fault {
        Fault::new(
            tonic::Code::Cancelled,
            ErrorReason::RequestRunning,
            "given up",
        )
    }

    #[tokio::test]
    async fn a_job_ends_by_what_became_of_its_work() {
        let going: fn(&Jobs) = |_| ();
        let cancelled: fn(&Jobs) = |jobs| jobs.cancel("a");
        let shut_down: fn(&Jobs) = Jobs::shut_down;
        let wrong = || Fault::internal(&"wrong");
        let busy = || wrong().retry_after(Duration::from_secs(1));
        let why = |fault: Fault| Some(fault.reason().to_owned());
        for (done, stop, expected) in [
            (Ok(()), going, (Ok(()), None)),
            (Ok(()), cancelled, (Ok(()), None)),
            (Err(wrong()), going, (Ok(()), why(wrong()))),
            (Err(wrong()), cancelled, (Ok(()), why(given_up()))),
            (Err(busy()), cancelled, (Ok(()), why(given_up()))),
            (Err(wrong()), shut_down, (Ok(()), None)),
            (Err(busy()), shut_down, (Ok(()), None)),
            (Err(busy()), going, (Err(busy()), None)),
        ] {
            let what = format!("{done:?}, {expected:?}");
            assert_eq!(concluded(done, stop).await, expected, "{what}");
        }
    }

    #[test]
    fn chunks_hold_everything_in_order() {
        let sizes = vec![CHUNK_BYTES / 2, CHUNK_BYTES / 2, 1, CHUNK_BYTES * 2, 3];
        let chunks = chunks(sizes.iter().copied(), |size| *size);
        let lengths: Vec<usize> = chunks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        assert_eq!(chunks.concat(), sizes);
    }

    #[test]
    fn chunks_of_small_items_are_short() {
        let chunks = chunks(0..2 * CHUNK_ITEMS + 1, |_| 1);
        let lengths: Vec<usize> = chunks.iter().map(Vec::len).collect();
        assert_eq!(lengths, [CHUNK_ITEMS, CHUNK_ITEMS, 1]);
    }
}
