//! What both Almanac services need and no domain: store, server, configuration, errors.
//!
//! [`plain`] is the part that `domain/` modules may use: values in, values out, no transport,
//! no store, no clock.

pub mod plain;
