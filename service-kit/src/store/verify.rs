//! The full check of a store.

use std::sync::Arc;

use super::entry::{self, SetHash};
use super::error::StoreError;
use super::index::Survey;
use super::log::Log;
use super::shared::Shared;
use super::time::Revision;

/// What was checked and found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyReport {
    /// The newest revision at the start; all was checked up to it.
    pub revision: Revision,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of frames in the log.
    pub log_bytes: u64,
    /// Versions of records and records of commits in the index.
    pub pairs: u64,
}

pub(super) fn verify(shared: &Arc<Shared>) -> Result<VerifyReport, StoreError> {
    let high = shared.published();
    let log = Log {
        dir: &shared.log,
        incarnation: shared.lineage.incarnation,
    };
    let (mut pairs, mut set, mut log_bytes) = (0, SetHash::default(), 0);
    let mut commit_pairs = Vec::new();
    log.walk(Revision::ZERO, (&high.tip, high.position), &mut |frame| {
        let corrupt = |detail: &str| {
            StoreError::corrupt(format!("log, revision {}", frame.tip.revision), detail)
        };
        let writes = frame.writes().map_err(|error| corrupt(error.text()))?;
        commit_pairs.clear();
        entry::pairs(
            &frame.head(),
            writes.into_iter(),
            &mut set,
            &mut commit_pairs,
        );
        pairs += commit_pairs.len() as u64;
        log_bytes += frame.bytes.len() as u64;
        if (pairs, set) == (frame.tip.pairs, frame.tip.set) {
            return Ok(());
        }
        Err(corrupt("the frame sums up its commits wrongly"))
    })?;
    // What is written meanwhile is beyond the tip.
    let found =
        shared.engine(|engine| Ok(Survey::of(engine, high.tip.revision, &mut |_, _| ())))?;
    let found = found.and_then(|found| found.fits(&high.tip).map(|()| found));
    let found = found.map_err(|detail| StoreError::corrupt("index", detail))?;
    Ok(VerifyReport {
        revision: high.tip.revision,
        segments: high.position.segment,
        log_bytes,
        pairs: found.pairs,
    })
}
