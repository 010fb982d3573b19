//! Forecasts: published once, readable for ever.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    fault::{Fault, Violations},
    page::Page,
    resource::{
        self, Head, Key, Kind, Listing, Stored, check_etag, find, full_name, head, identify, uid,
    },
    store::{Read, Revision, Store, Table, Transaction, Versioned},
    write::{Intent, write},
};
use tonic::Code;

use super::markets::Markets;
use crate::{
    convert::{self, forecast as wire},
    error::OrFault as _,
    store::{FORECASTS, Forecast, ForecastState},
};

/// Forecasts.
#[derive(Debug)]
pub struct Forecasts;

impl Kind for Forecasts {
    type Proto = pb::Forecast;
    type Body = Forecast;
    const TABLE: Table<Key, Stored<Forecast>> = FORECASTS;
    const COLLECTIONS: &'static [&'static str] = &convert::FORECAST;
    const FILTER_FIELDS: &'static [&'static str] = &["id", "display_name", "labels.", "state"];
    const FILTER_WORDS: &'static [(&'static str, &'static [&'static str])] =
        &[("state", wire::STATES)];

    fn render(head: Head, stored: &Stored<Forecast>, _parents: &[String]) -> pb::Forecast {
        wire::render(head, stored)
    }

    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
        match parents {
            [market] => uid::<Markets>(read, &[], market),
            _ => Err(Fault::internal(&"a forecast's name has one parent")),
        }
    }

    fn field<'a>(stored: &'a Stored<Forecast>, path: &str) -> Option<&'a str> {
        (path == "state").then(|| wire::state_name(&stored.body.state))
    }
}

/// A version of a forecast on the wire.
#[must_use]
pub fn render(
    store: &Store,
    parents: &[String],
    id: &str,
    version: &Versioned<Stored<Forecast>>,
    read_at: Revision,
) -> pb::Forecast {
    let name = full_name::<Forecasts>(parents, id);
    let changed = (version.revision, version.time);
    wire::render(
        head::<Forecasts>(store, name, &version.value, changed, read_at),
        &version.value,
    )
}

/// A forecast as it stands now.
///
/// # Errors
/// NOT_FOUND.
pub fn current(store: &Store, parents: &[String], id: &str) -> Result<pb::Forecast, Fault> {
    let read = store.latest();
    let version = find::<Forecasts>(&read, parents, id)?;
    Ok(render(store, parents, id, &version, read.revision()))
}

/// Writes a changed forecast and answers it.
///
/// # Errors
/// A fault of the store.
pub fn put(
    store: &Store,
    tx: &mut Transaction<'_>,
    parents: &[String],
    id: &str,
    stored: Stored<Forecast>,
) -> Result<pb::Forecast, Fault> {
    let scope = Forecasts::scope(tx, parents)?;
    tx.put(&FORECASTS, &(scope, id), &stored).or_fault()?;
    let version = Versioned {
        value: stored,
        revision: tx.revision(),
        time: tx.time(),
    };
    Ok(render(store, parents, id, &version, tx.revision()))
}

/// The forecast is not PUBLISHED.
#[must_use]
pub fn not_published(name: &str, state: &ForecastState) -> Fault {
    let state = wire::state_name(state);
    let text = format!("{name} is {state}, not PUBLISHED");
    Fault::new(
        Code::FailedPrecondition,
        ErrorReason::ForecastNotPublished,
        text,
    )
    .with("resource_name", name)
    .with("state", state)
}

/// GetForecast.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND.
pub async fn get(store: &Store, request: pb::GetForecastRequest) -> Result<pb::Forecast, Fault> {
    resource::get::<Forecasts>(store, &request.name, request.consistency.as_ref()).await
}

/// ListForecasts.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for the market.
pub async fn list(
    store: &Store,
    mut request: pb::ListForecastsRequest,
) -> Result<pb::ListForecastsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let listing = Listing {
        parent: &request.parent,
        page: Page::open("ListForecasts", &request, size, &token)?,
        filter: &request.filter,
        order_by: &request.order_by,
        consistency: request.consistency.as_ref(),
    };
    let listed = resource::list::<Forecasts>(store, listing).await?;
    Ok(pb::ListForecastsResponse {
        forecasts: listed.items,
        next_page_token: listed.next_page_token,
        revision: listed.revision,
    })
}

/// WithdrawForecast.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND, ABORTED (ETAG_MISMATCH), FAILED_PRECONDITION
/// (FORECAST_NOT_PUBLISHED).
pub async fn withdraw(
    store: &Store,
    request: pb::WithdrawForecastRequest,
) -> Result<pb::Forecast, Fault> {
    let (parents, id) = identify::<Forecasts>("name", &request.name)?;
    let mut violations = Violations::new();
    let (key, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new(
        "WithdrawForecast",
        &request,
        key,
        validate_only,
        &mut violations,
    );
    if request.reason.trim().is_empty() {
        violations.push("reason", Common::FieldRequired, "say why it is withdrawn");
    }
    violations.text("reason", &request.reason, MAX_TEXT_BYTES);
    violations.finish()?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let found = find::<Forecasts>(tx, &parents, &id)?;
        let version = (found.value.uid, found.revision);
        check_etag(&request.name, &request.etag, Some(version))?;
        let mut stored = found.value;
        if stored.body.state != ForecastState::Published {
            return Err(not_published(&request.name, &stored.body.state));
        }
        stored.body.state = ForecastState::Withdrawn(request.reason);
        put(&tokens, tx, &parents, &id, stored)
    })
    .await
}
