//! The work behind CreateEdition: it goes on when the caller goes away, and is taken up again
//! when the service starts anew.

use std::sync::Arc;

use almanac_proto::ranking::v1::ErrorReason;
use almanac_service_kit::{
    fault::{Fault, check_digest},
    jobs::Job,
    name::join,
    plain::control::Control,
    resource::{Kind as _, Stored, find},
    store::{Read, Snapshot, Store, Transaction},
    write::{store_fault, transact},
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
        if let Err(fault) = publish(&decoded, &store, &target, &job).await {
            tracing::error!(
                edition = target.name(),
                error = fault.message(),
                "not published"
            );
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
    let decoded = Arc::clone(decoded);
    let found = find::<Editions>(&store.latest(), &target.parents(), &target.edition)?;
    let body = &found.value.body;
    if body.state != EditionState::Creating {
        return Ok(());
    }
    let revision = store.parse_token(&body.data_revision);
    let read = revision.and_then(|revision| store.at(revision));
    let (expected, at) = (body.expected_result_digest.clone(), target.clone());
    let computed = job.compute(move |job| {
        // Compaction may have come before the job was taken up again.
        let read = read.map_err(|e| store_fault(&e))?;
        let inputs = inputs(&decoded, &read, &at, job)?;
        let computed = rank(&inputs, job)?;
        check_digest(
            ErrorReason::ResultDigestMismatch,
            &expected,
            &computed.result_digest,
        )?;
        let results = computed.results(job)?;
        Ok((inputs, computed, results))
    });
    let computed = computed.await;
    let uid = found.value.uid;
    let at = target.clone();
    match computed {
        Ok((inputs, computed, results)) => {
            let write = move |tx: &mut Transaction<'_>| {
                published(tx, &at, uid, &inputs, &computed, &results)
            };
            match transact(store, write).await {
                // More than one commit can hold, whoever tries again.
                Err(fault) if fault.code() == Code::InvalidArgument => {
                    let at = target.clone();
                    transact(store, move |tx| failed(tx, &at, uid, fault.clone())).await
                }
                written => written,
            }
        }
        Err(_) if job.is_cancelled() => {
            let text = "the creation was cancelled";
            let fault = Fault::new(Code::Cancelled, ErrorReason::EditionCancelled, text);
            transact(store, move |tx| failed(tx, &at, uid, fault.clone())).await
        }
        // Told to stop without being cancelled: the service ends, and the next start resumes.
        Err(_) if job.check().is_err() => Ok(()),
        Err(fault) => transact(store, move |tx| failed(tx, &at, uid, fault.clone())).await,
    }
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

/// Writes inputs, scores and ranks, and the state, in one commit.
fn published(
    tx: &mut Transaction<'_>,
    target: &Target,
    uid: u64,
    inputs: &Inputs,
    computed: &Computed,
    results: &[EditionResult],
) -> Result<(), Fault> {
    tx.put(&EDITION_INPUTS, &uid, &inputs.fixed)
        .map_err(|e| store_fault(&e))?;
    let mut figures = 0;
    for (position, cells) in &inputs.leaves {
        figures += cells
            .cells
            .iter()
            .filter(|cell| cell.figure.is_some())
            .count();
        let key = (uid, number(*position));
        tx.put(&EDITION_CELLS, &key, cells)
            .map_err(|e| store_fault(&e))?;
    }
    for (position, result) in results.iter().enumerate() {
        let key = (uid, number(position));
        tx.put(&EDITION_RESULTS, &key, result)
            .map_err(|e| store_fault(&e))?;
    }
    let ranks = results
        .get(computed.framework.root())
        .map(|root| root.ranks.iter());
    let outcome = EditionOutcome {
        input_digest: computed.input_digest.clone(),
        result_digest: computed.result_digest.clone(),
        engine_version: ENGINE_VERSION,
        publish_time: tx.time().nanoseconds(),
        entities: number(inputs.fixed.entities.len()),
        ranked: number(ranks.map_or(0, |ranks| ranks.flatten().count())),
        cells: figures as u64,
    };
    finish(tx, target, uid, EditionState::Published, Some(outcome))
}

fn failed(tx: &mut Transaction<'_>, target: &Target, uid: u64, fault: Fault) -> Result<(), Fault> {
    let encoded = fault.into_encoded(DOMAIN);
    finish(tx, target, uid, EditionState::Failed(encoded), None)
}

/// Ends an edition that is still being created; one that is final stays as it is.
fn finish(
    tx: &mut Transaction<'_>,
    target: &Target,
    uid: u64,
    state: EditionState,
    outcome: Option<EditionOutcome>,
) -> Result<(), Fault> {
    let parents = target.parents();
    let found = find::<Editions>(tx, &parents, &target.edition)?.value;
    if found.uid != uid || found.body.state != EditionState::Creating {
        return Err(Fault::internal(
            &"an edition became final while it was computed",
        ));
    }
    let key = (Editions::scope(tx, &parents)?, target.edition.clone());
    let mut stored: Stored<_> = found;
    stored.body.state = state;
    stored.body.outcome = outcome;
    tx.put(&EDITIONS, &key, &stored)
        .map_err(|e| store_fault(&e))
}

/// Frameworks have fewer than 10,000 nodes, rankings fewer than 2^31 entities.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
