//! One stream of an import.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use almanac_proto::common::v1::{ErrorReason, ImportAck, ImportResume, ImportSummary};
use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    future::BoxFuture,
    stream::{self, FuturesOrdered},
};
use tokio::task::{JoinHandle, yield_now};
use tonic::{Code, Status};

use super::{
    Answer, Answers, Frame, Import, Imports, MAX_CHUNKS,
    running::Place,
    state::{self, Chunk, Started},
};
use crate::{
    compute::{Caller, compute_part},
    fault::{Fault, Violations},
    guard::transport_fault,
    plain::control::{Control, Stopped, attended},
    pool::Pool,
    store::Store,
};

/// Most chunks that are read and not acknowledged.
pub const WINDOW: usize = 8;

/// Answers the frames of a stream, computing on the pool of the server whose call this is.
pub fn serve<I: Import, S>(imports: Imports, store: Store, frames: S) -> Answers<I::Response>
where
    S: Stream<Item = Result<I::Request, Status>> + Send + Unpin + 'static,
{
    // The answers are polled outside of the call.
    let pool = Pool::current();
    let answers = stream::once(Session::<I, S>::begin(pool, imports, store, frames))
        .map(|begun| match begun {
            Ok((resume, session)) => {
                let resume = stream::once(ready(Ok(Answer::Resume(resume))));
                resume.chain(session.answers()).left_stream()
            }
            Err(end) => stream::iter(end.answer()).right_stream(),
        })
        .flatten();
    Box::pin(answers.map(|answer| match answer {
        Ok(answer) => Ok(I::response(answer)),
        Err(fault) => Err(fault.into_status(I::DOMAIN)),
    }))
}

struct Session<I: Import, S> {
    frames: S,
    pool: Pool,
    store: Store,
    import: Arc<I>,
    started: Arc<Started>,
    place: Place,
    /// The first chunk that was not read yet.
    next: i64,
    checking: FuturesOrdered<Task<Chunk<I::Checked>>>,
    committing: FuturesOrdered<BoxFuture<'static, Result<ImportAck, Fault>>>,
    /// Why nothing more is read, once that is so.
    ending: Option<Ending>,
    written: i64,
    rejected: i64,
}

/// Comes to pass once the chunks that were read are acknowledged.
enum Ending {
    Finish(i64),
    Fault(Fault),
}

/// The end of the answers.
enum End {
    Finished(ImportSummary),
    Fault(Fault),
    /// The caller went away: nobody is there to answer.
    Gone,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl End {
    fn answer(self) -> Option<Result<Answer, Fault>> {
        match self {
            Self::Finished(summary) => Some(Ok(Answer::Summary(summary))),
            Self::Fault(fault) => Some(Err(fault)),
            Self::Gone => None,
        }
    }
}

impl<I: Import, S> Session<I, S>
where
    S: Stream<Item = Result<I::Request, Status>> + Send + Unpin + 'static,
{
    async fn begin(
        pool: Result<Pool, Fault>,
        imports: Imports,
        store: Store,
        mut frames: S,
    ) -> Result<(ImportResume, Self), End> {
        let pool = pool?;
        let start = match frames.next().await {
            None => return Err(unexpected("the stream ended before a start").into()),
            Some(Err(status)) => return Err(broken(&status, &pool)),
            Some(Ok(request)) => match I::frame(request) {
                Some(Frame::Start(start)) => start,
                _ => return Err(unexpected("the first frame must be a start").into()),
            },
        };
        let started = Arc::new(Started::new(I::METHOD, start)?);
        let import = Arc::new(I::open(&store, &started.parent)?);
        let place = imports.enter((started.id.clone(), started.validate_only()))?;
        let resume = state::resume(&store, &started).await?;
        let session = Self {
            frames,
            pool,
            store,
            import,
            started,
            place,
            next: resume.next_sequence,
            checking: FuturesOrdered::new(),
            committing: FuturesOrdered::new(),
            ending: None,
            written: 0,
            rejected: 0,
        };
        Ok((resume, session))
    }

    /// The acknowledgements, and the end.
    fn answers(self) -> impl Stream<Item = Result<Answer, Fault>> + Send {
        stream::unfold(Some(self), |session| async move {
            let mut session = session?;
            match session.acknowledgement().await {
                Ok(ack) => Some((Ok(Answer::Ack(ack)), Some(session))),
                Err(end) => end.answer().map(|last| (last, None)),
            }
        })
    }

    async fn acknowledgement(&mut self) -> Result<ImportAck, End> {
        loop {
            let held = self.checking.len() + self.committing.len();
            if held == 0
                && let Some(ending) = self.ending.take()
            {
                return Err(self.end(ending).await);
            }
            let reading = self.ending.is_none();
            tokio::select! {
                biased;
                Some(ack) = self.committing.next() => {
                    let ack = ack?;
                    self.written += i64::from(ack.written_count);
                    self.rejected += i64::from(ack.rejected_count);
                    return Ok(ack);
                }
                Some(chunk) = self.checking.next() => self.commit(chunk?),
                fault = self.place.interrupted(), if reading => {
                    self.ending = Some(Ending::Fault(fault));
                }
                frame = self.frames.next(), if reading && held < WINDOW => {
                    self.read(frame)?;
                    // Frames are decoded where calls are answered: not one after the other, while
                    // this one's deadline passes and others wait.
                    yield_now().await;
                }
            }
        }
    }

    async fn end(&mut self, ending: Ending) -> End {
        let summary = match ending {
            Ending::Fault(fault) => Err(fault),
            Ending::Finish(total) if self.started.validate_only() => self.trial(total),
            Ending::Finish(total) => state::finish(&self.store, &self.started, total).await,
        };
        summary.map_or_else(End::Fault, End::Finished)
    }

    /// The summary of an import that was only tried.
    fn trial(&self, total_chunks: i64) -> Result<ImportSummary, Fault> {
        state::check_total(total_chunks, self.next)?;
        Ok(ImportSummary {
            total_chunks,
            written_count: self.written,
            rejected_count: self.rejected,
            revision: String::new(),
        })
    }

    /// Takes in what was read; a fault in it is told after the chunks before it.
    fn read(&mut self, frame: Option<Result<I::Request, Status>>) -> Result<(), End> {
        let taken = match frame {
            None => Err(state::incomplete(
                "the stream ended without finish",
                self.next,
            )),
            Some(Err(status)) => match broken(&status, &self.pool) {
                End::Fault(fault) => Err(fault),
                end => return Err(end),
            },
            Some(Ok(request)) => match I::frame(request) {
                Some(Frame::Chunk { sequence, rows }) => self.check(sequence, rows),
                Some(Frame::Finish(finish)) => {
                    self.ending = Some(Ending::Finish(finish.total_chunks));
                    Ok(())
                }
                Some(Frame::Start(_)) => Err(unexpected("the stream has had its start")),
                None => Err(unexpected("a frame must be a chunk or finish")),
            },
        };
        if let Err(fault) = taken {
            self.ending = Some(Ending::Fault(fault));
        }
        Ok(())
    }

    /// Lets the rows of a chunk be checked.
    fn check(&mut self, sequence: i64, rows: Vec<I::Row>) -> Result<(), Fault> {
        let mut violations = Violations::new();
        if !(1..=MAX_CHUNKS).contains(&sequence) {
            let text = format!("must be 1 to {MAX_CHUNKS}");
            violations.push("chunk.sequence", ErrorReason::FieldInvalid, text);
        }
        violations.count(
            &format!("chunk.{}", I::ROWS),
            rows.len(),
            self.pool.limits().sizes.chunk,
        );
        violations
            .finish()
            .map_err(|fault| fault.with("sequence", sequence.to_string()))?;
        // A trial keeps nothing that a chunk could be compared with.
        if sequence > self.next || (self.started.validate_only() && sequence != self.next) {
            return Err(state::gap(sequence, self.next));
        }
        self.next = self.next.max(sequence + 1);
        let (pool, import) = (self.pool.clone(), Arc::clone(&self.import));
        let work = move |caller: &Caller| {
            let hash = hash(&rows, caller)?;
            let checked = import.check(rows, caller)?;
            Ok(Chunk {
                sequence,
                rows: hash,
                checked,
            })
        };
        // A task, because nobody drives this future while the client does not read.
        self.checking
            .push_back(Task::spawn(compute_part(pool, work)));
        Ok(())
    }

    /// Lets a chunk be committed. Chunks come here in order, and the store commits in that order.
    fn commit(&mut self, chunk: Chunk<I::Checked>) {
        let (store, started) = (self.store.clone(), Arc::clone(&self.started));
        let commit = state::commit(store, started, Arc::clone(&self.import), chunk);
        self.committing.push_back(commit.boxed());
    }
}

/// Chunks that wait for the committer are not written any more: nobody would hear of them.
impl<I: Import, S> Drop for Session<I, S> {
    fn drop(&mut self) {
        self.started.give_up();
    }
}

/// A task that ends when it is dropped.
struct Task<T>(JoinHandle<Result<T, Fault>>);

impl<T: Send + 'static> Task<T> {
    fn spawn(work: impl Future<Output = Result<T, Fault>> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.0).poll(context);
        ended.map(|ended| ended.unwrap_or_else(|error| Err(Fault::internal(&error))))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a broken stream comes to: a fault where the caller can still be told.
fn broken(status: &Status, pool: &Pool) -> End {
    match transport_fault(status, pool.limits().max_message_bytes) {
        Some(fault) => End::Fault(fault),
        None => End::Gone,
    }
}

fn unexpected(text: &str) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        ErrorReason::ImportFrameUnexpected,
        text,
    )
}

/// The hash of rows, each with its length.
fn hash<R: prost::Message>(rows: &[R], control: &dyn Control) -> Result<[u8; 32], Stopped> {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    for row in attended(rows, control) {
        let row = row?;
        bytes.clear();
        bytes.extend_from_slice(&(row.encoded_len() as u64).to_le_bytes());
        // A Vec has room for any message.
        if row.encode(&mut bytes).is_ok() {
            hasher.update(&bytes);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}
