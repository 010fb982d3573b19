//! What is done to a store beside serving it: `verify`, `compact`, `backup`, `restore`.

use std::{path::Path, time::Duration};

use crate::{
    config::{Action, EXIT_USAGE},
    import,
    run::{Config, Program},
    store::{self, CommitTime, CopyReport, Revision, Rules, Store, StoreError, StoreOptions},
    time, write,
};

/// Exit code for a store or backup that is damaged (EX_DATAERR of sysexits.h).
pub(crate) const EXIT_DAMAGED: u8 = 65;
/// Exit code for a disk that is full (EX_IOERR of sysexits.h).
pub(crate) const EXIT_FULL: u8 = 74;

/// Does what the action asks and answers what to print; none for an action of another kind.
pub(crate) fn run(
    action: &Action,
    program: &Program,
    config: &Config,
) -> Option<Result<String, StoreError>> {
    let (data_dir, options) = (config.data_dir.as_path(), config.store(program.name));
    let own = |dir: &Path| store::check_owner(dir, program.name);
    Some(match action {
        Action::Verify => own(data_dir).and_then(|()| verify(data_dir, options)),
        Action::Compact => {
            own(data_dir).and_then(|()| compact(data_dir, program, config.keep_versions, options))
        }
        Action::Backup(to) => own(data_dir)
            .and_then(|()| store::backup(data_dir, to))
            .map(|report| told("backed up", &report, "to", to)),
        Action::Restore(from) => own(from)
            .and_then(|()| store::restore(from, data_dir))
            .map(|report| told("restored", &report, "to", data_dir)),
        Action::Serve | Action::Healthcheck | Action::PrintConfig => return None,
    })
}

/// The exit code of what went wrong.
pub(crate) fn exit_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Corrupt { .. } | StoreError::CorruptValue { .. } => EXIT_DAMAGED,
        StoreError::DiskFull { .. } => EXIT_FULL,
        StoreError::Foreign { .. } | StoreError::Inside { .. } => EXIT_USAGE,
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

/// Drops what is past keeping, and makes the index anew, so that the next start need not.
fn compact(
    dir: &Path,
    program: &Program,
    keep_versions: Duration,
    options: StoreOptions,
) -> Result<String, StoreError> {
    let now = (options.clock)();
    let nanoseconds = i64::try_from(keep_versions.as_nanos()).unwrap_or(i64::MAX);
    let before = now.nanoseconds().saturating_sub(nanoseconds);
    let of = |table: u8| {
        let kits = write::keep(table).or_else(|| import::keep(table));
        kits.unwrap_or_else(|| (program.keep)(table))
    };
    let rules = Rules {
        of: &of,
        before: CommitTime::from_nanoseconds(before),
        now,
        segment_bytes: options.segment_bytes,
    };
    let report = store::compact(dir, &rules)?;
    if report.dropped == 0 {
        return Ok(told("nothing to drop from", &report.after, "in", dir));
    }
    Store::open(dir, options)?.close()?;
    let (dropped, floor) = (report.dropped, report.floor);
    let compacted = format!(
        "dropped {dropped} versions of {} bytes, leaving",
        report.before.bytes
    );
    let text = told(&compacted, &report.after, "in", dir);
    if floor == Revision::ZERO {
        return Ok(text);
    }
    Ok(format!(
        "{text}commits before number {floor} can no longer be read\n"
    ))
}

fn told(done: &str, report: &CopyReport, preposition: &str, dir: &Path) -> String {
    let CopyReport {
        revision,
        time,
        segments,
        bytes,
    } = report;
    let dir = dir.display();
    let to = match *revision {
        Revision::ZERO => "no commit yet".to_owned(),
        last => format!(
            "every commit up to number {last}, made {}",
            time::timestamp(*time)
        ),
    };
    format!("{done} {bytes} bytes of log in {segments} segments {preposition} {dir}: {to}\n")
}
