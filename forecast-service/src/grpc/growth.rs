//! SummarizeGrowth.

use std::{collections::BTreeMap, sync::Arc};

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason, summarize_growth_request::Source},
};
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations},
    name,
    page::Page,
    plain::{
        control::{Control, Stopped, attended},
        period::{Frequency, Period},
    },
    resource::{find, identify},
    store::{Read as _, Snapshot, Store},
};

use super::{
    Desk,
    forecasts::{Forecasts, not_published},
    inputs::Inputs,
    outlook,
    panel::Panel,
    series_count,
};
use crate::{
    convert::{self, period::period},
    domain::hierarchy::{Hierarchy, Series, SeriesKey},
    error::OrFault as _,
    store::{MarketView, forecasts::VALUES, points::PointColumns},
};

/// Most series that a request may name.
pub const MAX_SERIES: usize = 1000;
/// Most series of a tree that is summarized as a whole: ranks compare each with each.
pub const MAX_SUMMARIES: usize = 20_000;

/// The leaf values in two periods.
#[derive(Debug, Clone)]
pub struct Span {
    /// The tree.
    pub hierarchy: Hierarchy,
    /// The first period.
    pub from: Period,
    /// The last period.
    pub to: Period,
    /// Values in the first period, by leaf.
    pub start: Vec<Option<f64>>,
    /// Values in the last period, by leaf.
    pub end: Vec<Option<f64>>,
}

impl Span {
    /// The sum over the leaves below a series in both periods; none where one is missing.
    ///
    /// # Errors
    /// [`Stopped`] once nobody waits.
    pub fn ends(
        &self,
        series: &Series,
        control: &dyn Control,
    ) -> Result<convert::growth::Ends, Stopped> {
        let sum = |values: &[Option<f64>]| {
            let mut sum = 0.0;
            for leaf in attended(self.hierarchy.leaves_of(series), control) {
                let Some(Some(value)) = values.get(leaf?) else {
                    return Ok(None);
                };
                sum += value;
            }
            Ok(Some(sum))
        };
        Ok((sum(&self.start)?, sum(&self.end)?))
    }
}

/// Where values come from.
enum Origin {
    Market(String),
    Forecast(Vec<String>, String),
}

/// SummarizeGrowth.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the source, FAILED_PRECONDITION
/// (FORECAST_NOT_PUBLISHED).
pub async fn summarize(
    store: &Store,
    desk: &Desk,
    mut request: pb::SummarizeGrowthRequest,
) -> Result<pb::SummarizeGrowthResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("SummarizeGrowth", &request, size, &token)?;
    let origin = match &request.source {
        None => {
            let text = "set market or forecast";
            return Err(Fault::field("source", Common::OneofUnset, text));
        }
        Some(Source::Market(market)) => {
            let [id] = name::parse("market", market, convert::MARKET)?;
            Origin::Market(id)
        }
        Some(Source::Forecast(forecast)) => {
            let (parents, id) = identify::<Forecasts>("forecast", forecast)?;
            Origin::Forecast(parents, id)
        }
    };
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let revision = store.token(read.revision());
    let points = Arc::clone(&desk.points);
    compute(move |caller| {
        let span = match origin {
            Origin::Market(id) => of_market(&points, &read, &id, &request, caller)?,
            Origin::Forecast(parents, id) => of_forecast(&read, (&parents, &id), &request, caller)?,
        };
        let unknown = match &request.source {
            Some(Source::Forecast(_)) => Some(ErrorReason::SeriesUnknown),
            _ => None,
        };
        let series = series(&request.series, &span.hierarchy, unknown)?;
        let total_size = i32::try_from(series.len()).unwrap_or(i32::MAX);
        let summaries = outlook::summarize(&span, &series, caller)?;
        let (kept, next_page_token) = page.cut(&revision, summaries);
        let kept = kept.into_iter();
        let summaries = kept
            .map(|one| convert::growth::render(one, &span.hierarchy))
            .collect();
        Ok(pb::SummarizeGrowthResponse {
            summaries,
            next_page_token,
            revision,
            total_size,
        })
    })
    .await
}

/// The periods of a request.
fn span(
    request: &pb::SummarizeGrowthRequest,
    frequency: Frequency,
) -> Result<(Period, Period), Fault> {
    let mut violations = Violations::new();
    let from = period(
        "from_period",
        &request.from_period,
        Some(frequency),
        &mut violations,
    );
    let to = period(
        "to_period",
        &request.to_period,
        Some(frequency),
        &mut violations,
    );
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        let text = format!("{to} is not after {from}");
        violations.push("to_period", ErrorReason::PeriodRangeInvalid, text);
    }
    violations.finish()?;
    from.zip(to)
        .ok_or_else(|| Fault::internal(&"a period was refused without a violation"))
}

fn of_market(
    points: &PointColumns,
    read: &Snapshot,
    id: &str,
    request: &pb::SummarizeGrowthRequest,
    control: &dyn Control,
) -> Result<Span, Fault> {
    let market = MarketView::load(read, id, control)?;
    let (from, to) = span(request, market.body.frequency)?;
    let panel = Panel::load(
        points,
        read,
        &market,
        (from.ordinal(), to.ordinal()),
        control,
    )?;
    let at = |period: Period| -> Result<Vec<Option<f64>>, Stopped> {
        let leaves = attended(0..market.hierarchy.leaf_count(), control);
        leaves
            .map(|leaf| Ok(panel.value(leaf?, period.ordinal())))
            .collect()
    };
    let (start, end) = (at(from)?, at(to)?);
    Ok(Span {
        hierarchy: market.hierarchy,
        from,
        to,
        start,
        end,
    })
}

fn of_forecast(
    read: &Snapshot,
    (parents, id): (&[String], &str),
    request: &pb::SummarizeGrowthRequest,
    control: &dyn Control,
) -> Result<Span, Fault> {
    let forecast = find::<Forecasts>(read, parents, id)?.value;
    if forecast.body.outcome.is_none() {
        let name = format!("markets/{}/forecasts/{id}", parents.concat());
        return Err(not_published(&name, &forecast.body.state));
    }
    let inputs = Inputs::stored(read, forecast.uid, control)?;
    let last = inputs.fixed.last_period;
    let (from, to) = span(request, last.frequency())?;
    check_covered(&inputs, from, to)?;
    let (mut start, mut end) = (Vec::new(), Vec::new());
    for one in attended(inputs.hierarchy.all_series().enumerate(), control) {
        let (position, one) = one?;
        let Some(leaf) = inputs.hierarchy.leaf_position(&one) else {
            continue;
        };
        let means = match to > last {
            true => {
                let key = (forecast.uid, u32::try_from(position).unwrap_or(u32::MAX));
                let found = read.get(&VALUES, &key).or_fault()?;
                found
                    .ok_or_else(|| Fault::internal(&"a forecast lacks a series"))?
                    .value
                    .means
            }
            false => Vec::new(),
        };
        let at = |period: Period| value(&inputs, leaf, &means, period);
        start.push(at(from));
        end.push(at(to));
    }
    Ok(Span {
        hierarchy: inputs.hierarchy,
        from,
        to,
        start,
        end,
    })
}

/// The value of a leaf: what went in up to the cut-off, the mean after it.
fn value(inputs: &Inputs, leaf: usize, means: &[f64], period: Period) -> Option<f64> {
    let ahead = period.periods_since(inputs.fixed.last_period)?;
    if ahead > 0 {
        return means.get(usize::try_from(ahead - 1).ok()?).copied();
    }
    let history = inputs.histories.get(leaf)?;
    let position = usize::try_from(period.ordinal() - history.first).ok()?;
    history.values.get(position).copied().flatten()
}

fn check_covered(inputs: &Inputs, from: Period, to: Period) -> Result<(), Fault> {
    let last = inputs.fixed.last_period;
    let mut violations = Violations::new();
    for (field, period) in [("from_period", from), ("to_period", to)] {
        let ahead = period.periods_since(last).unwrap_or_default();
        if ahead > i64::from(inputs.fixed.plan.horizon) {
            let text = format!("{period} lies behind the horizon of the forecast");
            violations.push(field, ErrorReason::PeriodNotCovered, text);
        }
    }
    violations.finish()
}

/// The series of a request, in its order; every one where it names none.
fn series(
    wire: &[pb::SeriesKey],
    hierarchy: &Hierarchy,
    unknown: Option<ErrorReason>,
) -> Result<Vec<Series>, Fault> {
    let mut violations = Violations::new();
    if wire.is_empty() {
        if series_count(hierarchy).is_none_or(|count| count > MAX_SUMMARIES) {
            let text = format!("the tree has more than {MAX_SUMMARIES} series; name some");
            violations.push("series", ErrorReason::DimensionsTooLarge, text);
        }
        violations.finish()?;
        return Ok(hierarchy.all_series().collect());
    }
    if !violations.list("series", wire.len(), MAX_SERIES) {
        violations.finish()?;
        return Ok(Vec::new());
    }
    let mut first: BTreeMap<Series, usize> = BTreeMap::new();
    let mut series = Vec::with_capacity(wire.len());
    for (row, key) in wire.iter().enumerate() {
        let at = format!("series[{row}]");
        let named = SeriesKey {
            members: key.members.clone(),
        };
        let found = match (unknown, hierarchy.series(&named)) {
            (Some(reason), Err(fault)) => {
                violations.push(format!("{at}.members"), reason, fault.to_string());
                None
            }
            (None, Err(_)) => convert::series::series(&at, Some(key), hierarchy, &mut violations),
            (_, Ok(series)) => Some(series),
        };
        let Some(found) = found else { continue };
        let earlier = *first.entry(found.clone()).or_insert(row);
        if earlier != row {
            let text = format!("also stands in series[{earlier}]");
            violations.push(at, Common::DuplicateKey, text);
        }
        series.push(found);
    }
    violations.finish()?;
    Ok(series)
}
