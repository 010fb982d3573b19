//! Lets the disk of a service become full under acknowledged writes, at many different points, makes
//! room again, and asks through gRPC what is there.
//!
//! The disk is a small tmpfs with a file that takes up the rest of it. What this shows: what a
//! process makes of a write that finds no room, and of a start that finds none. What it cannot show:
//! file systems that notice only in an fsync that they are full; there the store stops, as it does
//! for every sync that fails.

use std::path::PathBuf;

use crate::{
    Outcome,
    crash::{
        Subject,
        check::acknowledged,
        life::Life,
        subject::{ALL, Publication, Write},
    },
    dice::Dice,
    service::Kind as Service,
};

mod disk;
mod point;
mod report;
mod settle;
mod writers;

pub use disk::{MountError, SmallDisk};
pub use report::Report;

/// What to do to one service.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service's binary.
    pub binary: PathBuf,
    /// Of all choices.
    pub seed: u64,
    /// How often the disk becomes full.
    pub points: u64,
    /// The setting `min-free-mib`.
    pub min_free_mib: u64,
}

/// One service on its small disk.
struct Trial<'a, S> {
    subject: S,
    plan: &'a Plan,
    disk: &'a SmallDisk,
    dice: Dice,
    /// The last write.
    serial: u64,
    /// Every write that was acknowledged.
    held: Vec<Write>,
    report: &'a mut Report,
}

/// Fills the disk so often, and in the end looks at every acknowledged write once more and lets the
/// service verify its store.
///
/// # Errors
/// What kept it from being carried out to the end; what was found until then is in the report.
pub async fn run<S: Subject>(
    subject: S,
    plan: &Plan,
    disk: &SmallDisk,
    report: &mut Report,
) -> Outcome<()> {
    let mut trial = Trial {
        subject,
        plan,
        disk,
        dice: Dice::new(plan.seed, plan.min_free_mib),
        serial: 0,
        held: Vec::new(),
        report,
    };
    let mut life = trial.start().await?;
    let prepared = subject.prepare(life.channel.clone()).await;
    prepared
        .map_err(|status| format!("{} cannot be prepared: {status}", S::Service::PROGRAM.name))?;
    for number in 0..plan.points {
        life = trial.point(number, life).await?;
    }
    trial.look_again(&life).await?;
    trial.stop(life)?;
    trial.verify()
}

impl<S: Subject> Trial<'_, S> {
    /// Looks at every acknowledged write once more.
    async fn look_again(&mut self, life: &Life) -> Outcome<()> {
        for write in std::mem::take(&mut self.held) {
            let tally = &mut self.report.tally;
            let found = acknowledged(self.subject, &life.channel, write, ALL, tally).await?;
            match found.publication {
                Some(Publication::Verified) => tally.verified += 1,
                Some(Publication::Failed) => tally.failed += 1,
                Some(Publication::Unverified) | None => {}
            }
        }
        Ok(())
    }
}
