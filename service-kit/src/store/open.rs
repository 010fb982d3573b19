//! Opening a store: what the disk says, in the order of its authority.

use std::path::Path;
use std::sync::Arc;

use super::committer::Committer;
use super::directory::Directory;
use super::disk::{self, Disk};
use super::error::StoreError;
use super::high::{self, Found, High, HighWriter};
use super::index::{self, Index};
use super::lineage::Lineage;
use super::log::{Log, Tail};
use super::options::StoreOptions;
use super::queue::Queue;
use super::segment::{HEADER, Position};
use super::shared::Shared;
use super::space::Space;
use super::tip::Tip;
use super::writer::{self, LogWriter};

/// A store that is ready and has no thread yet.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    pub(super) committer: Committer,
}

pub(super) fn open(
    root: &Path,
    options: StoreOptions,
    disk: &Arc<dyn Disk>,
) -> Result<Opened, StoreError> {
    open_as_it_is(root, options, disk).map_err(|error| match error {
        // The engine may have panicked, and then does not say why.
        StoreError::Engine(detail) if disk::little_left(&**disk, root) => {
            StoreError::DiskFull { detail }
        }
        error => error,
    })
}

fn open_as_it_is(
    root: &Path,
    options: StoreOptions,
    disk: &Arc<dyn Disk>,
) -> Result<Opened, StoreError> {
    let directory = Directory::lock(root, options.create)?;
    let lineage = match directory.lineage_of(options.owner)? {
        Some(lineage) => lineage,
        None if options.create => create(&directory, options.owner, disk)?,
        None => {
            return Err(StoreError::Absent {
                dir: root.to_owned(),
            });
        }
    };
    let incarnation = lineage.incarnation;
    let log_dir = directory.log();
    let log = Log {
        dir: &log_dir,
        incarnation,
    };
    let found = high::read(&directory.high(), &incarnation)?;
    // Both read much and change nothing.
    let (checked, inspected) = std::thread::scope(|scope| {
        let checked = scope.spawn(|| check_log(&log, &found));
        let inspected = index::inspect(&directory, &found.high);
        (checked.join(), inspected)
    });
    let tail =
        checked.map_err(|_| StoreError::Engine("the check of the log panicked".into()))??;
    // What could still refuse the log comes before anything is cut off it.
    let trust = inspected?.compare(&tail.end)?;
    let means = (&**disk, options.cache_bytes);
    let adopted = Index::adopt(&directory, &tail.end, trust, means)?;
    let (log_writer, high_writer, high) =
        settle(&directory, incarnation, &found, &tail, &options, disk)?;
    let engine = Index::complete(adopted, &directory, &log, &high, means)?;

    let space = Space::new(Arc::clone(disk), root.to_owned(), options.min_free_bytes)?;
    let shared = Arc::new(Shared::new(lineage, log_dir, engine, high));
    let queue = Arc::new(Queue::new(options.queue));
    let committer = Committer {
        shared: Arc::clone(&shared),
        queue: Arc::clone(&queue),
        directory,
        log: log_writer,
        high: high_writer,
        space,
        clock: options.clock,
        checkpoint_bytes: options.checkpoint_bytes,
        idle: options.idle,
        next_uid: high.tip.next_uid,
        unflushed: 0,
        marked: std::time::Instant::now(),
        failed: None,
    };
    Ok(Opened {
        shared,
        queue,
        committer,
    })
}

/// Makes an empty store. `FORMAT` comes last: a crash before it leaves nothing that counts.
fn create(directory: &Directory, owner: &str, disk: &Arc<dyn Disk>) -> Result<Lineage, StoreError> {
    let incarnation = uuid::Uuid::new_v4().into_bytes();
    directory.clear()?;
    disk::create_dir(&directory.log())?;
    LogWriter::create(&directory.log(), incarnation, &**disk)?;
    let high = High {
        tip: Tip::genesis(&incarnation),
        position: Position {
            segment: 1,
            offset: HEADER as u64,
        },
    };
    HighWriter::open(&directory.high(), incarnation, &**disk, &high, false)?;
    disk::sync_dir(&directory.root)?;
    let lineage = Lineage::new(incarnation).owned_by(owner);
    directory.write_format(&lineage)?;
    Ok(lineage)
}

/// Makes sure that all acknowledged commits are in the log; what lies after them.
pub(super) fn check_log(log: &Log<'_>, found: &Found) -> Result<Tail, StoreError> {
    let high = &found.high;
    log.walk(
        super::time::Revision::ZERO,
        (&high.tip, high.position),
        &mut |_| Ok(()),
    )?;
    let tail = log.tail(high)?;
    match tail.garbage {
        // The damaged slot may have been the later one, and what is broken here acknowledged. A
        // crash does not break both: a slot is within one sector, which is written whole.
        Some(detail) if found.damaged => Err(StoreError::corrupt(
            format!(
                "log segment {}, from offset {}, after revision {}",
                high.position.segment, high.position.offset, high.tip.revision
            ),
            format!("{detail}, and a slot of HIGH is damaged too"),
        )),
        _ => Ok(tail),
    }
}

/// Cuts off what was never a commit, and makes durable what was one but not yet acknowledged.
fn settle(
    directory: &Directory,
    incarnation: [u8; 16],
    found: &Found,
    tail: &Tail,
    options: &StoreOptions,
    disk: &Arc<dyn Disk>,
) -> Result<(LogWriter, HighWriter, High), StoreError> {
    if let Some(detail) = tail.garbage {
        tracing::warn!(
            segment = tail.end.position.segment,
            offset = tail.end.position.offset,
            detail,
            "the end of the log was never acknowledged and is cut off"
        );
    }
    let high = tail.end;
    writer::rewrite(&directory.log(), &**disk, &tail.frames)?;
    let log = LogWriter::open(
        &directory.log(),
        incarnation,
        Arc::clone(disk),
        high.position,
        options.segment_bytes,
    )?;
    let mark = HighWriter::open(&directory.high(), incarnation, &**disk, &high, found.second)?;
    Ok((log, mark, high))
}
