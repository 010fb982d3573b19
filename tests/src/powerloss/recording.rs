//! What the library wrote down.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::Outcome;

/// The file of acknowledgements, below the recorded root.
pub(super) const ACKNOWLEDGED: &str = "acknowledged";

/// A change of one file or of one directory.
#[derive(Debug)]
pub(super) enum Change {
    Write {
        at: u64,
        data: Vec<u8>,
    },
    Length(u64),
    /// The path now names the file.
    Link(String),
    Rename {
        from: String,
        to: String,
    },
    Unlink(String),
}

/// One step of the recording. Files are numbered in the order in which they were met.
#[derive(Debug)]
pub(super) enum Step {
    Change {
        file: usize,
        change: Change,
    },
    /// All changes of the file (of a directory: of the names in it) before step `begun` are durable.
    Synced {
        file: usize,
        begun: usize,
    },
}

/// Files and directories by name; directories have no content.
#[derive(Debug, Default, Clone)]
pub(super) struct Files {
    pub(super) names: BTreeMap<String, usize>,
    pub(super) contents: HashMap<usize, Vec<u8>>,
}

/// Every change of the files below a directory, in order.
#[derive(Debug, Default)]
pub struct Recording {
    /// What was there at the beginning, and durable.
    pub(super) before: Files,
    pub(super) steps: Vec<Step>,
    /// The path of each directory.
    pub(super) directories: HashMap<usize, String>,
    /// The first path of each other file.
    pub(super) paths: HashMap<usize, String>,
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
        Ok(recording)
    }

    fn meet(&mut self, root: &Path, dir: &Path) -> Outcome<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let metadata = path.metadata()?;
            let file = self.file(metadata.ino());
            self.before.names.insert(name.clone(), file);
            if metadata.is_dir() {
                self.directories.insert(file, name);
                self.meet(root, &path)?;
            } else {
                self.paths.insert(file, name);
                self.before.contents.insert(file, fs::read(&path)?);
            }
        }
        Ok(())
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
        let file = self.file(inode);
        let change = match kind {
            b'o' => {
                if a == 1 {
                    self.directories.insert(file, text);
                }
                return Ok(());
            }
            b'm' => {
                self.directories.insert(file, text.clone());
                Change::Link(text)
            }
            b'c' => {
                self.paths.insert(file, text.clone());
                Change::Link(text)
            }
            b'w' => Change::Write {
                at: a,
                data: data.to_vec(),
            },
            b'l' => Change::Length(a),
            b'r' => {
                let (from, to) = text.split_once('\n').ok_or("a rename without names")?;
                Change::Rename {
                    from: from.to_owned(),
                    to: to.to_owned(),
                }
            }
            b'u' => Change::Unlink(text),
            b's' => {
                syncs.insert((a, b), (file, self.steps.len()));
                return Ok(());
            }
            b'S' => {
                let (file, begun) = syncs.remove(&(a, b)).ok_or("a sync that never began")?;
                self.steps.push(Step::Synced { file, begun });
                return Ok(());
            }
            _ => return Err(format!("the library does not follow {text}").into()),
        };
        self.steps.push(Step::Change { file, change });
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
            if let Step::Change {
                file,
                change: Change::Write { data, .. },
            } = step
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
            Step::Synced { .. }
            | Step::Change {
                change: Change::Write { .. },
                ..
            } => None,
            Step::Change { .. } => Some(place),
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
