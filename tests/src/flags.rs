//! The command line of the harness programs: flags with a value each.

use std::{env, error::Error, str::FromStr};

use crate::Outcome;

/// What the command line says.
#[derive(Debug)]
pub struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads the command line: pairs of a flag that `usage` names and its value.
    ///
    /// # Errors
    /// The usage, where something else stands there.
    pub fn read(usage: &str) -> Outcome<Self> {
        Self::of(usage, env::args().skip(1))
    }

    /// As [`Flags::read`], of what is left of the command line.
    ///
    /// # Errors
    /// As [`Flags::read`].
    pub fn of(usage: &str, given: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let known = |flag: &str| {
            let mut words = usage.split([' ', '\n', '[', ']']);
            flag.starts_with("--") && words.any(|word| word == flag)
        };
        let mut given = given.into_iter();
        let mut found = Vec::new();
        while let Some(flag) = given.next() {
            match given.next() {
                Some(value) if known(&flag) => found.push((flag, value)),
                _ => return Err(usage.into()),
            }
        }
        Ok(Self(found))
    }

    /// The value of a flag; none where it is not given.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn get<T>(&self, flag: &str) -> Outcome<Option<T>>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let given = self.0.iter().rev().find(|(known, _)| known == flag);
        let parse = |(flag, value): &(String, String)| {
            let parsed = value.parse();
            parsed.map_err(|error| format!("{flag} {value}: {error}").into())
        };
        given.map(parse).transpose()
    }
}
