//! A tree of files, and how it changes.

use std::collections::{BTreeMap, HashMap};

use crate::Outcome;

/// The directory above all.
const ROOT: usize = 1;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) dir: usize,
    pub(super) name: String,
}

/// A change of one file or of one directory.
#[derive(Debug)]
pub(super) enum Change {
    Write {
        file: usize,
        at: u64,
        data: Vec<u8>,
    },
    Length {
        file: usize,
        length: u64,
    },
    /// The name is now the file's.
    Link {
        name: Name,
        file: usize,
    },
    Rename {
        from: Name,
        to: Name,
        file: usize,
    },
    Unlink(Name),
}

impl Change {
    /// The file or directory whose sync makes it durable. A renaming is one change, as in every
    /// file system with a journal, and taken to be kept by the directory that it leads to.
    pub(super) fn kept_by(&self) -> usize {
        match self {
            Self::Write { file, .. } | Self::Length { file, .. } => *file,
            Self::Link { name, .. } | Self::Rename { to: name, .. } | Self::Unlink(name) => {
                name.dir
            }
        }
    }
}

/// Files by number: the names in directories, and the contents of the others.
#[derive(Debug, Default, Clone)]
pub(super) struct Files {
    pub(super) directories: HashMap<usize, BTreeMap<String, usize>>,
    pub(super) contents: HashMap<usize, Vec<u8>>,
}

/// Called with a path and the number of the file there.
type OnFile<'a> = dyn FnMut(&str, usize) -> Outcome<()> + 'a;

impl Files {
    /// The name that a path means now.
    pub(super) fn name(&self, path: &str) -> Outcome<Name> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = ROOT;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            let name = part.to_owned();
            let found = self.file(&Name { dir, name });
            dir = found.ok_or_else(|| format!("{part} of {path} was never recorded"))?;
        }
        Ok(Name {
            dir,
            name: name.to_owned(),
        })
    }

    /// The file that has a name.
    pub(super) fn file(&self, name: &Name) -> Option<usize> {
        self.directories.get(&name.dir)?.get(&name.name).copied()
    }

    fn names(&mut self, name: &Name) -> &mut BTreeMap<String, usize> {
        self.directories.entry(name.dir).or_default()
    }

    /// Makes a change, where it is one of names.
    pub(super) fn rename(&mut self, change: &Change) {
        match change {
            Change::Write { .. } | Change::Length { .. } => {}
            Change::Link { name, file } => {
                self.names(name).insert(name.name.clone(), *file);
            }
            Change::Rename { from, to, file } => {
                self.names(from).remove(&from.name);
                self.names(to).insert(to.name.clone(), *file);
            }
            Change::Unlink(name) => {
                self.names(name).remove(&name.name);
            }
        }
    }

    /// Calls with each file, a directory before what is in it.
    pub(super) fn visit(&self, on_file: &mut OnFile<'_>) -> Outcome<()> {
        self.visit_in(ROOT, "", on_file)
    }

    fn visit_in(&self, dir: usize, above: &str, on_file: &mut OnFile<'_>) -> Outcome<()> {
        for (name, file) in self.directories.get(&dir).into_iter().flatten() {
            let path = format!("{above}{name}");
            on_file(&path, *file)?;
            self.visit_in(*file, &format!("{path}/"), on_file)?;
        }
        Ok(())
    }
}
