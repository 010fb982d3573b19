//! VerifyForecast.

use almanac_proto::forecast::v1::{self as pb, verify_forecast_response::Outcome};
use almanac_service_kit::{
    compute::compute,
    fault::Fault,
    plain::control::Control as _,
    resource::{find, identify},
    store::{Read as _, Store},
};

use super::{
    forecasts::{Forecasts, not_published},
    inputs::Inputs,
    outlook::{self, ENGINE_VERSION, Outlook},
};
use crate::{error::OrFault as _, store::forecasts::VALUES};

/// VerifyForecast: computes a forecast again from its stored inputs and compares the digests.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND, FAILED_PRECONDITION
/// (FORECAST_NOT_PUBLISHED).
pub async fn verify(
    store: &Store,
    request: pb::VerifyForecastRequest,
) -> Result<pb::VerifyForecastResponse, Fault> {
    let (parents, id) = identify::<Forecasts>("name", &request.name)?;
    let read = store.latest();
    let revision = store.token(read.revision());
    compute(move |caller| {
        let found = find::<Forecasts>(&read, &parents, &id)?.value;
        let Some(recorded) = found.body.outcome else {
            return Err(not_published(&request.name, &found.body.state));
        };
        let mut answer = pb::VerifyForecastResponse {
            outcome: Outcome::EngineChanged.into(),
            recorded_input_digest: recorded.input_digest,
            recorded_result_digest: recorded.result_digest,
            engine_version: recorded.engine_version.to_string(),
            revision,
            ..Default::default()
        };
        if recorded.engine_version > ENGINE_VERSION {
            return Ok(answer);
        }
        let inputs = Inputs::stored(&read, found.uid, caller)?;
        let stored = read.scan(&VALUES, &(found.uid,)).map(|row| {
            caller.check()?;
            Ok(row.or_fault()?.1.value)
        });
        let stored = stored.collect::<Result<Vec<_>, Fault>>()?;
        answer.stored_result_digest = outlook::digest(&stored, caller)?;
        let replayed = Outlook::compute(&inputs, caller)?;
        answer.replayed_input_digest = replayed.input_digest;
        answer.replayed_result_digest = replayed.result_digest;
        let matches = answer.replayed_input_digest == answer.recorded_input_digest
            && answer.replayed_result_digest == answer.recorded_result_digest
            && answer.stored_result_digest == answer.recorded_result_digest;
        answer.outcome = if matches {
            Outcome::Match
        } else {
            Outcome::Mismatch
        }
        .into();
        Ok(answer)
    })
    .await
}
