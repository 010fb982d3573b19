//! What the service computes: plain Rust without transport, store, clock or randomness.
//!
//! Results are the same bits on every machine: sums run in a fixed order, transcendental
//! functions and powers come from `libm`, nothing iterates over a hash table.

pub mod bottom_up;
pub mod digest;
pub mod growth;
pub mod hierarchy;
pub mod models;
pub mod normal;
pub mod probe;
pub mod published;
