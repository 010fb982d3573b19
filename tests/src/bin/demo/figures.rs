//! The figures of the world-cities data set: imported in chunks, missing ones said so.

use std::collections::BTreeMap;

use almanac_proto::{
    common::v1::{Missing, missing},
    ranking::v1::{self as pb, observation::State},
};
use almanac_tests::{Outcome, data, loader::Loader, wire};

use crate::{
    During as _,
    cities::{Client, DATASET},
    table::step,
};

/// Small, so that there is more than one.
const CHUNK: usize = 300;

fn observation(cell: &data::Cell) -> pb::Observation {
    let state = match cell.value {
        Some(value) => State::Value(value),
        None => State::Missing(Missing {
            reason: missing::Reason::NotReported.into(),
            note: String::new(),
        }),
    };
    pb::Observation {
        source: format!("{DATASET}/sources/{}", cell.source),
        state: Some(state),
        ..wire::observation(
            &format!("{DATASET}/indicators/{}", cell.indicator),
            &format!("{DATASET}/entities/{}", cell.city),
            &cell.period,
            0.0,
        )
    }
}

type Cells = BTreeMap<(String, String, String), Option<State>>;

async fn stored(client: &mut Client) -> Outcome<Cells> {
    let mut cells = Cells::new();
    let mut request = pb::ListObservationsRequest {
        parent: DATASET.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    loop {
        let page = client.list_observations(request.clone()).await;
        let page = page.during("listing the observations")?;
        for of in page.observations {
            cells.insert((of.indicator, of.entity, of.period), of.state);
        }
        if page.next_page_token.is_empty() {
            return Ok(cells);
        }
        request.page_token = page.next_page_token;
    }
}

/// Writes the figures that are not there yet.
pub(crate) async fn load(client: &mut Client, data: &data::Cities) -> Outcome<()> {
    let there = stored(client).await?;
    let absent = data.cells.iter().map(observation).filter(|of| {
        let key = (of.indicator.clone(), of.entity.clone(), of.period.clone());
        there.get(&key) != Some(&of.state)
    });
    let absent: Vec<pb::Observation> = absent.collect();
    let (total, mut written) = (absent.len(), 0);
    let mut lines = Vec::new();
    if total > 0 {
        let loader = Loader::new(DATASET, &absent).chunk_rows(CHUNK);
        let loaded = loader.load(client, |ack| {
            written += ack.written_count;
            lines.push(format!("{written:>5} of {total} observations are durable"));
        });
        loaded.await.during("importing observations")?;
    }
    for line in lines {
        step(&line)?;
    }
    let kept = data.cells.len() - absent.len();
    if kept > 0 {
        step(&format!(
            "{kept} observations were there already, with the same figures"
        ))?;
    }
    Ok(())
}
