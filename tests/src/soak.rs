//! Loads that last: what the services do under more than they can take, when callers leave, when
//! deadlines pass, and when they are told to stop. Each check measures services that are processes
//! of their own and says what it found, one [`Finding`] a line.

use std::{path::PathBuf, time::Duration};

pub mod finding;

mod cancel;
mod deadline;
mod machine;
mod overload;
mod stage;
mod term;
mod work;
mod writers;

pub use finding::Finding;

use crate::Outcome;

/// The checks, by the name that the command line has for them.
pub const CHECKS: [&str; 5] = ["overload", "cancel", "deadline", "term", "writers"];

/// How long and how much.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where stores are kept.
    pub dir: PathBuf,
    /// How long `overload` and `writers` load.
    pub time: Duration,
    /// How many calls `cancel` cancels.
    pub calls: usize,
    /// How many calls `deadline` lets run out.
    pub deadlines: usize,
    /// How often `term` stops each service.
    pub times: usize,
    /// Number of entities and series that `cancel` and `deadline` compute with.
    pub size: usize,
    /// Of all choices.
    pub seed: u64,
}

/// Who is told a finding as soon as it is there.
pub type Tell<'a> = &'a mut (dyn FnMut(Finding) + Send);

/// Runs one of [`CHECKS`].
///
/// # Errors
/// What kept it from being carried out.
pub async fn run(check: &str, plan: &Plan, tell: Tell<'_>) -> Outcome<()> {
    match check {
        "overload" => overload::run(plan, tell).await,
        "cancel" => cancel::run(plan, tell).await,
        "deadline" => deadline::run(plan, tell).await,
        "term" => term::run(plan, tell).await,
        "writers" => writers::run(plan, tell).await,
        _ => Err(format!("no check {check:?}; there are {}", CHECKS.join(", ")).into()),
    }
}
