//! What the forecast service keeps, and under which keys.
//!
//! Stored types are encoded by position: their fields only change together with
//! `Record::VERSION` and a migration. Earlier values of a point are its versions in the store.

use std::collections::BTreeMap;

use almanac_service_kit::{
    fault::Fault,
    plain::{
        control::Control,
        period::{Frequency, Period},
    },
    resource::{Key, Stored},
    store::{Keep, Read, Record, Revision, Table},
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::hierarchy::{self, Hierarchy, Series, SeriesKey},
    error::OrFault as _,
};

pub mod forecasts;
pub mod points;

pub use forecasts::{FORECASTS, Forecast, ForecastState};

/// Markets, by (0, ID).
pub const MARKETS: Table<Key, Stored<Market>> = Table::new(1, "markets");
/// Points.
pub const POINTS: Table<PointKey, Point> = Table::new(2, "points");

/// Which versions compaction keeps: all of points, and of the rest what can still be read. A table
/// that is not named here keeps all.
#[must_use]
pub fn keep(table: u8) -> Keep {
    let readable = [
        MARKETS.id(),
        FORECASTS.id(),
        forecasts::UNFINISHED.id(),
        forecasts::INPUTS.id(),
        forecasts::HISTORIES.id(),
        forecasts::VALUES.id(),
    ];
    match readable.contains(&table) {
        true => Keep::Readable,
        false => Keep::All,
    }
}

/// Market uid, [`coordinate`] of the series, and the ordinal of the period at the market's
/// frequency, which cannot change once there are points.
pub type PointKey = (u64, String, i64);

/// What is particular to a market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Market {
    /// What it measures.
    pub description: String,
    /// Unit of its values.
    pub unit: String,
    /// What the unit means.
    pub basis: Option<Basis>,
    /// How often it is observed.
    pub frequency: Frequency,
    /// Whether values below 0 are refused.
    pub nonnegative: bool,
    /// What it is broken down by, in canonical order.
    pub dimensions: Vec<Dimension>,
}

/// What a unit means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Which exchange rates were used, where said.
    pub exchange_rates: Option<ExchangeRates>,
    /// Whether inflation is in the figures, where said.
    pub prices: Option<Prices>,
    /// ISO 4217 code, or empty.
    pub currency: String,
    /// Number of MeasureKind.
    pub measure_kind: i32,
    /// Version of the definitions of its members.
    pub taxonomy_version: String,
}

/// Which exchange rates were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeRates {
    /// Those of each period itself.
    Current,
    /// Those of one period.
    Constant(Period),
    /// Purchasing power parities, with their base year where said.
    PurchasingPower(Option<i32>),
}

/// Whether inflation is in the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prices {
    /// It is.
    Nominal,
    /// The prices of this year.
    Real(i32),
}

/// A dimension with what is said about it for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its tree, members in canonical order.
    pub declared: hierarchy::Dimension,
    /// Name for people.
    pub display_name: String,
    /// Labels of members that have some, by member ID.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// One version of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The figure, or that there is none.
    pub state: PointState,
    /// How firm it is.
    pub status: PointStatus,
    /// Where it comes from.
    pub source: String,
    /// What a reader should know.
    pub note: String,
    /// Between which limits it lies.
    pub bounds: Option<Bounds>,
    /// Nanoseconds since the epoch, if known.
    pub release_time: Option<i64>,
}

impl Point {
    /// The figure; none where missing or retracted.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self.state {
            PointState::Value(value) => Some(value),
            PointState::Missing { .. } | PointState::Retracted { .. } => None,
        }
    }
}

/// A figure, or that there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PointState {
    /// The figure.
    Value(f64),
    /// Known to be missing.
    Missing {
        /// Number of common.v1.Missing.Reason.
        reason: i32,
        /// What a reader should know.
        note: String,
    },
    /// Taken back.
    Retracted {
        /// Why.
        note: String,
    },
}

/// How firm a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PointStatus {
    /// Measured or counted.
    Actual,
    /// Estimated.
    Estimate,
    /// Taken from a publication as it was printed.
    Published,
}

/// Limits of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The lower one, if any.
    pub lower: Option<f64>,
    /// The upper one, if any.
    pub upper: Option<f64>,
    /// What they mean.
    pub meaning: BoundsMeaning,
}

/// What limits mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum BoundsMeaning {
    /// The figure cannot pass them.
    Hard,
    /// Every figure within is printed the same.
    Rounding,
    /// They hold with this probability.
    Probability(f64),
}

impl Record for Point {}

/// A market as a method works with it.
#[derive(Debug, Clone)]
pub struct MarketView {
    /// Its ID.
    pub id: String,
    /// Its uid.
    pub uid: u64,
    /// The revision that last changed it.
    pub revision: Revision,
    /// What is stored of it.
    pub body: Market,
    /// Its dimensions, crossed.
    pub hierarchy: Hierarchy,
}

impl MarketView {
    /// The market `id` at the revision of `read`.
    ///
    /// # Errors
    /// NOT_FOUND if there is none, CANCELLED once nobody waits.
    pub fn load(read: &impl Read, id: &str, control: &dyn Control) -> Result<Self, Fault> {
        let found = read.get(&MARKETS, &(0, id)).or_fault()?;
        let found = found.ok_or_else(|| Fault::not_found(&format!("markets/{id}")))?;
        let body = found.value.body;
        let declared = body.dimensions.iter().map(|dimension| &dimension.declared);
        let hierarchy = crossed(declared, control)?;
        let (uid, revision) = (found.value.uid, found.revision);
        Ok(Self {
            id: id.to_owned(),
            uid,
            revision,
            body,
            hierarchy,
        })
    }

    /// The revision that last changed the market `id`: whether what was loaded is still so.
    ///
    /// # Errors
    /// NOT_FOUND if there is none.
    pub fn written_at(read: &impl Read, id: &str) -> Result<Revision, Fault> {
        let found = read.written_at(&MARKETS, &(0, id)).or_fault()?;
        found.ok_or_else(|| Fault::not_found(&format!("markets/{id}")))
    }

    /// The key of a point.
    #[must_use]
    pub fn point_key(&self, series: &Series, period: Period) -> PointKey {
        (
            self.uid,
            coordinate(&self.hierarchy, series),
            period.ordinal(),
        )
    }

    /// The series of a coordinate.
    ///
    /// # Errors
    /// A fault of the service: what is stored fits no series.
    pub fn series(&self, coordinate: &str) -> Result<Series, Fault> {
        let dimensions = self
            .body
            .dimensions
            .iter()
            .map(|dimension| &dimension.declared.id);
        let members = dimensions.map(String::as_str).zip(coordinate.split('/'));
        self.hierarchy
            .series(&SeriesKey::of(members))
            .map_err(|error| Fault::internal(&error))
    }

    /// The period of an ordinal.
    ///
    /// # Errors
    /// A fault of the service: what is stored is no period.
    pub fn period(&self, ordinal: i64) -> Result<Period, Fault> {
        Period::from_ordinal(self.body.frequency, ordinal)
            .ok_or_else(|| Fault::internal(&format!("{ordinal} is no ordinal of a period")))
    }
}

/// Stored dimensions, crossed.
///
/// # Errors
/// CANCELLED once nobody waits, or a fault of the service: what is stored was checked when it was
/// written.
fn crossed<'a>(
    dimensions: impl Iterator<Item = &'a hierarchy::Dimension>,
    control: &dyn Control,
) -> Result<Hierarchy, Fault> {
    // Large ones have just been decoded.
    control.check()?;
    Hierarchy::attended(dimensions, control)?
        .map_err(|faults| Fault::internal(&hierarchy::told(&faults)))
}

/// A series as text that orders and never changes: its member IDs in the order of the dimensions'
/// IDs, joined by '/', which no ID contains.
#[must_use]
pub fn coordinate(hierarchy: &Hierarchy, series: &Series) -> String {
    let members: Vec<String> = hierarchy.key(series).members.into_values().collect();
    members.join("/")
}
