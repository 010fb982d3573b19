//! Loss on purpose, to show that a run finds it.

use std::{
    fs::{self, OpenOptions},
    path::Path,
    str::FromStr,
};

use crate::Outcome;

/// What is done to a store after each kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// It becomes again what it was after the kill before, as if nothing had been written down
    /// since: acknowledged writes are lost.
    Forget,
    /// The last bytes of its log are cut off, which acknowledged writes were in: a start must refuse
    /// that.
    Cut,
}

/// So many bytes are cut off: less than any commit has.
const CUT: u64 = 16;

impl FromStr for Sabotage {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "forget" => Ok(Self::Forget),
            "cut" => Ok(Self::Cut),
            _ => Err(std::io::Error::other("neither forget nor cut")),
        }
    }
}

impl Sabotage {
    /// Does it to the store in `dir`; nobody may have it open.
    pub(super) fn strike(self, dir: &Path) -> Outcome<()> {
        match self {
            Self::Forget => forget(dir),
            Self::Cut => cut(dir),
        }
    }
}

fn forget(dir: &Path) -> Outcome<()> {
    let before = dir.with_extension("before");
    if before.exists() {
        fs::remove_dir_all(dir)?;
        fs::rename(&before, dir)?;
    }
    copy(dir, &before)
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn cut(dir: &Path) -> Outcome<()> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir.join("log"))? {
        segments.push(entry?.path());
    }
    let newest = segments.into_iter().max().ok_or("a store without a log")?;
    // A segment is made longer before it is written to: what follows the last commit is zero.
    let bytes = fs::read(&newest)?;
    let written = bytes.iter().rposition(|byte| *byte != 0);
    let written = written.ok_or("a segment without a header")? as u64;
    let file = OpenOptions::new().write(true).open(newest)?;
    file.set_len(written.saturating_sub(CUT))?;
    Ok(())
}
