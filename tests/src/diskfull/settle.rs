//! What became of each write once there is room again.

use tonic::Status;

use super::{Trial, point::serving};
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

/// So often a service may be found to have stopped until a write is settled: by the read before it is
/// sent again, or by that.
const STOPS: usize = 3;

impl<S: Subject> Trial<'_, S> {
    /// Settles a write. A service that turns out to have stopped on the full disk is started again
    /// for it; what was counted until then is counted anew.
    pub(super) async fn settled(&mut self, mut life: Life, sent: &Sent) -> Outcome<Life> {
        for _ in 0..STOPS {
            let before = self.report.clone();
            let Err(error) = self.settle(&life, sent).await else {
                return Ok(life);
            };
            if serving::<S>(&life).await? {
                return Err(error);
            }
            *self.report = before;
            self.report.stopped_late += 1;
            life = self.restart(life).await?;
        }
        Err("it stops again and again, and there is room".into())
    }

    /// Looks at a write, and sends one that was not acknowledged again: it must be taken now.
    async fn settle(&mut self, life: &Life, sent: &Sent) -> Outcome<()> {
        let Sent { write, answer } = sent;
        let write = *write;
        if let Err(Cut { status, parts }) = answer {
            let tally = &mut self.report.tally;
            let found = acknowledged(self.subject, &life.channel, write, *parts, tally).await?;
            let refused = self.count(status);
            // What was refused after the parts that were acknowledged.
            if refused && found.parts.iter().skip(*parts).any(|part| part.present > 0) {
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
