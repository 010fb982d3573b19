//! Requests answered once, for a day.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use almanac_proto::common::v1::Missing;

use super::{intent::REQUESTS, *};
use crate::{
    fault::Violations,
    store::{CommitTime, Read as _, StoreOptions, Table},
};

const EFFECTS: Table<u64, u64> = Table::new(7, "effects");
const HOUR: i64 = 3_600_000_000_000;

/// A store whose clock stands where the test puts it.
fn store(dir: &tempfile::TempDir) -> (Store, Arc<AtomicI64>) {
    let hours = Arc::new(AtomicI64::new(1));
    let clock = Arc::clone(&hours);
    let options = StoreOptions {
        clock: Arc::new(move || CommitTime::from_nanoseconds(clock.load(Ordering::Relaxed) * HOUR)),
        ..StoreOptions::default()
    };
    (Store::open(dir.path(), options).unwrap(), hours)
}

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn message(note: &str) -> Missing {
    Missing {
        note: note.to_owned(),
        ..Missing::default()
    }
}

fn intent(number: u64, note: &str) -> Intent {
    let mut violations = Violations::new();
    let intent = Intent::new("Test", &message(note), &id(number), false, &mut violations);
    violations.finish().unwrap();
    intent
}

/// Counts an effect; answers the count.
async fn count(store: &Store, intent: Intent) -> Result<Missing, Fault> {
    write(store, intent, |tx| {
        let found = tx.get(&EFFECTS, &0).map_err(|e| store_fault(&e))?;
        let next = found.map_or(0, |found| found.value) + 1;
        tx.put(&EFFECTS, &0, &next).map_err(|e| store_fault(&e))?;
        Ok(message(&next.to_string()))
    })
    .await
}

#[tokio::test]
async fn a_request_is_kept_for_a_day_and_then_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hours) = store(&dir);
    assert_eq!(count(&store, intent(1, "a")).await.unwrap().note, "1");
    hours.store(25, Ordering::Relaxed);
    assert_eq!(count(&store, intent(1, "a")).await.unwrap().note, "1");
    let reused = count(&store, intent(1, "b")).await.unwrap_err();
    assert_eq!(reused.reason(), "REQUEST_ID_REUSED");
    hours.store(26, Ordering::Relaxed);
    assert_eq!(count(&store, intent(1, "b")).await.unwrap().note, "2");
}

#[tokio::test]
async fn what_is_past_keeping_is_swept_by_the_writes_that_follow() {
    let dir = tempfile::tempdir().unwrap();
    let (store, hours) = store(&dir);
    for number in 0..20 {
        count(&store, intent(number, "a")).await.unwrap();
    }
    hours.store(26, Ordering::Relaxed);
    // One that is used again must not be swept as the old one.
    count(&store, intent(7, "a")).await.unwrap();
    for number in 100..106 {
        count(&store, intent(number, "a")).await.unwrap();
    }
    let left: Vec<_> = store
        .latest()
        .scan(&REQUESTS, &())
        .map(|found| found.unwrap().0.1)
        .collect();
    let expected: Vec<_> = std::iter::once(7).chain(100..106).map(id).collect();
    assert_eq!(left, expected);
    assert_eq!(count(&store, intent(7, "a")).await.unwrap().note, "21");
}

#[tokio::test]
async fn a_second_call_is_told_that_the_first_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store(&dir);
    let mut first = intent(1, "a");
    assert_eq!(first.begin::<Missing>(&store).unwrap(), None);
    let refused = count(&store, intent(1, "a")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (tonic::Code::Aborted, "REQUEST_RUNNING")
    );
    assert_eq!(count(&store, intent(2, "a")).await.unwrap().note, "1");
    assert_eq!(count(&store, first).await.unwrap().note, "2");
    let mut again = intent(1, "a");
    let told = again.begin::<Missing>(&store).unwrap();
    assert_eq!(told, Some(message("2")));
}

#[tokio::test]
async fn what_follows_a_write_comes_also_when_its_caller_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store(&dir);
    let (told, follows) = tokio::sync::oneshot::channel();
    let (effect, may_commit) = std::sync::mpsc::channel();
    let write = write_then(
        &store,
        intent(1, "a"),
        move |_| {
            may_commit.recv().unwrap();
            Ok(message("done"))
        },
        move || told.send(()).unwrap(),
    );
    let mut write = Box::pin(write);
    let begun =
        std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context)));
    assert!(begun.await.is_pending());
    drop(write);
    effect.send(()).unwrap();
    follows.await.unwrap();
    let mut again = intent(1, "a");
    assert_eq!(again.begin(&store).unwrap(), Some(message("done")));
}

#[tokio::test]
async fn an_answer_that_clients_do_not_read_is_refused_and_nothing_written() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store(&dir);
    let answer = |note: usize| {
        write(&store, intent(1, "a"), move |tx| {
            tx.put(&EFFECTS, &0, &1).map_err(|e| store_fault(&e))?;
            Ok(message(&"x".repeat(note)))
        })
    };
    // Four bytes of length and one of the field beside the text.
    let refused = answer(MAX_ANSWER_BYTES - 4).await.unwrap_err();
    assert_eq!(refused.reason(), "TOO_MANY_ITEMS");
    assert_eq!(store.latest().get(&EFFECTS, &0).unwrap(), None);
    answer(MAX_ANSWER_BYTES - 5).await.unwrap();
}
