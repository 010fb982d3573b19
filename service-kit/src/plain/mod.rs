//! Plain building blocks for `domain/` code: no transport, no store, no clock, no randomness.

pub mod control;
pub mod digest;
pub mod period;
