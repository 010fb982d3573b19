//! Kills a service with SIGKILL under acknowledged writes, starts it again on the same directory,
//! and asks through gRPC what is left.
//!
//! What this shows: a process that dies loses nothing that it acknowledged. What it cannot show: a
//! machine that dies, because the kernel keeps what the process handed over before the kill.

use std::path::PathBuf;

use crate::{Outcome, service::Kind as Service};

pub(crate) mod check;
mod forecast;
mod import;
pub(crate) mod life;
mod once;
mod ranking;
mod rounds;
mod sabotage;
pub(crate) mod subject;
mod tally;

pub use forecast::Markets;
pub use ranking::Datasets;
pub use sabotage::Sabotage;
pub use subject::Subject;
pub use tally::Tally;

/// What to do to one service.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service's binary.
    pub binary: PathBuf,
    /// Where its store is kept; it must not hold one yet.
    pub dir: PathBuf,
    /// Of all choices: the same seed kills after the same numbers of acknowledgements.
    pub seed: u64,
    /// How often it is killed.
    pub rounds: u64,
    /// Number of requests that are sent three times each; 0 for none.
    pub exactly_once: u64,
    /// What is done to the store after each kill of the rounds, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// Carries out the plan for the service that `subject` writes to.
///
/// # Errors
/// What kept it from being carried out to the end; what was found until then is in the tally.
pub async fn run<S: Subject>(subject: S, plan: &Plan, tally: &mut Tally) -> Outcome<()> {
    let life = life::Life::start::<S::Service>(plan).await?;
    let prepared = subject.prepare(life.channel.clone()).await;
    prepared
        .map_err(|status| format!("{} cannot be prepared: {status}", S::Service::PROGRAM.name))?;
    let life = rounds::rounds(subject, plan, life, tally).await?;
    let life = once::exactly_once(subject, plan, life, tally).await?;
    life.kill()?;
    Ok(())
}
