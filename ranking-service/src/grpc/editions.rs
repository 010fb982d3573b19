//! Editions: published rankings that never change.

use std::sync::Arc;

use super::{App, edition_jobs, edition_jobs::Target, indices::Indices, table};
use crate::{
    compute::compute as rank,
    convert::{self, edition as convert_edition},
    domain::digest::ENGINE_VERSION,
    store::{EDITION_INPUTS, EDITIONS, Edition, EditionInputs, EditionResult, EditionState, load},
};
use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason, verify_edition_response::Outcome},
};
use almanac_service_kit::{
    check::MAX_TEXT_BYTES,
    compute::compute,
    consistency,
    fault::{Fault, Violations, check_digest},
    jobs::wait,
    name,
    page::Page,
    plain::control::{Control, Stopped},
    resource::{
        Head, Key, Kind, Listing, Stored, check_etag, find, full_name, head, identify,
        list as list_kind, uid,
    },
    store::{Read, Snapshot, Store, Table, Transaction, Versioned},
    write::{Intent, store_fault, write, write_then},
};
use std::time::Duration;

/// Editions.
#[derive(Debug)]
pub struct Editions;

impl Kind for Editions {
    type Proto = pb::Edition;
    type Body = Edition;
    const TABLE: Table<Key, Stored<Edition>> = EDITIONS;
    const COLLECTIONS: &'static [&'static str] = &convert::EDITION;
    const FILTER_FIELDS: &'static [&'static str] = &["id", "display_name", "labels.", "state"];
    const FILTER_WORDS: &'static [(&'static str, &'static [&'static str])] =
        &[("state", convert_edition::STATES)];

    fn render(head: Head, stored: &Stored<Edition>, parents: &[String]) -> pb::Edition {
        let dataset = parents.first().map(String::as_str).unwrap_or_default();
        convert_edition::render(head, stored, dataset, None)
    }

    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
        let (index, dataset) = match parents {
            [dataset, index] => (index, [dataset.clone()]),
            _ => return Err(Fault::internal(&"an edition's name has two parents")),
        };
        uid::<Indices>(read, &dataset, index)
    }

    fn field<'a>(stored: &'a Stored<Edition>, path: &str) -> Option<&'a str> {
        (path == "state").then(|| convert_edition::state_name(&stored.body.state))
    }
}

/// An edition as it stands, with the framework and methodology it was computed with.
pub(super) fn render(
    store: &Store,
    read: &impl Read,
    parents: &[String],
    id: &str,
    version: &Versioned<Stored<Edition>>,
    read_at: almanac_service_kit::store::Revision,
) -> Result<pb::Edition, Fault> {
    let name = full_name::<Editions>(parents, id);
    let changed = (version.revision, version.time);
    let head = head::<Editions>(store, name, &version.value, changed, read_at);
    let inputs = read
        .get(&EDITION_INPUTS, &version.value.uid)
        .map_err(|e| store_fault(&e))?;
    let inputs: Option<EditionInputs> = inputs.map(|found| found.value);
    let dataset = parents.first().map(String::as_str).unwrap_or_default();
    Ok(convert_edition::render(
        head,
        &version.value,
        dataset,
        inputs.as_ref(),
    ))
}

fn current(store: &Store, parents: &[String], id: &str) -> Result<pb::Edition, Fault> {
    let read = store.latest();
    let version = find::<Editions>(&read, parents, id)?;
    render(store, &read, parents, id, &version, read.revision())
}

/// Publishes the index over the data as they are.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND for the index, ALREADY_EXISTS, ABORTED (RESULT_DIGEST_MISMATCH).
pub async fn create(app: &App, request: pb::CreateEditionRequest) -> Result<pb::Edition, Fault> {
    let store = app.store()?.clone();
    let [dataset, index] = name::parse("parent", &request.parent, convert::INDEX)?;
    let mut violations = Violations::new();
    let mut intent = Intent::new(
        "CreateEdition",
        &request,
        &request.request_id,
        request.validate_only,
        &mut violations,
    );
    violations.id("edition_id", &request.edition_id);
    let draft = convert_edition::parse(request.edition.as_ref(), "edition", &mut violations);
    let wait = wait(request.wait.as_ref(), &mut violations);
    violations.finish()?;
    let target = Target {
        dataset,
        index,
        edition: request.edition_id.clone(),
    };
    if intent.begin::<pb::Edition>(&store)?.is_some() {
        return settle(app, &store, &target, wait).await;
    }
    let read = consistency::snapshot(&store, request.consistency.as_ref()).await?;
    let expected = request.expected_result_digest;
    let preview = if intent.validate_only() || !expected.is_empty() {
        Some(preview(app, &read, &target, &expected).await?)
    } else {
        // The index must exist where the data is read, too.
        find::<Indices>(&read, &target.parents()[..1], &target.index)?;
        None
    };
    let body = Edition {
        state: EditionState::Creating,
        notes: draft.body,
        data_revision: store.token(read.revision()),
        expected_result_digest: expected,
        outcome: None,
    };
    let validate_only = intent.validate_only();
    let (tokens, at) = (store.clone(), target.clone());
    let effect = move |tx: &mut Transaction<'_>| {
        insert(&tokens, tx, &at, body, (draft.display_name, draft.labels))
    };
    let (to, from, at) = (app.clone(), store.clone(), target.clone());
    let begin = move || edition_jobs::start(&to, &from, &at);
    let answer = write_then(&store, intent, effect, begin).await?;
    if let (true, Some((input_digest, result_digest))) = (validate_only, preview) {
        let engine_version = ENGINE_VERSION.to_string();
        return Ok(pb::Edition {
            input_digest,
            result_digest,
            engine_version,
            ..answer
        });
    }
    settle(app, &store, &target, wait).await
}

/// Sees to it that the edition is being made, and waits for that.
async fn settle(
    app: &App,
    store: &Store,
    target: &Target,
    wait: Duration,
) -> Result<pb::Edition, Fault> {
    edition_jobs::start(app, store, target);
    app.jobs.wait(&target.name(), wait).await;
    current(store, &target.parents(), &target.edition)
}

/// The digests that an edition would have.
async fn preview(
    app: &App,
    read: &Snapshot,
    target: &Target,
    expected: &str,
) -> Result<(String, String), Fault> {
    let (read, target, expected) = (read.clone(), target.clone(), expected.to_owned());
    let decoded = Arc::clone(&app.decoded);
    compute(move |caller| {
        let inputs = edition_jobs::inputs(&decoded, &read, &target, caller)?;
        let computed = rank(&inputs, caller)?;
        check_digest(
            ErrorReason::ResultDigestMismatch,
            &expected,
            &computed.result_digest,
        )?;
        Ok((computed.input_digest, computed.result_digest))
    })
    .await
}

fn insert(
    store: &Store,
    tx: &mut Transaction<'_>,
    target: &Target,
    body: Edition,
    (display_name, labels): (String, std::collections::BTreeMap<String, String>),
) -> Result<pb::Edition, Fault> {
    let parents = target.parents();
    let key = (Editions::scope(tx, &parents)?, target.edition.clone());
    if tx
        .get(&EDITIONS, &key)
        .map_err(|e| store_fault(&e))?
        .is_some()
    {
        return Err(Fault::already_exists(&target.name()));
    }
    let create_time = tx.time().nanoseconds();
    let stored = Stored {
        uid: tx.allocate_uid(),
        create_time,
        display_name,
        labels,
        body,
    };
    tx.put(&EDITIONS, &key, &stored)
        .map_err(|e| store_fault(&e))?;
    let version = Versioned {
        value: stored,
        revision: tx.revision(),
        time: tx.time(),
    };
    render(
        store,
        tx,
        &parents,
        &target.edition,
        &version,
        tx.revision(),
    )
}

/// Reads an edition.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND.
pub async fn get(app: &App, request: pb::GetEditionRequest) -> Result<pb::Edition, Fault> {
    let store = app.store()?;
    let (parents, id) = identify::<Editions>("name", &request.name)?;
    let read = consistency::snapshot(store, request.consistency.as_ref()).await?;
    let version = find::<Editions>(&read, &parents, &id)?;
    render(store, &read, &parents, &id, &version, read.revision())
}

/// Lists the editions of an index by ID.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for the index.
pub async fn list(
    app: &App,
    mut request: pb::ListEditionsRequest,
) -> Result<pb::ListEditionsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let listing = Listing {
        parent: &request.parent,
        page: Page::open("ListEditions", &request, size, &token)?,
        filter: &request.filter,
        order_by: &request.order_by,
        consistency: request.consistency.as_ref(),
    };
    let listed = list_kind::<Editions>(app.store()?, listing).await?;
    Ok(pb::ListEditionsResponse {
        editions: listed.items,
        next_page_token: listed.next_page_token,
        revision: listed.revision,
    })
}

/// Stops the creation of an edition.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND.
pub async fn cancel(app: &App, request: pb::CancelEditionRequest) -> Result<pb::Edition, Fault> {
    let store = app.store()?;
    let (parents, id) = identify::<Editions>("name", &request.name)?;
    let mut violations = Violations::new();
    violations.request_id(&request.request_id);
    violations.finish()?;
    find::<Editions>(&store.latest(), &parents, &id)?;
    let [dataset, index, edition] = name::parse("name", &request.name, convert::EDITION)?;
    let target = Target {
        dataset,
        index,
        edition,
    };
    let end = edition_jobs::give_up(store, &target);
    app.jobs.give_up(&target.name(), end).await?;
    current(store, &parents, &target.edition)
}

/// Marks a published edition as one not to be quoted any more.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND, ABORTED (ETAG_MISMATCH), FAILED_PRECONDITION
/// (EDITION_NOT_PUBLISHED).
pub async fn withdraw(
    app: &App,
    request: pb::WithdrawEditionRequest,
) -> Result<pb::Edition, Fault> {
    let store = app.store()?;
    let (parents, id) = identify::<Editions>("name", &request.name)?;
    let mut violations = Violations::new();
    let intent = Intent::new(
        "WithdrawEdition",
        &request,
        &request.request_id,
        request.validate_only,
        &mut violations,
    );
    if request.reason.trim().is_empty() {
        violations.push("reason", Common::FieldRequired, "say why it is withdrawn");
    }
    violations.text("reason", &request.reason, MAX_TEXT_BYTES);
    violations.finish()?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let found = find::<Editions>(tx, &parents, &id)?;
        check_etag(
            &request.name,
            &request.etag,
            Some((found.value.uid, found.revision)),
        )?;
        let mut stored = found.value;
        if stored.body.state != EditionState::Published {
            return Err(table::not_published(&request.name, &stored.body.state));
        }
        stored.body.state = EditionState::Withdrawn(request.reason);
        let key = (Editions::scope(tx, &parents)?, id.clone());
        tx.put(&EDITIONS, &key, &stored)
            .map_err(|e| store_fault(&e))?;
        let version = Versioned {
            value: stored,
            revision: tx.revision(),
            time: tx.time(),
        };
        render(&tokens, tx, &parents, &id, &version, tx.revision())
    })
    .await
}

/// Computes an edition again from its stored inputs and compares.
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND, FAILED_PRECONDITION
/// (EDITION_NOT_PUBLISHED).
pub async fn verify(
    app: &App,
    request: pb::VerifyEditionRequest,
) -> Result<pb::VerifyEditionResponse, Fault> {
    let store = app.store()?;
    let (parents, id) = identify::<Editions>("name", &request.name)?;
    let read = store.latest();
    let found = find::<Editions>(&read, &parents, &id)?.value;
    let Some(outcome) = found.body.outcome else {
        return Err(table::not_published(&request.name, &found.body.state));
    };
    let mut answer = pb::VerifyEditionResponse {
        outcome: Outcome::EngineChanged.into(),
        recorded_input_digest: outcome.input_digest.clone(),
        recorded_result_digest: outcome.result_digest.clone(),
        engine_version: outcome.engine_version.to_string(),
        revision: store.token(read.revision()),
        ..pb::VerifyEditionResponse::default()
    };
    if outcome.engine_version > ENGINE_VERSION {
        return Ok(answer);
    }
    compute(move |caller| {
        let inputs = load::edition(&read, found.uid, caller)?;
        let stored = load::edition_results(&read, found.uid, &inputs.fixed.nodes, caller)?;
        let computed = rank(&inputs, caller)?;
        answer.stored_results_match = same_bits(&stored, &computed.results(caller)?, caller)?;
        let matches = answer.stored_results_match
            && computed.input_digest == outcome.input_digest
            && computed.result_digest == outcome.result_digest;
        answer.replayed_input_digest = computed.input_digest;
        answer.replayed_result_digest = computed.result_digest;
        let outcome = if matches {
            Outcome::Match
        } else {
            Outcome::Mismatch
        };
        answer.outcome = outcome.into();
        Ok(answer)
    })
    .await
}

fn same_bits(
    a: &[EditionResult],
    b: &[EditionResult],
    control: &dyn Control,
) -> Result<bool, Stopped> {
    let bits = |a: &[Option<f64>], b: &[Option<f64>]| {
        let a = a.iter().map(|number| number.map(f64::to_bits));
        a.eq(b.iter().map(|number| number.map(f64::to_bits)))
    };
    let mut same = a.len() == b.len();
    for (a, b) in a.iter().zip(b) {
        control.check()?;
        same &=
            bits(&a.scores, &b.scores) && a.ranks == b.ranks && bits(&a.fractional, &b.fractional);
    }
    Ok(same)
}
