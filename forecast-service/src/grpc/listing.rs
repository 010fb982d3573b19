//! ListPoints: what is stored, and the sums over it.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use almanac_proto::forecast::v1::{self as pb, ErrorReason};
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations},
    memory::Blocks,
    name,
    page::{Page, fitting},
    plain::{
        control::{Control, attended},
        period::{Frequency, Period},
    },
    store::{Read as _, Snapshot, Store, Versioned},
};

use prost::Message as _;

use super::{Desk, panel::Panel, points::render};
use crate::{
    convert::{
        self,
        filter::{SeriesFilter, place},
        point::status_name,
    },
    domain::hierarchy::{Hierarchy, Series, SeriesKey},
    error::OrFault as _,
    store::{MarketView, POINTS, Point, coordinate, points::PointColumns},
};

/// Most series, those with inner members included, of a market whose sums are listed.
pub const MAX_LISTED_SERIES: usize = 1_000_000;

/// Bytes of a series that is still to be listed, beside the text of its coordinate: its place in a
/// tree, and a number for each dimension.
const REMAINING_BYTES: usize = 192;
/// Bytes of a point on the wire beside its texts, which are counted as encoded.
const ITEM_BYTES: usize = 512;

/// Where an item stands in the list: coordinate, ordinal, and whether it is derived.
type Place = (String, i64, bool);

/// What a page is made from.
struct Query<'a> {
    store: &'a Store,
    read: &'a Snapshot,
    points: &'a PointColumns,
    market: &'a MarketView,
    filter: SeriesFilter,
    from: i64,
    to: i64,
    after: Option<Place>,
    /// Most points, one more than the page has.
    limit: usize,
}

/// ListPoints.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the market.
pub async fn list_points(
    store: &Store,
    desk: &Desk,
    mut request: pb::ListPointsRequest,
) -> Result<pb::ListPointsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListPoints", &request, size, &token)?;
    let [id] = name::parse("parent", &request.parent, convert::MARKET)?;
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let (store, points) = (store.clone(), Arc::clone(&desk.points));
    compute(move |caller| {
        let market = MarketView::load(&read, &id, caller)?;
        let (from, to) = span(&request, market.body.frequency)?;
        let query = Query {
            store: &store,
            read: &read,
            points: &points,
            filter: SeriesFilter::parse(&request.filter, &market.hierarchy, true)?,
            market: &market,
            from,
            to,
            after: page
                .after
                .as_deref()
                .map(|text| place(parse_place(text)))
                .transpose()?,
            limit: page.size + 1,
        };
        let mut found = match request.include_aggregates {
            true => with_sums(&query, caller)?,
            false => stored(&query, caller)?,
        };
        let all = found.len();
        found.truncate(page.size);
        let (places, mut points): (Vec<Place>, Vec<pb::Point>) = found.into_iter().unzip();
        points.truncate(fitting(&points));
        let revision = store.token(read.revision());
        let next_page_token = match places.get(points.len().saturating_sub(1)) {
            Some(last) if points.len() < all => page.next(&revision, &place_text(last)),
            _ => String::new(),
        };
        Ok(pb::ListPointsResponse {
            points,
            next_page_token,
            revision,
        })
    })
    .await
}

/// The ordinals of the periods asked for.
fn span(request: &pb::ListPointsRequest, frequency: Frequency) -> Result<(i64, i64), Fault> {
    let mut violations = Violations::new();
    let mut ordinal = |field: &str, text: &str| {
        let period =
            convert::period::optional_period(field, text, Some(frequency), &mut violations);
        period.map(Period::ordinal)
    };
    let from = ordinal("from_period", &request.from_period).unwrap_or(i64::MIN);
    let to = ordinal("to_period", &request.to_period).unwrap_or(i64::MAX);
    if from > to {
        let text = "lies before from_period";
        violations.push("to_period", ErrorReason::PeriodRangeInvalid, text);
    }
    violations.finish()?;
    Ok((from, to))
}

fn place_text((coordinate, ordinal, derived): &Place) -> String {
    format!("{coordinate} {ordinal} {}", u8::from(*derived))
}

fn parse_place(text: &str) -> Option<Place> {
    let mut parts = text.split(' ');
    let coordinate = parts.next()?.to_owned();
    let ordinal = parts.next()?.parse().ok()?;
    let derived = parts.next()? == "1";
    Some((coordinate, ordinal, derived))
}

/// The points that are stored, in key order.
fn stored(query: &Query<'_>, control: &dyn Control) -> Result<Vec<(Place, pb::Point)>, Fault> {
    let uid = query.market.uid;
    let mut scan = query.read.scan(&POINTS, &(uid,));
    if let Some((coordinate, ordinal, _)) = &query.after {
        scan = scan.after(&(uid, coordinate.as_str(), *ordinal));
    }
    let mut found = Vec::new();
    let mut blocks = Blocks::new(control);
    let mut last: Option<(String, SeriesKey)> = None;
    for item in attended(scan, control) {
        let ((_, coordinate, ordinal), version) = item?.or_fault()?;
        let key = match last.take() {
            Some((of, key)) if of == coordinate => key,
            _ => query
                .market
                .hierarchy
                .key(&query.market.series(&coordinate)?),
        };
        let status = Some(status_name(version.value.status));
        if (query.from..=query.to).contains(&ordinal) && query.filter.matches(&key, status) {
            let point = wire(query, &key, ordinal, &version)?;
            blocks.claim(bytes(&coordinate, &point))?;
            found.push(((coordinate.clone(), ordinal, false), point));
        }
        if found.len() == query.limit {
            break;
        }
        last = Some((coordinate, key));
    }
    Ok(found)
}

fn bytes(coordinate: &str, point: &pb::Point) -> usize {
    ITEM_BYTES + coordinate.len() + point.encoded_len()
}

fn wire(
    query: &Query<'_>,
    key: &SeriesKey,
    ordinal: i64,
    version: &Versioned<Point>,
) -> Result<pb::Point, Fault> {
    let period = query.market.period(ordinal)?.to_string();
    Ok(render(query.store, key.clone(), period, version))
}

/// The points that are stored and the sums over them, in key order, a sum behind what was
/// published for the same series and period.
fn with_sums(query: &Query<'_>, control: &dyn Control) -> Result<Vec<(Place, pb::Point)>, Fault> {
    let hierarchy = &query.market.hierarchy;
    check_size(hierarchy)?;
    let panel = Panel::load(
        query.points,
        query.read,
        query.market,
        (query.from, query.to),
        control,
    )?;
    let mut found = Vec::new();
    let mut blocks = Blocks::new(control);
    for (coordinate, series) in remaining(query, control)? {
        let mut items = of_series(query, &coordinate, &series, control)?;
        if !hierarchy.is_leaf(&series) && query.filter.passes(hierarchy, &series) {
            let key = hierarchy.key(&series);
            for (ordinal, value) in panel.sums(hierarchy, &series, control)? {
                let period = query.market.period(ordinal)?.to_string();
                let point = convert::point::derived(key.clone(), period, value);
                items.push(((coordinate.clone(), ordinal, true), point));
            }
        }
        items.sort_by(|(a, _), (b, _)| a.cmp(b));
        items.retain(|(at, _)| query.after.as_ref().is_none_or(|after| at > after));
        items.truncate(query.limit);
        for ((coordinate, ..), point) in &items {
            blocks.claim(bytes(coordinate, point))?;
        }
        found.extend(items);
        if found.len() >= query.limit {
            found.truncate(query.limit);
            break;
        }
    }
    Ok(found)
}

/// The series from the one on at which the page before ended, by coordinate.
fn remaining(query: &Query<'_>, control: &dyn Control) -> Result<BTreeMap<String, Series>, Fault> {
    let hierarchy = &query.market.hierarchy;
    let mut series = BTreeMap::new();
    let mut blocks = Blocks::new(control);
    for one in attended(hierarchy.all_series(), control) {
        let one = one?;
        let at = coordinate(hierarchy, &one);
        let before = query.after.as_ref().map(|after| at.cmp(&after.0));
        if before != Some(Ordering::Less) {
            blocks.claim(REMAINING_BYTES + at.len())?;
            series.insert(at, one);
        }
    }
    Ok(series)
}

/// The points of a series that are stored, as many as a page can have from the place on at which the
/// one before ended.
fn of_series(
    query: &Query<'_>,
    coordinate: &str,
    series: &Series,
    control: &dyn Control,
) -> Result<Vec<(Place, pb::Point)>, Fault> {
    let key = query.market.hierarchy.key(series);
    let mut items = Vec::new();
    let mut stored = query.read.scan(&POINTS, &(query.market.uid, coordinate));
    if let Some((_, ordinal, _)) = query.after.as_ref().filter(|(of, ..)| of == coordinate) {
        stored = stored.after(&(query.market.uid, coordinate, *ordinal));
    }
    for item in attended(stored, control) {
        if items.len() == query.limit {
            break;
        }
        let ((_, _, ordinal), version) = item?.or_fault()?;
        let status = Some(status_name(version.value.status));
        if (query.from..=query.to).contains(&ordinal) && query.filter.matches(&key, status) {
            let point = wire(query, &key, ordinal, &version)?;
            items.push(((coordinate.to_owned(), ordinal, false), point));
        }
    }
    Ok(items)
}

fn check_size(hierarchy: &Hierarchy) -> Result<(), Fault> {
    match super::series_count(hierarchy) {
        Some(count) if count <= MAX_LISTED_SERIES => Ok(()),
        _ => {
            let text = format!("the market has more than {MAX_LISTED_SERIES} series");
            Err(Fault::field(
                "include_aggregates",
                ErrorReason::DimensionsTooLarge,
                text,
            ))
        }
    }
}
