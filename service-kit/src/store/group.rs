//! The transactions that become durable together, as the committer gathers them.

use super::entry::{self, Head, Pair};
use super::frame;
use super::queue::Job;
use super::scan::GroupLayer;
use super::time::{CommitTime, Revision};
use super::tip::Tip;
use super::transaction::{self, Outcome};

/// Pairs after which a batch for the index ends with the commit that they are of: sled keeps all
/// that it replaces within a batch, some kilobytes a pair, until the batch is over.
const BATCH_PAIRS: usize = 4096;

/// Transactions that become durable together.
pub(super) struct Group {
    pub(super) time: CommitTime,
    pub(super) tip: Tip,
    pub(super) commits: u32,
    pub(super) frames: Vec<u8>,
    /// What the index gets batch by batch, each whole commits and how far it is with them.
    pub(super) batches: Vec<Vec<Pair>>,
    /// Of the batch after these.
    pairs: Vec<Pair>,
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
            batches: Vec::new(),
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
        if self.pairs.len() >= BATCH_PAIRS {
            self.end_batch();
        }
        self.layer.absorb(outcome.writes);
    }

    pub(super) fn end_batch(&mut self) {
        if !self.pairs.is_empty() {
            self.pairs.push(super::index::applied(&self.tip));
            self.batches.push(std::mem::take(&mut self.pairs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scan::Layer;
    use crate::store::shared::RawVersion;

    #[test]
    fn a_group_goes_into_the_index_in_bounded_batches_of_whole_commits() {
        let genesis = Tip::genesis(&[0; 16]);
        let mut group = Group::new(genesis, CommitTime::from_nanoseconds(1));
        let (mut tips, half) = (Vec::new(), BATCH_PAIRS as u64 / 2);
        for commit in 0..6_u64 {
            let deleted = RawVersion {
                revision: group.tip.revision.next(),
                time: group.time,
                value: None,
            };
            let keys = (0..half).map(|row| [&[3][..], &row.to_be_bytes()].concat());
            let writes: Layer = keys.map(|key| (key, deleted.clone())).collect();
            let allocated = false;
            group.add(Outcome { writes, allocated }, commit);
            tips.push(group.tip);
        }
        group.end_batch();
        // The first commit has a pair more, which tells the time of the group.
        let lengths: Vec<_> = group.batches.iter().map(Vec::len).collect();
        assert_eq!(lengths, [BATCH_PAIRS + 2, BATCH_PAIRS + 1, BATCH_PAIRS + 1]);
        let ends: Vec<_> = group.batches.iter().map(|batch| batch.last()).collect();
        let applied = [1, 3, 5].map(|commit| super::super::index::applied(&tips[commit]));
        assert_eq!(ends, applied.each_ref().map(Some));
        group.end_batch();
        assert_eq!(group.batches.len(), 3);
    }
}
