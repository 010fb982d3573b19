//! What is done to one file.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{Outcome, dice::Dice};

/// A part of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A segment of the log.
    Log,
    /// `HIGH`.
    High,
    /// `FORMAT`.
    Format,
    /// `LOCK`.
    Lock,
    /// `index.sum`.
    Seal,
    /// sled's log of pages.
    Database,
    /// sled's configuration.
    Configuration,
    /// sled's large values.
    Blob,
    /// sled's snapshots.
    Snapshot,
}

impl Part {
    /// What a file below the data directory is.
    fn of(name: &Path) -> Self {
        let name = name.to_string_lossy();
        match &*name {
            "HIGH" => Self::High,
            "FORMAT" => Self::Format,
            "LOCK" => Self::Lock,
            "index.sum" => Self::Seal,
            "index/db" => Self::Database,
            "index/conf" => Self::Configuration,
            name if name.starts_with("log/") => Self::Log,
            name if name.starts_with("index/blobs/") => Self::Blob,
            _ => Self::Snapshot,
        }
    }

    /// How often it is chosen, compared with the others.
    fn weight(self) -> u64 {
        match self {
            Self::Log | Self::Database => 6,
            Self::Lock | Self::Configuration => 1,
            Self::Blob | Self::Snapshot => 3,
            Self::High | Self::Format | Self::Seal => 2,
        }
    }

    /// Whether an error tells that this file of the part is meant.
    pub(super) fn is_named(self, name: &Path, error: &str) -> bool {
        match self {
            Self::Log => {
                let number = name.file_name().unwrap_or_default().to_string_lossy();
                let segment = format!("segment {},", number.trim_start_matches('0'));
                let whole = format!("segment {}:", number.trim_start_matches('0'));
                error.contains(&*number) || error.contains(&segment) || error.contains(&whole)
            }
            Self::High => error.contains("HIGH"),
            // "the store has format 3": the number stands nowhere else.
            Self::Format => error.contains("FORMAT") || error.contains("the store has format"),
            Self::Lock => error.contains("LOCK"),
            Self::Seal | Self::Database | Self::Configuration | Self::Blob | Self::Snapshot => {
                error.contains("index") || error.contains("key")
            }
        }
    }
}

/// Bytes at the end of a log that are chosen more often.
const END: usize = 2048;

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// One bit is another.
    Flip,
    /// It is shorter.
    Cut,
    /// It is gone.
    Removal,
}

/// Damage to one file.
#[derive(Debug, Clone)]
pub struct Harm {
    /// The file, below the data directory.
    pub name: PathBuf,
    /// What it is.
    pub part: Part,
    /// How it is damaged.
    pub way: Way,
    /// The bit that is flipped, or the byte from which on it is cut.
    pub place: usize,
}

impl Harm {
    /// Some damage to a data directory.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn any(dir: &Path, way: Way, dice: &mut Dice) -> Outcome<Self> {
        let mut files = Vec::new();
        list(dir, dir, &mut files)?;
        let mut parts: Vec<Part> = files.iter().map(|name| Part::of(name)).collect();
        parts.sort_unstable();
        parts.dedup();
        let mut left = dice.below(parts.iter().map(|part| part.weight()).sum());
        let chosen = parts.iter().find(|part| {
            let found = left < part.weight();
            left = left.saturating_sub(part.weight());
            found
        });
        let part = *chosen.ok_or("an empty directory")?;
        files.retain(|name| Part::of(name) == part);
        // Behind the high-water mark a log is judged otherwise, so its end comes up more often.
        let end = part == Part::Log && dice.percent(25);
        let file = match end {
            true => files.len() - 1,
            false => dice.place(files.len()),
        };
        let name = files.swap_remove(file);
        let bytes = fs::read(dir.join(&name))?;
        // What files are lengthened with in advance says nothing; a tenth falls there as well.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        let range = match (end, dice.percent(90)) {
            (true, _) => used.saturating_sub(END)..used,
            (false, true) => 0..used,
            (false, false) => 0..bytes.len().max(1),
        };
        let place = match way {
            Way::Flip => range.start * 8 + dice.place(range.len() * 8),
            Way::Cut | Way::Removal => range.start + dice.place(range.len()),
        };
        Ok(Self {
            name,
            part,
            way,
            place,
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// What the file system said.
    pub fn apply(&self, dir: &Path) -> Outcome<()> {
        let path = dir.join(&self.name);
        if self.way == Way::Removal {
            return Ok(fs::remove_file(path)?);
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if self.way == Way::Cut {
            return Ok(file.set_len(self.place as u64)?);
        }
        let (mut byte, at) = ([0], self.place as u64 / 8);
        // A file of no bytes has no bit to flip: it gets one.
        if file.read_at(&mut byte, at)? < 2 {
            byte[0] ^= 1 << (self.place % 8);
            file.write_all_at(&byte, at)?;
        }
        Ok(())
    }
}

fn list(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            list(root, &entry.path(), files)?;
        } else {
            files.push(entry.path().strip_prefix(root)?.to_owned());
        }
    }
    Ok(())
}
