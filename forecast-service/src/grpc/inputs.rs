//! What a forecast is computed from: gathered from the market, or read back as it was stored.

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1::ErrorReason};
use almanac_service_kit::{
    fault::Fault,
    memory::{Blocks, claim},
    plain::{
        control::{Control, Stopped, attended},
        period::Period,
    },
    store::{Read, Snapshot},
};
use tonic::Code;

use super::{listing::MAX_LISTED_SERIES, panel::Panel, series_count};
use crate::{
    domain::hierarchy::Hierarchy,
    error::OrFault as _,
    store::{
        MarketView,
        forecasts::{FixedInputs, HISTORIES, History, INPUTS, Plan},
        points::PointColumns,
    },
};

/// Most numbers of a forecast: means and limits of every series.
pub const MAX_NUMBERS: usize = 20_000_000;

/// Bytes of a value of a history, with those that its model works on.
const VALUE_BYTES: usize = 40;
/// Bytes of a history beside its values.
const HISTORY_BYTES: usize = 64;

/// Everything that goes into a forecast.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Dimensions and plan.
    pub fixed: FixedInputs,
    /// The dimensions, crossed.
    pub hierarchy: Hierarchy,
    /// The history of each leaf, in order.
    pub histories: Vec<History>,
}

impl Inputs {
    /// Gathers the inputs of a plan as the market holds them.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (NO_POINTS, SERIES_STALE), INVALID_ARGUMENT for what is too large.
    pub fn gather(
        points: &PointColumns,
        read: &Snapshot,
        market: &MarketView,
        plan: &Plan,
        control: &dyn Control,
    ) -> Result<Self, Fault> {
        check_size(&market.hierarchy, plan)?;
        let end = plan.last_period.map_or(i64::MAX, Period::ordinal);
        let panel = Panel::load(points, read, market, (i64::MIN, end), control)?;
        let last = cut_off(&panel, market, plan, control)?;
        let ahead = i64::from(plan.horizon);
        if last.offset(ahead).is_none() {
            let text = format!("{} periods after {last} leave the calendar", plan.horizon);
            return Err(Fault::field(
                "forecast.horizon",
                ErrorReason::HorizonInvalid,
                text,
            ));
        }
        let end = last.ordinal();
        let beside = market.hierarchy.leaf_count() * HISTORY_BYTES;
        let bytes = history_bytes(&panel, end, control)?;
        claim(bytes.saturating_add(beside), control)?;
        let histories = (0..market.hierarchy.leaf_count())
            .map(|leaf| history(&panel, leaf, end, control))
            .collect::<Result<_, _>>()?;
        let fixed = FixedInputs {
            dimensions: market.hierarchy.dimensions(),
            plan: Plan {
                last_period: Some(last),
                ..plan.clone()
            },
            last_period: last,
            nonnegative: market.body.nonnegative,
        };
        Ok(Self {
            fixed,
            hierarchy: market.hierarchy.clone(),
            histories,
        })
    }

    /// The inputs of a published forecast.
    ///
    /// # Errors
    /// A fault of the store, or of the service where something is missing.
    pub fn stored(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault> {
        let fixed = read.get(&INPUTS, &uid).or_fault()?;
        let fixed = fixed
            .ok_or_else(|| Fault::internal(&"a forecast lacks its inputs"))?
            .value;
        let hierarchy = fixed.hierarchy(control)?;
        let mut histories = Vec::with_capacity(hierarchy.leaf_count());
        let mut blocks = Blocks::new(control);
        for row in read.scan(&HISTORIES, &(uid,)) {
            control.check()?;
            let history: History = row.or_fault()?.1.value;
            blocks.claim(HISTORY_BYTES + history.values.len() * VALUE_BYTES)?;
            histories.push(history);
        }
        if histories.len() != hierarchy.leaf_count() {
            return Err(Fault::internal(&"a forecast lacks a history"));
        }
        Ok(Self {
            fixed,
            hierarchy,
            histories,
        })
    }

    /// Number of points with a value.
    #[must_use]
    pub fn points(&self) -> usize {
        self.histories
            .iter()
            .map(|history| history.values.iter().flatten().count())
            .sum()
    }
}

/// Bytes of the histories up to `end`: from the first value of each leaf on, with gaps, so that two
/// values far apart take as much as all between them.
fn history_bytes(panel: &Panel, end: i64, control: &dyn Control) -> Result<usize, Stopped> {
    let mut span = 0_usize;
    for values in attended(panel.leaves.values(), control) {
        let Some(first) = values?.keys().next() else {
            continue;
        };
        let periods = end.saturating_sub(*first).saturating_add(1);
        span = span.saturating_add(usize::try_from(periods).unwrap_or(0));
    }
    Ok(span.saturating_mul(VALUE_BYTES))
}

fn history(
    panel: &Panel,
    leaf: usize,
    end: i64,
    control: &dyn Control,
) -> Result<History, Stopped> {
    let Some(values) = panel.leaves.get(&leaf) else {
        return Ok(History {
            first: end,
            values: Vec::new(),
        });
    };
    let first = values.keys().next().copied().unwrap_or(end);
    let values = attended(first..=end, control)
        .map(|ordinal| Ok(values.get(&ordinal?).copied()))
        .collect::<Result<_, _>>()?;
    Ok(History { first, values })
}

fn check_size(hierarchy: &Hierarchy, plan: &Plan) -> Result<(), Fault> {
    let per_series = plan.horizon as usize * (1 + 2 * plan.levels.len());
    let series = series_count(hierarchy).filter(|count| *count <= MAX_LISTED_SERIES);
    let numbers = series.and_then(|count| count.checked_mul(per_series));
    if numbers.is_some_and(|numbers| numbers <= MAX_NUMBERS) {
        return Ok(());
    }
    let text = format!(
        "the forecast would have more than {MAX_NUMBERS} numbers; a shorter horizon or fewer \
         levels make it smaller"
    );
    Err(Fault::field("forecast.horizon", Common::TooManyItems, text))
}

/// The cut-off of a plan: as said, or the last period in which every leaf has a value.
fn cut_off(
    panel: &Panel,
    market: &MarketView,
    plan: &Plan,
    control: &dyn Control,
) -> Result<Period, Fault> {
    if panel.points == 0 {
        let text = "no leaf of the market has a value up to the cut-off";
        return Err(Fault::new(
            Code::FailedPrecondition,
            ErrorReason::NoPoints,
            text,
        ));
    }
    let leaves = market.hierarchy.leaf_count();
    let whole = panel.sums(&market.hierarchy, &market.hierarchy.root(), control)?;
    let (last, complete) = match (plan.last_period, whole.keys().next_back()) {
        (Some(period), _) => (period.ordinal(), whole.contains_key(&period.ordinal())),
        (None, Some(&ordinal)) => (ordinal, true),
        (None, None) => {
            let newest = attended(panel.leaves.values(), control)
                .map(|values| Ok(values?.keys().next_back().copied()))
                .collect::<Result<Vec<_>, Stopped>>()?;
            (
                newest.into_iter().flatten().max().unwrap_or_default(),
                false,
            )
        }
    };
    let period = market.period(last)?;
    if complete {
        return Ok(period);
    }
    let mut stale = None;
    for leaf in attended(0..leaves, control) {
        let leaf = leaf?;
        if panel.value(leaf, last).is_none() {
            stale = Some(leaf);
            break;
        }
    }
    let series = stale.and_then(|leaf| market.hierarchy.leaf_at(leaf));
    let label = series
        .map(|series| market.hierarchy.label(&series))
        .unwrap_or_default();
    let text =
        format!("{label:?} has no value in {period}; write it, or choose another last_period");
    let fault = Fault::new(Code::FailedPrecondition, ErrorReason::SeriesStale, text);
    Err(fault
        .with("series", label)
        .with("period", period.to_string()))
}
