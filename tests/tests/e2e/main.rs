//! End-to-end tests: both services through real clients, one story a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test fails by panicking, and figures that were stored come back to the bit"
)]

mod asem;
mod bad_framework;
mod bad_input;
mod bad_market;
mod bad_queries;
mod cancelled;
mod consistency;
mod deadlines;
mod disk_full;
mod edition_life;
mod exactly_once;
mod forecast_life;
mod health;
mod import;
mod in_use;
mod markets;
mod observations;
mod points;
mod processes;
mod published_figures;
mod python;
mod sizes;
mod standard_methods;
mod support;
mod transport;
mod upkeep;
mod world_cities;
