//! ListObservationVersions.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    consistency,
    fault::{Fault, Violations},
    name,
    page::Page,
    resource::{find, full_name},
    store::Read as _,
    write::store_fault,
};

use crate::{
    convert::{
        ENTITY, INDICATOR,
        observation::{Place, render},
        period, reference,
    },
    grpc::{App, entities::Entities, indicators::Indicators},
    store::OBSERVATIONS,
};

/// Lists every version of one cell, newest first.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for indicator, entity, or a cell that was
/// never written.
pub async fn list_versions(
    app: &App,
    mut request: pb::ListObservationVersionsRequest,
) -> Result<pb::ListObservationVersionsResponse, Fault> {
    let store = app.store()?;
    let [dataset] = name::parse("parent", &request.parent, ["datasets"])?;
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListObservationVersions", &request, size, &token)?;
    let mut violations = Violations::new();
    let indicator = reference(
        "indicator",
        &request.indicator,
        &INDICATOR,
        &dataset,
        &mut violations,
    );
    let entity = reference(
        "entity",
        &request.entity,
        &ENTITY,
        &dataset,
        &mut violations,
    );
    let period = period::period("period", &request.period, &mut violations);
    violations.finish()?;
    let Some(period) = period else {
        return Err(Fault::internal(&"a period without violation"));
    };
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let parents = [dataset.clone()];
    let found_indicator = find::<Indicators>(&read, &parents, &indicator)?.value;
    let found_entity = find::<Entities>(&read, &parents, &entity)?.value;
    let frequency = found_indicator.body.frequency;
    let mut violations = Violations::new();
    period::check_frequency("period", period, frequency, &indicator, &mut violations);
    violations.finish()?;
    let key = (found_indicator.uid, found_entity.uid, period.ordinal());
    let history = read
        .history(&OBSERVATIONS, &key)
        .map_err(|e| store_fault(&e))?;
    if history.is_empty() {
        let of = full_name::<Indicators>(&parents, &indicator);
        return Err(Fault::not_found(&format!(
            "the observation of {of}, {entity}, {period}"
        )));
    }
    let versions = history.into_iter().filter_map(|version| {
        let written = (version.revision, version.time);
        let (indicator, entity) = (indicator.as_str(), entity.as_str());
        let place = Place {
            store,
            dataset: &dataset,
            indicator,
            entity,
            period,
            written,
        };
        Some(render(place, &version.value?))
    });
    let revision = store.token(read.revision());
    let (versions, next_page_token) = page.cut(&revision, versions.collect());
    Ok(pb::ListObservationVersionsResponse {
        versions,
        next_page_token,
        revision,
    })
}
