//! CreateForecast and CancelForecast.

use std::{sync::Arc, time::Duration};

use almanac_proto::forecast::v1::{self as pb, ErrorReason};
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations, check_digest},
    jobs::wait,
    name,
    resource::{Stored, find, identify},
    store::{Read as _, Snapshot, Store, Transaction},
    write::{Intent, write_then},
};

use super::{
    Desk,
    forecasts::{Forecasts, current, put},
    inputs::Inputs,
    jobs::{self, Target},
    outlook::{ENGINE_VERSION, Outlook, check_leaves, check_method},
};
use crate::{
    convert::{self, forecast as wire},
    error::OrFault as _,
    store::{
        FORECASTS, Forecast, ForecastState, MarketView,
        forecasts::{Plan, UNFINISHED},
        points::PointColumns,
    },
};

/// What is known of a forecast before it is created.
struct Preview {
    /// The plan, its cut-off settled.
    plan: Plan,
    display_name: String,
    labels: std::collections::BTreeMap<String, String>,
    notes: String,
    /// Digests of inputs and result, where they had to be known.
    digests: Option<(String, String)>,
}

/// CreateForecast.
///
/// What cannot be forecast is refused before anything is written, so that its ID stays free.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND for the market, ALREADY_EXISTS, FAILED_PRECONDITION for the data,
/// ABORTED (RESULT_DIGEST_MISMATCH).
pub async fn create(
    store: &Store,
    desk: &Desk,
    request: pb::CreateForecastRequest,
) -> Result<pb::Forecast, Fault> {
    let [market] = name::parse("parent", &request.parent, convert::MARKET)?;
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let mut intent = Intent::new(
        "CreateForecast",
        &request,
        id,
        validate_only,
        &mut violations,
    );
    violations.id("forecast_id", &request.forecast_id);
    let wait = wait(request.wait.as_ref(), &mut violations);
    let target = Target {
        market,
        forecast: request.forecast_id.clone(),
    };
    if intent.begin::<pb::Forecast>(store)?.is_some() {
        return settle(store, desk, &target, wait).await;
    }
    let read = consistency::snapshot(store, request.consistency.as_ref()).await?;
    let data_revision = store.token(read.revision());
    let expected = request.expected_result_digest.clone();
    let exists = find::<Forecasts>(&store.latest(), &target.parents(), &target.forecast).is_ok();
    // One that exists is answered by the transaction: the same request again, or refused.
    let full = !exists && (validate_only || !expected.is_empty());
    let preview = preview(
        Arc::clone(&desk.points),
        read,
        target.market.clone(),
        request,
        full,
        exists,
        violations,
    )
    .await?;
    let digests = preview.digests.clone();
    let (tokens, at) = (store.clone(), target.clone());
    let effect = move |tx: &mut Transaction<'_>| {
        insert(&tokens, tx, &at, preview, (data_revision, expected))
    };
    let (to, from, at) = (desk.clone(), store.clone(), target.clone());
    let begin = move || jobs::start(&from, &to, &at);
    let answer = write_then(store, intent, effect, begin).await?;
    if validate_only {
        let (input_digest, result_digest) = digests.unwrap_or_default();
        let engine_version = ENGINE_VERSION.to_string();
        return Ok(pb::Forecast {
            input_digest,
            result_digest,
            engine_version,
            ..answer
        });
    }
    settle(store, desk, &target, wait).await
}

/// Sees to it that the forecast is being made, and waits for that.
async fn settle(
    store: &Store,
    desk: &Desk,
    target: &Target,
    wait: Duration,
) -> Result<pb::Forecast, Fault> {
    jobs::start(store, desk, target);
    desk.jobs.wait(&target.name(), wait).await;
    current(store, &target.parents(), &target.forecast)
}

/// Checks the request against the data; computes the result where `full`.
async fn preview(
    points: PointColumns,
    read: Snapshot,
    market: String,
    request: pb::CreateForecastRequest,
    full: bool,
    exists: bool,
    mut violations: Violations,
) -> Result<Preview, Fault> {
    compute(move |caller| {
        let market = MarketView::load(&read, &market, caller)?;
        let frequency = market.body.frequency;
        let draft = wire::parse(
            request.forecast.as_ref(),
            "forecast",
            frequency,
            &mut violations,
        );
        violations.finish()?;
        let draft = draft.ok_or_else(|| Fault::internal(&"refused without a violation"))?;
        let (display_name, labels) = (draft.display_name, draft.labels);
        let (plan, notes) = draft.body;
        if exists {
            return Ok(Preview {
                plan,
                display_name,
                labels,
                notes,
                digests: None,
            });
        }
        check_method(&plan, frequency)?;
        let inputs = Inputs::gather(&points, &read, &market, &plan, caller)?;
        let digests = match full {
            true => {
                let outlook = Outlook::compute(&inputs, caller)?;
                check_digest(
                    ErrorReason::ResultDigestMismatch,
                    &request.expected_result_digest,
                    &outlook.result_digest,
                )?;
                Some((outlook.input_digest, outlook.result_digest))
            }
            false => {
                check_leaves(&inputs, caller)?;
                None
            }
        };
        Ok(Preview {
            plan: inputs.fixed.plan,
            display_name,
            labels,
            notes,
            digests,
        })
    })
    .await
}

fn insert(
    store: &Store,
    tx: &mut Transaction<'_>,
    target: &Target,
    preview: Preview,
    (data_revision, expected_result_digest): (String, String),
) -> Result<pb::Forecast, Fault> {
    let parents = target.parents();
    let key = (target.scope(tx)?, target.forecast.clone());
    if tx.get(&FORECASTS, &key).or_fault()?.is_some() {
        return Err(Fault::already_exists(&target.name()));
    }
    let body = Forecast {
        state: ForecastState::Creating,
        notes: preview.notes,
        plan: preview.plan,
        data_revision,
        expected_result_digest,
        outcome: None,
    };
    let stored = Stored {
        uid: tx.allocate_uid(),
        create_time: tx.time().nanoseconds(),
        display_name: preview.display_name,
        labels: preview.labels,
        body,
    };
    tx.put(&UNFINISHED, &key, &target.market).or_fault()?;
    put(store, tx, &parents, &target.forecast, stored)
}

/// CancelForecast.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND.
pub async fn cancel(
    store: &Store,
    desk: &Desk,
    request: pb::CancelForecastRequest,
) -> Result<pb::Forecast, Fault> {
    let (parents, id) = identify::<Forecasts>("name", &request.name)?;
    let mut violations = Violations::new();
    violations.request_id(&request.request_id);
    violations.finish()?;
    find::<Forecasts>(&store.latest(), &parents, &id)?;
    let target = Target {
        market: parents.first().cloned().unwrap_or_default(),
        forecast: id,
    };
    let end = jobs::give_up(store, &target);
    desk.jobs.give_up(&target.name(), end).await?;
    current(store, &parents, &target.forecast)
}
