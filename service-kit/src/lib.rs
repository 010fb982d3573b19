//! What both Almanac services need and no domain: store, server, configuration, errors.
//!
//! [`plain`] is the part that `domain/` modules may use: values in, values out, no transport,
//! no store, no clock.

mod answer;
pub mod check;
pub mod columns;
pub mod compute;
pub mod config;
mod connections;
pub mod consistency;
pub mod deadline;
pub mod fault;
mod files;
pub mod filter;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod guard;
mod hex;
pub mod import;
pub mod jobs;
pub mod limits;
pub mod memory;
pub mod name;
pub mod page;
pub mod plain;
pub mod pool;
pub mod resource;
pub mod run;
pub mod server;
pub mod sizes;
pub mod slot;
pub mod store;
pub mod telemetry;
pub mod time;
mod upkeep;
pub mod write;
