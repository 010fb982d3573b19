//! Files that are written durably. Behind traits, so that a test can make them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::StoreError;

/// A file that is written at places and synced.
pub(super) trait DiskFile: Send {
    /// Writes all bytes at the offset.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written survives the loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to the length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// Opens files for writing.
pub(super) trait Disk: Send + Sync {
    /// Opens the file, creating it if absent.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// How many bytes can still be written on the file system of a directory.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// The real one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

struct SystemFile(File);

impl DiskFile for SystemFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

/// Whether a write failed because there is no room for it, on the disk or in a quota.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// With less free space an engine may have failed for no other reason: it writes up to half of this
/// at once.
const LITTLE: u64 = 1 << 20;

/// Whether the disk of a directory is as good as full. An engine does not always say why it failed.
pub(super) fn little_left(disk: &dyn Disk, dir: &Path) -> bool {
    disk.free(dir).is_ok_and(|free| free < LITTLE)
}

/// The file's name for messages: its last two parts, which is all that differs within a store.
pub(super) fn name(path: &Path) -> String {
    let mut parts: Vec<_> = path
        .iter()
        .rev()
        .take(2)
        .map(|part| part.to_string_lossy())
        .collect();
    parts.reverse();
    parts.join("/")
}

/// Makes the entries of a directory (creations, renames, removals) durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::io(format!("sync directory {}", name(dir)), error))
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Makes the name of a directory durable: a process that created it may have been killed before it
/// came to that. Where the directory above cannot be opened, somebody else created this one.
pub(super) fn sync_name(dir: &Path) -> Result<(), StoreError> {
    match sync_parent(dir) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            Ok(())
        }
        synced => synced,
    }
}

/// Creates a directory and those above it, durably, where they are absent. From above, each durable
/// before there is one in it: after a kill only the last one may have a name that is not.
pub(super) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    let absent = absent(dir);
    if let Some(there) = absent.last().and_then(|first| first.parent()) {
        sync_name(there)?;
    }
    for level in absent.into_iter().rev() {
        match fs::create_dir(level) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let action = format!("create directory {}", name(level));
                return Err(StoreError::io(action, error));
            }
            _ => sync_parent(level)?,
        }
    }
    Ok(())
}

/// The directory and those above it that are not there.
fn absent(dir: &Path) -> Vec<&Path> {
    dir.ancestors()
        .take_while(|level| !level.as_os_str().is_empty() && !level.is_dir())
        .collect()
}

/// The whole file, or nothing when there is none.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(format!("read {}", name(path)), error)),
    }
}

/// Replaces a file so that a crash leaves the old one or the new one.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        // On a full disk what is there of it would be in the way of what follows.
        fs::remove_file(&temporary).ok();
        StoreError::io(format!("write {}", name(path)), error)
    })?;
    sync_parent(path)
}

/// Writes a file that is not there yet, durably but for its entry in the directory.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| StoreError::io(format!("write {}", name(path)), error))
}

/// Renames a file or a directory, durably; a file replaces another.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to)
        .map_err(|error| StoreError::io(format!("rename {}", name(from)), error))?;
    sync_parent(to)?;
    sync_parent(from)
}

/// Removes a file or a directory with all in it, durably, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(format!("remove {}", name(path)), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_level_of_a_directory_is_synced() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b/c");
        let levels = ["a/b/c", "a/b", "a"].map(|level| root.path().join(level));
        assert_eq!(absent(&dir), levels);
        create_dir(&root.path().join("a")).unwrap();
        assert_eq!(absent(&dir), levels[..2]);
        create_dir(&dir).unwrap();
        assert!(dir.is_dir() && absent(&dir).is_empty());
        assert_eq!(
            absent(Path::new("no/such")),
            [Path::new("no/such"), Path::new("no")]
        );
    }

    #[test]
    fn a_full_disk_and_a_used_quota_are_told_from_other_failures() {
        use rustix::io::Errno;
        assert!(is_full(&Errno::NOSPC.into()));
        assert!(is_full(&Errno::DQUOT.into()));
        assert!(!is_full(&Errno::IO.into()));
        assert!(SystemDisk.free(Path::new("/")).is_ok());
    }
}
