//! An import as a write: a few chunks, each of which is acknowledged by itself.

use almanac_proto::common::v1::{ImportFinish, ImportStart, OnError};
use almanac_service_kit::import::{Answer, Frame};
use tonic::Status;

use super::subject::{CHUNKS, Cut, Write};
use crate::loader::{ImportStream, Importer};

/// Sends a write's chunks and gives the revision of the last: from where the service says, or, of
/// every other write, from the first, which must be acknowledged again.
pub(super) async fn import<C: Importer>(
    client: &mut C,
    parent: &str,
    write: Write,
    rows: impl Fn(u64) -> Vec<C::Row>,
) -> Result<String, Cut> {
    let start = ImportStart {
        parent: parent.to_owned(),
        import_id: write.request_id(),
        on_error: OnError::Stop.into(),
        validate_only: false,
    };
    let mut stream = ImportStream::open(client).await?;
    stream.send(Frame::Start(start)).await;
    let Some(Answer::Resume(resume)) = stream.next().await? else {
        return Err(Status::unknown("no resume").into());
    };
    let first = if write.serial.is_multiple_of(2) {
        resume.next_sequence
    } else {
        1
    };
    let mut acknowledged = resume.next_sequence - 1;
    for (sequence, chunk) in (1..).zip(0..CHUNKS) {
        if sequence >= first {
            let rows = rows(chunk);
            stream.send(Frame::Chunk { sequence, rows }).await;
        }
    }
    let total_chunks = CHUNKS as i64;
    let finish = Frame::Finish(ImportFinish { total_chunks });
    stream.send(finish).await;
    loop {
        let answer = stream.next().await.map_err(|status| Cut {
            status,
            parts: usize::try_from(acknowledged).unwrap_or_default(),
        })?;
        match answer {
            Some(Answer::Ack(ack)) => acknowledged = acknowledged.max(ack.sequence),
            Some(Answer::Summary(summary)) => return Ok(summary.revision),
            other => return Err(Status::unknown(format!("no acknowledgement: {other:?}")).into()),
        }
    }
}
