//! What is kept of an import: how far it is, and each chunk's hash and answer. Written in the same
//! commit as the rows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use almanac_proto::common::v1::{
    ErrorReason, ImportAck, ImportResume, ImportRowError, ImportStart, ImportSummary, OnError,
};
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::Code;

use super::{Import, MAX_ROW_ERROR_BYTES, Written};
use crate::{
    fault::{Fault, Violations},
    store::{Keep, Read as _, Record, Store, Table, Transaction},
    write::{Intent, store_fault, write},
};

/// How long an import and its chunks are remembered after they were last written.
pub const KEPT_HOURS: i64 = 24;

/// By import ID and sequence: each chunk; under sequence 0 the import as a whole.
const IMPORTS: Table<(String, i64), Kept> = Table::new(251, "imports");
const WHOLE: i64 = 0;

/// What compaction keeps of the imports; none for other tables.
pub(crate) fn keep(table: u8) -> Option<Keep> {
    let hours = KEPT_HOURS.unsigned_abs();
    (table == IMPORTS.id()).then(|| Keep::Newest(Duration::from_hours(hours)))
}

/// A record with the time of its commit, by which it can be dropped once it is old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    time: i64,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    Import(Progress),
    Chunk { rows: [u8; 32], ack: Vec<u8> },
}

impl Record for Kept {}

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    parent: String,
    /// Number of OnError.
    on_error: i32,
    next: i64,
    written: i64,
    rejected: i64,
    revision: String,
    finished: bool,
}

/// What an import was started with.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) id: String,
    pub(super) parent: String,
    method: &'static str,
    stop: bool,
    validate_only: bool,
    /// Whether a chunk was refused, or the stream is gone: those behind it are under way already,
    /// and must not be kept.
    refused: AtomicBool,
}

/// A chunk whose rows were checked.
pub(super) struct Chunk<C> {
    pub(super) sequence: i64,
    /// Hash of its rows.
    pub(super) rows: [u8; 32],
    pub(super) checked: C,
}

impl Started {
    /// # Errors
    /// INVALID_ARGUMENT for an `import_id` or `on_error` that makes no sense.
    pub(super) fn new(method: &'static str, start: ImportStart) -> Result<Self, Fault> {
        let mut violations = Violations::new();
        if uuid::Uuid::try_parse(&start.import_id).is_err() {
            violations.push(
                "start.import_id",
                ErrorReason::FieldInvalid,
                "must be a UUID",
            );
        }
        let on_error = OnError::try_from(start.on_error);
        if on_error.is_err() {
            let text = format!("{} is nothing that this version knows", start.on_error);
            violations.push("start.on_error", ErrorReason::FieldInvalid, text);
        }
        violations.finish()?;
        Ok(Self {
            // UUIDs are compared without regard to case.
            id: start.import_id.to_lowercase(),
            parent: start.parent,
            method,
            stop: !matches!(on_error, Ok(OnError::RejectRow)),
            validate_only: start.validate_only,
            refused: AtomicBool::new(false),
        })
    }

    /// Lets no further chunk of the stream be written.
    pub(super) fn give_up(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// FAILED_PRECONDITION (IMPORT_INCOMPLETE) if no further chunk may be written.
    fn check(&self, sequence: i64) -> Result<(), Fault> {
        if self.refused.load(Ordering::Relaxed) {
            let text = "a chunk before this one was refused, or the stream is gone";
            return Err(incomplete(text, sequence));
        }
        Ok(())
    }

    pub(super) fn validate_only(&self) -> bool {
        self.validate_only
    }

    /// Of one commit. It needs no request ID: the import's own record makes it take effect once.
    fn intent(&self) -> Intent {
        let (method, trial) = (self.method, self.validate_only);
        Intent::new(method, &(), "", trial, &mut Violations::new())
    }

    fn key(&self, sequence: i64) -> (String, i64) {
        (self.id.clone(), sequence)
    }

    fn on_error(&self) -> i32 {
        let on_error = if self.stop {
            OnError::Stop
        } else {
            OnError::RejectRow
        };
        on_error.into()
    }

    fn begin(&self) -> Progress {
        Progress {
            parent: self.parent.clone(),
            on_error: self.on_error(),
            next: 1,
            written: 0,
            rejected: 0,
            revision: String::new(),
            finished: false,
        }
    }

    fn kept(&self, tx: &Transaction<'_>, sequence: i64) -> Result<Option<What>, Fault> {
        let found = tx
            .get(&IMPORTS, &self.key(sequence))
            .map_err(|e| store_fault(&e))?;
        let now = tx.time().nanoseconds();
        let fresh = found
            .filter(|found| now.saturating_sub(found.value.time) <= KEPT_HOURS * 3_600_000_000_000);
        Ok(fresh.map(|found| found.value.what))
    }

    fn keep(&self, tx: &mut Transaction<'_>, sequence: i64, what: What) -> Result<(), Fault> {
        let time = tx.time().nanoseconds();
        tx.put(&IMPORTS, &self.key(sequence), &Kept { time, what })
            .map_err(|e| store_fault(&e))
    }

    fn progress(&self, tx: &Transaction<'_>) -> Result<Progress, Fault> {
        if self.validate_only() {
            return Ok(self.begin());
        }
        let progress = match self.kept(tx, WHOLE)? {
            Some(What::Import(progress)) => progress,
            _ => self.begin(),
        };
        for (field, same) in [
            ("start.parent", progress.parent == self.parent),
            ("start.on_error", progress.on_error == self.on_error()),
        ] {
            if !same {
                let text = "is not what this import_id was begun with; use a new UUID";
                return Err(Fault::field(field, ErrorReason::ImportIdReused, text));
            }
        }
        Ok(progress)
    }

    /// The answer to a chunk that was committed before.
    fn again<C>(
        &self,
        tx: &Transaction<'_>,
        chunk: &Chunk<C>,
        next: i64,
    ) -> Result<ImportAck, Fault> {
        let Some(What::Chunk { rows, ack }) = self.kept(tx, chunk.sequence)? else {
            return Err(gap(chunk.sequence, next));
        };
        if rows != chunk.rows {
            let text = format!("chunk {} was committed with other rows", chunk.sequence);
            let fault = Fault::new(Code::InvalidArgument, ErrorReason::ImportChunkChanged, text);
            return Err(fault.with("sequence", chunk.sequence.to_string()));
        }
        ImportAck::decode(&ack[..]).map_err(|error| Fault::internal(&error))
    }
}

/// Where the import is to go on.
pub(super) async fn resume(store: &Store, started: &Arc<Started>) -> Result<ImportResume, Fault> {
    let (intent, started) = (started.intent(), Arc::clone(started));
    // A transaction, though it writes nothing: it has the time that tells what is too old.
    write(store, intent, move |tx| {
        let next_sequence = started.progress(tx)?.next;
        Ok(ImportResume { next_sequence })
    })
    .await
}

/// Commits a chunk, or answers it again.
pub(super) async fn commit<I: Import>(
    store: Store,
    started: Arc<Started>,
    import: Arc<I>,
    chunk: Chunk<I::Checked>,
) -> Result<ImportAck, Fault> {
    let tokens = store.clone();
    write(&store, started.intent(), move |tx| {
        let sequence = chunk.sequence;
        started.check(sequence)?;
        let acknowledged = apply(tx, &tokens, &started, &*import, chunk);
        let acknowledged = acknowledged.inspect_err(|_| started.give_up())?;
        // The stream may have gone meanwhile.
        started.check(sequence).map(|()| acknowledged)
    })
    .await
}

fn apply<I: Import>(
    tx: &mut Transaction<'_>,
    tokens: &Store,
    started: &Started,
    import: &I,
    chunk: Chunk<I::Checked>,
) -> Result<ImportAck, Fault> {
    let mut progress = started.progress(tx)?;
    if started.validate_only() {
        let written = import.write(tx, chunk.checked)?;
        return acknowledge::<I>(started, chunk.sequence, written, String::new());
    }
    if chunk.sequence < progress.next {
        return started.again(tx, &chunk, progress.next);
    }
    if chunk.sequence > progress.next {
        return Err(gap(chunk.sequence, progress.next));
    }
    if progress.finished {
        let text = "the import is finished; use a new import_id";
        return Err(Fault::new(
            Code::FailedPrecondition,
            ErrorReason::ImportFinished,
            text,
        ));
    }
    let written = import.write(tx, chunk.checked)?;
    let revision = tokens.token(tx.revision());
    let ack = acknowledge::<I>(started, chunk.sequence, written, revision.clone())?;
    progress.next += 1;
    progress.written += i64::from(ack.written_count);
    progress.rejected += i64::from(ack.rejected_count);
    progress.revision = revision;
    let (rows, encoded) = (chunk.rows, ack.encode_to_vec());
    started.keep(tx, chunk.sequence, What::Chunk { rows, ack: encoded })?;
    started.keep(tx, WHOLE, What::Import(progress))?;
    Ok(ack)
}

/// Finishes the import, or answers again that it is.
pub(super) async fn finish(
    store: &Store,
    started: &Arc<Started>,
    total_chunks: i64,
) -> Result<ImportSummary, Fault> {
    let (intent, started) = (started.intent(), Arc::clone(started));
    write(store, intent, move |tx| {
        let mut progress = started.progress(tx)?;
        check_total(total_chunks, progress.next)?;
        let summary = ImportSummary {
            total_chunks,
            written_count: progress.written,
            rejected_count: progress.rejected,
            revision: progress.revision.clone(),
        };
        if !progress.finished {
            progress.finished = true;
            started.keep(tx, WHOLE, What::Import(progress))?;
        }
        Ok(summary)
    })
    .await
}

/// # Errors
/// IMPORT_INCOMPLETE unless `total` chunks come before `next`.
pub(super) fn check_total(total: i64, next: i64) -> Result<(), Fault> {
    let committed = next - 1;
    if total == committed {
        return Ok(());
    }
    Err(incomplete(&format!("finish names {total} chunks"), next))
}

/// The import lacks something although its stream ended.
pub(super) fn incomplete(what: &str, next: i64) -> Fault {
    let text = format!(
        "{what}; {} are committed: go on with chunk {next}",
        next - 1
    );
    Fault::new(
        Code::FailedPrecondition,
        ErrorReason::ImportIncomplete,
        text,
    )
    .with("next_sequence", next.to_string())
}

/// Chunk `next` was left out, or chunk `sequence` was too long ago.
pub(super) fn gap(sequence: i64, next: i64) -> Fault {
    let text = format!("chunk {sequence} cannot come now; go on with chunk {next}");
    Fault::new(
        Code::FailedPrecondition,
        ErrorReason::ImportSequenceGap,
        text,
    )
    .with("sequence", sequence.to_string())
    .with("next_sequence", next.to_string())
}

/// The answer to a chunk; the fault of its bad rows where they stop the import.
fn acknowledge<I: Import>(
    started: &Started,
    sequence: i64,
    written: Written,
    revision: String,
) -> Result<ImportAck, Fault> {
    let Written {
        count,
        mut rejected,
    } = written;
    if started.stop {
        Written::all_or_nothing(rejected)
            .map_err(|fault| fault.with("sequence", sequence.to_string()))?;
        rejected = Vec::new();
    }
    Ok(ImportAck {
        sequence,
        durable: !started.validate_only(),
        revision,
        written_count: number(count),
        rejected_count: number(rejected.len()),
        row_errors: row_errors::<I>(rejected)?,
    })
}

fn row_errors<I: Import>(
    mut rejected: Vec<(usize, Violations)>,
) -> Result<Vec<ImportRowError>, Fault> {
    rejected.sort_by_key(|(row, _)| *row);
    let mut bytes = 0;
    let mut errors = Vec::new();
    for (row, violations) in rejected {
        let Err(fault) = violations.finish() else {
            continue;
        };
        let encoded = fault.into_encoded(I::DOMAIN);
        // Tags, lengths and the row around the status.
        bytes += encoded.len() + 16;
        if bytes > MAX_ROW_ERROR_BYTES {
            break;
        }
        let status = Message::decode(&encoded[..]).map_err(|error| Fault::internal(&error))?;
        errors.push(ImportRowError {
            row: number(row),
            status: Some(status),
        });
    }
    Ok(errors)
}

/// Counts of rows are far below the limit of the type.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// For fuzzing: a kept record read and written again.
#[cfg(feature = "fuzz")]
pub fn again(version: u16, bytes: &[u8]) -> crate::fuzz::Again {
    crate::fuzz::value(&IMPORTS, version, bytes)
}
