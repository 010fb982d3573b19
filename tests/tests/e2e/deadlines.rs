//! A call that takes too long, one too many, one whose caller leaves, and one that outlives the
//! service: each is told why, and the thread that computed for it is free again.

use std::time::Duration;

use almanac_proto::forecast::v1::{self as pb, forecast_service_client::ForecastServiceClient};
use almanac_service_kit::{limits::Limits, pool::PoolSettings, run::Config};
use almanac_tests::{
    question::question,
    refusal::Refusal,
    service::{Forecast, Running},
};
use tempfile::TempDir;
use tonic::{Code, Response, Status, transport::Channel};

use crate::support::refused;

type Client = ForecastServiceClient<Channel>;

/// One thread for calls and no queue, changed by the story.
async fn start(change: impl FnOnce(&mut Config)) -> (Running<Forecast>, TempDir) {
    let dir = TempDir::new().unwrap();
    let mut config = Config::local(dir.path().to_owned());
    config.compute = PoolSettings {
        threads: 1,
        queue: 0,
        memory_bytes: 1 << 30,
    };
    change(&mut config);
    (Running::start_with(config).await.unwrap(), dir)
}

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A question that takes far longer than a test waits, and one that takes no time.
const LONG: usize = 149;
const SHORT: usize = 2;

async fn ask(
    mut client: Client,
    regions: usize,
) -> Result<Response<pb::SolvePublishedFiguresResponse>, Status> {
    client.solve_published_figures(question(regions)).await
}

/// Asks the long question until no short one is in its way.
async fn ask_long(client: Client) -> Result<Response<pb::SolvePublishedFiguresResponse>, Status> {
    loop {
        match ask(client.clone(), LONG).await {
            Err(status) if status.code() == Code::ResourceExhausted => {}
            done => return done,
        }
    }
}

/// Asks until the long question is in the way.
async fn until_refused(client: &Client) -> Refusal {
    loop {
        match ask(client.clone(), SHORT).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => return Refusal::from(&status),
        }
    }
}

/// Asks until nothing is in the way; anything but a thread that is taken is a failure, and so is one
/// that is never free.
async fn until_answered(client: &Client) {
    let asked = tokio::time::timeout(PATIENCE, ask_on(client));
    asked.await.expect("the thread was never free");
}

async fn ask_on(client: &Client) {
    while let Err(status) = ask(client.clone(), SHORT).await {
        let reason = Refusal::from(&status).reason;
        assert!(
            ["COMPUTE_BUSY", "DEADLINE_EXCEEDED"].contains(&&*reason),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_computation_ends_at_its_deadline_and_leaves_its_thread() {
    let most = Duration::from_secs(2);
    let (service, _dir) = start(|config| {
        config.compute.queue = 1;
        config.limits.max_deadline = Some(most);
    })
    .await;
    let client = service.client();
    let late = ask(client.clone(), LONG).await;
    refused(late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "");
    // There is one thread, so this answer says that the long computation has left it.
    until_answered(&client).await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_leaves_frees_the_thread() {
    let (service, _dir) = start(|_| ()).await;
    let client = service.client();
    let long = tokio::spawn(ask_long(client.clone()));
    let refusal = until_refused(&client).await;
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason, "COMPUTE_BUSY");
    assert_eq!(refusal.metadata["compute_threads"], "1");
    assert_eq!(refusal.metadata["compute_queue"], "0");
    long.abort();
    until_answered(&client).await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn one_call_too_many_is_told_how_many_there_may_be() {
    let (service, _dir) = start(|config| {
        config.limits = Limits {
            max_calls: 1,
            ..Limits::default()
        };
    })
    .await;
    let client = service.client();
    let long = tokio::spawn(ask_long(client.clone()));
    let refusal = until_refused(&client).await;
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason, "TOO_MANY_CALLS");
    assert_eq!(refusal.metadata["max_calls"], "1");
    long.abort();
    service.stop().await.unwrap();
}

#[tokio::test]
async fn what_outlives_the_drain_is_cut_off_with_a_reason() {
    let (service, _dir) = start(|config| config.drain = Duration::ZERO).await;
    let client = service.client();
    let long = tokio::spawn(ask_long(client.clone()));
    until_refused(&client).await;
    service.stop().await.unwrap();
    refused(
        long.await.unwrap(),
        Code::Unavailable,
        "SERVER_DRAINING",
        "",
    );
}
