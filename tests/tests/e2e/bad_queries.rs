//! Bad page tokens, filters, etags, masks, revisions and questions: each with its code and reason.

use almanac_proto::{common::v1 as common, ranking::v1 as pb};
use almanac_tests::wire;
use tonic::Code;

use crate::support::{
    CITIES, DATASET, INDEX, indicator_request, invalid, live_request, ranking, refused, small,
    write,
};

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
