//! `index.sum`: the proof, written at a clean close, that the index is as it was left.
//!
//! Text: a title, the revision and digest that the index holds, a line per file with its BLAKE3
//! hash, size and path, and a check over all lines before it:
//!
//! ```text
//! almanac-index 1
//! tip 42 <digest>
//! file <hash> 524288 db
//! check <hash>
//! ```
//!
//! It is removed, durably, before the index is opened. Without it, or when a file differs, the
//! index proves nothing by itself.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk;
use super::error::StoreError;
use super::table::hex;
use super::time::Revision;
use super::tip::{Digest, Tip};

const TITLE: &str = "almanac-index 1\n";

/// What a seal says, its check being right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) revision: Revision,
    digest: String,
    files: String,
}

impl Seal {
    /// Reads the seal; `None` when there is none or it is damaged.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(disk::read_if_present(path)?.and_then(|bytes| Self::parse(&bytes)))
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (body, check) = text.rsplit_once("check ")?;
        if format!("{}\n", blake3::hash(body.as_bytes()).to_hex()) != check {
            return None;
        }
        let (tip, files) = body
            .strip_prefix(TITLE)?
            .strip_prefix("tip ")?
            .split_once('\n')?;
        let (revision, digest) = tip.split_once(' ')?;
        Some(Self {
            revision: Revision::new(revision.parse().ok()?),
            digest: digest.to_owned(),
            files: files.to_owned(),
        })
    }

    /// The file's text.
    pub(super) fn render(&self) -> String {
        let (revision, digest, files) = (self.revision, &self.digest, &self.files);
        let body = format!("{TITLE}tip {revision} {digest}\n{files}");
        let check = blake3::hash(body.as_bytes()).to_hex();
        format!("{body}check {check}\n")
    }

    /// Whether it is about this end of the chain.
    pub(super) fn is_of(&self, tip: &Tip) -> bool {
        self.revision == tip.revision && self.digest == hex(&tip.digest)
    }

    /// Whether the files in `index` are exactly the sealed ones.
    pub(super) fn matches(&self, index: &Path) -> Result<bool, StoreError> {
        Ok(index.is_dir() && listing(index, false)? == self.files)
    }
}

/// Makes all files of the closed index durable and seals them.
pub(super) fn write(
    path: &Path,
    index: &Path,
    revision: Revision,
    digest: &Digest,
) -> Result<(), StoreError> {
    let seal = Seal {
        revision,
        digest: hex(digest),
        files: listing(index, true)?,
    };
    disk::write_atomically(path, seal.render().as_bytes())
}

/// A line for each file under `index`, by path.
fn listing(index: &Path, sync: bool) -> Result<String, StoreError> {
    let list = || {
        let mut files = Vec::new();
        collect(index, sync, &mut files)?;
        files.sort();
        let mut lines = String::new();
        for path in files {
            let file = File::open(&path)?;
            if sync {
                file.sync_all()?;
            }
            let mut hasher = blake3::Hasher::new();
            let size = io::copy(
                &mut io::BufReader::with_capacity(1 << 20, file),
                &mut hasher,
            )?;
            let name = path.strip_prefix(index).unwrap_or(&path).to_string_lossy();
            // Writing to a string cannot fail.
            writeln!(lines, "file {} {size} {name}", hasher.finalize().to_hex()).ok();
        }
        Ok(lines)
    };
    list().map_err(|error| StoreError::io("read the files of the index", error))
}

fn collect(dir: &Path, sync: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), sync, files)?;
        } else {
            files.push(entry.path());
        }
    }
    if sync {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
