//! A disk that fails and an engine that panics.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::support::{CITIES, content, fill, filled, open};
use crate::store::disk::{Disk, DiskFile, SystemDisk};
use crate::store::engine::{Engine, EngineError};
use crate::store::sled_engine::SledEngine;
use crate::store::{Health, Store, StoreError, StoreOptions, TransactError};

/// Fails every operation from a given one on; 0 never.
#[derive(Default)]
struct FailingDisk {
    writes_left: AtomicU64,
    syncs_left: AtomicU64,
}

fn spend(left: &AtomicU64) -> io::Result<()> {
    match left.load(Ordering::SeqCst) {
        0 => Ok(()),
        1 => Err(io::Error::other("the disk is on fire")),
        more => {
            left.store(more - 1, Ordering::SeqCst);
            Ok(())
        }
    }
}

struct SharedDisk(Arc<FailingDisk>);

impl Disk for SharedDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = SystemDisk.open(path)?;
        Ok(Box::new(FailingFile(file, Arc::clone(&self.0))))
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        SystemDisk.free(dir)
    }
}

struct FailingFile(Box<dyn DiskFile>, Arc<FailingDisk>);

impl DiskFile for FailingFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        spend(&self.1.writes_left)?;
        self.0.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        spend(&self.1.syncs_left)?;
        self.0.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
}

async fn poisoned_by(fail: impl Fn(&FailingDisk)) {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(FailingDisk::default());
    let disk: Arc<dyn Disk> = Arc::new(SharedDisk(Arc::clone(&faults)));
    let store = Store::open_on(dir.path(), StoreOptions::default(), &disk).unwrap();
    fill(&store, 0..3).await;
    let mut health = store.watch_health();
    assert_eq!(*health.borrow_and_update(), Health::Serving);
    fail(&faults);
    let put = |store: &Store| {
        let store = store.clone();
        async move {
            store
                .transact(|tx| tx.put(&CITIES, &(5, "x"), &"x".to_owned()))
                .await
        }
    };
    let first = put(&store).await.unwrap_err();
    assert!(
        matches!(&first, TransactError::Store(StoreError::Failed { reason }) if reason.contains("on fire")),
        "{first}"
    );
    health.changed().await.unwrap();
    assert!(matches!(store.health(), Health::Failed { .. }));
    // The disk recovers, the store does not trust it.
    faults.writes_left.store(0, Ordering::SeqCst);
    faults.syncs_left.store(0, Ordering::SeqCst);
    let second = put(&store).await.unwrap_err();
    assert!(matches!(
        second,
        TransactError::Store(StoreError::Failed { .. })
    ));
    assert_eq!(content(&store.latest()).unwrap(), filled(3));
    assert!(store.close().is_err());
    let store = open(dir.path());
    let found = content(&store.latest()).unwrap();
    // What failed may have survived; what was acknowledged has.
    let acknowledged: Vec<_> = found.into_iter().filter(|(key, _)| key.0 != 5).collect();
    assert_eq!(acknowledged, filled(3));
    assert_eq!(store.health(), Health::Serving);
    fill(&store, 3..4).await;
    store.verify().unwrap();
}

#[tokio::test]
async fn a_failed_write_of_the_log_stops_all_writes() {
    poisoned_by(|disk| disk.writes_left.store(1, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_failed_sync_of_the_log_stops_all_writes() {
    poisoned_by(|disk| disk.syncs_left.store(1, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_failed_write_of_the_mark_stops_all_writes() {
    poisoned_by(|disk| disk.writes_left.store(2, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_failed_sync_of_the_mark_stops_later_writes() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(FailingDisk::default());
    let disk: Arc<dyn Disk> = Arc::new(SharedDisk(Arc::clone(&faults)));
    let store = Store::open_on(dir.path(), StoreOptions::default(), &disk).unwrap();
    let mut health = store.watch_health();
    fill(&store, 0..1).await;
    // Of the next commit the log is synced, and the mark a little later is not.
    faults.syncs_left.store(2, Ordering::SeqCst);
    fill(&store, 1..2).await;
    health
        .wait_for(|health| matches!(health, Health::Failed { .. }))
        .await
        .unwrap();
    assert_eq!(content(&store.latest()).unwrap(), filled(2));
    assert!(store.close().is_err());
    assert_eq!(content(&open(dir.path()).latest()).unwrap(), filled(2));
}

#[tokio::test]
async fn an_engine_that_fails_after_the_log_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 0..2).await;
    drop(store.shared.take_engine());
    let failed = store
        .transact(|tx| tx.put(&CITIES, &(5, "x"), &"x".to_owned()))
        .await;
    assert!(matches!(
        failed,
        Err(TransactError::Store(StoreError::Failed { .. }))
    ));
    assert!(store.close().is_err());
    // It was durable, so it is there, and may be: its caller was told that this is unknown.
    let store = open(dir.path());
    assert_eq!(content(&store.latest()).unwrap().len(), 4);
    store.verify().unwrap();
}

#[test]
fn panics_of_the_engine_become_errors() {
    let dir = tempfile::tempdir().unwrap();
    let engine = SledEngine::open(dir.path(), 1 << 20).unwrap();
    engine.insert(vec![(vec![1], vec![2])]).unwrap();
    let panicked = engine.visit(&[0], &[9], &mut |_, _| panic!("deep inside"));
    assert_eq!(
        panicked,
        Err(EngineError("scan panicked: deep inside".to_owned()))
    );
    let mut seen = 0;
    engine
        .visit(&[0], &[9], &mut |_, _| {
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 1);
    Box::new(engine).close().unwrap();
}
