//! How many files the process may have open: one for each connection, beside those of the store,
//! which takes no more writes once it cannot open one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not connections: the store's, the listener, what the runtime needs.
const OTHERS: u64 = 64;

/// Raises the process's limit as far as it may, and says how many of the `wanted` connections there
/// are files for.
pub(crate) fn make_room(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current;
    let connections = room(files, wanted);
    if connections < wanted {
        tracing::warn!(
            files,
            connections,
            wanted,
            "fewer connections than max-connections: the system gives no more files (ulimit -n)"
        );
    }
    connections
}

fn room(files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = files else { return wanted };
    let room = files.saturating_sub(OTHERS).max(1);
    usize::try_from(room).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_store() {
        assert_eq!(room(None, 1024), 1024);
        assert_eq!(room(Some(1024), 1024), 960);
        assert_eq!(room(Some(1088), 1024), 1024);
        assert_eq!(room(Some(10), 1024), 1);
    }
}
