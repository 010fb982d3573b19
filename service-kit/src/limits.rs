//! How much callers may ask for at a time.

use std::time::Duration;

/// The limits of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a call may take, with or without a deadline of its caller's; none for no limit.
    pub max_deadline: Option<Duration>,
    /// Calls and streams of all connections that run at a time. Health and reflection do not
    /// count.
    pub max_calls: usize,
    /// Calls and streams of one connection that run at a time. Callers wait for their turn by
    /// HTTP/2's own means.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deadline: Some(Duration::from_secs(3600)),
            max_calls: 1024,
            max_streams: 256,
        }
    }
}
