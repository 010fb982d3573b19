//! Create, Update and Delete, each in one transaction.

use std::collections::BTreeMap;

use almanac_proto::common::v1::ErrorReason;
use prost::Message;
use prost_types::FieldMask;
use tonic::Code;

use super::{Draft, Key, Resource, Stored, full_name, head, identify, parents};
use crate::{
    fault::{Fault, Violations},
    store::{Read as _, Revision, Store, Transaction},
    write::{Intent, store_fault, write},
};

/// Most paths of an update mask; no resource has as many fields.
const MAX_PATHS: usize = 100;

/// One resource to create.
#[derive(Debug)]
pub struct New<'a, P> {
    /// Path of the request in a batch (`requests[3].`); empty for a single one.
    pub at: String,
    /// The ID that the caller chose.
    pub id: &'a str,
    /// What it shall be.
    pub proto: Option<&'a P>,
}

struct Parsed<T> {
    at: String,
    id: String,
    draft: Draft<T>,
}

/// Create and BatchCreate (AIP-133, 233): all or none, in order.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, ALREADY_EXISTS, NOT_FOUND for the parent.
pub async fn create<R: Resource, T>(
    store: &Store,
    intent: Intent,
    parent: &str,
    news: Vec<New<'_, R::Proto>>,
    mut violations: Violations,
    answer: impl FnOnce(Vec<R::Proto>, String) -> T + Send + 'static,
) -> Result<T, Fault>
where
    T: Message + Default + Send + 'static,
{
    let parents = parents::<R>(parent)?;
    let mut drafts = Vec::with_capacity(news.len());
    let mut ids = BTreeMap::new();
    for new in news {
        violations.id(&format!("{}{}_id", new.at, R::FIELD), new.id);
        if let Some(first) = ids.insert(new.id.to_owned(), new.at.clone()) {
            let text = format!("{:?} also stands in {first}", new.id);
            let field = format!("{}{}_id", new.at, R::FIELD);
            violations.push(field, ErrorReason::DuplicateKey, text);
        }
        let at = format!("{}{}", new.at, R::FIELD);
        let draft = required::<R>(new.proto, &at, &parents, &mut violations);
        drafts.extend(draft.map(|draft| Parsed {
            at,
            id: new.id.to_owned(),
            draft,
        }));
    }
    violations.finish()?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let scope = R::scope(tx, &parents)?;
        let mut violations = Violations::new();
        let mut created = Vec::with_capacity(drafts.len());
        for Parsed { at, id, mut draft } in drafts {
            let name = full_name::<R>(&parents, &id);
            let key = (scope, id);
            if tx
                .get(&R::TABLE, &key)
                .map_err(|e| store_fault(&e))?
                .is_some()
            {
                return Err(Fault::already_exists(&name));
            }
            R::check(tx, scope, &at, &mut draft, None, &mut violations)?;
            if violations.is_empty() {
                created.push(insert::<R>(&tokens, tx, &key, name, draft, &parents)?);
            }
        }
        violations.finish()?;
        Ok(answer(created, tokens.token(tx.revision())))
    })
    .await
}

fn required<R: Resource>(
    proto: Option<&R::Proto>,
    at: &str,
    parents: &[String],
    violations: &mut Violations,
) -> Option<Draft<R::Body>> {
    if proto.is_none() {
        violations.push(at, ErrorReason::FieldRequired, "is required");
    }
    R::parse(proto?, at, parents, violations)
}

fn insert<R: Resource>(
    store: &Store,
    tx: &mut Transaction<'_>,
    key: &Key,
    name: String,
    draft: Draft<R::Body>,
    parents: &[String],
) -> Result<R::Proto, Fault> {
    let uid = tx.allocate_uid();
    let stored = Stored {
        uid,
        create_time: tx.time().nanoseconds(),
        display_name: draft.display_name,
        labels: draft.labels,
        body: draft.body,
    };
    put::<R>(store, tx, key, name, &stored, parents)
}

fn put<R: Resource>(
    store: &Store,
    tx: &mut Transaction<'_>,
    key: &Key,
    name: String,
    stored: &Stored<R::Body>,
    parents: &[String],
) -> Result<R::Proto, Fault> {
    tx.put(&R::TABLE, key, stored)
        .map_err(|e| store_fault(&e))?;
    let head = head::<R>(
        store,
        name,
        stored,
        (tx.revision(), tx.time()),
        tx.revision(),
    );
    Ok(R::render(head, stored, parents))
}

/// Update (AIP-134), with `allow_missing`.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND, ABORTED (ETAG_MISMATCH).
pub async fn update<R: Resource>(
    store: &Store,
    intent: Intent,
    proto: Option<&R::Proto>,
    mask: Option<&FieldMask>,
    allow_missing: bool,
    mut violations: Violations,
) -> Result<R::Proto, Fault> {
    let Some(new) = proto.cloned() else {
        violations.push(R::FIELD, ErrorReason::FieldRequired, "is required");
        return Err(violations
            .finish()
            .err()
            .unwrap_or_else(|| Fault::internal(&"no violation")));
    };
    let (name, etag) = R::identity(&new);
    let (name, etag) = (name.to_owned(), etag.to_owned());
    let (parents, id) = identify::<R>(&format!("{}.name", R::FIELD), &name)?;
    let paths = mask.map(|mask| mask.paths.clone());
    violations.list("update_mask", paths.as_ref().map_or(0, Vec::len), MAX_PATHS);
    violations.finish()?;
    // A mask that names no field is wrong whatever is stored.
    R::merge(&mut R::Proto::default(), &new, paths.as_deref()).map_err(|path| bad_mask(&path))?;
    let tokens = store.clone();
    write(store, intent, move |tx| {
        let scope = R::scope(tx, &parents)?;
        let key = (scope, id);
        let old = tx.get(&R::TABLE, &key).map_err(|e| store_fault(&e))?;
        check_etag(
            &name,
            &etag,
            old.as_ref().map(|old| (old.value.uid, old.revision)),
        )?;
        let mut violations = Violations::new();
        let Some(old) = old else {
            if !allow_missing {
                return Err(Fault::not_found(&name));
            }
            let draft = R::parse(&new, R::FIELD, &parents, &mut violations);
            let draft = checked::<R>(tx, scope, draft, None, violations)?;
            return insert::<R>(&tokens, tx, &key, name, draft, &parents);
        };
        let changed = (old.revision, old.time);
        let head = head::<R>(&tokens, name.clone(), &old.value, changed, old.revision);
        let mut merged = R::render(head, &old.value, &parents);
        R::merge(&mut merged, &new, paths.as_deref()).map_err(|path| bad_mask(&path))?;
        let draft = R::parse(&merged, R::FIELD, &parents, &mut violations);
        let draft = checked::<R>(tx, scope, draft, Some(&old.value), violations)?;
        let stored = Stored {
            display_name: draft.display_name,
            labels: draft.labels,
            body: draft.body,
            ..old.value
        };
        put::<R>(&tokens, tx, &key, name, &stored, &parents)
    })
    .await
}

fn checked<R: Resource>(
    tx: &Transaction<'_>,
    scope: u64,
    draft: Option<Draft<R::Body>>,
    old: Option<&Stored<R::Body>>,
    mut violations: Violations,
) -> Result<Draft<R::Body>, Fault> {
    let mut draft = draft;
    if let Some(draft) = &mut draft {
        R::check(tx, scope, R::FIELD, draft, old, &mut violations)?;
    }
    violations.finish()?;
    draft.ok_or_else(|| Fault::internal(&"a draft was refused without a violation"))
}

fn bad_mask(path: &str) -> Fault {
    let text = format!("{path:?} is not a field that can be changed");
    Fault::field("update_mask", ErrorReason::UpdateMaskInvalid, text)
}

/// # Errors
/// ABORTED (ETAG_MISMATCH) if `etag` is set and not that of the version found.
pub fn check_etag(name: &str, etag: &str, found: Option<(u64, Revision)>) -> Result<(), Fault> {
    let current = found.map(|(uid, revision)| super::etag(uid, revision));
    if etag.is_empty() || current.as_deref() == Some(etag) || found.is_none() {
        return Ok(());
    }
    let text = format!("{name} changed since etag {etag:?} was read; get it again and repeat");
    Err(Fault::new(Code::Aborted, ErrorReason::EtagMismatch, text).with("resource_name", name))
}

/// Delete (AIP-135), with `allow_missing`.
///
/// # Errors
/// NOT_FOUND, ABORTED (ETAG_MISMATCH), FAILED_PRECONDITION (RESOURCE_IN_USE).
pub async fn delete<R: Resource>(
    store: &Store,
    intent: Intent,
    name: &str,
    etag: &str,
    allow_missing: bool,
    violations: Violations,
) -> Result<(), Fault> {
    let (parents, id) = identify::<R>("name", name)?;
    violations.finish()?;
    let (name, etag) = (name.to_owned(), etag.to_owned());
    write(store, intent, move |tx| {
        let key = (R::scope(tx, &parents)?, id);
        let Some(old) = tx.get(&R::TABLE, &key).map_err(|e| store_fault(&e))? else {
            return if allow_missing {
                Ok(())
            } else {
                Err(Fault::not_found(&name))
            };
        };
        check_etag(&name, &etag, Some((old.value.uid, old.revision)))?;
        R::check_unused(tx, &key, &old.value, &name)?;
        tx.delete(&R::TABLE, &key).map_err(|e| store_fault(&e))
    })
    .await
}
