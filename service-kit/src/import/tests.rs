//! The protocol over plain numbers: what no client can see or wait for.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use almanac_proto::common::v1::{ErrorReason, ImportFinish, ImportStart, OnError};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    Answer, Answers, Frame, Import, Imports, KEPT_HOURS, MAX_ROW_ERROR_BYTES, MAX_ROWS,
    MAX_RUNNING, WINDOW, Written, serve,
};
use crate::{
    fault::{Fault, Violations},
    limits::Limits,
    plain::control::Control,
    pool::{Pool, PoolSettings},
    store::{CommitTime, Read as _, Store, StoreOptions, Table, Transaction},
    write::store_fault,
};

/// Numbers, and how often each was written.
const NUMBERS: Table<i64, u64> = Table::new(1, "numbers");
const ID: &str = "9d7c2f0e-6b1a-4a54-8f0e-0c5d2b7a1e11";

/// A row that is checked for as long as anybody waits.
const ENDLESS: i64 = i64::MAX;

/// A row whose chunk waits twice while it is written, of one test.
const MEANWHILE: i64 = i64::MAX - 1;
static WRITING: Barrier = Barrier::new(2);

/// Imports numbers that are not negative.
struct Numbers;

impl Import for Numbers {
    type Request = Frame<i64>;
    type Response = Answer;
    type Row = i64;
    type Checked = Vec<i64>;
    const METHOD: &'static str = "ImportNumbers";
    const DOMAIN: &'static str = "numbers.almanac";
    const ROWS: &'static str = "numbers";

    fn frame(request: Frame<i64>) -> Option<Frame<i64>> {
        Some(request)
    }

    fn response(answer: Answer) -> Answer {
        answer
    }

    fn open(_: &Store, _: &str) -> Result<Self, Fault> {
        Ok(Self)
    }

    fn check(&self, rows: Vec<i64>, control: &dyn Control) -> Result<Vec<i64>, Fault> {
        while rows.contains(&ENDLESS) {
            control.check()?;
            std::thread::yield_now();
        }
        Ok(rows)
    }

    fn write(&self, tx: &mut Transaction<'_>, rows: Vec<i64>) -> Result<Written, Fault> {
        if rows.contains(&MEANWHILE) {
            WRITING.wait();
            WRITING.wait();
        }
        let mut written = Written::default();
        for (row, number) in rows.into_iter().enumerate() {
            if number < 0 {
                let mut violations = Violations::new();
                let field = format!("numbers[{row}]");
                violations.push(field, ErrorReason::FieldInvalid, "is negative");
                written.rejected.push((row, violations));
                continue;
            }
            let times = tx.get(&NUMBERS, &number).map_err(|e| store_fault(&e))?;
            let times = times.map_or(0, |found| found.value);
            tx.put(&NUMBERS, &number, &(times + 1))
                .map_err(|e| store_fault(&e))?;
            written.count += 1;
        }
        Ok(written)
    }
}

struct Rig {
    _dir: TempDir,
    store: Store,
    imports: Imports,
    pool: Pool,
    /// Nanoseconds.
    clock: Arc<AtomicI64>,
}

impl Rig {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(1));
        let time = Arc::clone(&clock);
        let options = StoreOptions {
            clock: Arc::new(move || CommitTime::from_nanoseconds(time.load(Ordering::SeqCst))),
            ..StoreOptions::default()
        };
        let store = Store::open(dir.path(), options).unwrap();
        Self {
            _dir: dir,
            store,
            imports: Imports::default(),
            pool: Pool::new(
                PoolSettings {
                    threads: 2,
                    queue: 0,
                    memory_bytes: 1 << 30,
                },
                Limits::default(),
            )
            .unwrap(),
            clock,
        }
    }

    fn serve(
        &self,
        frames: impl Stream<Item = Frame<i64>> + Send + Unpin + 'static,
    ) -> Answers<Answer> {
        let frames = frames.map(Ok::<_, Status>);
        let (imports, store) = (self.imports.clone(), self.store.clone());
        let call = async move { serve::<Numbers, _>(imports, store, frames) };
        self.pool.clone().scope(call).now_or_never().unwrap()
    }

    async fn all(&self, frames: Vec<Frame<i64>>) -> Vec<Result<Answer, Status>> {
        self.serve(stream::iter(frames)).collect().await
    }

    fn times(&self, number: i64) -> u64 {
        let found = self.store.latest().get(&NUMBERS, &number).unwrap();
        found.map_or(0, |found| found.value)
    }
}

fn start(id: &str) -> Frame<i64> {
    Frame::Start(ImportStart {
        parent: "numbers/all".to_owned(),
        import_id: id.to_owned(),
        on_error: OnError::RejectRow.into(),
        validate_only: false,
    })
}

fn chunk(sequence: i64, rows: &[i64]) -> Frame<i64> {
    let rows = rows.to_vec();
    Frame::Chunk { sequence, rows }
}

fn finish(total_chunks: i64) -> Frame<i64> {
    Frame::Finish(ImportFinish { total_chunks })
}

#[track_caller]
fn next_of(answer: &Result<Answer, Status>) -> i64 {
    match answer {
        Ok(Answer::Resume(resume)) => resume.next_sequence,
        other => panic!("no resume but {other:?}"),
    }
}

#[track_caller]
fn reason(answer: &Result<Answer, Status>) -> (Code, String) {
    let status = answer.as_ref().unwrap_err();
    let details = status.get_error_details();
    (status.code(), details.error_info().unwrap().reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_is_read_ahead() {
    let rig = Rig::new();
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let chunks = (1..=50).map(|sequence| chunk(sequence, &[sequence]));
    let frames = std::iter::once(start(ID)).chain(chunks).chain([finish(50)]);
    let frames = stream::iter(frames).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut answers = rig.serve(frames);
    assert_eq!(next_of(&answers.next().await.unwrap()), 1);
    assert_eq!(read.load(Ordering::SeqCst), 1);
    for acknowledged in 0..50_usize {
        let answer = answers.next().await.unwrap().unwrap();
        let Answer::Ack(ack) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(usize::try_from(ack.sequence), Ok(acknowledged + 1));
        assert!(ack.durable);
        let chunks = read.load(Ordering::SeqCst) - 1;
        assert!(chunks <= acknowledged + WINDOW, "{chunks} chunks");
    }
    let summary = answers.next().await.unwrap().unwrap();
    assert!(matches!(summary, Answer::Summary(of) if of.written_count == 50));
    assert!(answers.next().await.is_none());
    assert!((1..=50).all(|number| rig.times(number) == 1));
}

#[tokio::test]
async fn an_import_is_forgotten_after_its_time() {
    let rig = Rig::new();
    let first = rig.all(vec![start(ID), chunk(1, &[7])]).await;
    assert!(matches!(first[1], Ok(Answer::Ack(_))));
    assert_eq!(reason(&first[2]).1, "IMPORT_INCOMPLETE");
    let kept = KEPT_HOURS * 3_600_000_000_000;
    rig.clock.fetch_add(kept, Ordering::SeqCst);
    assert_eq!(next_of(&rig.all(vec![start(ID)]).await[0]), 2);
    rig.clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(next_of(&rig.all(vec![start(ID)]).await[0]), 1);
    let again = rig.all(vec![start(ID), chunk(1, &[7])]).await;
    assert!(matches!(again[1], Ok(Answer::Ack(_))));
    assert_eq!(rig.times(7), 2);
}

#[tokio::test]
async fn row_errors_are_bounded_and_told_again() {
    let rig = Rig::new();
    let bad = || vec![start(ID), chunk(1, &[-1; MAX_ROWS])];
    let first = rig.all(bad()).await;
    let Ok(Answer::Ack(ack)) = &first[1] else {
        panic!("{first:?}");
    };
    assert_eq!((ack.written_count, ack.rejected_count), (0, 5000));
    assert!(!ack.row_errors.is_empty());
    let bytes = prost::Message::encoded_len(ack);
    assert!(bytes <= MAX_ROW_ERROR_BYTES + 200, "{bytes}");
    assert_eq!(
        rig.all(bad()).await[1].as_ref().unwrap(),
        first[1].as_ref().unwrap()
    );
}

#[tokio::test]
async fn imports_are_counted_and_end_with_the_service() {
    let rig = Rig::new();
    let mut running = Vec::new();
    for number in 0..=MAX_RUNNING {
        let id = format!("9d7c2f0e-6b1a-4a54-8f0e-0c5d2b7a{number:04}");
        let frames = stream::iter([start(&id), chunk(1, &[1])]).chain(stream::pending());
        let mut answers = rig.serve(frames);
        let first = answers.next().await.unwrap();
        if number < MAX_RUNNING {
            assert_eq!(next_of(&first), 1);
            running.push(answers);
        } else {
            let (code, reason) = reason(&first);
            assert_eq!(
                (code, reason.as_str()),
                (Code::ResourceExhausted, "IMPORTS_TOO_MANY")
            );
        }
    }
    // One that went away makes room.
    running.pop();
    assert_eq!(next_of(&rig.all(vec![start(ID)]).await[0]), 1);
    // The chunk in hand is acknowledged before the end is told.
    let mut last = running.pop().unwrap();
    assert!(matches!(last.next().await, Some(Ok(Answer::Ack(_)))));
    rig.imports.shut_down();
    let end = last.next().await.unwrap();
    assert_eq!(
        reason(&end),
        (Code::Unavailable, "SERVER_DRAINING".to_owned())
    );
    assert!(end.unwrap_err().get_error_details().retry_info().is_some());
    assert!(last.next().await.is_none());
    let late = rig.all(vec![start(ID)]).await;
    assert_eq!(reason(&late[0]).0, Code::Unavailable);
}

#[tokio::test]
async fn a_newer_stream_takes_over() {
    let rig = Rig::new();
    let mut older = rig.serve(stream::iter([start(ID)]).chain(stream::pending()));
    assert_eq!(next_of(&older.next().await.unwrap()), 1);
    let mut newer = rig.serve(stream::iter([start(ID), chunk(1, &[1])]).chain(stream::pending()));
    assert_eq!(next_of(&newer.next().await.unwrap()), 1);
    let end = older.next().await.unwrap();
    assert_eq!(
        reason(&end),
        (Code::Aborted, "IMPORT_TAKEN_OVER".to_owned())
    );
    drop(older);
    // Whoever was taken over from does not take the place along.
    assert!(matches!(newer.next().await, Some(Ok(Answer::Ack(_)))));
    let newest = rig
        .serve(stream::iter([start(ID)]).chain(stream::pending()))
        .next()
        .await;
    assert_eq!(next_of(&newest.unwrap()), 2);
    assert_eq!(reason(&newer.next().await.unwrap()).0, Code::Aborted);
}

#[tokio::test]
async fn a_bad_chunk_ends_the_stream_after_those_before_it() {
    for (bad, wanted) in [
        (chunk(3, &[3]), "IMPORT_SEQUENCE_GAP"),
        (chunk(0, &[3]), "FIELD_INVALID"),
        (chunk(2, &[]), "FIELD_REQUIRED"),
        (chunk(2, &[2; MAX_ROWS + 1]), "TOO_MANY_ITEMS"),
        (chunk(1, &[2]), "IMPORT_CHUNK_CHANGED"),
        (start(ID), "IMPORT_FRAME_UNEXPECTED"),
        (finish(2), "IMPORT_INCOMPLETE"),
    ] {
        let rig = Rig::new();
        let frames = vec![start(ID), chunk(1, &[1]), bad, chunk(2, &[9])];
        let answers = rig.all(frames).await;
        assert_eq!(answers.len(), 3, "{wanted}: {answers:?}");
        assert!(matches!(answers[1], Ok(Answer::Ack(_))), "{wanted}");
        assert_eq!(reason(&answers[2]).1, wanted);
        assert_eq!((rig.times(1), rig.times(9)), (1, 0), "{wanted}");
    }
}

#[tokio::test]
async fn dropped_answers_leave_whole_chunks_only() {
    let rig = Rig::new();
    let frames = (1..=20).map(|sequence| chunk(sequence, &[sequence, sequence + 100]));
    let frames: Vec<_> = std::iter::once(start(ID)).chain(frames).collect();
    let mut answers = rig.serve(stream::iter(frames));
    for _ in 0..4 {
        answers.next().await.unwrap().unwrap();
    }
    drop(answers);
    let next = next_of(&rig.all(vec![start(ID)]).await[0]);
    assert!(next >= 4, "{next}");
    for number in 1..=20 {
        let there = u64::from(number < next);
        assert_eq!(
            (rig.times(number), rig.times(number + 100)),
            (there, there),
            "{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_stream_goes_while_it_is_written_is_not_there() {
    let rig = Rig::new();
    let frames = stream::iter([start(ID), chunk(1, &[MEANWHILE])]).chain(stream::pending());
    let answers = tokio::spawn(rig.serve(frames).collect::<Vec<_>>());
    let wait = || tokio::task::spawn_blocking(|| WRITING.wait());
    wait().await.unwrap();
    answers.abort();
    assert!(answers.await.unwrap_err().is_cancelled());
    wait().await.unwrap();
    // Comes after it.
    let ended = rig.store.transact(|tx| tx.get(&NUMBERS, &MEANWHILE));
    assert_eq!(ended.await.unwrap().value, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_not_checked_on_once_the_stream_is_dropped() {
    let rig = Rig::new();
    let frames = stream::iter([start(ID), chunk(1, &[ENDLESS])]).chain(stream::pending());
    let mut answers = rig.serve(frames);
    assert_eq!(next_of(&answers.next().await.unwrap()), 1);
    while rig.pool.idle(Duration::ZERO).await {
        assert!(answers.next().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(answers);
    assert!(rig.pool.idle(Duration::from_secs(60)).await);
}
