//! What a check found: a line with name, value, goal, and whether the goal is met.

use std::{fmt, time::Duration};

/// A line of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    name: String,
    value: String,
    /// What is asked of the value, and whether it is so; none for what only explains the others.
    goal: Option<(String, bool)>,
}

impl Finding {
    /// A number that explains others.
    #[must_use]
    pub fn note(name: &str, value: impl fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_string(),
            goal: None,
        }
    }

    /// A time that explains others.
    #[must_use]
    pub fn time(name: &str, value: Duration) -> Self {
        Self::note(name, milliseconds(value))
    }

    /// A time that must not exceed another; one that nothing was measured for misses its goal.
    #[must_use]
    pub fn within(name: &str, value: Option<Duration>, most: Duration) -> Self {
        let goal = (
            format!("<= {}", milliseconds(most)),
            value.is_some_and(|value| value <= most),
        );
        Self {
            name: name.to_owned(),
            value: value.map_or("none".to_owned(), milliseconds),
            goal: Some(goal),
        }
    }

    /// A number that must not exceed another.
    #[must_use]
    pub fn at_most(name: &str, value: f64, unit: &str, most: f64) -> Self {
        Self {
            name: name.to_owned(),
            value: format!("{value:.1} {unit}"),
            goal: Some((format!("<= {most} {unit}"), value <= most)),
        }
    }

    /// A number that must reach another.
    #[must_use]
    pub fn at_least(name: &str, value: f64, unit: &str, least: f64) -> Self {
        Self {
            name: name.to_owned(),
            value: format!("{value:.1} {unit}"),
            goal: Some((format!(">= {least} {unit}"), value >= least)),
        }
    }

    /// How many of `all` went wrong; none may, and there must have been some to go wrong.
    #[must_use]
    pub fn none(name: &str, wrong: u64, all: u64) -> Self {
        Self {
            name: name.to_owned(),
            value: format!("{wrong} of {all}"),
            goal: Some(("0".to_owned(), wrong == 0 && all > 0)),
        }
    }

    /// The goal is not met.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.goal.as_ref().is_some_and(|(_, met)| !met)
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, goal } = self;
        write!(f, "{name:<66} {value:>16}")?;
        match goal {
            Some((goal, true)) => write!(f, "  {goal:<12} met"),
            Some((goal, false)) => write!(f, "  {goal:<12} missed"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_missed_by_a_bad_value_and_by_none() {
        let limit = Duration::from_millis(10);
        assert!(!Finding::within("a", Some(limit), limit).missed());
        assert!(Finding::within("a", Some(limit * 2), limit).missed());
        assert!(Finding::within("a", None, limit).missed());
        assert!(!Finding::none("a", 0, 1).missed());
        assert!(Finding::none("a", 1, 2).missed());
        assert!(Finding::none("a", 0, 0).missed());
        assert!(Finding::at_least("a", f64::NAN, "%", 1.0).missed());
        assert!(Finding::at_most("a", f64::NAN, "%", 1.0).missed());
        assert!(!Finding::note("a", "b").missed());
    }
}
