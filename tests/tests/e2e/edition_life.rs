//! An edition never changes, survives a restart to the bit, and can be replayed.

use almanac_proto::{common::v1 as common, ranking::v1 as pb};
use almanac_tests::wire;
use pb::{edition::State, verify_edition_response::Outcome};
use tonic::Code;

use crate::support::{
    DATASET, RankingClient, edition_request, entity_request, id_of, index, index_request,
    live_request, ranking, refused, small, write,
};

const FIRST: &str = "datasets/cities/indices/livable/editions/first";

fn at(revision: &str) -> Option<common::Consistency> {
    let exact = common::consistency::Requirement::ExactRevision(revision.to_owned());
    Some(common::Consistency {
        requirement: Some(exact),
    })
}

fn get(name: &str) -> pb::GetEditionRequest {
    pb::GetEditionRequest {
        name: name.to_owned(),
        consistency: None,
    }
}

async fn verified(client: &mut RankingClient, name: &str) {
    let request = pb::VerifyEditionRequest {
        name: name.to_owned(),
    };
    let replay = client.verify_edition(request).await.unwrap().into_inner();
    assert_eq!(replay.outcome(), Outcome::Match, "{replay:?}");
    assert_eq!(replay.recorded_result_digest, replay.replayed_result_digest);
    assert_eq!(replay.recorded_input_digest, replay.replayed_input_digest);
}

async fn results(
    client: &mut RankingClient,
    source: Option<pb::RankingSource>,
) -> pb::ListRankingResultsResponse {
    let view = pb::RankingView::Full.into();
    let request = pb::ListRankingResultsRequest {
        source,
        view,
        ..Default::default()
    };
    client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn an_edition_stays_as_it_was() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let edition = client
        .create_edition(edition_request("first"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(edition.state(), State::Published);
    assert!(edition.input_digest.len() >= 64 && edition.result_digest.len() >= 64);
    let before = results(&mut client, wire::edition(FIRST)).await;
    let live = client
        .list_ranking_results(live_request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(live.result_digest, edition.result_digest);
    assert_eq!(live.input_digest, edition.input_digest);

    // Bern overtakes everybody: the live ranking knows, the edition does not.
    let changed = vec![wire::observation("transit", "bern", "2023", 1000.0)];
    client.write_observations(write(changed)).await.unwrap();
    let live = results(&mut client, wire::live(crate::support::INDEX)).await;
    assert_ne!(live.result_digest, edition.result_digest);
    assert_ne!(live.input_digest, edition.input_digest);
    let bern = |of: &pb::ListRankingResultsResponse| {
        let found = of
            .results
            .iter()
            .find(|result| id_of(&result.entity) == "bern");
        found
            .and_then(|result| result.nodes[..].iter().find(|node| node.node == "transit"))
            .and_then(|node| node.rank)
    };
    assert_eq!((bern(&before), bern(&live)), (Some(4), Some(1)));
    assert_eq!(
        results(&mut client, wire::edition(FIRST)).await.results,
        before.results
    );

    // After a restart it is the same to the bit, and so is its replay.
    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let mut again = client.get_edition(get(FIRST)).await.unwrap().into_inner();
    again.revision.clone_from(&edition.revision);
    assert_eq!(again, edition);
    let after = results(&mut client, wire::edition(FIRST)).await;
    assert_eq!(after.results, before.results);
    assert_eq!(after.result_digest, edition.result_digest);
    verified(&mut client, FIRST).await;

    // The cells that went in are those of before.
    let request = pb::ListEditionObservationsRequest {
        parent: FIRST.to_owned(),
        filter: "indicator = \"transit\" AND entity = \"bern\"".to_owned(),
        ..Default::default()
    };
    let cells = client
        .list_edition_observations(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cells.observations.len(), 1, "{cells:?}");
    assert_eq!(
        (cells.observations[0].value, cells.observations[0].age),
        (Some(0.0), 0)
    );
    fresh.stop().await;
}

#[tokio::test]
async fn an_edition_says_as_the_live_ranking_does_why_an_entity_is_unranked() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    for id in ["rome", "nice"] {
        let created = client.create_entity(entity_request(id, "europe")).await;
        created.unwrap();
    }
    // Of what Nice needs in both, it has one.
    let one = vec![wire::observation("air", "nice", "2023", 6.0)];
    client.write_observations(write(one)).await.unwrap();
    let mut strict = index();
    if let Some(aggregation) = strict
        .methodology
        .as_mut()
        .and_then(|m| m.aggregation.as_mut())
    {
        aggregation.minimum_availability = Some(1.0);
    }
    let created = client.create_index(index_request("strict", strict)).await;
    created.unwrap();
    let request = pb::CreateEditionRequest {
        parent: format!("{DATASET}/indices/strict"),
        ..edition_request("first")
    };
    let edition = client.create_edition(request).await.unwrap().into_inner();
    assert_eq!(edition.state(), State::Published);

    let live = wire::live(&format!("{DATASET}/indices/strict"));
    for source in [live, wire::edition(&edition.name)] {
        let why = async |node: &str| {
            let request = pb::ListRankingResultsRequest {
                source: source.clone(),
                node: node.to_owned(),
                ..Default::default()
            };
            let listed = client.clone().list_ranking_results(request).await;
            let results = listed.unwrap().into_inner().results;
            let of = |id: &str| {
                let found = results.iter().find(|one| id_of(&one.entity) == id);
                found.map(pb::RankingResult::unranked_reason)
            };
            (of("oslo"), of("nice"), of("rome"))
        };
        let (ranked, few, none) = (
            Some(pb::UnrankedReason::Unspecified),
            Some(pb::UnrankedReason::LowAvailability),
            Some(pb::UnrankedReason::NoData),
        );
        assert_eq!(why("").await, (ranked, few, none));
        assert_eq!(why("breathing").await, (ranked, ranked, none));
        assert_eq!(why("transit").await, (ranked, none, none));
    }
    fresh.stop().await;
}

#[tokio::test]
async fn what_was_seen_is_what_is_published() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let seen = client
        .list_ranking_results(live_request())
        .await
        .unwrap()
        .into_inner();
    let changed = vec![wire::observation("transit", "bern", "2023", 1000.0)];
    client.write_observations(write(changed)).await.unwrap();

    let expecting = |id: &str| pb::CreateEditionRequest {
        expected_result_digest: seen.result_digest.clone(),
        ..edition_request(id)
    };
    let late = client.create_edition(expecting("late")).await;
    refused(late, Code::Aborted, "RESULT_DIGEST_MISMATCH", "");
    let request = pb::CreateEditionRequest {
        consistency: at(&seen.revision),
        ..expecting("seen")
    };
    let dry = pb::CreateEditionRequest {
        validate_only: true,
        ..request.clone()
    };
    let dry = client.create_edition(dry).await.unwrap().into_inner();
    assert_eq!(dry.result_digest, seen.result_digest);
    let nothing = client.get_edition(get(&dry.name)).await;
    refused(nothing, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    let edition = client.create_edition(request).await.unwrap().into_inner();
    assert_eq!(edition.result_digest, seen.result_digest);
    assert_eq!(edition.data_revision, seen.revision);
    verified(&mut client, &edition.name).await;

    // The same data give the same digests under another name; an ID is taken once.
    let request = pb::CreateEditionRequest {
        consistency: at(&seen.revision),
        ..edition_request("twin")
    };
    let twin = client
        .create_edition(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(twin.result_digest, edition.result_digest);
    assert_eq!(twin.input_digest, edition.input_digest);
    let taken = client.create_edition(request).await;
    refused(taken, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS", "");
    fresh.stop().await;
}

#[tokio::test]
async fn a_withdrawn_edition_stays_readable() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let edition = client
        .create_edition(edition_request("first"))
        .await
        .unwrap()
        .into_inner();
    let request = pb::WithdrawEditionRequest {
        name: FIRST.to_owned(),
        reason: "air of Lima was mistaken".to_owned(),
        etag: "0-0".to_owned(),
        ..Default::default()
    };
    let stale = client.withdraw_edition(request.clone()).await;
    refused(stale, Code::Aborted, "ETAG_MISMATCH", "");
    let unsaid = pb::WithdrawEditionRequest {
        reason: String::new(),
        ..request.clone()
    };
    let unsaid = client.withdraw_edition(unsaid).await;
    refused(unsaid, Code::InvalidArgument, "FIELD_REQUIRED", "reason");
    let request = pb::WithdrawEditionRequest {
        etag: edition.etag.clone(),
        ..request
    };
    let withdrawn = client.withdraw_edition(request).await.unwrap().into_inner();
    assert_eq!(withdrawn.state(), State::Withdrawn);
    assert_eq!(withdrawn.withdraw_reason, "air of Lima was mistaken");
    assert_ne!(withdrawn.etag, edition.etag);
    assert_eq!(withdrawn.result_digest, edition.result_digest);
    assert_eq!(
        results(&mut client, wire::edition(FIRST))
            .await
            .results
            .len(),
        4
    );
    verified(&mut client, FIRST).await;

    let request = pb::ListEditionsRequest {
        parent: crate::support::INDEX.to_owned(),
        filter: "state = \"WITHDRAWN\"".to_owned(),
        ..Default::default()
    };
    let listed = client.list_editions(request).await.unwrap().into_inner();
    assert_eq!(listed.editions.len(), 1);
    assert!(listed.editions[0].nodes.is_empty());
    let absent = client
        .get_edition(get(&format!("{DATASET}/indices/livable/editions/no")))
        .await;
    refused(absent, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    fresh.stop().await;
}

#[tokio::test]
async fn pages_of_a_ranking_agree_with_each_other() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut request = live_request();
    let whole = client
        .list_ranking_results(request.clone())
        .await
        .unwrap()
        .into_inner();
    request.page_size = 1;
    let mut paged = Vec::new();
    loop {
        let page = client
            .list_ranking_results(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!((page.total_size, &page.revision), (4, &whole.revision));
        paged.extend(page.results);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        // Data that change between pages do not show on later ones.
        let value = 1000.0 + paged.len() as f64;
        let changed = vec![wire::observation("transit", "bern", "2023", value)];
        client.write_observations(write(changed)).await.unwrap();
    }
    assert_eq!(paged, whole.results);
    fresh.stop().await;
}
