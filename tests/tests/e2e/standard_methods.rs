//! The standard methods: create, get, list, update, delete and their batches.

use almanac_proto::ranking::v1 as pb;
use almanac_tests::wire;
use prost_types::FieldMask;
use tonic::Code;

use crate::support::{
    DATASET, entity_request, id_of, indicator_request, invalid, ranking, refused, small,
};

fn list(filter: &str, order_by: &str, page_size: i32) -> pb::ListEntitiesRequest {
    pb::ListEntitiesRequest {
        parent: DATASET.to_owned(),
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
        page_size,
        ..Default::default()
    }
}

#[tokio::test]
async fn lists_filter_sort_and_page() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    for (filter, order_by, expected) in [
        ("", "", vec!["bern", "lima", "oslo", "pune"]),
        ("", "id desc", vec!["pune", "oslo", "lima", "bern"]),
        ("labels.region = \"europe\"", "", vec!["bern", "oslo"]),
        (
            "labels.region != \"europe\"",
            "id desc",
            vec!["pune", "lima"],
        ),
        (
            "display_name:\"os\" OR id = \"lima\"",
            "",
            vec!["lima", "oslo"],
        ),
        (
            "labels.region = \"europe\" AND NOT id = \"oslo\"",
            "",
            vec!["bern"],
        ),
    ] {
        for page_size in [0, 1, 2, 1000] {
            let mut request = list(filter, order_by, page_size);
            let mut found = Vec::new();
            loop {
                let page = client
                    .list_entities(request.clone())
                    .await
                    .unwrap()
                    .into_inner();
                assert!(!page.revision.is_empty());
                found.extend(page.entities.iter().map(|of| id_of(&of.name).to_owned()));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(
                found, expected,
                "{filter} by {order_by:?}, {page_size} a page"
            );
        }
    }
    let nowhere = pb::ListEntitiesRequest {
        parent: "datasets/no".to_owned(),
        ..list("", "", 0)
    };
    refused(
        client.list_entities(nowhere).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
        "",
    );
    let odd = pb::ListEntitiesRequest {
        parent: "cities".to_owned(),
        ..list("", "", 0)
    };
    invalid(client.list_entities(odd).await, "NAME_INVALID", "parent");
    fresh.stop().await;
}

#[tokio::test]
async fn updates_change_what_the_mask_names() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let name = format!("{DATASET}/entities/oslo");
    let update = |paths: Option<&[&str]>, allow_missing: bool, id: &str| pb::UpdateEntityRequest {
        entity: Some(pb::Entity {
            name: format!("{DATASET}/entities/{id}"),
            display_name: "Oslo".to_owned(),
            ..Default::default()
        }),
        update_mask: paths.map(|paths| FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        }),
        allow_missing,
        ..Default::default()
    };
    // Without a mask: the fields that are set. With one: those named, also to empty them.
    let updated = client
        .update_entity(update(None, false, "oslo"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (updated.display_name.as_str(), updated.labels.len()),
        ("Oslo", 1)
    );
    let mask: Option<&[&str]> = Some(&["labels"]);
    let updated = client
        .update_entity(update(mask, false, "oslo"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (updated.display_name.as_str(), updated.labels.len()),
        ("Oslo", 0)
    );
    let get = pb::GetEntityRequest {
        name: name.clone(),
        consistency: None,
    };
    let read = client.get_entity(get).await.unwrap().into_inner();
    assert_eq!((&read.etag, &read.uid), (&updated.etag, &updated.uid));
    let absent = client.update_entity(update(None, false, "rome")).await;
    refused(absent, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    let created = client
        .update_entity(update(None, true, "rome"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(created.name, format!("{DATASET}/entities/rome"));
    // Run twice, it is the same resource.
    let again = client
        .update_entity(update(None, true, "rome"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.uid, created.uid);
    // What holds observations keeps its frequency.
    let indicator = pb::Indicator {
        name: format!("{DATASET}/indicators/air"),
        frequency: almanac_proto::common::v1::Frequency::Monthly.into(),
        ..Default::default()
    };
    let request = pb::UpdateIndicatorRequest {
        indicator: Some(indicator),
        ..Default::default()
    };
    let answer = client.update_indicator(request).await;
    invalid(answer, "FIELD_IMMUTABLE", "indicator.frequency");
    fresh.stop().await;
}

#[tokio::test]
async fn batches_are_atomic_and_in_order() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let batch = |ids: &[&str]| pb::BatchCreateEntitiesRequest {
        parent: DATASET.to_owned(),
        requests: ids.iter().map(|id| entity_request(id, "europe")).collect(),
        ..Default::default()
    };
    let twice = client
        .batch_create_entities(batch(&["rome", "pisa", "rome"]))
        .await;
    invalid(twice, "DUPLICATE_KEY", "requests[2].entity_id");
    let taken = client.batch_create_entities(batch(&["rome", "oslo"])).await;
    refused(taken, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS", "");
    let odd = client.batch_create_entities(batch(&["rome", "Pisa"])).await;
    invalid(odd, "ID_INVALID", "requests[1].entity_id");
    let none = client.batch_create_entities(batch(&[])).await;
    invalid(none, "FIELD_REQUIRED", "requests");
    let get = |ids: &[&str]| pb::BatchGetEntitiesRequest {
        parent: DATASET.to_owned(),
        names: ids
            .iter()
            .map(|id| format!("{DATASET}/entities/{id}"))
            .collect(),
        consistency: None,
    };
    let absent = client.batch_get_entities(get(&["oslo", "rome"])).await;
    refused(absent, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    client
        .batch_create_entities(batch(&["rome", "pisa"]))
        .await
        .unwrap();
    let found = client
        .batch_get_entities(get(&["rome", "oslo", "pisa"]))
        .await
        .unwrap();
    let found: Vec<String> = found
        .into_inner()
        .entities
        .into_iter()
        .map(|of| of.name)
        .collect();
    assert_eq!(found, get(&["rome", "oslo", "pisa"]).names);
    let indicators = pb::BatchCreateIndicatorsRequest {
        parent: DATASET.to_owned(),
        requests: vec![
            indicator_request("noise", wire::indicator("Noise")),
            indicator_request("rent", wire::indicator("Rent")),
        ],
        ..Default::default()
    };
    let created = client
        .batch_create_indicators(indicators)
        .await
        .unwrap()
        .into_inner();
    let names = created
        .indicators
        .iter()
        .map(|of| of.name.clone())
        .collect();
    let get = pb::BatchGetIndicatorsRequest {
        parent: DATASET.to_owned(),
        names,
        consistency: None,
    };
    let found = client.batch_get_indicators(get).await.unwrap().into_inner();
    let uids = |of: &[pb::Indicator]| of.iter().map(|of| of.uid.clone()).collect::<Vec<_>>();
    assert_eq!(uids(&found.indicators), uids(&created.indicators));
    fresh.stop().await;
}
