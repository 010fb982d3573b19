//! What the library wrote down.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::files::{Change, Files};
use crate::Outcome;

/// The file of acknowledgements, below the recorded root.
pub(super) const ACKNOWLEDGED: &str = "acknowledged";

/// One step of the recording. Files are numbered in the order in which they were met.
#[derive(Debug)]
pub(super) enum Step {
    Change(Change),
    /// All changes of the file (of a directory: of the names in it) before step `begun` are durable.
    Synced {
        file: usize,
        begun: usize,
    },
}

/// Every change of the files below a directory, in order.
#[derive(Debug, Default)]
pub struct Recording {
    /// What was there at the beginning, and durable.
    pub(super) before: Files,
    pub(super) steps: Vec<Step>,
    /// The first path of each file that is not a directory.
    pub(super) paths: HashMap<usize, String>,
    /// What is there after all steps.
    now: Files,
    inodes: HashMap<u64, usize>,
    met: usize,
}

/// The kind of a record, three numbers, and its data.
type Record<'a> = (u8, [u64; 3], &'a [u8]);

impl Recording {
    /// Begins with what is below `root`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn begin(root: &Path) -> Outcome<Self> {
        let mut recording = Self::default();
        recording.meet(root, root)?;
        recording.now = recording.before.clone();
        Ok(recording)
    }

    /// Takes a directory and all in it for there, and answers its number, which of the first is the
    /// root's.
    fn meet(&mut self, root: &Path, dir: &Path) -> Outcome<usize> {
        let number = self.file(dir.metadata()?.ino());
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let file = if entry.file_type()?.is_dir() {
                self.meet(root, &path)?
            } else {
                let file = self.file(entry.metadata()?.ino());
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                self.paths.insert(file, name);
                self.before.contents.insert(file, fs::read(&path)?);
                file
            };
            names.insert(entry.file_name().to_string_lossy().into_owned(), file);
        }
        self.before.directories.insert(number, names);
        Ok(number)
    }

    /// Adds what was recorded since.
    ///
    /// # Errors
    /// Where nothing was, what was is cut short, or a file was changed in a way that the library
    /// does not follow.
    pub fn read(&mut self, log: &Path) -> Outcome<()> {
        let bytes = fs::read(log).unwrap_or_default();
        if bytes.is_empty() {
            return Err(
                "nothing was recorded: a program that is linked statically loads no library".into(),
            );
        }
        let mut rest = bytes.as_slice();
        let mut syncs = HashMap::new();
        while let Some(record) = next(&mut rest)? {
            self.add(record, &mut syncs)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        (kind, [inode, a, b], data): Record<'_>,
        syncs: &mut HashMap<(u64, u64), (usize, usize)>,
    ) -> Outcome<()> {
        let text = String::from_utf8_lossy(data).into_owned();
        if matches!(kind, b'c' | b'm') {
            // The number of a file that is gone may be another's now.
            self.inodes.remove(&inode);
        }
        let change = match kind {
            b'o' => return Ok(()),
            b'c' | b'm' => {
                let file = self.file(inode);
                let name = self.now.name(&text)?;
                if kind == b'm' {
                    self.before.directories.insert(file, BTreeMap::new());
                    self.now.directories.insert(file, BTreeMap::new());
                } else {
                    self.paths.insert(file, text);
                }
                Change::Link { name, file }
            }
            b'w' => Change::Write {
                file: self.file(inode),
                at: a,
                data: data.to_vec(),
            },
            b'l' => Change::Length {
                file: self.file(inode),
                length: a,
            },
            b'r' => {
                let (from, to) = text.split_once('\n').ok_or("a rename without names")?;
                let (from, to) = (self.now.name(from)?, self.now.name(to)?);
                let file = self.now.file(&from).ok_or("a rename of nothing")?;
                Change::Rename { from, to, file }
            }
            b'u' => Change::Unlink(self.now.name(&text)?),
            b's' => {
                syncs.insert((a, b), (self.file(inode), self.steps.len()));
                return Ok(());
            }
            b'S' => {
                let (file, begun) = syncs.remove(&(a, b)).ok_or("a sync that never began")?;
                self.steps.push(Step::Synced { file, begun });
                return Ok(());
            }
            _ => return Err(format!("the library does not follow {text}").into()),
        };
        self.now.rename(&change);
        self.steps.push(Step::Change(change));
        Ok(())
    }

    fn file(&mut self, inode: u64) -> usize {
        *self.inodes.entry(inode).or_insert_with(|| {
            self.met += 1;
            self.met
        })
    }

    /// How many steps there are.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The acknowledgements: each line with the number of steps after which it had been given.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            if let Step::Change(Change::Write { file, data, .. }) = step
                && self
                    .paths
                    .get(file)
                    .is_some_and(|path| path == ACKNOWLEDGED)
            {
                let text = String::from_utf8_lossy(data);
                found.extend(text.lines().map(|line| (place + 1, line.to_owned())));
            }
        }
        found
    }

    /// The places at which a name, or the length of a file, changed: where stores, segments, marks
    /// and seals begin and end.
    #[must_use]
    pub fn turns(&self) -> Vec<usize> {
        let turn = |(place, step): (usize, &Step)| match step {
            Step::Synced { .. } | Step::Change(Change::Write { .. }) => None,
            Step::Change(_) => Some(place),
        };
        self.steps.iter().enumerate().filter_map(turn).collect()
    }
}

/// The next record.
fn next<'a>(rest: &mut &'a [u8]) -> Outcome<Option<Record<'a>>> {
    let Some((kind, mut tail)) = rest.split_first() else {
        return Ok(None);
    };
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let (bytes, left) = tail
            .split_first_chunk::<8>()
            .ok_or("the recording is cut short")?;
        *number = u64::from_ne_bytes(*bytes);
        tail = left;
    }
    let [file, a, b, length] = numbers;
    let (data, left) = tail
        .split_at_checked(usize::try_from(length)?)
        .ok_or("the recording is cut short")?;
    *rest = left;
    Ok(Some((*kind, [file, a, b], data)))
}
