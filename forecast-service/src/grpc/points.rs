//! Points: writing, and the versions of one.

use std::{collections::BTreeMap, sync::Arc};

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations},
    name,
    page::Page,
    store::{Read as _, Revision, Store, Transaction, Versioned},
    time::timestamp,
    write::{Intent, write},
};
use tonic::Code;

use crate::{
    convert,
    domain::hierarchy::SeriesKey,
    error::OrFault as _,
    store::{MarketView, POINTS, Point, PointKey},
};

/// Most points of one WritePoints.
pub const MAX_POINTS: usize = 10_000;

/// The points of a request as they will be stored.
type Parsed = Vec<(PointKey, Point)>;

/// WritePoints.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND, ABORTED (CHANGED_SINCE_REVISION).
pub async fn write_points(
    store: &Store,
    request: pb::WritePointsRequest,
) -> Result<pb::WritePointsResponse, Fault> {
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new("WritePoints", &request, id, validate_only, &mut violations);
    let [market] = name::parse("parent", &request.parent, convert::MARKET)?;
    violations.count("points", request.points.len(), MAX_POINTS);
    violations.finish()?;
    let unchanged_since = since(store, request.if_revision.as_deref())?;
    let points: Arc<[pb::Point]> = request.points.into();
    // Checked outside of the committer, which every writer waits for.
    let (read, wire, id) = (store.latest(), Arc::clone(&points), market.clone());
    let (checked_at, parsed) = compute(move |_| {
        let market = MarketView::load(&read, &id)?;
        Ok((market.revision, parse(&wire, &market)?))
    })
    .await?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let now = MarketView::load(tx, &market)?;
        let parsed = if now.revision == checked_at {
            parsed
        } else {
            parse(&points, &now)?
        };
        check_unchanged(tx, &parsed, unchanged_since)?;
        for (key, point) in &parsed {
            tx.put(&POINTS, key, point).or_fault()?;
        }
        // The count is at most MAX_POINTS.
        let written_count = i32::try_from(parsed.len()).unwrap_or(i32::MAX);
        Ok(pb::WritePointsResponse {
            revision: tokens.token(tx.revision()),
            written_count,
        })
    })
    .await
}

fn since(store: &Store, token: Option<&str>) -> Result<Option<Revision>, Fault> {
    let Some(token) = token else { return Ok(None) };
    let revision = store.parse_token(token).map_err(|_| {
        let text = "is not a revision of this store";
        Fault::field("if_revision", Common::RevisionUnknown, text)
    })?;
    Ok(Some(revision))
}

fn parse(points: &[pb::Point], market: &MarketView) -> Result<Parsed, Fault> {
    let mut violations = Violations::new();
    let mut first: BTreeMap<PointKey, usize> = BTreeMap::new();
    let mut parsed = Vec::with_capacity(points.len());
    for (row, point) in points.iter().enumerate() {
        let at = format!("points[{row}]");
        let Some((key, point)) = convert::point::parse(point, &at, market, &mut violations) else {
            continue;
        };
        let earlier = *first.entry(key.clone()).or_insert(row);
        if earlier != row {
            let text = format!("the series and period also stand in points[{earlier}]");
            violations.push(at, Common::DuplicateKey, text);
        }
        parsed.push((key, point));
    }
    violations.finish()?;
    Ok(parsed)
}

fn check_unchanged(
    tx: &Transaction<'_>,
    points: &Parsed,
    since: Option<Revision>,
) -> Result<(), Fault> {
    let Some(since) = since else { return Ok(()) };
    for (row, (key, _)) in points.iter().enumerate() {
        let found = tx.get(&POINTS, key).or_fault()?;
        if found.is_some_and(|found| found.revision > since) {
            let text = format!("points[{row}] changed after if_revision; read again and repeat");
            let fault = Fault::new(Code::Aborted, Common::ChangedSinceRevision, text);
            return Err(fault.with("field", format!("points[{row}]")));
        }
    }
    Ok(())
}

/// A stored version of a point on the wire.
#[must_use]
pub fn render(
    store: &Store,
    key: SeriesKey,
    period: String,
    version: &Versioned<Point>,
) -> pb::Point {
    pb::Point {
        write_time: Some(timestamp(version.time)),
        revision: store.token(version.revision),
        ..convert::point::render(key, period, &version.value)
    }
}

/// ListPointVersions.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the market.
pub async fn versions(
    store: &Store,
    mut request: pb::ListPointVersionsRequest,
) -> Result<pb::ListPointVersionsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListPointVersions", &request, size, &token)?;
    let [id] = name::parse("parent", &request.parent, convert::MARKET)?;
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let store = store.clone();
    compute(move |_| {
        let market = MarketView::load(&read, &id)?;
        let mut violations = Violations::new();
        let (wire, frequency) = (request.series.as_ref(), Some(market.body.frequency));
        let series = convert::series::series("series", wire, &market.hierarchy, &mut violations);
        let period = convert::period::period("period", &request.period, frequency, &mut violations);
        violations.finish()?;
        let (Some(series), Some(period)) = (series, period) else {
            return Err(Fault::internal(&"a series was refused without a violation"));
        };
        let history = read
            .history(&POINTS, &market.point_key(&series, period))
            .or_fault()?;
        let revision = store.token(read.revision());
        let (kept, next_page_token) = page.cut(&revision, history);
        let key = market.hierarchy.key(&series);
        let versions = kept.into_iter().filter_map(
            |Versioned {
                 value,
                 revision,
                 time,
             }| {
                let version = Versioned {
                    value: value?,
                    revision,
                    time,
                };
                Some(render(&store, key.clone(), period.to_string(), &version))
            },
        );
        let versions = versions.collect();
        Ok(pb::ListPointVersionsResponse {
            versions,
            next_page_token,
            revision,
        })
    })
    .await
}
