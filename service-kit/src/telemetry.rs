//! Logs to standard error: pretty for people, JSON for machines.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err("must be pretty or json"),
        }
    }
}

/// Which events are logged: `info`, `warn,almanac_service_kit=debug`.
///
/// # Errors
/// Says what is wrong with the directives.
pub fn check_filter(directives: &str) -> Result<(), String> {
    // A lone word that is no level would be taken for the name of a target, and silence the rest.
    for directive in directives
        .split(',')
        .filter(|directive| !directive.contains('='))
    {
        if directive
            .trim()
            .parse::<tracing::level_filters::LevelFilter>()
            .is_err()
        {
            return Err(format!(
                "{directive:?} is no level: off, error, warn, info, debug, trace, or TARGET=LEVEL"
            ));
        }
    }
    EnvFilter::builder()
        .parse(directives)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Starts logging for the process. A second call changes nothing.
pub fn start(format: LogFormat, directives: &str) {
    let filter = EnvFilter::new(directives);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Pretty => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
