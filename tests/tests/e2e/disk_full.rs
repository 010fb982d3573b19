//! A service whose disk has too little free space: what would write is refused, all else goes on.

use std::time::Duration;

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::run::Config;
use almanac_tests::{
    refusal::Refusal,
    service::{Kind as _, Ranking, Running, serving},
    wire,
};
use tempfile::TempDir;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::{edition_request, entity_request, live_request, refused, small, write};

const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";

/// A service that wants more free space than any disk has, or none.
async fn start(dir: &TempDir, min_free_bytes: u64) -> Running<Ranking> {
    let config = Config {
        min_free_bytes,
        ..Config::local(dir.path().to_owned())
    };
    Running::start_with(config).await.unwrap()
}

/// Told to make room and try again later, and nothing of the machine.
#[track_caller]
fn full<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, dir: &TempDir) {
    if let Err(status) = &answer {
        let details = status.get_error_details();
        let retry = details.retry_info().and_then(|info| info.retry_delay);
        assert!(retry > Some(Duration::ZERO), "{status}");
    }
    let Refusal { message, .. } = refused(answer, Code::ResourceExhausted, "DISK_FULL", "");
    assert!(message.contains("disk"), "{message}");
    assert!(!message.contains(dir.path().to_str().unwrap()), "{message}");
}

#[tokio::test]
async fn writes_are_refused_and_all_else_goes_on() {
    let dir = TempDir::new().unwrap();
    let service = start(&dir, 0).await;
    let mut client = service.client();
    small(&mut client).await;
    let mut rome = entity_request("rome", "europe");
    rome.request_id = ID.to_owned();
    let created = client.create_entity(rome.clone()).await.unwrap();
    let before = client.list_ranking_results(live_request()).await.unwrap();
    service.stop().await.unwrap();

    let service = start(&dir, u64::MAX).await;
    let mut client = service.client();
    serving(service.channel(), Ranking::PROGRAM.service)
        .await
        .unwrap();
    full(
        client.create_entity(entity_request("pisa", "europe")).await,
        &dir,
    );
    let figure = wire::observation("air", "oslo", "2023", 1.0);
    full(client.write_observations(write(vec![figure])).await, &dir);
    full(client.create_edition(edition_request("first")).await, &dir);
    let deletion = pb::DeleteEntityRequest {
        name: created.get_ref().name.clone(),
        ..Default::default()
    };
    full(client.delete_entity(deletion.clone()).await, &dir);
    // What writes nothing is answered: a read, a trial, a repetition.
    let after = client.list_ranking_results(live_request()).await.unwrap();
    assert_eq!(after.into_inner(), before.into_inner());
    let mut trial = entity_request("pisa", "europe");
    trial.validate_only = true;
    client.create_entity(trial).await.unwrap();
    let again = client.create_entity(rome).await.unwrap();
    assert_eq!(again.into_inner(), created.into_inner());
    service.stop().await.unwrap();

    let service = start(&dir, 0).await;
    let mut client = service.client();
    client.delete_entity(deletion).await.unwrap();
    client
        .create_entity(entity_request("pisa", "europe"))
        .await
        .unwrap();
    service.stop().await.unwrap();
}
