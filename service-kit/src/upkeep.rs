//! What is done to a store beside serving it: `verify`, `backup`, `restore`.

use std::path::Path;

use crate::{
    config::Action,
    store::{self, CopyReport, Store, StoreError, StoreOptions},
    time,
};

/// Exit code for a store or backup that is damaged (EX_DATAERR of sysexits.h).
pub(crate) const EXIT_DAMAGED: u8 = 65;

/// Does what the action asks and answers what to print; none for an action of another kind.
pub(crate) fn run(
    action: &Action,
    data_dir: &Path,
    options: StoreOptions,
) -> Option<Result<String, StoreError>> {
    let done = match action {
        Action::Verify => verify(data_dir, options),
        Action::Backup(to) => {
            store::backup(data_dir, to).map(|report| told("backed up", &report, "to", to))
        }
        Action::Restore(from) => {
            store::restore(from, data_dir).map(|report| told("restored", &report, "to", data_dir))
        }
        Action::Serve | Action::Healthcheck | Action::PrintConfig => return None,
    };
    Some(done)
}

/// The exit code of what went wrong.
pub(crate) fn exit_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Corrupt { .. } | StoreError::CorruptValue { .. } => EXIT_DAMAGED,
        _ => 1,
    }
}

/// Checks the log and, where there is one, the index against it. A backup has none, and stays as
/// it is.
fn verify(dir: &Path, options: StoreOptions) -> Result<String, StoreError> {
    if dir.join("index").exists() {
        let options = StoreOptions {
            create: false,
            ..options
        };
        let store = Store::open(dir, options)?;
        let verified = store.verify();
        store.close()?;
        verified?;
    }
    let report = store::check(dir)?;
    Ok(told("verified", &report, "in", dir))
}

fn told(done: &str, report: &CopyReport, preposition: &str, dir: &Path) -> String {
    let CopyReport {
        revision,
        time,
        segments,
        bytes,
    } = report;
    let time = time::timestamp(*time);
    let dir = dir.display();
    format!(
        "{done} {bytes} bytes of log in {segments} segments {preposition} {dir}: every commit up to \
         number {revision}, made {time}\n"
    )
}
