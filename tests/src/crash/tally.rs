//! What was counted.

use std::fmt;

use super::subject::Write;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Times the service was killed.
    pub kills: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes without an answer when the service was killed.
    pub in_flight: u64,
    /// Chunks that were acknowledged of imports that were cut by a kill.
    pub chunks: u64,
    /// Publications whose replay matched.
    pub verified: u64,
    /// Publications that were still being computed after a restart.
    pub resumed: u64,
    /// Publications that ended as FAILED.
    pub failed: u64,
    /// Acknowledged writes that are not there.
    pub lost: u64,
    /// Writes of which a part is there.
    pub half_done: u64,
    /// Writes with more than one effect, or whose repetition was refused or answered otherwise.
    pub duplicated: u64,
    /// Publications whose replay differs or that never ended.
    pub unverified: u64,
    /// Starts that did not come to SERVING.
    pub failed_starts: u64,
    /// The faults one by one.
    pub faults: Vec<String>,
}

impl Tally {
    /// Whether nothing bad was counted.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.faults.is_empty()
            && self.lost + self.half_done + self.duplicated + self.unverified + self.failed_starts
                == 0
    }

    /// Notes what is wrong with a write.
    pub(crate) fn fault(&mut self, what: &str, write: Write, seen: &dyn fmt::Debug) {
        self.faults.push(format!("{what}: {write:?}: {seen:?}"));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("kills", self.kills),
            ("acknowledged", self.acknowledged),
            ("in flight when killed", self.in_flight),
            ("their chunks known", self.chunks),
            ("publications verified", self.verified),
            ("publications resumed", self.resumed),
            ("publications failed", self.failed),
            ("lost", self.lost),
            ("half done", self.half_done),
            ("duplicated", self.duplicated),
            ("unverified", self.unverified),
            ("failed starts", self.failed_starts),
        ];
        for (name, count) in rows {
            writeln!(f, "{name:<22} {count:>8}")?;
        }
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        Ok(())
    }
}
