//! What became of each write once there is room again.

use tonic::Status;

use super::Trial;
use crate::{
    Outcome,
    crash::{
        Subject,
        check::{acknowledged, repeated},
        life::{Life, Sent, unanswered},
        subject::Kind,
    },
    refusal::Refusal,
};

impl<S: Subject> Trial<'_, S> {
    /// Looks at a write, and sends one that was not acknowledged again: it must be taken now.
    pub(super) async fn settle(&mut self, life: &Life, sent: Sent) -> Outcome<()> {
        let Sent { write, answer } = sent;
        if let Err(status) = answer {
            let found = self.subject.found(life.channel.clone(), write).await?;
            // Of an import the chunk may have been acknowledged, and its end refused.
            let refused = self.count(&status) && write.kind != Kind::Import;
            if refused && found.present > 0 {
                self.report.done_all_the_same += 1;
                self.report.tally.fault("refused and done", write, &found);
            }
            if found.present > 0 && found.present < found.whole {
                self.report.tally.half_done += 1;
                self.report.tally.fault("half done", write, &found);
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
        acknowledged(self.subject, &life.channel, write, &mut self.report.tally).await?;
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
