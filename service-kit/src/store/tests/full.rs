//! A disk that is full, at every place where it can be, and has room again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use super::support::{CITIES, content, copied, crashed, filled, open};
use crate::store::disk::{Disk, DiskFile, SystemDisk};
use crate::store::{Health, Read, Store, StoreError, StoreOptions, TransactError, Transaction};

/// Is full from the operation on that is to fail: a file that would be created is not, and of a
/// write only a part is done.
#[derive(Default)]
struct FullDisk {
    /// How many writes and creations still succeed; 0 for all.
    left: AtomicU64,
    /// How many bytes of a write on the full disk are written.
    part: AtomicUsize,
    /// Whether nothing can be cut off either.
    stuck: AtomicBool,
    /// What the system says is free.
    free: AtomicU64,
}

impl FullDisk {
    fn new() -> Arc<Self> {
        let disk = Self::default();
        disk.free.store(u64::MAX, Ordering::SeqCst);
        Arc::new(disk)
    }

    fn is_full(&self) -> bool {
        match self.left.load(Ordering::SeqCst) {
            0 => false,
            1 => true,
            more => {
                self.left.store(more - 1, Ordering::SeqCst);
                false
            }
        }
    }

    fn make_room(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    fn open(self: &Arc<Self>, dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(Shared(Arc::clone(self)));
        Store::open_on(dir, options, &disk)
    }
}

struct Shared(Arc<FullDisk>);

impl Disk for Shared {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if !path.exists() && self.0.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Box::new(File(
            SystemDisk.open(path)?,
            path.to_owned(),
            Arc::clone(&self.0),
        )))
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.free.load(Ordering::SeqCst))
    }
}

struct File(Box<dyn DiskFile>, PathBuf, Arc<FullDisk>);

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // The high-water mark has its blocks.
        if self.1.ends_with("HIGH") || !self.2.is_full() {
            return self.0.write_at(offset, bytes);
        }
        let part = self.2.part.load(Ordering::SeqCst).min(bytes.len());
        self.0.write_at(offset, &bytes[..part])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.2.stuck.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.truncate(length)
    }
}

/// Segments of few commits.
fn small() -> StoreOptions {
    StoreOptions {
        segment_bytes: 500,
        ..StoreOptions::default()
    }
}

/// One commit of [`super::support::fill`].
async fn put(store: &Store, number: u64) -> Result<(), TransactError<StoreError>> {
    let write = move |tx: &mut Transaction<'_>| {
        let name = format!("city {number}");
        tx.put(&CITIES, &(number % 3, format!("c{number}")), &name)?;
        tx.put(&CITIES, &(9, "latest".to_owned()), &name)
    };
    store.transact(write).await.map(|_| ())
}

fn full<T>(answer: &Result<T, TransactError<StoreError>>) -> bool {
    matches!(
        answer,
        Err(TransactError::Store(StoreError::DiskFull { .. }))
    )
}

const COMMITS: u64 = 8;
/// Of a write on the full disk: nothing, a part of a frame or of a header, whole frames.
const PARTS: [usize; 3] = [0, 100, usize::MAX];

/// Fills the disk at one place, makes room, and asks what is left. Whether it came to that place.
async fn filled_at(place: u64, part: usize) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::new();
    let store = disk.open(dir.path(), small()).unwrap();
    disk.part.store(part, Ordering::SeqCst);
    disk.left.store(place, Ordering::SeqCst);
    let mut refused = None;
    for number in 0..COMMITS {
        let mut answer = put(&store, number).await;
        if full(&answer) && refused.is_none() {
            refused = Some(number);
            assert_eq!(store.health(), Health::Serving);
            assert_eq!(content(&store.latest()).unwrap(), filled(number));
            // Killed now, it has what was acknowledged and nothing of what was refused.
            let copy = copied(dir.path());
            let killed = open(copy.path());
            assert_eq!(content(&killed.latest()).unwrap(), filled(number));
            killed.verify().unwrap();
            // As full as before, it refuses as before.
            assert!(full(&put(&store, number).await));
            disk.make_room();
            answer = put(&store, number).await;
        }
        answer.unwrap();
    }
    assert_eq!(content(&store.latest()).unwrap(), filled(COMMITS));
    store.verify().unwrap();
    let killed = copied(dir.path());
    store.close().unwrap();
    for dir in [killed.path(), dir.path()] {
        let store = open(dir);
        assert_eq!(content(&store.latest()).unwrap(), filled(COMMITS));
        assert!(store.verify().unwrap().segments >= 3);
    }
    refused.is_some()
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_place_refuses_and_goes_on() {
    for part in PARTS {
        let mut place = 1;
        while filled_at(place, part).await {
            place += 1;
        }
        // Each commit writes once; a segment is created and gets a header.
        assert!(place > COMMITS + 4, "{place}");
    }
}

#[tokio::test]
async fn what_cannot_be_cut_off_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::new();
    let store = disk.open(dir.path(), StoreOptions::default()).unwrap();
    put(&store, 0).await.unwrap();
    disk.part.store(100, Ordering::SeqCst);
    disk.left.store(1, Ordering::SeqCst);
    disk.stuck.store(true, Ordering::SeqCst);
    let answer = put(&store, 1).await;
    assert!(matches!(
        answer,
        Err(TransactError::Store(StoreError::Failed { .. }))
    ));
    assert!(matches!(store.health(), Health::Failed { .. }));
    assert_eq!(content(&store.latest()).unwrap(), filled(1));
    store.close().unwrap_err();
    open(dir.path()).verify().unwrap();
}

#[tokio::test]
async fn a_refused_group_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::new();
    let store = disk.open(dir.path(), StoreOptions::default()).unwrap();
    put(&store, 0).await.unwrap();
    // What is queued while the committer is busy becomes one group.
    let (go, wait) = mpsc::channel::<()>();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let busy = tokio::spawn({
        let store = store.clone();
        async move {
            let busy = store.transact(move |_| {
                begin.send(()).unwrap();
                wait.recv()
            });
            busy.await.unwrap()
        }
    });
    begun.await.unwrap();
    let count = |tx: &mut Transaction<'_>| tx.scan(&CITIES, &()).count();
    let before = store.transact(move |tx| Ok::<_, StoreError>(count(tx)));
    let after = store.transact(move |tx| Ok::<_, StoreError>(count(tx)));
    let aborted = store.transact(move |tx| Err::<(), _>(count(tx)));
    let uid = store.transact(|tx| Ok::<_, StoreError>(tx.allocate_uid()));
    let (before, written, after, aborted, uid, ()) = tokio::join!(
        biased;
        before,
        put(&store, 1),
        after,
        aborted,
        uid,
        async {
            disk.left.store(1, Ordering::SeqCst);
            go.send(()).unwrap();
        },
    );
    busy.await.unwrap();
    assert_eq!(before.unwrap().value, 2);
    assert!(full(&written) && full(&after) && full(&uid));
    // It was about to answer with what is not there.
    assert!(matches!(
        aborted,
        Err(TransactError::Store(StoreError::DiskFull { .. }))
    ));
    assert_eq!(content(&store.latest()).unwrap(), filled(1));
    disk.make_room();
    put(&store, 1).await.unwrap();
    assert_eq!(content(&store.latest()).unwrap(), filled(2));
}

#[tokio::test]
async fn uids_of_refused_transactions_are_not_handed_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::new();
    let store = disk.open(dir.path(), StoreOptions::default()).unwrap();
    let allocate = || store.transact(|tx| Ok::<_, StoreError>(tx.allocate_uid()));
    let first = allocate().await.unwrap().value;
    disk.left.store(1, Ordering::SeqCst);
    assert!(full(&allocate().await));
    disk.make_room();
    assert!(allocate().await.unwrap().value > first + 1);
}

#[tokio::test]
async fn too_little_free_space_refuses_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FullDisk::new();
    let options = StoreOptions {
        min_free_bytes: 1000,
        ..StoreOptions::default()
    };
    let store = disk.open(dir.path(), options.clone()).unwrap();
    put(&store, 0).await.unwrap();
    store.close().unwrap();
    disk.free.store(999, Ordering::SeqCst);
    // It opens, answers, is copied; what it writes of its own needs no room to speak of.
    let store = disk.open(dir.path(), options).unwrap();
    let log = dir.path().join("log/00000001");
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(full(&put(&store, 1).await));
    let deletion = store.transact(|tx| tx.delete(&CITIES, &(0, "c0"))).await;
    assert!(full(&deletion));
    assert_eq!(std::fs::metadata(&log).unwrap().len(), length);
    let read = store.transact(|tx| tx.get(&CITIES, &(0, "c0"))).await;
    assert_eq!(read.unwrap().value.unwrap().value, "city 0");
    let copy = tempfile::tempdir().unwrap();
    crate::store::backup(dir.path(), copy.path()).unwrap();
    assert_eq!(store.health(), Health::Serving);
    disk.free.store(1000, Ordering::SeqCst);
    put(&store, 1).await.unwrap();
    assert_eq!(content(&store.latest()).unwrap(), filled(2));
}

#[tokio::test]
async fn an_open_on_a_full_disk_loses_nothing() {
    let crashed = crashed(2, 6).await;
    for part in PARTS {
        let mut place = 1;
        loop {
            let dir = copied(crashed.path());
            let disk = FullDisk::new();
            disk.part.store(part, Ordering::SeqCst);
            disk.left.store(place, Ordering::SeqCst);
            let fits = match disk.open(dir.path(), StoreOptions::default()) {
                Ok(store) => store.close().is_ok(),
                Err(StoreError::DiskFull { .. }) => false,
                Err(error) => panic!("{error}"),
            };
            // Commits that were acknowledged short of the synced mark are there all the same.
            assert_eq!(content(&open(dir.path()).latest()).unwrap(), filled(6));
            if fits {
                break;
            }
            place += 1;
        }
        assert!(place > 1);
    }
}
