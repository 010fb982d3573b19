//! Why an entity stands where it does.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    compute::compute,
    fault::{Fault, Violations},
    resource::find,
};
use tonic::Code;

use super::{App, entities::Entities, table::Subject};
use crate::{
    compute::selection,
    convert::{ENTITY, reference, scorecard::Told},
    domain::scorecard::{ScorecardOptions, scorecard},
    error,
};

/// Most neighbors on each side.
const MAX_PEERS: i32 = 50;

/// Explains one entity of a ranking.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for edition or index,
/// FAILED_PRECONDITION (ENTITY_NOT_RANKED) if the entity exists and did not take part.
pub async fn get(
    app: &App,
    request: pb::GetScorecardRequest,
) -> Result<pb::GetScorecardResponse, Fault> {
    let peers = request.peer_count.unwrap_or(2);
    let mut violations = Violations::new();
    if !(0..=MAX_PEERS).contains(&peers) {
        let text = format!("must be 0 to {MAX_PEERS}");
        violations.push("peer_count", Common::FieldInvalid, text);
    }
    let subject = Subject::find(app, request.source.as_ref(), None).await?;
    let entity = reference(
        "entity",
        &request.entity,
        &ENTITY,
        &subject.dataset,
        &mut violations,
    );
    violations.finish()?;
    let revision = app.store()?.token(subject.read.revision());
    compute(move |caller| {
        let (inputs, computed) = subject.computed(caller)?;
        let row = computed
            .entities
            .row(&entity)
            .ok_or_else(|| absent(&subject, &entity))?;
        let options = ScorecardOptions {
            peers: usize::try_from(peers).unwrap_or_default(),
            ..ScorecardOptions::default()
        };
        let cell = |node| selection(&inputs, node, row);
        let card = scorecard(
            &computed.framework,
            &computed.entities,
            &computed.ranking,
            row,
            options,
            &cell,
            caller,
        )
        .map_err(|e| error::scorecard(&e))?;
        let told = Told {
            dataset: &subject.dataset,
            inputs: &inputs,
            computed: &computed,
            card: &card,
        };
        Ok(pb::GetScorecardResponse {
            scorecard: Some(told.render()),
            revision,
            result_digest: computed.result_digest.clone(),
        })
    })
    .await
}

/// Why an entity has no scorecard: it does not exist, or did not take part.
fn absent(subject: &Subject, entity: &str) -> Fault {
    match find::<Entities>(
        &subject.read,
        std::slice::from_ref(&subject.dataset),
        entity,
    ) {
        Err(fault) if fault.code() == Code::NotFound => {
            let text = format!("entity {entity:?} does not exist in the dataset");
            Fault::field("entity", ErrorReason::EntityUnknown, text)
        }
        Err(fault) => fault,
        Ok(_) => {
            let text = format!("entity {entity} does not take part in the ranking");
            Fault::new(Code::FailedPrecondition, ErrorReason::EntityNotRanked, text)
                .with("entity", entity)
        }
    }
}
