//! What a test does that cannot run here, and how golden cases are counted.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
};

use crate::Outcome;

/// Says that a test is skipped.
///
/// # Errors
/// If `ALMANAC_NO_SKIP` is set: then nothing has a reason to be skipped.
pub fn skip(why: &str) -> Outcome<()> {
    let line = format!("skipped: {why}");
    if std::env::var_os("ALMANAC_NO_SKIP").is_some_and(|value| !value.is_empty()) {
        return Err(format!("{line}, and ALMANAC_NO_SKIP forbids that").into());
    }
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// A folder of shared data that is not shipped with the project: `ALMANAC_SHARED`, else `shared`
/// beside the checkout. None where it is absent.
#[must_use]
pub fn shared(folder: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("ALMANAC_SHARED").map_or_else(beside, PathBuf::from);
    Some(shared.join(folder)).filter(|path| path.is_dir())
}

/// Says that a golden case ran: a line on standard output and, where `ALMANAC_GOLDEN_LOG` names
/// a file, one at its end, in a single write.
///
/// # Errors
/// If the line cannot be written.
pub fn golden(name: &str) -> Outcome<()> {
    let line = format!("golden: {name}\n");
    io::stdout().write_all(line.as_bytes())?;
    if let Some(path) = std::env::var_os("ALMANAC_GOLDEN_LOG") {
        let mut log = OpenOptions::new().create(true).append(true).open(path)?;
        log.write_all(line.as_bytes())?;
    }
    Ok(())
}
