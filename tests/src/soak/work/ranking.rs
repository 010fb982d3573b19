//! What takes long in the ranking service: everything over many entities and indicators.

use almanac_proto::{
    common::v1::{ImportFinish, ImportStart},
    ranking::v1::{
        self as pb, import_observations_request::Frame,
        ranking_service_client::RankingServiceClient,
    },
};
use almanac_service_kit::import::{MAX_ROWS, WINDOW};
use tonic::transport::Channel;

use super::{Ask, Call, Long, Patient, Pending, begun, pending};
use crate::{Outcome, loader::Loader, service::Ranking, table, wire};

type Client = RankingServiceClient<Patient>;

const INDICATORS: usize = 40;
const YEAR: &str = "2024";
const EDITION: &str = "datasets/bench/indices/all/editions/first";

/// How long a creation is waited for.
const WAIT: prost_types::Duration = prost_types::Duration {
    seconds: 300,
    nanos: 0,
};

fn indicator(number: usize) -> String {
    format!("i{number}")
}

fn entity(number: usize) -> String {
    format!("e{number}")
}

impl Long for Ranking {
    type Caller = Client;

    fn calls() -> Vec<Call<Client>> {
        vec![
            Call::new("ListRankingResults, what-if", what_if),
            Call::new("GetScorecard, what-if", scorecard),
            Call::new("CreateEdition, validated only", edition),
            Call::new("VerifyEdition", verify),
            Call::new("ListObservations, few of many", search),
            Call::new("ListRankingResults of an edition", published),
            Call::new("ListEditionObservations, few of many", cells),
            Call::new("ImportObservations, only tried", |_, ask| import(ask, true)),
            Call::writing("ImportObservations, written", |_, ask| import(ask, false)),
            Call::cancelled("CreateEdition, cancelled", create),
        ]
    }

    fn caller(connection: Patient, origin: http::Uri) -> Client {
        Client::with_origin(connection, origin)
    }

    async fn prepare(channel: Channel, size: usize) -> Outcome<()> {
        let mut client = table::Client::new(channel);
        let indicators: Vec<_> = (0..INDICATORS).map(indicator).collect();
        let entities: Vec<_> = (0..size).map(entity).collect();
        table::create(&mut client, &indicators, &entities, YEAR).await?;
        let cells = (0..size).flat_map(|of| (0..INDICATORS).map(move |by| (by, of)));
        let rows: Vec<_> = cells
            .map(|(by, of)| {
                let value = ((of * 7919 + by * 104_729) % 99_991) as f64;
                wire::observation(&indicator(by), &entity(of), YEAR, value)
            })
            .collect();
        Loader::new(table::DATASET, &rows)
            .load(&mut client, |_| ())
            .await?;
        let request = pb::CreateEditionRequest {
            parent: table::INDEX.to_owned(),
            edition_id: "first".to_owned(),
            wait: Some(WAIT),
            ..Default::default()
        };
        let made = client.create_edition(request).await?.into_inner();
        if made.state() != pb::edition::State::Published {
            return Err(format!("the edition is {:?}", made.state()).into());
        }
        Ok(())
    }
}

/// The live ranking with weights that no other number has.
fn weighted(number: u64) -> pb::ListRankingResultsRequest {
    let node = indicator(usize::try_from(number).unwrap_or(0) % INDICATORS);
    table::ranking(&[(&node, 1.5 + number as f64 / 1e6)])
}

fn what_if(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(weighted(ask.number));
    pending(async move { client.list_ranking_results(request).await })
}

fn scorecard(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::GetScorecardRequest {
        source: weighted(ask.number).source,
        entity: entity(0),
        ..Default::default()
    });
    pending(async move { client.get_scorecard(request).await })
}

fn edition(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::CreateEditionRequest {
        parent: table::INDEX.to_owned(),
        edition_id: format!("tried-{}", ask.number),
        validate_only: true,
        ..Default::default()
    });
    pending(async move { client.create_edition(request).await })
}

/// An edition that is made, and cancelled if it is not waited for.
fn create(mut client: Client, ask: &Ask) -> Pending {
    let id = format!("made-{}", ask.number);
    let name = format!("{}/editions/{id}", table::INDEX);
    let request = ask.request(pb::CreateEditionRequest {
        parent: table::INDEX.to_owned(),
        edition_id: id,
        wait: Some(WAIT),
        ..Default::default()
    });
    let mut other = client.clone();
    let cancel = pb::CancelEditionRequest {
        name,
        ..Default::default()
    };
    begun(
        async move { client.create_edition(request).await },
        async move { other.cancel_edition(cancel).await },
    )
}

fn published(mut client: Client, ask: &Ask) -> Pending {
    let edition = pb::ranking_source::Source::Edition(EDITION.to_owned());
    let request = ask.request(pb::ListRankingResultsRequest {
        source: Some(pb::RankingSource {
            source: Some(edition),
        }),
        view: pb::RankingView::Full.into(),
        page_size: 1000,
        ..Default::default()
    });
    pending(async move { client.list_ranking_results(request).await })
}

fn cells(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::ListEditionObservationsRequest {
        parent: EDITION.to_owned(),
        filter: format!("entity = \"{}\"", entity(0)),
        ..Default::default()
    });
    pending(async move { client.list_edition_observations(request).await })
}

fn verify(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::VerifyEditionRequest {
        name: EDITION.to_owned(),
    });
    pending(async move { client.verify_edition(request).await })
}

fn search(mut client: Client, ask: &Ask) -> Pending {
    let request = ask.request(pb::ListObservationsRequest {
        parent: table::DATASET.to_owned(),
        filter: format!("period = \"2023\" AND entity = \"{}\"", entity(0)),
        ..Default::default()
    });
    pending(async move { client.list_observations(request).await })
}

/// A window of chunks; what is only tried leaves all as it was.
fn import(ask: &Ask, validate_only: bool) -> Pending {
    let start = ImportStart {
        parent: table::DATASET.to_owned(),
        import_id: format!("00000000-0000-4000-8000-{:012x}", ask.number),
        validate_only,
        ..Default::default()
    };
    let chunks = (1..=WINDOW as i64).map(|sequence| {
        let rows = (0..MAX_ROWS).map(|row| {
            let entity = entity(row % 100);
            wire::observation("i0", &entity, &(1900 + row / 100).to_string(), row as f64)
        });
        Frame::Chunk(pb::ImportChunk {
            sequence,
            observations: rows.collect(),
        })
    });
    let finish = Frame::Finish(ImportFinish {
        total_chunks: WINDOW as i64,
    });
    let frames = std::iter::once(Frame::Start(start)).chain(chunks);
    let messages = frames
        .chain([finish])
        .map(|frame| pb::ImportObservationsRequest { frame: Some(frame) });
    let method = "/almanac.ranking.v1.RankingService/ImportObservations";
    ask.streams.clone().send(method, ask.timeout, messages)
}
