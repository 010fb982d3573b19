//! ListPointVersions.

use almanac_proto::forecast::v1 as pb;
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations},
    name,
    page::Page,
    store::{Read as _, Store, Versioned},
    time::timestamp,
};

use crate::{
    convert,
    domain::hierarchy::SeriesKey,
    error::OrFault as _,
    store::{MarketView, POINTS, Point},
};

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
    compute(move |caller| {
        let market = MarketView::load(&read, &id, caller)?;
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
