//! What is on the disk after the power has failed.

use std::{collections::HashMap, fs, path::Path, str::FromStr};

use super::recording::{ACKNOWLEDGED, Change, Files, Recording, Step};
use crate::{Outcome, dice::Dice};

/// A sector is written whole or not at all.
const SECTOR: usize = 512;

/// What becomes of changes that no sync covers, each in a hundred.
#[derive(Debug, Clone, Copy)]
pub struct Harm {
    /// Writes and lengths that reach the disk.
    pub data: u64,
    /// Creations, renamings and removals that reach it.
    pub names: u64,
    /// Writes that do so in part, of those that reach it.
    pub torn: u64,
}

impl Harm {
    /// Any.
    pub fn any(dice: &mut Dice) -> Self {
        let mut share = || [0, 20, 50, 90, 100][dice.place(5)];
        Self {
            data: share(),
            names: share(),
            torn: share(),
        }
    }

    /// None: everything reaches the disk.
    const NONE: Self = Self {
        data: 100,
        names: 100,
        torn: 0,
    };
}

/// Syncs that are taken for none, to see that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disbelief {
    /// Those of the log.
    Log,
    /// Those of directories.
    Directories,
}

impl FromStr for Disbelief {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "log" => Ok(Self::Log),
            "directories" => Ok(Self::Directories),
            _ => Err(std::io::Error::other("neither log nor directories")),
        }
    }
}

impl Recording {
    /// Writes into `dir` what may be left when the power fails after the first `steps` steps.
    ///
    /// # Errors
    /// Why the files cannot be written.
    pub fn image(
        &self,
        steps: usize,
        harm: Harm,
        disbelief: Option<Disbelief>,
        dice: &mut Dice,
        dir: &Path,
    ) -> Outcome<()> {
        self.put(&self.left(steps, harm, disbelief, dice)?, dir)
    }

    /// Makes sure that all steps together lead to what is below `root`.
    ///
    /// # Errors
    /// The first difference: something changed the files that was not recorded.
    pub fn compare(&self, root: &Path) -> Outcome<()> {
        let recorded = self.left(self.steps(), Harm::NONE, None, &mut Dice::new(0, 0))?;
        let found = Self::begin(root)?.before;
        if !recorded.names.keys().eq(found.names.keys()) {
            return Err(format!(
                "recorded are {:?}, there are {:?}",
                recorded.names.keys(),
                found.names.keys()
            )
            .into());
        }
        for (name, file) in &found.names {
            let there = found.contents.get(file).map_or(&[][..], Vec::as_slice);
            let file = recorded.names.get(name).ok_or("no such file")?;
            let written = recorded.contents.get(file).map_or(&[][..], Vec::as_slice);
            if there != written {
                return Err(format!("{name} holds what was not recorded").into());
            }
        }
        Ok(())
    }

    fn left(
        &self,
        steps: usize,
        harm: Harm,
        disbelief: Option<Disbelief>,
        dice: &mut Dice,
    ) -> Outcome<Files> {
        let durable = self.durable(steps, disbelief);
        let mut files = self.before.clone();
        for (step, durable) in self.steps.iter().zip(durable) {
            let Step::Change { file, change } = step else {
                continue;
            };
            match change {
                Change::Write { at, data } => {
                    let content = files.contents.entry(*file).or_default();
                    let fate = match durable || dice.percent(harm.data) {
                        true if durable || !dice.percent(harm.torn) => Fate::Whole,
                        true => Fate::Torn,
                        false => Fate::Dropped,
                    };
                    write(content, usize::try_from(*at)?, data, fate, dice);
                }
                Change::Length(length) => {
                    if durable || dice.percent(harm.data) {
                        let content = files.contents.entry(*file).or_default();
                        content.resize(usize::try_from(*length)?, 0);
                    }
                }
                _ if !durable && !dice.percent(harm.names) => {}
                Change::Link(path) => {
                    files.names.insert(path.clone(), *file);
                }
                Change::Rename { from, to } => {
                    if let Some(file) = files.names.remove(from) {
                        files.names.insert(to.clone(), file);
                    }
                }
                Change::Unlink(path) => {
                    let inside = format!("{path}/");
                    files
                        .names
                        .retain(|name, _| name != path && !name.starts_with(&inside));
                }
            }
        }
        Ok(files)
    }

    /// For each of the first steps, whether a sync that ended in time covers it.
    fn durable(&self, steps: usize, disbelief: Option<Disbelief>) -> Vec<bool> {
        // Before which step everything of a file, or every name in a directory, is covered.
        let mut covered: HashMap<usize, usize> = HashMap::new();
        let mut names: HashMap<&str, usize> = HashMap::new();
        for step in self.steps.iter().take(steps) {
            let Step::Synced { file, begun } = step else {
                continue;
            };
            if let Some(path) = self.directories.get(file) {
                if disbelief != Some(Disbelief::Directories) {
                    let until = names.entry(path).or_default();
                    *until = (*until).max(*begun);
                }
                continue;
            }
            let of_log = self
                .paths
                .get(file)
                .is_some_and(|path| path.contains("/log/"));
            if !(of_log && disbelief == Some(Disbelief::Log)) {
                let until = covered.entry(*file).or_default();
                *until = (*until).max(*begun);
            }
        }
        let is_durable = |(place, step): (usize, &Step)| {
            let Step::Change { file, change } = step else {
                return true;
            };
            let until = match change {
                Change::Write { .. } | Change::Length(_) => covered.get(file),
                Change::Link(path) | Change::Unlink(path) | Change::Rename { to: path, .. } => {
                    names.get(parent(path))
                }
            };
            until.is_some_and(|until| place < *until)
        };
        let steps = self.steps.iter().take(steps).enumerate();
        steps.map(is_durable).collect()
    }

    /// Writes the files whose directories are all there.
    fn put(&self, files: &Files, dir: &Path) -> Outcome<()> {
        for (name, file) in &files.names {
            let path = dir.join(name);
            let reachable = path.parent().is_some_and(Path::is_dir);
            if *name == ACKNOWLEDGED || !reachable {
                continue;
            }
            if self.directories.contains_key(file) {
                fs::create_dir(path)?;
            } else {
                let content = files.contents.get(file);
                fs::write(path, content.map_or(&[][..], Vec::as_slice))?;
            }
        }
        Ok(())
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Any of its sectors.
    Torn,
    /// Nothing of it; but the file may have become longer.
    Dropped,
}

fn write(content: &mut Vec<u8>, at: usize, data: &[u8], fate: Fate, dice: &mut Dice) {
    if content.len() < at + data.len() && (fate == Fate::Whole || dice.percent(50)) {
        content.resize(at + data.len(), 0);
    }
    let mut begin = 0;
    while begin < data.len() && fate != Fate::Dropped {
        let end = data.len().min((at + begin) / SECTOR * SECTOR + SECTOR - at);
        if fate == Fate::Whole || dice.percent(50) {
            if content.len() < at + end {
                content.resize(at + end, 0);
            }
            content[at + begin..at + end].copy_from_slice(&data[begin..end]);
        }
        begin = end;
    }
}
