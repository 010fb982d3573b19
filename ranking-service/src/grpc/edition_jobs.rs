//! The work behind CreateEdition: it goes on when the caller goes away, and is taken up again
//! when the service starts anew.

use std::sync::Arc;

use almanac_proto::ranking::v1::ErrorReason;
use almanac_service_kit::{
    fault::{Fault, check_digest},
    jobs::Job,
    name::join,
    plain::control::{Control, Stopped},
    resource::{Kind as _, find},
    store::{Read, Snapshot, Store, Transaction},
    write::{commit, store_fault},
};
use tonic::Code;

use super::{App, editions::Editions, indices::Indices};
use crate::{
    compute::{Computed, compute as rank},
    domain::digest::ENGINE_VERSION,
    error::DOMAIN,
    store::{
        DATASETS, EDITION_CELLS, EDITION_INPUTS, EDITION_RESULTS, EDITIONS, EditionOutcome,
        EditionResult, EditionState, INDICES,
        load::{Decoded, Inputs, Tried},
    },
};

/// The edition that a job makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// ID of the dataset.
    pub dataset: String,
    /// ID of the index.
    pub index: String,
    /// ID of the edition.
    pub edition: String,
}

impl Target {
    /// The edition's resource name.
    #[must_use]
    pub fn name(&self) -> String {
        join(&[
            ("datasets", &self.dataset),
            ("indices", &self.index),
            ("editions", &self.edition),
        ])
    }

    /// The IDs before its own.
    #[must_use]
    pub fn parents(&self) -> Vec<String> {
        vec![self.dataset.clone(), self.index.clone()]
    }
}

/// Takes up every edition that was being created when the service stopped.
///
/// # Errors
/// A fault of the store.
pub fn resume(app: &App, store: &Store) -> Result<(), Fault> {
    let read = store.latest();
    for dataset in read.scan(&DATASETS, &()) {
        let ((_, dataset), found) = dataset.map_err(|e| store_fault(&e))?;
        for index in read.scan(&INDICES, &(found.value.uid,)) {
            let ((_, index), found) = index.map_err(|e| store_fault(&e))?;
            for edition in read.scan(&EDITIONS, &(found.value.uid,)) {
                let ((_, edition), found) = edition.map_err(|e| store_fault(&e))?;
                if found.value.body.state == EditionState::Creating {
                    let (dataset, index) = (dataset.clone(), index.clone());
                    let target = Target {
                        dataset,
                        index,
                        edition,
                    };
                    tracing::info!(edition = target.name(), "resuming");
                    start(app, store, &target);
                }
            }
        }
    }
    Ok(())
}

/// Starts the job of an edition, unless it runs or the edition is final.
pub fn start(app: &App, store: &Store, target: &Target) {
    let (store, target) = (store.clone(), target.clone());
    let decoded = Arc::clone(&app.decoded);
    app.jobs.start(&target.name(), move |job| async move {
        let work = || publish(&decoded, &store, &target, &job);
        if let Err(fault) = job.with_room(&store, work).await {
            let (edition, error) = (target.name(), fault.message());
            tracing::error!(edition, error, "not published");
        }
    });
}

/// Computes the edition and writes it, or why it failed.
async fn publish(
    decoded: &Arc<Decoded>,
    store: &Store,
    target: &Target,
    job: &Arc<Job>,
) -> Result<(), Fault> {
    let found = find::<Editions>(&store.latest(), &target.parents(), &target.edition)?;
    let (uid, body) = (found.value.uid, found.value.body);
    if body.state != EditionState::Creating {
        return Ok(());
    }
    let revision = store.parse_token(&body.data_revision);
    let read = revision.and_then(|revision| store.at(revision));
    let (to, at) = (store.clone(), target.clone());
    let decoded = Arc::clone(decoded);
    let published = job.compute(move |job| {
        // Compaction may have come before the job was taken up again.
        let read = read.map_err(|e| store_fault(&e))?;
        let inputs = inputs(&decoded, &read, &at, job)?;
        let computed = rank(&inputs, job)?;
        check_digest(
            ErrorReason::ResultDigestMismatch,
            &body.expected_result_digest,
            &computed.result_digest,
        )?;
        let results = computed.results(job)?;
        save(&to, job, &at, uid, inputs, &computed, results)
    });
    let at = target.clone();
    let failed = move |tx: &mut Transaction<'_>, fault| failed(tx, &at, uid, fault);
    job.conclude(store, published.await, cancelled(), failed)
        .await
}

/// Ends an edition that its caller gave up and that is still being created, whether a job is at it
/// or not.
///
/// # Errors
/// NOT_FOUND, or a fault of the store.
pub async fn give_up(store: &Store, target: &Target) -> Result<(), Fault> {
    let found = find::<Editions>(&store.latest(), &target.parents(), &target.edition)?;
    if found.value.body.state != EditionState::Creating {
        return Ok(());
    }
    let (at, uid) = (target.clone(), found.value.uid);
    commit(store, move |tx| failed(tx, &at, uid, cancelled())).await
}

fn cancelled() -> Fault {
    let text = "the creation was cancelled";
    Fault::new(Code::Cancelled, ErrorReason::EditionCancelled, text)
}

/// The inputs of an index as they are at a revision.
///
/// # Errors
/// NOT_FOUND if the index does not exist there, or a fault of the store.
pub fn inputs(
    decoded: &Decoded,
    read: &Snapshot,
    target: &Target,
    control: &dyn Control,
) -> Result<Inputs, Fault> {
    let dataset = super::datasets::dataset_uid(read, &target.dataset)?;
    let parents = [target.dataset.clone()];
    let index = find::<Indices>(read, &parents, &target.index)?.value.body;
    decoded.live(read, dataset, &index, &Tried::new(), control)
}

/// Writes inputs, scores and ranks in several commits, which nobody reads before the last one says
/// that the edition is published. A job that is taken up again writes the same once more.
fn save(
    store: &Store,
    job: &Job,
    target: &Target,
    uid: u64,
    inputs: Inputs,
    computed: &Computed,
    results: Vec<EditionResult>,
) -> Result<(), Fault> {
    let ranks = results
        .get(computed.framework.root())
        .map(|root| root.ranks.iter());
    let cells = inputs.leaves.iter().flat_map(|(_, of)| of.cells.iter());
    let outcome = EditionOutcome {
        input_digest: computed.input_digest.clone(),
        result_digest: computed.result_digest.clone(),
        engine_version: ENGINE_VERSION,
        publish_time: 0,
        entities: number(inputs.fixed.entities.len()),
        ranked: number(ranks.map_or(0, |ranks| ranks.flatten().count())),
        cells: cells.filter(|cell| cell.figure.is_some()).count() as u64,
    };
    let leaves = inputs.leaves.into_iter();
    let leaves = leaves.map(|(position, cells)| (number(position), cells));
    job.put_rows(store, EDITION_CELLS, uid, leaves, |cells| cells.bytes())?;
    let results = (0..).zip(results);
    job.put_rows(store, EDITION_RESULTS, uid, results, EditionResult::bytes)?;
    let (at, fixed) = (target.clone(), inputs.fixed);
    job.commit(store, move |tx| {
        tx.put(&EDITION_INPUTS, &uid, &fixed)
            .map_err(|e| store_fault(&e))?;
        let outcome = EditionOutcome {
            publish_time: tx.time().nanoseconds(),
            ..outcome
        };
        match finish(tx, &at, uid, EditionState::Published, Some(outcome))? {
            true => Ok(()),
            // Cancelled meanwhile: nothing of this is kept.
            false => Err(Stopped.into()),
        }
    })
}

/// Says why it failed, unless it is final already.
fn failed(tx: &mut Transaction<'_>, target: &Target, uid: u64, fault: Fault) -> Result<(), Fault> {
    let encoded = fault.into_encoded(DOMAIN);
    finish(tx, target, uid, EditionState::Failed(encoded), None).map(|_| ())
}

/// Ends an edition that is still being created; whether it was.
fn finish(
    tx: &mut Transaction<'_>,
    target: &Target,
    uid: u64,
    state: EditionState,
    outcome: Option<EditionOutcome>,
) -> Result<bool, Fault> {
    let parents = target.parents();
    let mut stored = find::<Editions>(tx, &parents, &target.edition)?.value;
    if stored.uid != uid || stored.body.state != EditionState::Creating {
        return Ok(false);
    }
    let key = (Editions::scope(tx, &parents)?, target.edition.clone());
    stored.body.state = state;
    stored.body.outcome = outcome;
    tx.put(&EDITIONS, &key, &stored)
        .map_err(|e| store_fault(&e))?;
    Ok(true)
}

/// Frameworks have fewer than 10,000 nodes, rankings fewer than 2^31 entities.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
