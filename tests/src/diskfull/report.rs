//! What was counted.

use std::fmt;

use crate::crash::Tally;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Times the disk became full.
    pub points: u64,
    /// Writes that were refused because the disk was full.
    pub refused: u64,
    /// Writes that were refused by a store that had stopped.
    pub unknown: u64,
    /// Writes that were refused, or had no answer, and were taken once there was room.
    pub taken_again: u64,
    /// Points after which the service took writes again without a restart.
    pub recovered: u64,
    /// Points at which the service said NOT_SERVING and was started again.
    pub stopped: u64,
    /// Times it said so only once the writes were looked at.
    pub stopped_late: u64,
    /// Starts on a full disk that came to SERVING.
    pub started_full: u64,
    /// Starts on a full disk that ended, saying that it is full.
    pub refused_full: u64,
    /// Times the log had no room for a commit, as far as the service told.
    pub no_commit: u64,
    /// Times the log had no room for a new segment.
    pub no_segment: u64,
    /// Times there was less than the least free space.
    pub below: u64,
    /// Writes that brought a segment to its end.
    pub bulk: u64,
    /// Refused writes that are there.
    pub done_all_the_same: u64,
    /// What else was counted and found wrong.
    pub tally: Tally,
}

impl Report {
    /// Whether nothing bad was counted.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.done_all_the_same == 0 && self.tally.clean()
    }

    /// Notes what was said of a full disk that is not clear.
    pub(super) fn unclear(&mut self, what: &str, said: &dyn fmt::Display) {
        self.tally.faults.push(format!("{what}: {said}"));
    }

    /// Takes from a service's log where it met the full disk.
    pub(super) fn said(&mut self, lines: &[String]) {
        for line in lines {
            let refusing = line.contains("writes are refused until there is room");
            self.no_commit += u64::from(refusing && line.contains("cannot append to"));
            self.no_segment += u64::from(refusing && line.contains("cannot begin"));
            self.below += u64::from(refusing && line.contains("bytes are free"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let columns = [
            ("points", self.points),
            ("acknowledged", tally.acknowledged),
            ("refused as full", self.refused),
            ("refused as stopped", self.unknown),
            ("without answer", tally.in_flight),
            ("taken again", self.taken_again),
            ("recovered by itself", self.recovered),
            ("restarted", self.stopped),
            ("restarted later", self.stopped_late),
            ("started on full", self.started_full),
            ("start refused on full", self.refused_full),
            ("full for a commit", self.no_commit),
            ("full for a segment", self.no_segment),
            ("below least", self.below),
            ("verified", tally.verified),
            ("failed publications", tally.failed),
            ("lost", tally.lost),
            ("half done", tally.half_done),
            ("refused and done", self.done_all_the_same),
            ("duplicated", tally.duplicated),
            ("unverified", tally.unverified),
            ("failed starts", tally.failed_starts),
            ("other faults", tally.faults.len() as u64),
        ];
        let columns = columns.map(|(name, count)| format!("{name} {count}"));
        writeln!(f, "{}", columns.join(", "))?;
        tally
            .faults
            .iter()
            .try_for_each(|fault| writeln!(f, "{fault}"))
    }
}
