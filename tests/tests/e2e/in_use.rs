//! What is in use stays; indices, sources and datasets have the standard methods too.

use almanac_proto::ranking::v1 as pb;
use prost_types::FieldMask;
use tonic::Code;

use crate::support::{
    CITIES, DATASET, INDEX, edition_request, entity_request, id_of, index, ranking, refused, small,
};

#[tokio::test]
async fn what_is_in_use_cannot_be_deleted() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    client
        .create_edition(edition_request("first"))
        .await
        .unwrap();
    let in_use = |answer| refused::<()>(answer, Code::FailedPrecondition, "RESOURCE_IN_USE", "");
    let name = format!("{DATASET}/entities/oslo");
    let entity = pb::DeleteEntityRequest {
        name,
        ..Default::default()
    };
    in_use(client.delete_entity(entity.clone()).await);
    let name = format!("{DATASET}/indicators/air");
    in_use(
        client
            .delete_indicator(pb::DeleteIndicatorRequest {
                name,
                ..Default::default()
            })
            .await,
    );
    let name = INDEX.to_owned();
    in_use(
        client
            .delete_index(pb::DeleteIndexRequest {
                name,
                ..Default::default()
            })
            .await,
    );
    let name = DATASET.to_owned();
    in_use(
        client
            .delete_dataset(pb::DeleteDatasetRequest {
                name,
                ..Default::default()
            })
            .await,
    );

    // What is not in use goes, and what comes under its name later is another one.
    let created = client
        .create_entity(entity_request("rome", "europe"))
        .await
        .unwrap();
    let created = created.into_inner();
    let stale = pb::DeleteEntityRequest {
        name: created.name.clone(),
        etag: "0-0".to_owned(),
        ..Default::default()
    };
    refused(
        client.delete_entity(stale.clone()).await,
        Code::Aborted,
        "ETAG_MISMATCH",
        "",
    );
    let request = pb::DeleteEntityRequest {
        etag: created.etag,
        ..stale
    };
    client.delete_entity(request.clone()).await.unwrap();
    let again = client.delete_entity(request.clone()).await;
    refused(again, Code::NotFound, "RESOURCE_NOT_FOUND", "");
    let request = pb::DeleteEntityRequest {
        allow_missing: true,
        ..request
    };
    client.delete_entity(request).await.unwrap();
    let anew = client
        .create_entity(entity_request("rome", "asia"))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(anew.uid, created.uid);
    fresh.stop().await;
}

#[tokio::test]
async fn indices_sources_and_datasets_have_them_too() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let get = pb::GetIndexRequest {
        name: INDEX.to_owned(),
        consistency: None,
    };
    let read = client.get_index(get).await.unwrap().into_inner();
    assert_eq!(read.nodes.len(), index().nodes.len());
    assert_eq!(
        read.nodes[3].indicator,
        format!("{DATASET}/indicators/transit")
    );
    let request = pb::ListIndicesRequest {
        parent: DATASET.to_owned(),
        ..Default::default()
    };
    let listed = client.list_indices(request).await.unwrap().into_inner();
    assert_eq!(listed.indices.len(), 1);
    let mut changed = read.clone();
    changed.nodes[1].weight = Some(3.0);
    let request = pb::UpdateIndexRequest {
        index: Some(changed),
        update_mask: Some(FieldMask {
            paths: vec!["nodes".to_owned()],
        }),
        ..Default::default()
    };
    let updated = client.update_index(request).await.unwrap().into_inner();
    assert_eq!(updated.nodes[1].weight, Some(3.0));
    assert_eq!(updated.methodology, read.methodology);

    let source = pb::Source {
        name: format!("{DATASET}/sources/agency"),
        license: "CC0-1.0".to_owned(),
        ..Default::default()
    };
    let name = source.name.clone();
    let request = pb::UpdateSourceRequest {
        source: Some(source),
        allow_missing: true,
        ..Default::default()
    };
    client.update_source(request).await.unwrap();
    let get = pb::GetSourceRequest {
        name: name.clone(),
        consistency: None,
    };
    assert_eq!(
        client.get_source(get).await.unwrap().into_inner().license,
        "CC0-1.0"
    );
    let request = pb::ListSourcesRequest {
        parent: DATASET.to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_sources(request)
            .await
            .unwrap()
            .into_inner()
            .sources
            .len(),
        1
    );
    let request = pb::DeleteSourceRequest {
        name,
        ..Default::default()
    };
    client.delete_source(request).await.unwrap();

    let listed = client
        .list_datasets(pb::ListDatasetsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().datasets.len(), 1);
    let get = pb::GetDatasetRequest {
        name: DATASET.to_owned(),
        consistency: None,
    };
    assert!(
        !client
            .get_dataset(get)
            .await
            .unwrap()
            .into_inner()
            .revision
            .is_empty()
    );
    let request = pb::ListRankingResultsRequest {
        top: Some(2),
        order_by: "id".to_owned(),
        ..crate::support::live_request()
    };
    let top = client
        .list_ranking_results(request)
        .await
        .unwrap()
        .into_inner();
    let top: Vec<&str> = top
        .results
        .iter()
        .map(|result| id_of(&result.entity))
        .collect();
    assert_eq!(top, [CITIES[1], CITIES[0]]);
    fresh.stop().await;
}
