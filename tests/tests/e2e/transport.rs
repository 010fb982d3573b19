//! What the transport bounds: how many connections, how old they get, how large a message is.

use std::{net::SocketAddr, time::Duration};

use almanac_proto::{common::v1 as common, ranking::v1 as pb};
use almanac_service_kit::{import::Frame, limits::Limits, run::Config};
use almanac_tests::{
    loader::ImportStream,
    refusal::expect_error,
    service::{self, Forecast, Kind, Ranking, Running},
    wire,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::support::refused;

const ID: &str = "5a1e6c1c-3f4e-4c55-9b0f-2f6f7f1d0b01";

async fn start<K: Kind>(limits: Limits) -> (Running<K>, TempDir) {
    let dir = TempDir::new().unwrap();
    let mut config = Config::local(dir.path().to_owned());
    config.limits = limits;
    (Running::start_with(config).await.unwrap(), dir)
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_go_on() {
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let (service, _dir) = start::<Ranking>(limits).await;
    let mut held = TcpStream::connect(service.address()).await.unwrap();
    let mut third = TcpStream::connect(service.address()).await.unwrap();
    // Closed, or reset: it has no place.
    assert_eq!(third.read(&mut [0]).await.unwrap_or(0), 0);
    let mut client = service.client();
    let list = pb::ListDatasetsRequest::default();
    client.list_datasets(list.clone()).await.unwrap();

    held.shutdown().await.unwrap();
    while held.read(&mut [0]).await.unwrap_or(0) > 0 {}
    let channel = service::connect(service.address()).await.unwrap();
    Ranking::client(channel).list_datasets(list).await.unwrap();
    service.stop().await.unwrap();
}

/// Speaks HTTP/2 as a client without calls, until the server ends the connection; says whether it
/// was told to go away first.
async fn told_to_go(address: SocketAddr) -> bool {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GO_AWAY: u8 = 7;
    const PING: u8 = 6;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&SETTINGS).await.unwrap();
    let mut told = false;
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let [a, b, c, kind, flags, ..] = head;
        let mut body = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut body).await.unwrap();
        told |= kind == GO_AWAY;
        if kind == PING && flags == 0 {
            head[4] = 1;
            stream
                .write_all(&[&head[..], &body].concat())
                .await
                .unwrap();
        }
    }
    told
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_its_calls_go_on() {
    let limits = Limits {
        max_connection_age: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    let (service, _dir) = start::<Ranking>(limits).await;
    let mut client = service.client();
    let dataset = pb::CreateDatasetRequest {
        dataset_id: "d".to_owned(),
        dataset: Some(pb::Dataset::default()),
        ..Default::default()
    };
    client.create_dataset(dataset).await.unwrap();
    let mut stream = ImportStream::open(&mut client).await.unwrap();
    let begin = common::ImportStart {
        parent: "datasets/d".to_owned(),
        import_id: ID.to_owned(),
        on_error: common::OnError::Stop.into(),
        validate_only: false,
    };
    stream.send(Frame::Start(begin)).await;
    stream.next().await.unwrap().unwrap();

    // Younger than the client's, so that one has been told as well when this one was.
    assert!(told_to_go(service.address()).await);
    let finish = common::ImportFinish { total_chunks: 0 };
    stream.send(Frame::Finish(finish)).await;
    stream.next().await.unwrap().unwrap();
    // A client makes a new connection by itself.
    let list = pb::ListDatasetsRequest::default();
    client.list_datasets(list).await.unwrap();
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_is_as_large_as_is_set() {
    let small = Limits {
        max_message_bytes: 64 << 10,
        ..Limits::default()
    };
    let (service, _dir) = start::<Ranking>(small).await;
    let mut client = service.client();
    let fat = |kib: usize| pb::Observation {
        note: "n".repeat(kib << 10),
        ..wire::observation("air", "oslo", "2023", 1.0)
    };
    let write = |kib| pb::WriteObservationsRequest {
        parent: "datasets/d".to_owned(),
        observations: vec![fat(kib)],
        ..Default::default()
    };
    let answer = client.write_observations(write(65)).await;
    let refusal = refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "");
    assert_eq!(refusal.metadata["limit_bytes"], "65536");
    assert!(refusal.message.contains("65536"), "{refusal}");
    // Below it, the message is read.
    let answer = client.write_observations(write(60)).await;
    refused(
        answer,
        Code::InvalidArgument,
        "TEXT_TOO_LONG",
        "observations[0].note",
    );

    let mut stream = ImportStream::open(&mut client).await.unwrap();
    let rows = vec![fat(65)];
    stream.send(Frame::Chunk { sequence: 1, rows }).await;
    let reason = "MESSAGE_TOO_LARGE";
    let answer = stream.next().await;
    let refusal = expect_error(answer, Code::ResourceExhausted, reason, "").unwrap();
    assert_eq!(refusal.metadata["limit_bytes"], "65536");
    service.stop().await.unwrap();

    let large = Limits {
        max_message_bytes: 8 << 20,
        ..Limits::default()
    };
    let (service, _dir) = start::<Forecast>(large).await;
    let request = almanac_proto::forecast::v1::GetMarketRequest {
        name: "n".repeat(7 << 20),
        ..Default::default()
    };
    let answer = service.client().get_market(request).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    service.stop().await.unwrap();
}
