//! The work behind CreateForecast: it goes on when the caller goes away, and is taken up again
//! when the service starts anew.

use std::sync::Arc;

use almanac_proto::forecast::v1::ErrorReason;
use almanac_service_kit::{
    fault::{Fault, check_digest},
    jobs::Job,
    name::join,
    plain::control::Stopped,
    resource::{Kind as _, find},
    store::{Read, Store, Transaction},
    write::commit,
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
pub fn resume(store: &Store, desk: &Desk) -> Result<(), Fault> {
    for row in store.latest().scan(&UNFINISHED, &()) {
        let ((_, forecast), market) = row.or_fault()?;
        let target = Target {
            market: market.value,
            forecast,
        };
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
        let work = || publish(&store, &points, &target, &job);
        if let Err(fault) = job.with_room(&store, work).await {
            let (forecast, error) = (target.name(), fault.message());
            tracing::error!(forecast, error, "not published");
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
    let (to, at) = (store.clone(), target.clone());
    let points = Arc::clone(points);
    let published = job.compute(move |job| {
        // Compaction may have come before the job was taken up again.
        let read = read.or_fault()?;
        let market = MarketView::load(&read, &at.market, job)?;
        let inputs = Inputs::gather(&points, &read, &market, &body.plan, job)?;
        let outlook = Outlook::compute(&inputs, job)?;
        check_digest(
            ErrorReason::ResultDigestMismatch,
            &body.expected_result_digest,
            &outlook.result_digest,
        )?;
        save(&to, job, &at, uid, inputs, outlook)
    });
    let at = target.clone();
    let failed = move |tx: &mut Transaction<'_>, fault| failed(tx, &at, uid, fault);
    job.conclude(store, published.await, cancelled(), failed)
        .await
}

/// Ends a forecast that its caller gave up and that is still being created, whether a job is at it or
/// not.
///
/// # Errors
/// NOT_FOUND, or a fault of the store.
pub async fn give_up(store: &Store, target: &Target) -> Result<(), Fault> {
    let found = find::<Forecasts>(&store.latest(), &target.parents(), &target.forecast)?;
    if found.value.body.state != ForecastState::Creating {
        return Ok(());
    }
    let (at, uid) = (target.clone(), found.value.uid);
    commit(store, move |tx| failed(tx, &at, uid, cancelled())).await
}

fn cancelled() -> Fault {
    let text = "its creation was cancelled";
    Fault::new(Code::Cancelled, ErrorReason::ForecastCancelled, text)
}

/// Writes inputs and values in several commits, which nobody reads before the last one says that
/// the forecast is published. A job that is taken up again writes the same once more.
fn save(
    store: &Store,
    job: &Job,
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
    let histories = (0..).zip(inputs.histories);
    job.put_rows(store, HISTORIES, uid, histories, bytes)?;
    let series = (0..).zip(outlook.series);
    job.put_rows(store, VALUES, uid, series, SeriesValues::bytes)?;
    let (at, fixed) = (target.clone(), inputs.fixed);
    job.commit(store, move |tx| {
        tx.put(&INPUTS, &uid, &fixed).or_fault()?;
        let outcome = Outcome {
            publish_time: tx.time().nanoseconds(),
            ..outcome
        };
        match finish(tx, &at, uid, ForecastState::Published, Some(outcome))? {
            true => Ok(()),
            // Cancelled meanwhile: nothing of this is kept.
            false => Err(Stopped.into()),
        }
    })
}

/// Says why it failed, unless it is final already.
fn failed(tx: &mut Transaction<'_>, target: &Target, uid: u64, fault: Fault) -> Result<(), Fault> {
    let encoded = fault.into_encoded(DOMAIN);
    finish(tx, target, uid, ForecastState::Failed(encoded), None).map(|_| ())
}

/// Ends a forecast that is still being created; whether it was.
fn finish(
    tx: &mut Transaction<'_>,
    target: &Target,
    uid: u64,
    state: ForecastState,
    outcome: Option<Outcome>,
) -> Result<bool, Fault> {
    let mut stored = find::<Forecasts>(tx, &target.parents(), &target.forecast)?.value;
    if stored.uid != uid || stored.body.state != ForecastState::Creating {
        return Ok(false);
    }
    let key = (target.scope(tx)?, target.forecast.clone());
    stored.body.state = state;
    stored.body.outcome = outcome;
    tx.delete(&UNFINISHED, &key).or_fault()?;
    tx.put(&FORECASTS, &key, &stored).or_fault()?;
    Ok(true)
}

/// A count or position below a million.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
