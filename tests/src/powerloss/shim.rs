//! The library that records, built where it is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, process::run};

const SOURCE: &str = include_str!("shim.c");

/// The built library.
#[derive(Debug)]
pub struct Shim(PathBuf);

impl Shim {
    /// Builds it; none where the machine has no C compiler.
    ///
    /// # Errors
    /// What the compiler said.
    pub fn build(dir: &Path) -> Outcome<Option<Self>> {
        let (source, library) = (dir.join("shim.c"), dir.join("shim.so"));
        fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        let compiler = compiler.args(["-O2", "-Wall", "-shared", "-fPIC", "-o"]);
        match run(compiler.arg(&library).arg(&source).arg("-lpthread")) {
            Ok((status, _)) if status.success() => Ok(Some(Self(library))),
            Ok((_, said)) => Err(said.into()),
            Err(_) => Ok(None),
        }
    }

    /// Runs a program and appends to `log` what it does below `root`, whose path has to be the
    /// canonical one; kills it after so many records, if that is given.
    ///
    /// # Errors
    /// What the program said, where it ended as a failure.
    pub fn record(
        &self,
        command: &mut Command,
        root: &Path,
        log: &Path,
        kill: Option<u64>,
    ) -> Outcome<()> {
        command
            .env("LD_PRELOAD", &self.0)
            .env("ALMANAC_SHIM_ROOT", root)
            .env("ALMANAC_SHIM_LOG", log);
        if let Some(records) = kill {
            command.env("ALMANAC_SHIM_KILL", records.to_string());
        }
        let (status, said) = run(command)?;
        // Who is killed has no code.
        match status.code() {
            Some(0) | None => Ok(()),
            Some(code) => Err(format!("the worker ended with {code}:\n{said}").into()),
        }
    }
}
