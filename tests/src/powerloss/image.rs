//! What is on the disk after the power has failed.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    str::FromStr,
};

use super::{
    files::{Change, Files},
    recording::{ACKNOWLEDGED, Recording, Step},
};
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
        put(&self.left(steps, harm, disbelief, dice)?, dir)
    }

    /// Makes sure that all steps together lead to what is below `root`.
    ///
    /// # Errors
    /// The first difference: something changed the files that was not recorded.
    pub fn compare(&self, root: &Path) -> Outcome<()> {
        let recorded = self.left(self.steps(), Harm::NONE, None, &mut Dice::new(0, 0))?;
        let there = Self::begin(root)?.before;
        let (recorded, there) = (flat(&recorded)?, flat(&there)?);
        let differs = |path: &&String| recorded.get(*path) != there.get(*path);
        match recorded.keys().chain(there.keys()).find(differs) {
            Some(path) => Err(format!("{path} is not as it was recorded").into()),
            None => Ok(()),
        }
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
            let Step::Change(change) = step else {
                continue;
            };
            match change {
                Change::Write { file, at, data } => {
                    let content = files.contents.entry(*file).or_default();
                    let fate = match durable || dice.percent(harm.data) {
                        true if durable || !dice.percent(harm.torn) => Fate::Whole,
                        true => Fate::Torn,
                        false => Fate::Dropped,
                    };
                    write(content, usize::try_from(*at)?, data, fate, dice);
                }
                Change::Length { file, length } => {
                    if durable || dice.percent(harm.data) {
                        let content = files.contents.entry(*file).or_default();
                        content.resize(usize::try_from(*length)?, 0);
                    }
                }
                _ => {
                    if durable || dice.percent(harm.names) {
                        files.rename(change);
                    }
                }
            }
        }
        Ok(files)
    }

    /// For each of the first steps, whether a sync that ended in time covers it.
    fn durable(&self, steps: usize, disbelief: Option<Disbelief>) -> Vec<bool> {
        // Before which step everything of a file, or every name in a directory, is covered.
        let mut covered: HashMap<usize, usize> = HashMap::new();
        for step in self.steps.iter().take(steps) {
            let Step::Synced { file, begun } = step else {
                continue;
            };
            let path = self.paths.get(file);
            let believed = match disbelief {
                None => true,
                Some(Disbelief::Log) => !path.is_some_and(|path| path.contains("/log/")),
                Some(Disbelief::Directories) => path.is_some(),
            };
            if believed {
                let until = covered.entry(*file).or_default();
                *until = (*until).max(*begun);
            }
        }
        let is_durable = |(place, step): (usize, &Step)| match step {
            Step::Synced { .. } => true,
            Step::Change(change) => covered
                .get(&change.kept_by())
                .is_some_and(|until| place < *until),
        };
        let steps = self.steps.iter().take(steps).enumerate();
        steps.map(is_durable).collect()
    }
}

/// Writes the files below `dir`, without the acknowledgements.
fn put(files: &Files, dir: &Path) -> Outcome<()> {
    files.visit(&mut |path, file| {
        let to = dir.join(path);
        if path == ACKNOWLEDGED {
            return Ok(());
        }
        if files.directories.contains_key(&file) {
            return Ok(fs::create_dir(to)?);
        }
        let content = files.contents.get(&file);
        Ok(fs::write(to, content.map_or(&[][..], Vec::as_slice))?)
    })
}

/// Contents by path; directories have none.
fn flat(files: &Files) -> Outcome<BTreeMap<String, &[u8]>> {
    let mut found = BTreeMap::new();
    files.visit(&mut |path, file| {
        let content = files.contents.get(&file);
        found.insert(path.to_owned(), content.map_or(&[][..], Vec::as_slice));
        Ok(())
    })?;
    Ok(found)
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
