//! Bad observations, tokens, etags and messages: each fault with its code, reason and field path.

use almanac_proto::{common::v1 as common, ranking::v1 as pb};
use almanac_tests::{refusal::Refusal, wire};
use tonic::Code;

use crate::support::{
    CITIES, DATASET, INDEX, indicator_request, invalid, live_request, ranking, refused, small,
    write,
};

/// A fault of an observation: what makes it wrong, the reason, and the field.
type Case = (fn(&mut pb::Observation), &'static str, &'static str);

const OBSERVATIONS: &[Case] = &[
    (
        |o| o.indicator = String::new(),
        "FIELD_REQUIRED",
        "indicator",
    ),
    (
        |o| o.indicator = "datasets/d".to_owned(),
        "NAME_INVALID",
        "indicator",
    ),
    (
        |o| o.indicator = "datasets/other/indicators/air".to_owned(),
        "NAME_INVALID",
        "indicator",
    ),
    (
        |o| o.indicator = "nothing".to_owned(),
        "INDICATOR_UNKNOWN",
        "indicator",
    ),
    (|o| o.entity = String::new(), "FIELD_REQUIRED", "entity"),
    (
        |o| o.entity = "atlantis".to_owned(),
        "ENTITY_UNKNOWN",
        "entity",
    ),
    (
        |o| o.source = "nowhere".to_owned(),
        "SOURCE_UNKNOWN",
        "source",
    ),
    (|o| o.period = String::new(), "FIELD_REQUIRED", "period"),
    (|o| o.period = "23".to_owned(), "PERIOD_INVALID", "period"),
    (
        |o| o.period = "2023-Q5".to_owned(),
        "PERIOD_INVALID",
        "period",
    ),
    (
        |o| o.period = "2023-Q2".to_owned(),
        "PERIOD_FREQUENCY_MISMATCH",
        "period",
    ),
    (|o| o.state = None, "ONEOF_UNSET", "state"),
    (|o| o.state = value(f64::NAN), "VALUE_NOT_FINITE", "value"),
    (
        |o| o.state = value(f64::INFINITY),
        "VALUE_NOT_FINITE",
        "value",
    ),
    (
        |o| o.state = value(f64::NEG_INFINITY),
        "VALUE_NOT_FINITE",
        "value",
    ),
    (|o| o.note = "x".repeat(1025), "TEXT_TOO_LONG", "note"),
    (|o| o.status = 99, "FIELD_INVALID", "status"),
];

fn value(value: f64) -> Option<pb::observation::State> {
    Some(pb::observation::State::Value(value))
}

fn good(city: &str) -> pb::Observation {
    wire::observation("air", city, "2022", 5.0)
}

#[tokio::test]
async fn every_fault_of_an_observation_is_told_where_it_is() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    for (spoil, reason, field) in OBSERVATIONS {
        let mut batch = vec![good("oslo"), good("lima")];
        spoil(&mut batch[1]);
        let answer = client.write_observations(write(batch)).await;
        invalid(answer, reason, &format!("observations[1].{field}"));
    }
    let twice = vec![good("oslo"), good("lima"), good("oslo")];
    let answer = client.write_observations(write(twice)).await;
    invalid(answer, "DUPLICATE_KEY", "observations[2]");
    let none = client.write_observations(write(Vec::new())).await;
    invalid(none, "FIELD_REQUIRED", "observations");
    let many = vec![good("oslo"); 10_001];
    invalid(
        client.write_observations(write(many)).await,
        "TOO_MANY_ITEMS",
        "observations",
    );
    // Nothing of all this was written.
    let request = pb::ListObservationsRequest {
        parent: DATASET.to_owned(),
        filter: "period = \"2022\"".to_owned(),
        ..Default::default()
    };
    let listed = client
        .list_observations(request)
        .await
        .unwrap()
        .into_inner();
    assert!(listed.observations.is_empty(), "{listed:?}");
    fresh.stop().await;
}

#[tokio::test]
async fn ten_thousand_violations_fit_into_one_answer() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let bad = pb::Observation {
        state: value(f64::NAN),
        ..good("oslo")
    };
    let answer = client.write_observations(write(vec![bad; 10_000])).await;
    let status = answer.unwrap_err();
    assert!(
        status.details().len() < 6 * 1024,
        "{}",
        status.details().len()
    );
    let refusal = Refusal::from(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::InvalidArgument, "VALUE_NOT_FINITE")
    );
    assert_eq!(refusal.metadata["violations_total"], "10000");
    assert!(
        (10..=50).contains(&refusal.fields.len()),
        "{}",
        refusal.fields.len()
    );
    assert!(refusal.names("observations[0].value", "VALUE_NOT_FINITE"));
    fresh.stop().await;
}

#[tokio::test]
async fn a_message_of_5_mib_is_refused_with_the_limit() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let big = pb::Observation {
        note: "x".repeat(5 << 20),
        ..good("oslo")
    };
    let answer = client.write_observations(write(vec![big])).await;
    let refusal = refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "");
    assert_eq!(refusal.metadata["limit_bytes"], (4 << 20).to_string());
    assert!(refusal.message.contains("4194304"), "{refusal}");
    // The connection is good for further calls.
    client
        .write_observations(write(vec![good("oslo")]))
        .await
        .unwrap();
    fresh.stop().await;
}

#[tokio::test]
async fn page_tokens_belong_to_their_query() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let first = pb::ListEntitiesRequest {
        parent: DATASET.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let token = client
        .list_entities(first.clone())
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    assert!(!token.is_empty());
    let other = pb::ListEntitiesRequest {
        page_token: token.clone(),
        filter: "labels.region = \"asia\"".to_owned(),
        ..first.clone()
    };
    invalid(
        client.list_entities(other).await,
        "PAGE_TOKEN_MISMATCH",
        "page_token",
    );
    let elsewhere = pb::ListIndicatorsRequest {
        parent: DATASET.to_owned(),
        page_token: token.clone(),
        ..Default::default()
    };
    invalid(
        client.list_indicators(elsewhere).await,
        "PAGE_TOKEN_MISMATCH",
        "page_token",
    );
    let ranking = pb::ListRankingResultsRequest {
        page_token: token,
        ..live_request()
    };
    invalid(
        client.list_ranking_results(ranking).await,
        "PAGE_TOKEN_MISMATCH",
        "page_token",
    );
    let made_up = pb::ListEntitiesRequest {
        page_token: "bm8".to_owned(),
        ..first.clone()
    };
    invalid(
        client.list_entities(made_up).await,
        "PAGE_TOKEN_INVALID",
        "page_token",
    );
    let negative = pb::ListEntitiesRequest {
        page_size: -1,
        ..first.clone()
    };
    invalid(
        client.list_entities(negative).await,
        "FIELD_INVALID",
        "page_size",
    );
    let filter = pb::ListEntitiesRequest {
        filter: "color = red".to_owned(),
        ..first.clone()
    };
    invalid(
        client.list_entities(filter).await,
        "FILTER_INVALID",
        "filter",
    );
    let order = pb::ListEntitiesRequest {
        order_by: "color".to_owned(),
        ..first
    };
    invalid(
        client.list_entities(order).await,
        "ORDER_BY_INVALID",
        "order_by",
    );
    fresh.stop().await;
}

#[tokio::test]
async fn etags_masks_and_revisions() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let name = format!("{DATASET}/entities/oslo");
    let get = pb::GetEntityRequest {
        name: name.clone(),
        consistency: None,
    };
    let read = client.get_entity(get.clone()).await.unwrap().into_inner();
    let update = |display_name: &str| pb::UpdateEntityRequest {
        entity: Some(pb::Entity {
            display_name: display_name.to_owned(),
            ..read.clone()
        }),
        ..Default::default()
    };
    let changed = client
        .update_entity(update("Oslo"))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(changed.etag, read.etag);
    let stale = client.update_entity(update("Kristiania")).await;
    let refusal = refused(stale, Code::Aborted, "ETAG_MISMATCH", "");
    assert_eq!(refusal.metadata["resource_name"], name);
    let mut wrong = update("Oslo");
    wrong.update_mask = Some(prost_types::FieldMask {
        paths: vec!["color".to_owned()],
    });
    invalid(
        client.update_entity(wrong).await,
        "UPDATE_MASK_INVALID",
        "update_mask",
    );

    let at = |token: &str| {
        let exact = common::consistency::Requirement::ExactRevision(token.to_owned());
        let consistency = Some(common::Consistency {
            requirement: Some(exact),
        });
        pb::GetEntityRequest {
            name: name.clone(),
            consistency,
        }
    };
    let then = client
        .get_entity(at(&read.revision))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(then.display_name, read.display_name);
    let unknown = client.get_entity(at("elsewhere")).await;
    invalid(unknown, "REVISION_UNKNOWN", "consistency.exact_revision");
    // Under a revision that is passed, a cell that has changed since is not overwritten.
    let value = |value: f64| vec![wire::observation("air", CITIES[0], "2023", value)];
    client.write_observations(write(value(6.0))).await.unwrap();
    let mut late = write(value(7.0));
    late.if_revision = Some(read.revision);
    let late = client.write_observations(late).await;
    refused(late, Code::Aborted, "CHANGED_SINCE_REVISION", "");
    fresh.stop().await;
}

#[tokio::test]
async fn what_a_ranking_may_be_asked() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let unset = pb::ListRankingResultsRequest::default();
    invalid(
        client.list_ranking_results(unset).await,
        "ONEOF_UNSET",
        "source.source",
    );
    let source = Some(pb::RankingSource::default());
    let unset = pb::ListRankingResultsRequest {
        source,
        ..Default::default()
    };
    invalid(
        client.list_ranking_results(unset).await,
        "ONEOF_UNSET",
        "source.source",
    );
    let change = |override_: pb::Override| {
        let live = pb::LiveRanking {
            index: INDEX.to_owned(),
            overrides: vec![override_],
            consistency: None,
        };
        let source = Some(pb::ranking_source::Source::Live(live));
        let source = Some(pb::RankingSource { source });
        pb::ListRankingResultsRequest {
            source,
            ..Default::default()
        }
    };
    let at = "source.live.overrides[0]";
    let unset = client
        .list_ranking_results(change(pb::Override::default()))
        .await;
    invalid(unset, "ONEOF_UNSET", &format!("{at}.change"));
    let weight = |node: &str, weight: f64| {
        let change = pb::r#override::Change::NodeWeight(pb::NodeWeight {
            node: node.to_owned(),
            weight,
        });
        pb::Override {
            change: Some(change),
        }
    };
    let answer = client
        .list_ranking_results(change(weight("nowhere", 1.0)))
        .await;
    invalid(answer, "NODE_UNKNOWN", &format!("{at}.node_weight.node"));
    let answer = client
        .list_ranking_results(change(weight("moving", -1.0)))
        .await;
    invalid(
        answer,
        "WEIGHT_NEGATIVE",
        &format!("{at}.node_weight.weight"),
    );
    let answer = client
        .list_ranking_results(change(weight("moving", f64::NAN)))
        .await;
    invalid(
        answer,
        "VALUE_NOT_FINITE",
        &format!("{at}.node_weight.weight"),
    );
    let node = pb::ListRankingResultsRequest {
        node: "nowhere".to_owned(),
        ..live_request()
    };
    invalid(
        client.list_ranking_results(node).await,
        "NODE_UNKNOWN",
        "node",
    );
    let source = wire::live("datasets/cities/indices/nothing");
    let absent = pb::ListRankingResultsRequest {
        source,
        ..Default::default()
    };
    let answer = client.list_ranking_results(absent).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND", "");

    let unset = pb::Indicator {
        direction: 0,
        ..wire::indicator("noise")
    };
    let answer = client
        .create_indicator(indicator_request("noise", unset))
        .await;
    invalid(answer, "FIELD_REQUIRED", "indicator.direction");
    let unset = pb::Indicator {
        frequency: 0,
        ..wire::indicator("noise")
    };
    let answer = client
        .create_indicator(indicator_request("noise", unset))
        .await;
    invalid(answer, "FIELD_REQUIRED", "indicator.frequency");
    fresh.stop().await;
}
