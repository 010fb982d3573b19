//! WriteObservations.

use almanac_proto::{common::v1::ErrorReason as Common, ranking::v1 as pb};
use almanac_service_kit::{
    compute::compute,
    fault::{Fault, Violations},
    import::Written,
    name,
    plain::control::Unlimited,
    sizes::Sizes,
    store::Revision,
    write::{Intent, write as commit},
};

use super::batch::{self, Checked};
use crate::grpc::App;

/// So many rows are checked where they are, in less than a millisecond and however busy the pool is.
const FEW: usize = 256;

/// Writes a batch, all or nothing.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the dataset, ABORTED
/// (CHANGED_SINCE_REVISION) under `if_revision`.
pub async fn write(
    app: &App,
    request: pb::WriteObservationsRequest,
) -> Result<pb::WriteObservationsResponse, Fault> {
    let store = app.store()?;
    let [dataset] = name::parse("parent", &request.parent, ["datasets"])?;
    let mut violations = Violations::new();
    let intent = Intent::new(
        "WriteObservations",
        &request,
        &request.request_id,
        request.validate_only,
        &mut violations,
    );
    let if_revision = request.if_revision.as_ref().map(|token| {
        store.parse_token(token).unwrap_or_else(|_| {
            let text = "is not a revision of this store";
            violations.push("if_revision", Common::RevisionUnknown, text);
            Revision::ZERO
        })
    });
    let mut checked = Checked::default();
    if violations.count(
        "observations",
        request.observations.len(),
        Sizes::current().rows,
    ) {
        checked = check(request.observations, &dataset).await?;
    }
    for (_, bad) in std::mem::take(&mut checked.rejected) {
        violations.absorb(bad);
    }
    violations.finish()?;
    let tokens = store.clone();
    commit(store, intent, move |tx| {
        let written = batch::write(tx, &dataset, checked, if_revision)?;
        Written::all_or_nothing(written.rejected)?;
        Ok(pb::WriteObservationsResponse {
            revision: tokens.token(tx.revision()),
            // At most max-rows.
            written_count: i32::try_from(written.count).unwrap_or(i32::MAX),
        })
    })
    .await
}

async fn check(rows: Vec<pb::Observation>, dataset: &str) -> Result<Checked, Fault> {
    if rows.len() <= FEW {
        return Ok(batch::check(&rows, dataset, &Unlimited)?);
    }
    let dataset = dataset.to_owned();
    compute(move |caller| Ok(batch::check(&rows, &dataset, caller)?)).await
}
