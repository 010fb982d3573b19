//! How much callers may ask for: what can be set, and what is set.

use std::time::Duration;

use crate::{
    config::{Setting, Values, within},
    sizes::Sizes,
};

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
    /// Connections at a time.
    pub max_connections: usize,
    /// After how long a connection takes no more calls; none for no limit.
    pub max_connection_age: Option<Duration>,
    /// Most bytes of a request message, and of a frame of a stream of them.
    pub max_message_bytes: usize,
    /// How large what a message holds may be.
    pub sizes: Sizes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deadline: Some(Duration::from_hours(1)),
            max_calls: 1024,
            max_streams: 256,
            max_connections: 1024,
            max_connection_age: None,
            max_message_bytes: 4 << 20,
            sizes: Sizes::default(),
        }
    }
}

impl Limits {
    /// What can be set, beside [`Sizes`].
    const SETTINGS: [Setting; 6] = [
        Setting::new(
            "max-deadline-seconds",
            "3600",
            "most time of a call or stream, 0 (no limit) to 604800",
        ),
        Setting::new(
            "max-calls",
            "1024",
            "calls and streams that run at a time, 1 to 1000000",
        ),
        Setting::new(
            "max-streams-per-connection",
            "256",
            "calls and streams of one connection that run at a time, 1 to 100000",
        ),
        Setting::new(
            "max-connections",
            "1024",
            "connections at a time, 1 to 1000000; the process needs a file for each",
        ),
        Setting::new(
            "max-connection-age-seconds",
            "0",
            "after how long a connection takes no more calls, and its client makes another, 0 (no \
             limit) to 2592000; calls that run go on",
        ),
        Setting::new(
            "max-message-kib",
            "4096",
            "most of a request message, in KiB, 64 to 16384",
        ),
    ];

    /// What can be set.
    pub(crate) fn settings() -> impl Iterator<Item = Setting> {
        Self::SETTINGS.into_iter().chain(Sizes::SETTINGS)
    }

    /// What is set; none where a value is absent or wrong, which `values` then knows.
    pub(crate) fn take(values: &mut Values) -> Option<Self> {
        let max_deadline = values.take_if("max-deadline-seconds", within(0, 604_800));
        let max_calls = values.take_if("max-calls", within(1, 1_000_000));
        let max_streams = values.take_if("max-streams-per-connection", within(1, 100_000));
        let max_connections = values.take_if("max-connections", within(1, 1_000_000));
        let max_age = values.take_if("max-connection-age-seconds", within(0, 2_592_000));
        let max_message = values.take_if::<usize>("max-message-kib", within(64, 16_384));
        let sizes = Sizes::take(values);
        Some(Self {
            max_deadline: unless_zero(max_deadline?),
            max_calls: max_calls?,
            max_streams: max_streams?,
            max_connections: max_connections?,
            max_connection_age: unless_zero(max_age?),
            max_message_bytes: max_message? << 10,
            sizes: sizes?,
        })
    }
}

/// A time in seconds; 0 says none.
fn unless_zero(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io};

    use super::*;
    use crate::config::gather;

    fn set(arguments: &[&str]) -> Option<Limits> {
        let arguments: Vec<String> = ["test"]
            .iter()
            .chain(arguments)
            .map(|&a| a.to_owned())
            .collect();
        let no_file = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
        let nothing = BTreeMap::new();
        let settings: Vec<Setting> = Limits::settings().collect();
        let gathered = gather("test", "1", &settings, &arguments, &nothing, no_file);
        let (_, mut values) = gathered.unwrap();
        let limits = Limits::take(&mut values);
        assert_eq!(limits.is_some(), values.finish().is_ok());
        limits
    }

    #[test]
    fn what_is_not_set_is_the_default() {
        assert_eq!(set(&[]), Some(Limits::default()));
    }

    #[test]
    fn each_is_set_by_its_own_name_and_has_a_range() {
        let default = Limits::default();
        for setting in Limits::settings() {
            let flag = format!("--{}", setting.key);
            // A number that is the default of none, in the range of each.
            let changed = set(&[&flag, "77"]).unwrap();
            assert_ne!(changed, default, "{}", setting.key);
            assert_eq!(
                set(&[&flag, "18446744073709551615"]),
                None,
                "{}",
                setting.key
            );
        }
    }
}
