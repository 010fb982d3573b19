//! A disk of its own that is full when it is to be.

use std::{
    error::Error,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// Bytes that the filler is written in.
const BLOCK: usize = 1 << 20;

/// Why no tmpfs can be mounted here.
#[derive(Debug)]
pub struct MountError(String);

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a tmpfs cannot be mounted here, which this needs (as root on Linux): {}",
            self.0
        )
    }
}

impl Error for MountError {}

/// A small tmpfs, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs of so many MiB on a directory that is there.
    ///
    /// # Errors
    /// [`MountError`].
    pub fn mount(path: &Path, mib: u64) -> Result<Self, MountError> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]);
        let done = mount
            .arg(path)
            .output()
            .map_err(|error| MountError(error.to_string()))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(MountError(said.trim().to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Where the store goes.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Takes up or gives back space until so many bytes are free, to the page.
    pub(super) fn leave(&self, bytes: u64) -> io::Result<()> {
        let mut filler = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path.join("filler"))?;
        let free = self.free()?;
        if free < bytes {
            let length = filler.metadata()?.len();
            return filler.set_len(length.saturating_sub(bytes - free));
        }
        take(&mut filler, free - bytes)
    }

    /// Gives back all of it.
    pub(super) fn make_room(&self) -> io::Result<()> {
        self.leave(u64::MAX)
    }

    fn free(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.path)?;
        Ok(found.f_bavail * found.f_frsize)
    }
}

/// Lengthens the filler; the service may be quicker and take the last of it.
fn take(filler: &mut File, mut bytes: u64) -> io::Result<()> {
    let zeros = vec![0; BLOCK];
    while bytes > 0 {
        let part = BLOCK.min(usize::try_from(bytes).unwrap_or(BLOCK));
        match filler.write(&zeros[..part]) {
            Ok(written) => bytes -= written as u64,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still looks into it keeps it until then.
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        drop(unmounted);
    }
}
