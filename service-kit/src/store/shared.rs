//! What the committer and all readers share: the engine, the newest published commit, the health.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use super::engine::{Engine, EngineError};
use super::entry::{self, Encoded};
use super::error::StoreError;
use super::feed::Feed;
use super::high::High;
use super::lineage::Lineage;
use super::recent::Recent;
use super::time::{CommitTime, Revision};

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes are served.
    Serving,
    /// A write could not be made durable, or the index could not be read: writes are refused, and
    /// reads go on as far as they can.
    Failed {
        /// The failure.
        reason: String,
    },
    /// The store is closed.
    Closed,
}

/// One version of a record, as raw as a reader gets it.
#[derive(Debug, Clone)]
pub(super) struct RawVersion {
    pub(super) revision: Revision,
    pub(super) time: CommitTime,
    /// `None` is a deletion.
    pub(super) value: Option<Encoded>,
}

/// Why a raw read failed; the typed layer names the table and the key.
#[derive(Debug)]
pub(super) enum RawError {
    Store(StoreError),
    /// Table id and key bytes, and what is wrong with the value there.
    Value(Vec<u8>, &'static str),
}

pub(super) struct Shared {
    pub(super) lineage: Lineage,
    pub(super) log: PathBuf,
    /// What the commits since the start wrote.
    pub(super) feed: Feed,
    recent: Recent,
    engine: RwLock<Option<Box<dyn Engine>>>,
    published: RwLock<High>,
    health: watch::Sender<Health>,
}

impl Shared {
    pub(super) fn new(lineage: Lineage, log: PathBuf, engine: Box<dyn Engine>, high: High) -> Self {
        Self {
            lineage,
            log,
            feed: Feed::new(high.tip.revision),
            recent: Recent::new(),
            engine: RwLock::new(Some(engine)),
            published: RwLock::new(high),
            health: watch::Sender::new(Health::Serving),
        }
    }

    /// The newest commit that readers see.
    pub(super) fn published(&self) -> High {
        *self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, high: High) {
        *self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = high;
    }

    pub(super) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        self.health.send_replace(health);
    }

    pub(super) fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Takes the engine away: every later read answers [`StoreError::Closed`].
    pub(super) fn take_engine(&self) -> Option<Box<dyn Engine>> {
        self.engine
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Calls the engine. One that fails, for want of room or because its files are damaged, is right
    /// again after the next open only, so the store says that it has failed.
    pub(super) fn engine<T>(
        &self,
        call: impl FnOnce(&dyn Engine) -> Result<T, EngineError>,
    ) -> Result<T, StoreError> {
        let guard = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let engine = guard.as_deref().ok_or(StoreError::Closed)?;
        call(engine).map_err(|EngineError(text)| {
            self.health.send_if_modified(|health| {
                let serving = *health == Health::Serving;
                if serving {
                    let reason = format!("storage engine: {text}");
                    *health = Health::Failed { reason };
                }
                serving
            });
            StoreError::Engine(text)
        })
    }

    /// Versions of one key, newest first, from `at` backwards; `false` from `visit` ends it.
    pub(super) fn versions(
        &self,
        key: &[u8],
        at: Revision,
        mut visit: impl FnMut(RawVersion) -> bool,
    ) -> Result<(), RawError> {
        let from = entry::version_key(key, at);
        let to = super::scan::behind(key);
        let mut broken = None;
        self.engine(|engine| {
            engine.visit(
                &from,
                &to,
                &mut |found, value| match read_version(found, value).map(&mut visit) {
                    Ok(true) => ControlFlow::Continue(()),
                    Ok(false) => ControlFlow::Break(()),
                    Err(detail) => {
                        broken = Some(detail);
                        ControlFlow::Break(())
                    }
                },
            )
        })
        .map_err(RawError::Store)?;
        broken.map_or(Ok(()), |detail| {
            Err(RawError::Value(key.to_owned(), detail))
        })
    }

    /// The newest version of a key at or before a revision.
    pub(super) fn newest(&self, key: &[u8], at: Revision) -> Result<Option<RawVersion>, RawError> {
        let mut newest = None;
        self.versions(key, at, |version| {
            newest = Some(version);
            false
        })?;
        Ok(newest)
    }

    /// As [`Shared::newest`], out of memory where it was read lately. For published revisions.
    pub(super) fn recall(&self, key: &[u8], at: Revision) -> Result<Option<RawVersion>, RawError> {
        if let Some(version) = self.recent.newest(key, at) {
            return Ok(Some(version));
        }
        let newest = self.newest(key, at)?;
        if let Some(version) = &newest {
            self.recent.note(key, at, version);
        }
        Ok(newest)
    }

    /// When a published revision was committed.
    pub(super) fn commit_time(&self, revision: Revision) -> Result<CommitTime, StoreError> {
        if revision == Revision::ZERO {
            return Ok(CommitTime::MIN);
        }
        let mut found = None;
        self.engine(|engine| {
            let to = super::scan::behind(&entry::GROUPS);
            engine.visit(&entry::group_key(revision), &to, &mut |key, value| {
                found = Some(entry::unseal(key, value).map(|(body, _)| entry::group_time(body)));
                ControlFlow::Break(())
            })
        })?;
        let detail = match found {
            Some(Ok(Some(time))) => return Ok(time),
            Some(Ok(None)) => "the record has a wrong length",
            Some(Err(detail)) => detail,
            None => "the record is missing",
        };
        Err(StoreError::corrupt(
            format!("index, commit {revision}"),
            detail,
        ))
    }

    /// The last published revision that was committed at or before a time.
    pub(super) fn revision_at(&self, time: CommitTime) -> Result<Revision, StoreError> {
        let newest = self.published().tip;
        if newest.time <= time {
            return Ok(newest.revision);
        }
        // Commit times never decrease, so the revisions are ordered by them.
        let (mut known, mut beyond) = (0, newest.revision.get());
        while beyond - known > 1 {
            let middle = known + (beyond - known) / 2;
            if self.commit_time(Revision::new(middle))? <= time {
                known = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(Revision::new(known))
    }
}

fn read_version(key: &[u8], value: &[u8]) -> Result<RawVersion, &'static str> {
    let (_, revision) = entry::split_version_key(key).ok_or("the key is too short")?;
    let version = entry::parse_version(key, value)?;
    Ok(RawVersion {
        revision,
        time: version.time,
        value: version.value.map(|(version, payload)| Encoded {
            version,
            payload: payload.into(),
        }),
    })
}
