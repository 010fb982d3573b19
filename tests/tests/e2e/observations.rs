//! Observations keep every version, say where they come from, and can be missing or retracted.

use almanac_proto::{
    common::v1::{Missing, Retracted, missing},
    ranking::v1::{self as pb, observation::State},
};
use almanac_tests::wire;
use tonic::Code;

use crate::support::{DATASET, live_request, ranking, refused, small, write};

fn versions(period: &str) -> pb::ListObservationVersionsRequest {
    pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: "oslo".to_owned(),
        period: period.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_correction_never_erases() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let source = pb::CreateSourceRequest {
        parent: DATASET.to_owned(),
        source_id: "agency".to_owned(),
        source: Some(pb::Source {
            citation: "Air quality 2023".to_owned(),
            license: "CC-BY-4.0".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.create_source(source).await.unwrap();
    let missing = State::Missing(Missing {
        reason: missing::Reason::NotReported.into(),
        note: "the station was down".to_owned(),
    });
    let retracted = State::Retracted(Retracted {
        note: "wrong unit".to_owned(),
    });
    let states = [
        State::Value(4.5),
        missing,
        State::Value(0.1 + 0.2),
        retracted,
    ];
    for state in &states {
        let observation = pb::Observation {
            state: Some(state.clone()),
            source: "agency".to_owned(),
            note: "as published".to_owned(),
            status: pb::ObservationStatus::Provisional.into(),
            release_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 1,
            }),
            ..wire::observation("air", "oslo", "2023", 0.0)
        };
        client
            .write_observations(write(vec![observation]))
            .await
            .unwrap();
    }
    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let listed = client
        .list_observation_versions(versions("2023"))
        .await
        .unwrap()
        .into_inner();
    let found: Vec<_> = listed
        .versions
        .iter()
        .filter_map(|v| v.state.clone())
        .collect();
    let mut expected: Vec<_> = std::iter::once(State::Value(5.0)).chain(states).collect();
    expected.reverse();
    assert_eq!(found, expected, "newest first");
    let newest = &listed.versions[0];
    assert_eq!(newest.source, format!("{DATASET}/sources/agency"));
    assert_eq!(newest.note, "as published");
    assert_eq!(newest.status(), pb::ObservationStatus::Provisional);
    assert_eq!(
        newest.release_time.map(|time| (time.seconds, time.nanos)),
        Some((1_700_000_000, 1))
    );
    let time = |of: &pb::Observation| {
        of.write_time
            .map(|time| (time.seconds, time.nanos))
            .unwrap()
    };
    assert!(
        listed
            .versions
            .windows(2)
            .all(|pair| time(&pair[0]) >= time(&pair[1]))
    );
    let mut revisions: Vec<&str> = listed
        .versions
        .iter()
        .map(|v| v.revision.as_str())
        .collect();
    revisions.dedup();
    assert_eq!(revisions.len(), 5);

    let mut paged = Vec::new();
    let mut request = pb::ListObservationVersionsRequest {
        page_size: 2,
        ..versions("2023")
    };
    loop {
        let page = client
            .list_observation_versions(request.clone())
            .await
            .unwrap()
            .into_inner();
        paged.extend(page.versions);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(paged, listed.versions);
    let never = client.list_observation_versions(versions("1999")).await;
    refused(never, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    fresh.stop().await;
}

#[tokio::test]
async fn missing_and_retracted_figures_are_weighed_around() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let state = Some(State::Retracted(Retracted::default()));
    let gone = pb::Observation {
        state,
        ..wire::observation("air", "lima", "2023", 0.0)
    };
    client.write_observations(write(vec![gone])).await.unwrap();
    let request = pb::ListRankingResultsRequest {
        view: pb::RankingView::Full.into(),
        ..live_request()
    };
    let listed = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    let lima = listed
        .results
        .iter()
        .find(|result| result.entity.ends_with("/lima"))
        .unwrap();
    let score = |node: &str| {
        lima.nodes
            .iter()
            .find(|score| score.node == node)
            .and_then(|score| score.score)
    };
    assert_eq!((score("air"), score("breathing")), (None, None));
    assert_eq!(
        lima.score,
        score("moving"),
        "the weight went to what is there"
    );

    // Without any figure there is no score, no rank, and a reason.
    client
        .create_entity(crate::support::entity_request("rome", "europe"))
        .await
        .unwrap();
    let listed = client
        .list_ranking_results(live_request())
        .await
        .unwrap()
        .into_inner();
    let rome = listed.results.last().unwrap();
    assert!(rome.entity.ends_with("/rome"));
    assert_eq!((rome.score, rome.rank), (None, None));
    assert_eq!(rome.unranked_reason(), pb::UnrankedReason::NoData);
    fresh.stop().await;
}

#[tokio::test]
async fn what_if_changes_nothing() {
    use pb::r#override::Change;
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let before = client
        .list_ranking_results(live_request())
        .await
        .unwrap()
        .into_inner();
    let leader = |of: &pb::ListRankingResultsResponse| of.results[0].entity.clone();
    assert!(leader(&before).ends_with("/oslo"));
    let filter = "labels.region != \"europe\"".to_owned();
    let entities = pb::EntityFilter {
        filter,
        entities: Vec::new(),
    };
    let weight = |node: &str| pb::NodeWeight {
        node: node.to_owned(),
        weight: 0.0,
    };
    for (change, leads, count) in [
        (
            Change::Observation(wire::observation("transit", "lima", "2023", 500.0)),
            "lima",
            4,
        ),
        (Change::Entities(entities), "lima", 2),
        (Change::NodeWeight(weight("breathing")), "oslo", 4),
        (
            Change::Methodology(wire::methodology(wire::identity(), "2023", 0)),
            "oslo",
            4,
        ),
    ] {
        let live = pb::LiveRanking {
            index: crate::support::INDEX.to_owned(),
            overrides: vec![pb::Override {
                change: Some(change.clone()),
            }],
            consistency: None,
        };
        let source = Some(pb::ranking_source::Source::Live(live));
        let request = pb::ListRankingResultsRequest {
            source: Some(pb::RankingSource { source }),
            ..Default::default()
        };
        let tried = client
            .list_ranking_results(request)
            .await
            .unwrap()
            .into_inner();
        assert!(leader(&tried).ends_with(leads), "{change:?}: {tried:?}");
        assert_eq!(tried.results.len(), count, "{change:?}");
        assert_ne!(tried.input_digest, before.input_digest, "{change:?}");
    }
    let after = client
        .list_ranking_results(live_request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(after.result_digest, before.result_digest);
    fresh.stop().await;
}
