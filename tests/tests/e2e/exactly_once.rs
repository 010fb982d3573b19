//! A `request_id` makes a repeated call take effect once.

use almanac_proto::{forecast::v1 as fc, ranking::v1 as pb};
use almanac_tests::wire;
use tonic::Code;

use crate::support::{
    DATASET, edition_request, entity_request, forecast, invalid, ranking, refused, small, write,
};

const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

#[tokio::test]
async fn a_repeated_call_is_answered_as_the_first_was() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut request = entity_request("rome", "europe");
    request.request_id = ID.to_owned();
    let first = client
        .create_entity(request.clone())
        .await
        .unwrap()
        .into_inner();
    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    request.request_id = ID.to_owned();
    let again = client
        .create_entity(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first);
    // Another request under the same ID is a mistake of the caller's.
    let mut other = entity_request("pisa", "europe");
    other.request_id = ID.to_owned();
    invalid(
        client.create_entity(other).await,
        "REQUEST_ID_REUSED",
        "request_id",
    );
    // The ID belongs to its method.
    let mut observations = write(vec![wire::observation("air", "rome", "2023", 9.0)]);
    observations.request_id = ID.to_owned();
    let written = client
        .write_observations(observations.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client
        .write_observations(observations)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, written);
    let versions = pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: "rome".to_owned(),
        period: "2023".to_owned(),
        ..Default::default()
    };
    let versions = client
        .list_observation_versions(versions)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(versions.versions.len(), 1, "written once");
    // Without an ID a repeated creation is refused.
    let answer = client.create_entity(entity_request("rome", "europe")).await;
    refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS", "");
    fresh.stop().await;
}

#[tokio::test]
async fn calls_at_once_under_one_id_have_one_effect() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let calls = (0..16).map(|_| {
        let mut client = fresh.service.client();
        let mut request = entity_request("rome", "europe");
        request.request_id = ID.to_owned();
        tokio::spawn(async move { client.create_entity(request).await })
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(answer) => answers.push(answer.into_inner()),
            Err(status) => {
                refused::<()>(Err(status), Code::Aborted, "REQUEST_RUNNING", "");
            }
        }
    }
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    fresh.stop().await;
}

#[tokio::test]
async fn editions_and_forecasts_are_made_once() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut request = edition_request("first");
    request.request_id = ID.to_owned();
    let first = client
        .create_edition(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client.create_edition(request).await.unwrap().into_inner();
    assert_eq!(
        (again.uid, again.result_digest),
        (first.uid, first.result_digest)
    );
    fresh.stop().await;

    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let members = vec![wire::member("asia", "", "Asia")];
    let mut request = fc::CreateMarketRequest {
        market_id: "gdp".to_owned(),
        market: Some(wire::market("GDP", "USD", members)),
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let first = client
        .create_market(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client
        .create_market(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first);
    request.market_id = "spend".to_owned();
    invalid(
        client.create_market(request).await,
        "REQUEST_ID_REUSED",
        "request_id",
    );
    fresh.stop().await;
}

/// What a request was checked against may have changed since: it was answered, and that stands.
#[tokio::test]
async fn an_edition_asked_for_again_is_not_checked_again() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut preview = edition_request("first");
    preview.validate_only = true;
    let preview = client.create_edition(preview).await.unwrap().into_inner();
    let mut request = edition_request("first");
    request.request_id = ID.to_owned();
    request.expected_result_digest = preview.result_digest;
    let first = client
        .create_edition(request.clone())
        .await
        .unwrap()
        .into_inner();
    let changed = wire::observation("air", "oslo", "2023", 7.25);
    client
        .write_observations(write(vec![changed]))
        .await
        .unwrap();
    let again = client
        .create_edition(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.result_digest, first.result_digest);
    // The change does count for whoever asks anew.
    request.edition_id = "second".to_owned();
    request.request_id = String::new();
    refused(
        client.create_edition(request).await,
        Code::Aborted,
        "RESULT_DIGEST_MISMATCH",
        "",
    );
    fresh.stop().await;
}

#[tokio::test]
async fn validate_only_checks_and_writes_nothing() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut request = entity_request("rome", "europe");
    request.validate_only = true;
    let told = client
        .create_entity(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.name, format!("{DATASET}/entities/rome"));
    let get = pb::GetEntityRequest {
        name: told.name,
        consistency: None,
    };
    refused(
        client.get_entity(get).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
        "",
    );
    request.entity_id = "Rome".to_owned();
    invalid(
        client.create_entity(request).await,
        "ID_INVALID",
        "entity_id",
    );
    fresh.stop().await;
}
