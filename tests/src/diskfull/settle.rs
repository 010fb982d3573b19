//! What became of each write once there is room again.

use tonic::Status;

use super::Trial;
use crate::{
    Outcome,
    crash::{
        Subject,
        check::{acknowledged, repeated},
        life::{Life, Sent, unanswered},
        subject::{ALL, Cut},
    },
    refusal::Refusal,
};

impl<S: Subject> Trial<'_, S> {
    /// Looks at a write, and sends one that was not acknowledged again: it must be taken now.
    pub(super) async fn settle(&mut self, life: &Life, sent: Sent) -> Outcome<()> {
        let Sent { write, answer } = sent;
        if let Err(Cut { status, parts }) = answer {
            let tally = &mut self.report.tally;
            let found = acknowledged(self.subject, &life.channel, write, parts, tally).await?;
            let refused = self.count(&status);
            // What was refused after the parts that were acknowledged.
            if refused && found.parts.iter().skip(parts).any(|part| part.present > 0) {
                self.report.done_all_the_same += 1;
                self.report.tally.fault("refused and done", write, &found);
            }
            let tally = &mut self.report.tally;
            if repeated(self.subject, &life.channel, write, tally)
                .await?
                .is_none()
            {
                return Ok(());
            }
            self.report.taken_again += 1;
        } else {
            self.report.tally.acknowledged += 1;
        }
        let tally = &mut self.report.tally;
        acknowledged(self.subject, &life.channel, write, ALL, tally).await?;
        self.held.push(write);
        Ok(())
    }

    /// Counts a refusal; whether it promised that nothing was done.
    fn count(&mut self, status: &Status) -> bool {
        if unanswered(status) {
            self.report.tally.in_flight += 1;
            return false;
        }
        let refusal = Refusal::from(status);
        match refusal.reason.as_str() {
            "DISK_FULL" => self.report.refused += 1,
            // Of a store that has stopped: the first write it happened to may have survived.
            "STORE_UNAVAILABLE" => self.report.unknown += 1,
            _ => self.report.unclear("a write was refused", &refusal),
        }
        refusal.reason == "DISK_FULL"
    }
}
