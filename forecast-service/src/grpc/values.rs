//! ListForecastValues.

use almanac_proto::forecast::v1 as pb;
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::Fault,
    page::{MAX_PAGE_BYTES, Page},
    plain::control::{Control as _, attended},
    resource::{find, identify},
    store::{Read as _, Store},
};
use prost::Message as _;

use super::forecasts::{Forecasts, not_published};
use crate::{
    convert::{
        filter::{SeriesFilter, place},
        forecast::{periods, render_values},
        series,
    },
    error::OrFault as _,
    store::forecasts::{INPUTS, VALUES},
};

/// ListForecastValues.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND, FAILED_PRECONDITION
/// (FORECAST_NOT_PUBLISHED).
pub async fn list(
    store: &Store,
    mut request: pb::ListForecastValuesRequest,
) -> Result<pb::ListForecastValuesResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListForecastValues", &request, size, &token)?;
    let (parents, id) = identify::<Forecasts>("parent", &request.parent)?;
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let revision = store.token(read.revision());
    compute(move |caller| {
        let forecast = find::<Forecasts>(&read, &parents, &id)?.value;
        let inputs = read
            .get(&INPUTS, &forecast.uid)
            .or_fault()?
            .map(|found| found.value);
        let (Some(_), Some(inputs)) = (&forecast.body.outcome, inputs) else {
            return Err(not_published(&request.parent, &forecast.body.state));
        };
        let hierarchy = inputs.hierarchy(caller)?;
        let filter = SeriesFilter::parse(&request.filter, &hierarchy, false)?;
        let after = page
            .after
            .as_deref()
            .map(|text| place(text.parse::<usize>().ok()));
        let after = after.transpose()?;
        let names = periods(inputs.last_period, inputs.plan.horizon as usize);
        let mut answer = pb::ListForecastValuesResponse {
            revision,
            ..Default::default()
        };
        let (mut bytes, mut last, mut ended) = (0, 0, false);
        for one in attended(hierarchy.all_series().enumerate(), caller) {
            let (position, one) = one?;
            if !filter.passes(&hierarchy, &one) {
                continue;
            }
            answer.total_size = answer.total_size.saturating_add(1);
            if ended || after.is_some_and(|after| position <= after) {
                continue;
            }
            caller.check()?;
            let key = (forecast.uid, u32::try_from(position).unwrap_or(u32::MAX));
            let values = read.get(&VALUES, &key).or_fault()?;
            let values = values.ok_or_else(|| Fault::internal(&"a forecast lacks a series"))?;
            let value = pb::ForecastValue {
                series: Some(series::render(hierarchy.key(&one))),
                display_name: hierarchy.label(&one),
                derived: !hierarchy.is_leaf(&one),
                forecast: Some(render_values(values.value, names.clone())),
            };
            bytes += value.encoded_len();
            let first = answer.values.is_empty();
            if !first && (answer.values.len() == page.size || bytes > MAX_PAGE_BYTES) {
                answer.next_page_token = page.next(&answer.revision, &last.to_string());
                ended = true;
                continue;
            }
            last = position;
            answer.values.push(value);
        }
        Ok(answer)
    })
    .await
}
