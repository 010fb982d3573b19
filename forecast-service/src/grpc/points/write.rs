//! WritePoints.

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::{
    compute::compute,
    fault::{Fault, Violations},
    import::Written,
    name,
    sizes::Sizes,
    store::{Revision, Store},
    write::{Intent, write},
};

use super::batch;
use crate::{convert, store::MarketView};

/// WritePoints.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND, ABORTED (CHANGED_SINCE_REVISION).
pub async fn write_points(
    store: &Store,
    request: pb::WritePointsRequest,
) -> Result<pb::WritePointsResponse, Fault> {
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new("WritePoints", &request, id, validate_only, &mut violations);
    let [market] = name::parse("parent", &request.parent, convert::MARKET)?;
    violations.count("points", request.points.len(), Sizes::current().rows);
    violations.finish()?;
    let unchanged_since = since(store, request.if_revision.as_deref())?;
    // Checked outside of the committer, which every writer waits for.
    let (read, points, id) = (store.latest(), request.points, market.clone());
    let check = compute(move |caller| {
        let market = MarketView::load(&read, &id, caller)?;
        Ok(batch::check(&market, points, caller)?)
    });
    let mut checked = check.await?;
    Written::all_or_nothing(checked.take_rejected())?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let written = batch::write(tx, &market, checked, unchanged_since)?;
        Written::all_or_nothing(written.rejected)?;
        Ok(pb::WritePointsResponse {
            revision: tokens.token(tx.revision()),
            // At most max-rows.
            written_count: i32::try_from(written.count).unwrap_or(i32::MAX),
        })
    })
    .await
}

fn since(store: &Store, token: Option<&str>) -> Result<Option<Revision>, Fault> {
    let Some(token) = token else { return Ok(None) };
    let revision = store.parse_token(token).map_err(|_| {
        let text = "is not a revision of this store";
        Fault::field("if_revision", Common::RevisionUnknown, text)
    })?;
    Ok(Some(revision))
}
