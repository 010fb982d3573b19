//! Configuration: flags over environment over a TOML file over defaults, checked as a whole.
//!
//! A service lists its settings once, as [`Setting`]s. Setting `data-dir` is the flag
//! `--data-dir`, the variable `ALMANAC_DATA_DIR` and the key `data-dir` of the file named by
//! `--config` or `ALMANAC_CONFIG`. Every fault is found before anything is answered.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Arg, ArgAction, Command};

/// Exit code for a bad configuration (EX_USAGE of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name: words of a-z joined by '-'.
    pub key: &'static str,
    /// Its value where nobody gives one; none if it may be absent.
    pub default: Option<&'static str>,
    /// What it does, with its unit.
    pub help: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
}

impl Setting {
    /// A setting with a default.
    #[must_use]
    pub const fn new(key: &'static str, default: &'static str, help: &'static str) -> Self {
        Self {
            key,
            default: Some(default),
            help,
            secret: false,
        }
    }

    /// The variable of the environment: `ALMANAC_DATA_DIR`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("ALMANAC_{}", self.key.to_uppercase().replace('-', "_"))
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Serve until told to stop.
    Serve,
    /// Ask a running service for its health.
    Healthcheck,
    /// Print the configuration, secrets redacted.
    PrintConfig,
    /// Check every byte of the store.
    Verify,
    /// Drop versions that are past keeping from the store.
    Compact,
    /// Copy the store to this directory, while it serves or not.
    Backup(PathBuf),
    /// Make the store from the backup in this directory.
    Restore(PathBuf),
}

/// What the command line parser answers instead of values.
#[derive(Debug)]
pub enum Early {
    /// `--help` or `--version`: print and end well.
    Print(String),
    /// Every fault of the configuration, one a line.
    Faults(Vec<String>),
}

/// The value of each setting, and where it came from.
#[derive(Debug, Clone, Default)]
pub struct Values {
    values: BTreeMap<&'static str, (String, String)>,
    secrets: Vec<&'static str>,
    faults: Vec<String>,
    /// What looks like a mistake and is none for sure.
    pub warnings: Vec<String>,
}

/// Reads the values of `settings`.
///
/// `read_file` reads the configuration file; it is passed in, as the environment is, so that
/// tests need neither.
///
/// # Errors
/// [`Early`] for `--help` and `--version`, and for a command line that cannot be read. Other
/// faults wait in [`Values`] until [`Values::finish`].
pub fn gather(
    name: &'static str,
    version: &'static str,
    settings: &[Setting],
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    read_file: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<(Action, Values), Early> {
    let matches = command(name, version, settings)
        .try_get_matches_from(arguments)
        .map_err(|error| match error.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
                Early::Print(error.to_string())
            }
            _ => Early::Faults(vec![error.to_string()]),
        })?;
    let flag = |key: &str| matches.get_one::<String>(key).cloned();
    let mut values = Values::default();
    let path = flag("config").or_else(|| environment.get("ALMANAC_CONFIG").cloned());
    let mut file = match &path {
        Some(path) => values.table(path, read_file(Path::new(path))),
        None => BTreeMap::new(),
    };
    for setting in settings {
        let from_file = file.remove(setting.key);
        let variable = setting.variable();
        let value = flag(setting.key)
            .map(|value| (value, format!("--{}", setting.key)))
            .or_else(|| Some((environment.get(&variable)?.clone(), variable.clone())))
            .or_else(|| Some((from_file?, format!("{} in the file", setting.key))))
            .or_else(|| {
                Some((
                    setting.default?.to_owned(),
                    format!("default of {}", setting.key),
                ))
            });
        values
            .values
            .extend(value.map(|value| (setting.key, value)));
        values.secrets.extend(setting.secret.then_some(setting.key));
    }
    for key in file.into_keys() {
        values
            .faults
            .push(format!("{key} in the file: there is no such setting"));
    }
    values.warn_of_unknown(settings, environment);
    let asked = matches.get_one::<String>("action").map(String::as_str);
    for (flag, of) in [("to", "backup"), ("from", "restore")] {
        if matches.contains_id(flag) && asked != Some(of) {
            values.faults.push(format!("--{flag} is for {of} only"));
        }
    }
    let action = match asked {
        Some("healthcheck") => Action::Healthcheck,
        Some("verify") => Action::Verify,
        Some("compact") => Action::Compact,
        Some("backup") => Action::Backup(values.place("backup", "to", flag("to"))),
        Some("restore") => Action::Restore(values.place("restore", "from", flag("from"))),
        _ if matches.get_flag("print-config") => Action::PrintConfig,
        _ => Action::Serve,
    };
    Ok((action, values))
}

fn command(name: &'static str, version: &'static str, settings: &[Setting]) -> Command {
    let mut command = Command::new(name)
        .version(version)
        .arg(
            Arg::new("action")
                .value_parser([
                    "serve",
                    "healthcheck",
                    "verify",
                    "compact",
                    "backup",
                    "restore",
                ])
                .default_value("serve")
                .help(
                    "serve; healthcheck: ask a running service; verify: check the store, which \
                     nobody has open; compact: drop versions past keeping from such a store; \
                     backup: copy the store, also of a running service; restore: make the store \
                     from a backup",
                ),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("DIR")
                .help("backup: where to, a directory that is absent or empty"),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("DIR")
                .help("restore: the backup; the data directory is absent or empty"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("TOML file of settings"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("print the settings in force and end"),
        );
    for setting in settings {
        let default = setting
            .default
            .map(|text| format!(", default {text:?}"))
            .unwrap_or_default();
        let help = format!("{} [{}{default}]", setting.help, setting.variable());
        command = command.arg(
            Arg::new(setting.key)
                .long(setting.key)
                .value_name("VALUE")
                .help(help),
        );
    }
    command
}

impl Values {
    /// The directory that an action needs; notes the fault where it is not given.
    fn place(&mut self, action: &str, key: &str, given: Option<String>) -> PathBuf {
        if given.is_none() {
            self.faults.push(format!("{action} needs --{key} DIR"));
        }
        given.unwrap_or_default().into()
    }

    /// The parsed value of a setting that has a default; notes the fault and gives `T`'s
    /// default where it cannot be parsed.
    pub fn take<T: FromStr<Err: Display> + Default>(&mut self, key: &str) -> T {
        self.take_if(key, |_| Ok(())).unwrap_or_default()
    }

    /// As [`Values::take`], with a further condition; none where the setting is absent or wrong.
    pub fn take_if<T: FromStr<Err: Display>>(
        &mut self,
        key: &str,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Option<T> {
        let (text, origin) = self.values.get(key)?;
        let parsed = text.parse::<T>().map_err(|error| error.to_string());
        match parsed.and_then(|value| check(&value).map(|()| value)) {
            Ok(value) => Some(value),
            Err(error) => {
                let shown = if self.secrets.contains(&key) {
                    "(redacted)"
                } else {
                    text
                };
                self.faults.push(format!("{origin}: {shown:?}: {error}"));
                None
            }
        }
    }

    /// # Errors
    /// Every fault found so far.
    pub fn finish(&self) -> Result<(), Early> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Early::Faults(self.faults.clone()))
        }
    }

    /// The settings in force as TOML, secrets redacted, each with where it came from.
    #[must_use]
    pub fn print(&self) -> String {
        let line = |(key, (value, origin)): (&&str, &(String, String))| {
            let value = if self.secrets.contains(key) {
                "(redacted)"
            } else {
                value
            };
            format!("{key} = {} # {origin}\n", quoted(value))
        };
        self.values.iter().map(line).collect()
    }

    fn table(&mut self, path: &str, text: std::io::Result<String>) -> BTreeMap<String, String> {
        let table = text.map_err(|error| error.to_string()).and_then(|text| {
            text.parse::<toml::Table>()
                .map_err(|error| error.to_string())
        });
        let table = table.unwrap_or_else(|error| {
            self.faults.push(format!("{path}: {error}"));
            toml::Table::new()
        });
        let mut values = BTreeMap::new();
        for (key, value) in table {
            match value {
                toml::Value::String(text) => values.insert(key, text),
                toml::Value::Table(_) | toml::Value::Array(_) => {
                    self.faults
                        .push(format!("{key} in the file: must be a single value"));
                    None
                }
                toml::Value::Integer(number) => values.insert(key, number.to_string()),
                toml::Value::Float(number) => values.insert(key, number.to_string()),
                toml::Value::Boolean(flag) => values.insert(key, flag.to_string()),
                toml::Value::Datetime(time) => values.insert(key, time.to_string()),
            };
        }
        values
    }

    /// Orchestrators set variables of their own for a service called `almanac…`, so an unknown
    /// one is no fault.
    fn warn_of_unknown(&mut self, settings: &[Setting], environment: &BTreeMap<String, String>) {
        let known = |name: &str| {
            name == "ALMANAC_CONFIG" || settings.iter().any(|setting| setting.variable() == name)
        };
        let unknown = environment
            .keys()
            .filter(|key| key.starts_with("ALMANAC_") && !known(key));
        self.warnings
            .extend(unknown.map(|key| format!("{key} is no setting and is not read")));
    }
}

/// Whether a value is one of a range, both ends included.
pub(crate) fn within<N: PartialOrd + Display>(
    least: N,
    most: N,
) -> impl Fn(&N) -> Result<(), String> {
    move |value| {
        if (&least..=&most).contains(&value) {
            Ok(())
        } else {
            Err(format!("must be {least} to {most}"))
        }
    }
}

/// A text as a TOML basic string.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const SETTINGS: &[Setting] = &[
        Setting::new("port", "1", "a port"),
        Setting::new("level", "info", "a level"),
        Setting {
            key: "token",
            default: None,
            help: "a secret",
            secret: true,
        },
    ];

    fn gather(
        arguments: &[&str],
        environment: &[(&str, &str)],
        file: &'static str,
    ) -> Result<(Action, Values), Early> {
        let arguments: Vec<String> = ["test"]
            .iter()
            .chain(arguments)
            .map(|text| (*text).to_owned())
            .collect();
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let read = |path: &Path| match path.to_str() {
            Some("there") => Ok(file.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        super::gather("test", "1", SETTINGS, &arguments, &environment, read)
    }

    #[test]
    fn flags_go_before_environment_before_file_before_default() {
        let port = |arguments: &[&str], environment: &[(&str, &str)], file| {
            let (_, mut values) = gather(arguments, environment, file).unwrap();
            let port: u16 = values.take("port");
            values.finish().unwrap();
            port
        };
        let file = [("ALMANAC_CONFIG", "there")];
        assert_eq!(port(&[], &[], ""), 1);
        assert_eq!(port(&[], &file, "port = 2"), 2);
        assert_eq!(
            port(&["--config", "there"], &[("ALMANAC_PORT", "3")], "port = 2"),
            3
        );
        assert_eq!(port(&["--port", "4"], &[("ALMANAC_PORT", "3")], ""), 4);
    }

    #[test]
    fn every_fault_is_told() {
        let environment = [("ALMANAC_TOKEN", "hunter2"), ("ALMANAC_CONFIG", "there")];
        let (_, mut values) =
            gather(&["--port", "x"], &environment, "odd = 1\nlevel = [1]").unwrap();
        let _: u16 = values.take("port");
        let token: Option<u8> = values.take_if("token", |_| Ok(()));
        assert_eq!(token, None);
        let Err(Early::Faults(faults)) = values.finish() else {
            panic!("no faults")
        };
        let all = faults.join("\n");
        assert_eq!(faults.len(), 4, "{all}");
        assert!(
            all.contains("--port") && all.contains("odd") && all.contains("level"),
            "{all}"
        );
        assert!(!all.contains("hunter2"), "{all}");
    }

    #[test]
    fn an_unknown_flag_is_a_fault_and_an_unknown_variable_a_warning() {
        assert!(matches!(gather(&["--odd"], &[], ""), Err(Early::Faults(_))));
        for misplaced in [&["verify", "--to", "b"][..], &["--from", "b"], &["backup"]] {
            let (_, values) = gather(misplaced, &[], "").unwrap();
            assert!(
                matches!(values.finish(), Err(Early::Faults(_))),
                "{misplaced:?}"
            );
        }
        assert!(matches!(
            gather(&["--version"], &[], ""),
            Err(Early::Print(_))
        ));
        let (action, values) = gather(&["--print-config"], &[("ALMANAC_ODD", "1")], "").unwrap();
        assert_eq!(action, Action::PrintConfig);
        assert_eq!(values.warnings.len(), 1);
    }

    #[test]
    fn secrets_are_not_printed() {
        let (_, values) = gather(&[], &[("ALMANAC_TOKEN", "hunter2")], "").unwrap();
        let printed = values.print();
        assert!(
            !printed.contains("hunter2") && printed.contains("(redacted)"),
            "{printed}"
        );
        assert!(printed.parse::<toml::Table>().is_ok(), "{printed}");
    }

    #[test]
    fn a_missing_file_is_a_fault() {
        let (_, values) = gather(&["--config", "absent"], &[], "").unwrap();
        assert!(matches!(values.finish(), Err(Early::Faults(_))));
    }
}
