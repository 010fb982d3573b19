//! The work behind CreateForecast: it goes on when the caller goes away, and is taken up again
//! when the service starts anew.

use std::sync::Arc;

use almanac_proto::forecast::v1::ErrorReason;
use almanac_service_kit::{
    compute::compute,
    fault::{Fault, check_digest},
    jobs::Job,
    name::join,
    plain::control::Control as _,
    resource::{Kind as _, find},
    store::{Read, Store, Transaction},
    write::transact,
};
use tonic::Code;

use super::{
    Desk,
    forecasts::Forecasts,
    inputs::Inputs,
    outlook::{ENGINE_VERSION, Outlook},
};
use crate::{
    error::{DOMAIN, OrFault as _},
    store::{
        FORECASTS, ForecastState, MarketView,
        forecasts::{HISTORIES, History, INPUTS, Outcome, SeriesValues, UNFINISHED, VALUES},
        points::PointColumns,
    },
};

/// About how many bytes one transaction writes; the store takes up to 64 MiB.
const CHUNK_BYTES: usize = 8 << 20;

/// The forecast that a job makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// ID of the market.
    pub market: String,
    /// ID of the forecast.
    pub forecast: String,
}

impl Target {
    /// The forecast's resource name.
    #[must_use]
    pub fn name(&self) -> String {
        join(&[("markets", &self.market), ("forecasts", &self.forecast)])
    }

    /// The IDs before its own.
    #[must_use]
    pub fn parents(&self) -> Vec<String> {
        vec![self.market.clone()]
    }

    /// The uid of its market.
    ///
    /// # Errors
    /// NOT_FOUND for the market.
    pub fn scope(&self, read: &impl Read) -> Result<u64, Fault> {
        Forecasts::scope(read, &self.parents())
    }
}

/// Takes up every forecast that was being created when the service stopped.
///
/// # Errors
/// A fault of the store.
pub async fn resume(store: &Store, desk: &Desk) -> Result<(), Fault> {
    let read = store.latest();
    let targets = compute(move |_| {
        let rows = read.scan(&UNFINISHED, &());
        let targets = rows.map(|row| {
            let ((_, forecast), market) = row.or_fault()?;
            Ok(Target {
                market: market.value,
                forecast,
            })
        });
        targets.collect::<Result<Vec<Target>, Fault>>()
    })
    .await?;
    for target in targets {
        tracing::info!(forecast = target.name(), "resuming");
        start(store, desk, &target);
    }
    Ok(())
}

/// Starts the job of a forecast, unless it runs or the forecast is final.
pub fn start(store: &Store, desk: &Desk, target: &Target) {
    let (store, target) = (store.clone(), target.clone());
    let points = Arc::clone(&desk.points);
    desk.jobs.start(&target.name(), move |job| async move {
        while let Err(fault) = publish(&store, &points, &target, &job).await {
            let (forecast, error) = (target.name(), fault.message());
            // Other jobs hold the memory that it needs beside what it held.
            let Some(delay) = fault.retry_delay() else {
                tracing::error!(forecast, error, "not published");
                break;
            };
            tracing::info!(forecast, error, "begun again once others are done");
            tokio::time::sleep(delay).await;
        }
    });
}

/// Computes the forecast and writes it, or why it failed.
async fn publish(
    store: &Store,
    points: &PointColumns,
    target: &Target,
    job: &Arc<Job>,
) -> Result<(), Fault> {
    let found = find::<Forecasts>(&store.latest(), &target.parents(), &target.forecast)?;
    let (uid, body) = (found.value.uid, found.value.body);
    if body.state != ForecastState::Creating {
        return Ok(());
    }
    let revision = store.parse_token(&body.data_revision);
    let read = revision.and_then(|revision| store.at(revision));
    let (market, points) = (target.market.clone(), Arc::clone(points));
    let computed = job.compute(move |job| {
        // Compaction may have come before the job was taken up again.
        let read = read.or_fault()?;
        let market = MarketView::load(&read, &market)?;
        let inputs = Inputs::gather(&points, &read, &market, &body.plan, job)?;
        let outlook = Outlook::compute(&inputs, job)?;
        check_digest(
            ErrorReason::ResultDigestMismatch,
            &body.expected_result_digest,
            &outlook.result_digest,
        )?;
        Ok((inputs, outlook))
    });
    let computed = computed.await;
    let at = target.clone();
    match computed {
        Ok((inputs, outlook)) => save(store, target, uid, inputs, outlook).await,
        Err(_) if job.is_cancelled() => {
            let text = "its creation was cancelled";
            let fault = Fault::new(Code::Cancelled, ErrorReason::ForecastCancelled, text);
            transact(store, move |tx| failed(tx, &at, uid, fault.clone())).await
        }
        // Told to stop without being cancelled: the service ends, and the next start resumes.
        Err(_) if job.check().is_err() => Ok(()),
        Err(fault) if fault.retry_delay().is_some() => Err(fault),
        Err(fault) => transact(store, move |tx| failed(tx, &at, uid, fault.clone())).await,
    }
}

/// Writes inputs and values in several commits, which nobody reads before the last one says that
/// the forecast is published. A job that is taken up again writes the same once more.
async fn save(
    store: &Store,
    target: &Target,
    uid: u64,
    inputs: Inputs,
    outlook: Outlook,
) -> Result<(), Fault> {
    let outcome = Outcome {
        input_digest: outlook.input_digest,
        result_digest: outlook.result_digest,
        engine_version: ENGINE_VERSION,
        publish_time: 0,
        series: number(outlook.series.len()),
        leaves: number(inputs.histories.len()),
        points: inputs.points() as u64,
    };
    let bytes = |history: &History| history.values.len() * 9 + 64;
    for (first, chunk) in chunks(inputs.histories, bytes) {
        transact(store, move |tx| {
            chunk
                .iter()
                .zip(first..)
                .try_for_each(|(history, position)| {
                    tx.put(&HISTORIES, &(uid, number(position)), history)
                        .or_fault()
                })
        })
        .await?;
    }
    for (first, chunk) in chunks(outlook.series, SeriesValues::bytes) {
        transact(store, move |tx| {
            chunk
                .iter()
                .zip(first..)
                .try_for_each(|(values, position)| {
                    tx.put(&VALUES, &(uid, number(position)), values).or_fault()
                })
        })
        .await?;
    }
    let (at, fixed) = (target.clone(), inputs.fixed);
    transact(store, move |tx| {
        tx.put(&INPUTS, &uid, &fixed).or_fault()?;
        let outcome = Outcome {
            publish_time: tx.time().nanoseconds(),
            ..outcome.clone()
        };
        finish(tx, &at, uid, ForecastState::Published, Some(outcome))
    })
    .await
}

/// Cuts items into chunks of about [`CHUNK_BYTES`], each with the position of its first.
fn chunks<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<(usize, Vec<T>)> {
    let mut chunks: Vec<(usize, Vec<T>)> = Vec::new();
    let mut left = 0;
    for (position, item) in items.into_iter().enumerate() {
        let size = bytes(&item);
        match chunks.last_mut() {
            Some((_, chunk)) if left >= size => chunk.push(item),
            _ => {
                chunks.push((position, vec![item]));
                left = CHUNK_BYTES;
            }
        }
        left = left.saturating_sub(size);
    }
    chunks
}

fn failed(tx: &mut Transaction<'_>, target: &Target, uid: u64, fault: Fault) -> Result<(), Fault> {
    let encoded = fault.into_encoded(DOMAIN);
    finish(tx, target, uid, ForecastState::Failed(encoded), None)
}

/// Ends a forecast that is still being created.
fn finish(
    tx: &mut Transaction<'_>,
    target: &Target,
    uid: u64,
    state: ForecastState,
    outcome: Option<Outcome>,
) -> Result<(), Fault> {
    let mut stored = find::<Forecasts>(tx, &target.parents(), &target.forecast)?.value;
    if stored.uid != uid || stored.body.state != ForecastState::Creating {
        return Err(Fault::internal(
            &"a forecast became final while it was computed",
        ));
    }
    let key = (target.scope(tx)?, target.forecast.clone());
    stored.body.state = state;
    stored.body.outcome = outcome;
    tx.delete(&UNFINISHED, &key).or_fault()?;
    tx.put(&FORECASTS, &key, &stored).or_fault()
}

/// A count or position below a million.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_everything_in_order() {
        let sizes = vec![CHUNK_BYTES / 2, CHUNK_BYTES / 2, 1, CHUNK_BYTES * 2, 3];
        let chunks = chunks(sizes.clone(), |size| *size);
        let starts: Vec<usize> = chunks.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [0, 2, 3, 4]);
        let all: Vec<usize> = chunks.into_iter().flat_map(|(_, chunk)| chunk).collect();
        assert_eq!(all, sizes);
    }
}
