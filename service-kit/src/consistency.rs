//! Which state of the store a read answers from.

use almanac_proto::common::v1::{Consistency, ErrorReason, consistency::Requirement};

use crate::{
    fault::{Fault, Violations},
    page::Page,
    store::{CommitTime, Snapshot, Store, StoreError},
    time::to_nanos,
    write::store_fault,
};

/// The snapshot that `consistency` (a field of that name in the request) asks for.
///
/// # Errors
/// INVALID_ARGUMENT (REVISION_UNKNOWN) for a token of another store or from the future,
/// FAILED_PRECONDITION (REVISION_COMPACTED) for one that is gone.
pub async fn snapshot(store: &Store, consistency: Option<&Consistency>) -> Result<Snapshot, Fault> {
    // Without a requirement, the newest committed state.
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        None => Ok(store.latest()),
        Some(Requirement::ExactRevision(token)) => {
            exact(store, "consistency.exact_revision", token)
        }
        Some(Requirement::AtLeastRevision(token)) => {
            let field = "consistency.at_least_revision";
            let revision = store.parse_token(token).map_err(|_| unknown(field))?;
            store.wait_for(revision).await.map_err(|_| unknown(field))?;
            Ok(store.latest())
        }
        Some(Requirement::AsOf(time)) => {
            let mut violations = Violations::new();
            let nanos = to_nanos("consistency.as_of", time, &mut violations);
            violations.finish()?;
            store
                .as_of(CommitTime::from_nanoseconds(nanos))
                .map_err(|error| gone(store, &error))
        }
    }
}

/// As [`snapshot`]; a later page reads what the first one read.
///
/// # Errors
/// See [`snapshot`].
pub async fn page_snapshot(
    store: &Store,
    page: &Page,
    consistency: Option<&Consistency>,
) -> Result<Snapshot, Fault> {
    match &page.revision {
        Some(token) => exact(store, "page_token", token),
        None => snapshot(store, consistency).await,
    }
}

fn exact(store: &Store, field: &str, token: &str) -> Result<Snapshot, Fault> {
    let revision = store.parse_token(token).map_err(|_| unknown(field))?;
    store.at(revision).map_err(|error| match error {
        StoreError::RevisionUnknown => unknown(field),
        error => gone(store, &error),
    })
}

/// The fault of a read; of what was compacted away, with the oldest revision that is left.
fn gone(store: &Store, error: &StoreError) -> Fault {
    let fault = store_fault(error);
    match error {
        StoreError::RevisionCompacted { floor } => {
            fault.with("oldest_revision", store.token(*floor))
        }
        _ => fault,
    }
}

fn unknown(field: &str) -> Fault {
    let text = "is not a revision of this store; read without it to get a current one";
    Fault::field(field, ErrorReason::RevisionUnknown, text)
}
