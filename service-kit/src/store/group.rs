//! The transactions that become durable together, as the committer gathers them.

use super::entry::{self, Head, Pair};
use super::frame;
use super::queue::Job;
use super::scan::GroupLayer;
use super::time::{CommitTime, Revision};
use super::tip::Tip;
use super::transaction::{self, Outcome};

/// Transactions that become durable together.
pub(super) struct Group {
    pub(super) time: CommitTime,
    pub(super) tip: Tip,
    pub(super) commits: u32,
    pub(super) frames: Vec<u8>,
    /// What the index gets.
    pub(super) pairs: Vec<Pair>,
    pub(super) layer: GroupLayer,
    pub(super) answers: Vec<(Box<dyn Job>, Revision, CommitTime)>,
}

impl Group {
    pub(super) fn new(after: Tip, now: CommitTime) -> Self {
        Self {
            time: now.max(after.time),
            tip: after,
            commits: 0,
            frames: Vec::new(),
            pairs: Vec::new(),
            layer: GroupLayer::default(),
            answers: Vec::new(),
        }
    }

    /// Takes over what a closure wrote.
    pub(super) fn add(&mut self, outcome: Outcome, next_uid: u64) {
        let head = Head {
            revision: self.tip.revision.next(),
            time: self.time,
            group: self.commits,
        };
        let mut next = Tip {
            revision: head.revision,
            time: head.time,
            next_uid,
            ..self.tip
        };
        let before = self.pairs.len();
        let writes = || transaction::writes(&outcome.writes);
        entry::pairs(&head, writes(), &mut next.set, &mut self.pairs);
        next.pairs += (self.pairs.len() - before) as u64;
        self.tip = frame::encode(&head, writes(), next, &self.tip.digest, &mut self.frames);
        self.commits += 1;
        self.layer.absorb(outcome.writes);
    }
}
