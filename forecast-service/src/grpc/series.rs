//! ForecastSeries: one series in, its forecast out, nothing stored.

use almanac_proto::forecast::v1 as pb;
use almanac_service_kit::{compute::compute, fault::Fault, memory::claim, store::Store};

use super::outlook::{ENGINE_VERSION, estimate_one, one};
use crate::convert::{forecast, input};

/// ForecastSeries.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, FAILED_PRECONDITION for results out of range.
pub async fn forecast_series(
    _store: &Store,
    request: pb::ForecastSeriesRequest,
) -> Result<pb::ForecastSeriesResponse, Fault> {
    compute(move |caller| {
        let question = input::parse(&request)?;
        claim(estimate_one(&question), caller)?;
        let values = one(&question)?;
        let periods = question
            .last_period()
            .map(|last| forecast::periods(last, question.horizon as usize));
        Ok(pb::ForecastSeriesResponse {
            forecast: Some(forecast::render_values(values, periods.unwrap_or_default())),
            engine_version: ENGINE_VERSION.to_string(),
        })
    })
    .await
}
