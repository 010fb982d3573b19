//! Reads say which state they are of, and may ask for one.

use almanac_proto::{
    common::v1::{Consistency, consistency::Requirement},
    ranking::v1 as pb,
};
use almanac_tests::wire;

use crate::support::{CITIES, DATASET, INDEX, RankingClient, invalid, ranking, small, write};

fn list(requirement: Option<Requirement>) -> pb::ListObservationsRequest {
    pb::ListObservationsRequest {
        parent: DATASET.to_owned(),
        filter: format!("indicator = \"air\" AND entity = \"{}\"", CITIES[0]),
        consistency: requirement.map(|of| Consistency {
            requirement: Some(of),
        }),
        ..Default::default()
    }
}

async fn air(client: &mut RankingClient, requirement: Option<Requirement>) -> f64 {
    let listed = client
        .list_observations(list(requirement))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.observations.len(), 1);
    match listed.observations[0].state {
        Some(pb::observation::State::Value(value)) => value,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn data_as_they_were_known_then() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let set = |value: f64| write(vec![wire::observation("air", CITIES[0], "2023", value)]);
    let first = client
        .write_observations(set(1.0))
        .await
        .unwrap()
        .into_inner();
    let request = pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: CITIES[0].to_owned(),
        period: "2023".to_owned(),
        ..Default::default()
    };
    let versions = client
        .list_observation_versions(request.clone())
        .await
        .unwrap()
        .into_inner();
    let known = versions.versions[0].write_time.unwrap();
    assert_eq!(versions.versions[0].revision, first.revision);
    let second = client
        .write_observations(set(2.0))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(second.revision, first.revision);

    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    assert_eq!(air(&mut client, None).await, 2.0);
    let exact = Requirement::ExactRevision(first.revision.clone());
    assert_eq!(air(&mut client, Some(exact.clone())).await, 1.0);
    let later = client
        .list_observation_versions(request)
        .await
        .unwrap()
        .into_inner();
    assert!(later.versions[0].write_time.unwrap().seconds >= known.seconds);
    assert_eq!(air(&mut client, Some(Requirement::AsOf(known))).await, 1.0);
    let read_your_writes = Requirement::AtLeastRevision(second.revision);
    assert_eq!(air(&mut client, Some(read_your_writes)).await, 2.0);

    // The live ranking over the data of then.
    let live = pb::LiveRanking {
        index: INDEX.to_owned(),
        overrides: Vec::new(),
        consistency: Some(Consistency {
            requirement: Some(exact),
        }),
    };
    let source = Some(pb::ranking_source::Source::Live(live));
    let request = pb::ListRankingResultsRequest {
        source: Some(pb::RankingSource { source }),
        ..Default::default()
    };
    let then = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(then.revision, first.revision);
    fresh.stop().await;
}

#[tokio::test]
async fn a_revision_of_another_store_is_refused() {
    let (one, other) = tokio::join!(ranking(), ranking());
    let mut client = one.service.client();
    small(&mut client).await;
    let seen = client
        .list_observations(list(None))
        .await
        .unwrap()
        .into_inner();
    let mut stranger = other.service.client();
    small(&mut stranger).await;
    for (requirement, field) in [
        (
            Requirement::ExactRevision(seen.revision.clone()),
            "consistency.exact_revision",
        ),
        (
            Requirement::AtLeastRevision(seen.revision.clone()),
            "consistency.at_least_revision",
        ),
    ] {
        let answer = stranger.list_observations(list(Some(requirement))).await;
        invalid(answer, "REVISION_UNKNOWN", field);
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn cancelling_what_is_final_changes_nothing() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let request = crate::support::edition_request("first");
    let edition = client.create_edition(request).await.unwrap().into_inner();
    let request = pb::CancelEditionRequest {
        name: edition.name,
        ..Default::default()
    };
    let cancelled = client.cancel_edition(request).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), pb::edition::State::Published);
    assert_eq!(cancelled.etag, edition.etag);
    fresh.stop().await;
}
