//! Forecasts: what goes in, what comes out, and where they stand.

use almanac_service_kit::{
    fault::Fault,
    plain::{control::Control, period::Period},
    resource::{Key, Stored},
    store::{Record, Table},
};
use serde::{Deserialize, Serialize};

use super::crossed;
use crate::domain::hierarchy::{self, Hierarchy};

/// Forecasts, by market uid and ID.
pub const FORECASTS: Table<Key, Stored<Forecast>> = Table::new(3, "forecasts");
/// The forecasts that are being created, by market uid and ID: the market's ID. A restart takes
/// them up again.
pub const UNFINISHED: Table<Key, String> = Table::new(4, "unfinished");
/// What a forecast was computed from besides its points, by forecast uid.
pub const INPUTS: Table<u64, FixedInputs> = Table::new(5, "forecast_inputs");
/// The history that went into a forecast, by forecast uid and position of the leaf.
pub const HISTORIES: Table<(u64, u32), History> = Table::new(6, "forecast_histories");
/// What a forecast says, by forecast uid and position of the series in canonical order.
pub const VALUES: Table<(u64, u32), SeriesValues> = Table::new(7, "forecast_values");

/// Where a forecast stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForecastState {
    /// Being computed.
    Creating,
    /// Final.
    Published,
    /// Could not be computed: an encoded google.rpc.Status.
    Failed(Vec<u8>),
    /// Not to be quoted any more, and why.
    Withdrawn(String),
}

/// What is particular to a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Where it stands.
    pub state: ForecastState,
    /// What its readers should know.
    pub notes: String,
    /// What is forecast and how.
    pub plan: Plan,
    /// Token of the revision whose data goes in.
    pub data_revision: String,
    /// The digest that the publisher expects; empty for any.
    pub expected_result_digest: String,
    /// What came out; none until it is published.
    pub outcome: Option<Outcome>,
}

/// What is forecast and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How each leaf is forecast.
    pub method: Method,
    /// How the series are made to add up.
    pub reconciliation: Reconciliation,
    /// Number of periods after the cut-off.
    pub horizon: u32,
    /// The cut-off; none in a request that leaves it to the data.
    pub last_period: Option<Period>,
    /// Probabilities of the intervals, ascending.
    pub levels: Vec<f64>,
}

/// How a series is forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// The last value goes on.
    Naive,
    /// The last season repeats; its length, where the request says it.
    SeasonalNaive(Option<u32>),
    /// The average change goes on.
    Drift,
}

/// How series are made to add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reconciliation {
    /// Leaves are forecast, everything above is their sum.
    BottomUp,
}

/// What a published forecast is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Digest of dimensions, plan and histories.
    pub input_digest: String,
    /// Digest of means and intervals.
    pub result_digest: String,
    /// Version of the numerical definitions.
    pub engine_version: u32,
    /// Nanoseconds since the epoch.
    pub publish_time: i64,
    /// Number of series, derived ones included.
    pub series: u32,
    /// Number of leaf series.
    pub leaves: u32,
    /// Number of points with a value that went in.
    pub points: u64,
}

/// What a forecast is computed from besides its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixedInputs {
    /// The market's dimensions as they were, in canonical order.
    pub dimensions: Vec<hierarchy::Dimension>,
    /// The plan, its cut-off settled.
    pub plan: Plan,
    /// The cut-off.
    pub last_period: Period,
    /// Whether values below 0 make no sense in the market.
    pub nonnegative: bool,
}

impl FixedInputs {
    /// The dimensions, crossed.
    ///
    /// # Errors
    /// CANCELLED once nobody waits, or a fault of the service.
    pub fn hierarchy(&self, control: &dyn Control) -> Result<Hierarchy, Fault> {
        crossed(self.dimensions.iter(), control)
    }
}

/// The values of a leaf up to the cut-off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Ordinal of the first value's period.
    pub first: i64,
    /// The values, one a period.
    pub values: Vec<Option<f64>>,
}

/// What a forecast says about one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesValues {
    /// The expected value of each period.
    pub means: Vec<f64>,
    /// The intervals, by level.
    pub intervals: Vec<Interval>,
    /// The model; none for a sum.
    pub model: Option<Model>,
}

/// Limits between which future values lie with a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The probability.
    pub level: f64,
    /// The lower limit of each period.
    pub lower: Vec<f64>,
    /// The upper limit of each period.
    pub upper: Vec<f64>,
}

/// Which model forecast a series, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name: `seasonal_naive(12)`.
    pub name: String,
    /// Why this one.
    pub reasons: Vec<String>,
    /// Standard deviation of its errors one period ahead, where it can be told.
    pub residual_standard_deviation: Option<f64>,
}

impl SeriesValues {
    /// About how many bytes it takes in the store.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let numbers = self.means.len() * (1 + 2 * self.intervals.len());
        let text = self
            .model
            .iter()
            .flat_map(|model| &model.reasons)
            .map(String::len);
        numbers * size_of::<f64>() + text.sum::<usize>() + 64
    }
}

impl Record for FixedInputs {}
impl Record for History {}
impl Record for SeriesValues {}
