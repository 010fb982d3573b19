//! The harness of Almanac's end-to-end tests and of its demo: both services in this process or as
//! processes of their own, clients that are connected, a loader for many rows, the demo's data, and
//! errors as a caller sees them.

use std::error::Error;

pub mod crash;
pub mod damage;
pub mod data;
pub mod dice;
pub mod diskfull;
pub mod flags;
pub mod fuzz;
pub mod group_commit;
pub mod loader;
pub mod loadgen;
pub mod powerloss;
pub mod process;
pub mod question;
pub mod refusal;
pub mod service;
pub mod skip;
pub mod soak;
pub mod spawned;
pub mod table;
pub mod wire;

/// What a step of a test or of the demo comes to.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
