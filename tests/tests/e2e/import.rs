//! Imports through both services: the protocol as a client sees it, and that nothing is written
//! twice, half or not at all.

use almanac_proto::{
    common::v1::{ImportAck, ImportFinish, ImportStart, OnError},
    forecast::v1 as forecast_pb,
    ranking::v1 as pb,
};
use almanac_service_kit::import::{Answer, Frame, MAX_ROWS};
use almanac_tests::{
    loader::{ImportStream, Importer, Loader},
    refusal::{Refusal, expect_error},
    wire,
};
use tonic::{Code, Status};
use tonic_types::RpcStatusExt as _;

use crate::{
    bad_market::{MARKET, market_request, members},
    support::{DATASET, RankingClient, forecast, ranking, small},
};

const ID: &str = "5a1e6c1c-3f4e-4c55-9b0f-2f6f7f1d0a01";
const OTHER_ID: &str = "5a1e6c1c-3f4e-4c55-9b0f-2f6f7f1d0a02";

fn start(parent: &str, on_error: OnError) -> ImportStart {
    ImportStart {
        parent: parent.to_owned(),
        import_id: ID.to_owned(),
        on_error: on_error.into(),
        validate_only: false,
    }
}

/// Opens a stream and gives the sequence to go on with.
async fn begin<C: Importer>(
    client: &mut C,
    start: ImportStart,
) -> Result<(ImportStream<C>, i64), Status> {
    let mut stream = ImportStream::open(client).await?;
    stream.send(Frame::Start(start)).await;
    match stream.next().await? {
        Some(Answer::Resume(resume)) => Ok((stream, resume.next_sequence)),
        other => panic!("no resume but {other:?}"),
    }
}

async fn chunk<C: Importer>(
    stream: &mut ImportStream<C>,
    sequence: i64,
    rows: Vec<C::Row>,
) -> Result<ImportAck, Status> {
    stream.send(Frame::Chunk { sequence, rows }).await;
    match stream.next().await? {
        Some(Answer::Ack(ack)) => Ok(ack),
        other => panic!("no ack but {other:?}"),
    }
}

async fn finish<C: Importer>(
    stream: &mut ImportStream<C>,
    total_chunks: i64,
) -> Result<Answer, Status> {
    stream
        .send(Frame::Finish(ImportFinish { total_chunks }))
        .await;
    Ok(stream.next().await?.unwrap())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str) -> Refusal {
    let refusal = expect_error(result, code, reason, "").unwrap();
    assert!(refusal.domain.ends_with(".almanac"), "{refusal:?}");
    refusal
}

/// The `year`-th figure of Oslo's air.
fn air(year: usize, value: f64) -> pb::Observation {
    wire::observation("air", "oslo", &(1900 + year).to_string(), value)
}

fn gdp(year: usize, value: f64) -> forecast_pb::Point {
    wire::point("east", &(1900 + year).to_string(), value)
}

/// How many versions a year of [`air`] has.
async fn air_versions(client: &mut RankingClient, year: usize) -> usize {
    let request = pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: "oslo".to_owned(),
        period: (1900 + year).to_string(),
        ..Default::default()
    };
    match client.list_observation_versions(request).await {
        Ok(answer) => answer.into_inner().versions.len(),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status}");
            0
        }
    }
}

/// The whole protocol, with rows of years 1 to 4: each is written once at the end.
async fn protocol<C: Importer>(client: &mut C, parent: &str, row: fn(usize, f64) -> C::Row) {
    let rows = |year| vec![row(year, 1.0)];
    // What is only tried leaves nothing behind.
    let trial = ImportStart {
        validate_only: true,
        ..start(parent, OnError::Stop)
    };
    for _ in 0..2 {
        let (mut stream, next) = begin(client, trial.clone()).await.unwrap();
        assert_eq!(next, 1);
        let ack = chunk(&mut stream, 1, rows(1)).await.unwrap();
        assert!(!ack.durable);
        assert_eq!((ack.written_count, ack.revision.as_str()), (1, ""));
        let summary = finish(&mut stream, 1).await.unwrap();
        assert!(matches!(summary, Answer::Summary(of) if of.written_count == 1));
    }
    let mut nowhere = start(parent, OnError::Stop);
    nowhere.parent.push_str("-not");
    refused(
        begin(client, nowhere).await.map(drop),
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    let mut nameless = start(parent, OnError::Stop);
    nameless.import_id = "monday".to_owned();
    let answer = begin(client, nameless).await.map(drop);
    expect_error(
        answer,
        Code::InvalidArgument,
        "FIELD_INVALID",
        "start.import_id",
    )
    .unwrap();

    let (mut stream, next) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    assert_eq!(next, 1);
    let first = chunk(&mut stream, 1, rows(1)).await.unwrap();
    assert!(first.durable && !first.revision.is_empty());
    // A chunk that is sent again, in the same stream and in another, is answered again.
    assert_eq!(chunk(&mut stream, 1, rows(1)).await.unwrap(), first);
    let second = chunk(&mut stream, 2, rows(2)).await.unwrap();
    assert_ne!(second.revision, first.revision);
    drop(stream);
    let (mut stream, next) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    assert_eq!(next, 3);
    assert_eq!(chunk(&mut stream, 1, rows(1)).await.unwrap(), first);
    let changed = chunk(&mut stream, 2, vec![row(2, 5.0)]).await;
    let refusal = refused(changed, Code::InvalidArgument, "IMPORT_CHUNK_CHANGED");
    assert_eq!(refusal.metadata["sequence"], "2");

    let (mut stream, _) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    let gap = chunk(&mut stream, 4, rows(4)).await;
    let refusal = refused(gap, Code::FailedPrecondition, "IMPORT_SEQUENCE_GAP");
    assert_eq!(refusal.metadata["next_sequence"], "3");
    let other = begin(client, start(parent, OnError::RejectRow)).await;
    let (reused, field) = ("IMPORT_ID_REUSED", "start.on_error");
    expect_error(other.map(drop), Code::InvalidArgument, reused, field).unwrap();

    let (mut stream, _) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    chunk(&mut stream, 3, rows(3)).await.unwrap();
    let mut answers = stream.half_close();
    let cut = refused(
        answers.message().await.map(drop),
        Code::FailedPrecondition,
        "IMPORT_INCOMPLETE",
    );
    assert_eq!(cut.metadata["next_sequence"], "4");

    let (mut stream, _) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    chunk(&mut stream, 4, rows(4)).await.unwrap();
    let wrong = finish(&mut stream, 5).await;
    refused(wrong, Code::FailedPrecondition, "IMPORT_INCOMPLETE");
    let mut summaries = Vec::new();
    for _ in 0..2 {
        let (mut stream, next) = begin(client, start(parent, OnError::Stop)).await.unwrap();
        assert_eq!(next, 5);
        summaries.push(finish(&mut stream, 4).await.unwrap());
        assert_eq!(stream.next().await.unwrap(), None);
    }
    assert_eq!(summaries[0], summaries[1]);
    assert!(matches!(&summaries[0], Answer::Summary(of)
        if (of.total_chunks, of.written_count, of.rejected_count) == (4, 4, 0)));
    let (mut stream, _) = begin(client, start(parent, OnError::Stop)).await.unwrap();
    let late = chunk(&mut stream, 5, rows(5)).await;
    refused(late, Code::FailedPrecondition, "IMPORT_FINISHED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_over_observations() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    protocol(&mut client, DATASET, air).await;
    for year in 1..=5 {
        assert_eq!(
            air_versions(&mut client, year).await,
            usize::from(year < 5),
            "{year}"
        );
    }
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_over_points() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let market = market_request("gdp", members());
    client.create_market(market).await.unwrap();
    protocol(&mut client, MARKET, gdp).await;
    for year in 1..=5 {
        let request = forecast_pb::ListPointVersionsRequest {
            parent: MARKET.to_owned(),
            series: wire::region("east"),
            period: (1900 + year).to_string(),
            ..Default::default()
        };
        let versions = client.list_point_versions(request).await.unwrap();
        let count = versions.into_inner().versions.len();
        assert_eq!(count, usize::from(year < 5), "{year}");
    }
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_gone_on_with_also_after_a_restart() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let rows = |sequence: i64| {
        let first = (usize::try_from(sequence).unwrap() - 1) * 10;
        (first..first + 10)
            .map(|year| air(year, 2.0))
            .collect::<Vec<_>>()
    };
    // Six chunks are sent, one answer is read, and the client is gone.
    let (mut stream, _) = begin(&mut client, start(DATASET, OnError::Stop))
        .await
        .unwrap();
    for sequence in 1..=6 {
        let rows = rows(sequence);
        stream.send(Frame::Chunk { sequence, rows }).await;
    }
    assert!(matches!(stream.next().await, Ok(Some(Answer::Ack(ack))) if ack.sequence == 1));
    drop(stream);
    let (mut stream, next) = begin(&mut client, start(DATASET, OnError::Stop))
        .await
        .unwrap();
    assert!((2..=7).contains(&next), "{next}");
    for sequence in next..=7 {
        chunk(&mut stream, sequence, rows(sequence)).await.unwrap();
    }
    drop(stream);

    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let (mut stream, next) = begin(&mut client, start(DATASET, OnError::Stop))
        .await
        .unwrap();
    assert_eq!(next, 8);
    chunk(&mut stream, 8, rows(8)).await.unwrap();
    let summary = finish(&mut stream, 8).await.unwrap();
    assert!(matches!(summary, Answer::Summary(of) if of.written_count == 80));
    for year in 0..80 {
        assert_eq!(air_versions(&mut client, year).await, 1, "{year}");
    }
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_left_out_or_stop_the_import() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let rows = || {
        vec![
            air(0, 1.0),
            wire::observation("smog", "oslo", "1901", 1.0),
            wire::observation("air", "atlantis", "1902", 1.0),
            air(3, f64::NAN),
            air(0, 2.0),
            wire::observation("air", "oslo", "1904-Q1", 1.0),
            air(5, 1.0),
        ]
    };
    let told = [
        (1, "INDICATOR_UNKNOWN", "observations[1].indicator"),
        (2, "ENTITY_UNKNOWN", "observations[2].entity"),
        (3, "VALUE_NOT_FINITE", "observations[3].value"),
        (4, "DUPLICATE_KEY", "observations[4]"),
        (5, "PERIOD_FREQUENCY_MISMATCH", "observations[5].period"),
    ];
    let (mut stream, _) = begin(&mut client, start(DATASET, OnError::RejectRow))
        .await
        .unwrap();
    let ack = chunk(&mut stream, 1, rows()).await.unwrap();
    assert_eq!((ack.written_count, ack.rejected_count), (2, 5));
    assert_eq!(ack.row_errors.len(), told.len());
    for (error, (row, reason, field)) in ack.row_errors.iter().zip(told) {
        let status = error.status.as_ref().unwrap();
        assert_eq!(
            (error.row, status.code),
            (row, Code::InvalidArgument as i32)
        );
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, reason);
        assert_eq!(details.error_info().unwrap().domain, "ranking.almanac");
        let fields = &details.bad_request().unwrap().field_violations;
        assert_eq!(fields[0].field, field);
    }
    let summary = finish(&mut stream, 1).await.unwrap();
    assert!(matches!(summary, Answer::Summary(of)
        if (of.written_count, of.rejected_count) == (2, 5)));
    assert_eq!(air_versions(&mut client, 0).await, 1);

    let stopping = ImportStart {
        import_id: OTHER_ID.to_owned(),
        ..start(DATASET, OnError::Stop)
    };
    let (mut stream, _) = begin(&mut client, stopping.clone()).await.unwrap();
    chunk(&mut stream, 1, vec![air(6, 1.0)]).await.unwrap();
    // The next chunk is on its way when the bad one is found; it must not be written either.
    let after = vec![air(8, 1.0)];
    stream
        .send(Frame::Chunk {
            sequence: 2,
            rows: rows(),
        })
        .await;
    stream
        .send(Frame::Chunk {
            sequence: 3,
            rows: after,
        })
        .await;
    let refusal = refused(stream.next().await, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(refusal.metadata["sequence"], "2");
    assert!(
        told.iter()
            .all(|(_, reason, field)| refusal.names(field, reason)),
        "{refusal}"
    );
    for (year, versions) in [(0, 1), (5, 1), (6, 1), (8, 0)] {
        assert_eq!(air_versions(&mut client, year).await, versions, "{year}");
    }
    let (mut stream, next) = begin(&mut client, stopping).await.unwrap();
    assert_eq!(next, 2);
    chunk(&mut stream, 2, vec![air(8, 1.0)]).await.unwrap();
    assert!(finish(&mut stream, 2).await.is_ok());
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_changes_under_an_import_is_seen_by_its_next_rows() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let market = market_request("gdp", members());
    client.create_market(market).await.unwrap();
    let start = start(MARKET, OnError::RejectRow);
    let (mut stream, _) = begin(&mut client.clone(), start).await.unwrap();
    let rows = |year: &str| vec![gdp(1, 1.0), wire::point("north", year, 2.0)];
    let ack = chunk(&mut stream, 1, rows("1901")).await.unwrap();
    assert_eq!((ack.written_count, ack.rejected_count), (1, 1));
    let mut more = members();
    more.push(wire::member("north", "asia", "North"));
    let market = forecast_pb::Market {
        name: MARKET.to_owned(),
        ..wire::market("GDP", "billion USD", more)
    };
    let update = forecast_pb::UpdateMarketRequest {
        market: Some(market),
        ..Default::default()
    };
    client.update_market(update).await.unwrap();
    for (sequence, year) in [(2, "1902"), (3, "1903")] {
        let ack = chunk(&mut stream, sequence, rows(year)).await.unwrap();
        assert_eq!((ack.written_count, ack.rejected_count), (2, 0));
    }
    drop(stream);
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_not_read_from() {
    const CHUNKS: i64 = 60;
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let (mut stream, _) = begin(&mut client, start(DATASET, OnError::RejectRow))
        .await
        .unwrap();
    // Each answer has 256 KiB of row errors: sixty of them are more than any window of the transport.
    let bad = air(1, f64::NAN);
    let frames = stream.sender();
    let sender = tokio::spawn(async move {
        for sequence in 1..=CHUNKS {
            let rows = vec![bad.clone(); MAX_ROWS];
            let frame = RankingClient::request(Frame::Chunk { sequence, rows });
            if frames.send(frame).await.is_err() {
                return false;
            }
        }
        true
    });
    // The first answer shows that the import has begun; none of the others is read for now.
    assert!(matches!(stream.next().await, Ok(Some(Answer::Ack(_)))));
    // Others are served meanwhile, and the sender waits for us.
    assert_eq!(air_versions(&mut client, 1).await, 0);
    assert!(!sender.is_finished(), "the server has read it all");
    for sequence in 2..=CHUNKS {
        let answer = stream.next().await.unwrap().unwrap();
        let Answer::Ack(ack) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!((ack.sequence, ack.rejected_count), (sequence, 5000));
    }
    assert!(sender.await.unwrap());
    assert!(finish(&mut stream, CHUNKS).await.is_ok());
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_chunk_fits_and_a_larger_message_is_refused_with_its_reason() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let row = |year: usize, note: usize| pb::Observation {
        indicator: format!("{DATASET}/indicators/air"),
        entity: format!("{DATASET}/entities/oslo"),
        note: "n".repeat(note),
        ..air(year, 1.0)
    };
    let rows: Vec<_> = (0..MAX_ROWS).map(|year| row(year, 600)).collect();
    let (mut stream, _) = begin(&mut client, start(DATASET, OnError::RejectRow))
        .await
        .unwrap();
    let ack = chunk(&mut stream, 1, rows).await.unwrap();
    assert_eq!(ack.written_count, 5000);
    let rows: Vec<_> = (0..MAX_ROWS).map(|year| row(year, 1000)).collect();
    let refusal = refused(
        chunk(&mut stream, 2, rows).await,
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
    );
    assert_eq!(refusal.metadata["limit_bytes"], "4194304");
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_service_ends_the_stream_and_the_import_goes_on_after_it() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let (mut stream, _) = begin(&mut client, start(DATASET, OnError::Stop))
        .await
        .unwrap();
    chunk(&mut stream, 1, vec![air(1, 1.0)]).await.unwrap();
    let (fresh, end) = tokio::join!(fresh.restart(), stream.next());
    let refusal = refused(end, Code::Unavailable, "SERVER_DRAINING");
    assert!(refusal.message.contains("shutting down"), "{refusal}");
    let mut client = fresh.service.client();
    let (mut stream, next) = begin(&mut client, start(DATASET, OnError::Stop))
        .await
        .unwrap();
    assert_eq!(next, 2);
    assert!(finish(&mut stream, 1).await.is_ok());
    assert_eq!(air_versions(&mut client, 1).await, 1);
    fresh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_keeps_a_window_and_reports() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let mut rows: Vec<_> = (0..100).map(|year| air(year, 3.0)).collect();
    rows[42].entity = "atlantis".to_owned();
    let mut acknowledged = Vec::new();
    let loader = Loader::new(DATASET, &rows).chunk_rows(7).reject_rows();
    let loaded = loader.load(&mut client, |ack| acknowledged.push(ack.sequence));
    let loaded = loaded.await.unwrap();
    assert_eq!(acknowledged, (1..=15).collect::<Vec<_>>());
    assert_eq!(
        (loaded.summary.written_count, loaded.summary.rejected_count),
        (99, 1)
    );
    assert_eq!(loaded.rejected[0].row, 42);
    let stopped = Loader::new(DATASET, &rows).load(&mut client, |_| ()).await;
    let refusal = refused(stopped, Code::InvalidArgument, "ENTITY_UNKNOWN");
    assert!(refusal.names("observations[42].entity", "ENTITY_UNKNOWN"));
    fresh.stop().await;
}
