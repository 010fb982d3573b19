//! From inputs to forecasts and their digests: the one way that previews, jobs, replays and
//! series sent in take. Everything that the forecast domain computes is called from here.

use almanac_proto::forecast::v1::NodeGrowthSummary;
use almanac_service_kit::{fault::Fault, plain::control::Control};

use super::{growth::Span, inputs::Inputs};
use crate::{
    convert::input::SeriesQuestion, domain::hierarchy::Series, store::forecasts::SeriesValues,
};

/// Version of the numerical definitions.
pub const ENGINE_VERSION: u32 = 1;

/// A forecast of every series, with what it is known by.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// What is said about each series, in canonical order.
    pub series: Vec<SeriesValues>,
    /// Digest of the inputs.
    pub input_digest: String,
    /// Digest of means and intervals.
    pub result_digest: String,
}

impl Outlook {
    /// Forecasts every series of a market.
    ///
    /// # Errors
    /// UNIMPLEMENTED until the domain has the models.
    pub fn compute(inputs: &Inputs, control: &dyn Control) -> Result<Self, Fault> {
        let _ = (inputs, control);
        Err(Fault::unsupported(
            "forecast.method",
            "the models of forecasts",
        ))
    }
}

/// The digest of means and intervals as they are stored.
///
/// # Errors
/// UNIMPLEMENTED until the domain has the digests.
pub fn stored_digest(inputs: &Inputs, stored: &[SeriesValues]) -> Result<String, Fault> {
    let _ = (inputs, stored);
    Err(Fault::unsupported("name", "the digests of forecasts"))
}

/// Forecasts one series.
///
/// # Errors
/// UNIMPLEMENTED until the domain has the models.
pub fn one(question: &SeriesQuestion, control: &dyn Control) -> Result<SeriesValues, Fault> {
    let _ = (question, control);
    Err(Fault::unsupported("method", "the models of forecasts"))
}

/// How each of some series grows, and what that means to the whole.
///
/// # Errors
/// UNIMPLEMENTED until the domain has growth.
pub fn growth(
    span: &Span,
    series: &[Series],
    control: &dyn Control,
) -> Result<Vec<NodeGrowthSummary>, Fault> {
    let _ = (span, series, control);
    Err(Fault::unsupported("source", "the growth of markets"))
}
