//! Health, reflection, and the end of a service.

use std::collections::BTreeSet;

use almanac_tests::{
    Outcome,
    service::{Forecast, Kind, Ranking, Running},
};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::Fresh;

async fn health(channel: Channel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

/// What both versions of reflection list.
async fn listed(channel: Channel) -> [BTreeSet<String>; 2] {
    macro_rules! list {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(channel.clone());
            let answers = client
                .server_reflection_info(tokio_stream::once(request))
                .await;
            let answer = answers.unwrap().into_inner().next().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("{answer:?}");
            };
            list.service
                .into_iter()
                .map(|service| service.name)
                .collect()
        }};
    }
    [list!(v1), list!(v1alpha)]
}

async fn look<K: Kind>() {
    let fresh = Fresh::<K>::start().await;
    let service = K::PROGRAM.service;
    let channel = fresh.service.channel();
    assert_eq!(
        health(channel.clone(), "").await,
        Ok(ServingStatus::Serving)
    );
    assert_eq!(
        health(channel.clone(), service).await,
        Ok(ServingStatus::Serving)
    );
    assert_eq!(
        health(channel.clone(), "almanac.other").await,
        Err(Code::NotFound)
    );
    for services in listed(channel).await {
        let (reflection, own): (Vec<_>, Vec<_>) = services
            .into_iter()
            .partition(|name| name.starts_with("grpc.reflection."));
        assert!(reflection.len() <= 2, "{reflection:?}");
        assert_eq!(
            own,
            [service.to_owned(), "grpc.health.v1.Health".to_owned()]
        );
    }
    fresh.stop().await;
}

#[tokio::test]
async fn ranking_tells_its_health_and_its_own_package() {
    look::<Ranking>().await;
}

#[tokio::test]
async fn forecast_tells_its_health_and_its_own_package() {
    look::<Forecast>().await;
}

#[tokio::test]
async fn a_draining_service_says_so_and_ends() {
    let fresh = Fresh::<Ranking>::start().await;
    let request = HealthCheckRequest {
        service: Ranking::PROGRAM.service.to_owned(),
    };
    let mut client = HealthClient::new(fresh.service.channel());
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let address = fresh.service.address();
    let told = async move {
        let next = watch.message().await.unwrap().map(|answer| answer.status());
        // The open stream is a call in flight; closing it lets the service end.
        drop((watch, client));
        next
    };
    let (stopped, next) = tokio::join!(fresh.service.stop(), told);
    stopped.unwrap();
    assert_eq!(next, Some(ServingStatus::NotServing));
    assert!(
        almanac_tests::service::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn unknown_methods_are_told_with_a_reason() {
    use almanac_proto::forecast::v1 as fc;
    let fresh = Fresh::<Ranking>::start().await;
    // A client of the other service: the ranking service has no such method.
    let mut stranger = Forecast::client(fresh.service.channel());
    let answer = stranger
        .list_markets(fc::ListMarketsRequest::default())
        .await;
    crate::support::refused(answer, Code::Unimplemented, "METHOD_UNKNOWN", "");
    fresh.stop().await;
}

#[tokio::test]
async fn one_data_directory_belongs_to_one_store() {
    async fn second<K: Kind>() {
        let dir = TempDir::new().unwrap();
        let first = Running::<K>::start(dir.path()).await.unwrap();
        let second: Outcome<Running<K>> = Running::start(dir.path()).await;
        let Err(error) = second else {
            panic!("two stores in one directory")
        };
        assert!(error.to_string().contains("is in use"), "{error}");
        // The first is none the worse for it.
        assert_eq!(
            health(first.channel(), "").await,
            Ok(ServingStatus::Serving)
        );
        first.stop().await.unwrap();
        Running::<K>::start(dir.path())
            .await
            .unwrap()
            .stop()
            .await
            .unwrap();
    }
    second::<Ranking>().await;
    second::<Forecast>().await;
}
