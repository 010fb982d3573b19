//! A row of the bench, and when its goal is met.

use std::{fmt, time::Duration};

/// What is asked of a value.
#[derive(Clone, Copy)]
enum Goal {
    /// Less than so many seconds.
    Below(f64),
    /// At most so many MiB.
    Within(f64),
    /// A rate of at least this part of the reference's.
    Part { reference: f64, least: f64 },
}

/// A line of the output.
pub(crate) struct Row {
    name: String,
    /// Value and goal, or why there are none.
    measured: Result<(f64, Goal), String>,
}

impl Row {
    /// A time that has to stay below another.
    pub(crate) fn time(name: &str, value: Duration, below: Duration) -> Self {
        let goal = Goal::Below(below.as_secs_f64());
        Self {
            name: name.to_owned(),
            measured: Ok((value.as_secs_f64(), goal)),
        }
    }

    /// Memory in MiB that must not exceed a limit.
    pub(crate) fn memory(name: &str, value: f64, most: f64) -> Self {
        Self {
            name: name.to_owned(),
            measured: Ok((value, Goal::Within(most))),
        }
    }

    /// A rate, per second, that has to reach a part of another.
    pub(crate) fn rate(name: &str, value: f64, reference: f64, least: f64) -> Self {
        Self {
            name: name.to_owned(),
            measured: Ok((value, Goal::Part { reference, least })),
        }
    }

    /// A row that cannot be measured.
    pub(crate) fn skipped(name: &str, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            measured: Err(why.to_owned()),
        }
    }

    /// The goal was measured and is not met.
    pub(crate) fn missed(&self) -> bool {
        match self.measured {
            Ok((value, Goal::Below(limit))) => value >= limit,
            Ok((value, Goal::Within(most))) => value > most,
            Ok((value, Goal::Part { reference, least })) => value < least * reference,
            Err(_) => false,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<58}", self.name)?;
        let verdict = if self.missed() { "missed" } else { "met" };
        match &self.measured {
            Ok((value, Goal::Below(limit))) => {
                let (value, limit) = (value * 1e3, limit * 1e3);
                write!(
                    f,
                    "{value:>10.3} ms  -             -     < {limit} ms  {verdict}"
                )
            }
            Ok((value, Goal::Within(most))) => write!(
                f,
                "{value:>10.1} MiB -             -     <= {most} MiB  {verdict}"
            ),
            Ok((value, Goal::Part { reference, least })) => {
                let (ratio, least) = (100.0 * value / reference, least * 100.0);
                write!(
                    f,
                    "{value:>10.0} /s  {reference:>10.0} /s  {ratio:.0} %  >= {least} %  {verdict}"
                )
            }
            Err(why) => write!(f, "skipped: {why}"),
        }
    }
}
