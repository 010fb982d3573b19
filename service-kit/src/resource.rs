//! The standard methods (AIP-131 to 135) of every resource, once.
//!
//! A service says what is particular to a resource in an implementation of [`Resource`]; names,
//! etags, masks, paging, filters, exactly-once writes and revisions are the same for all.

use std::collections::{BTreeMap, VecDeque};

use almanac_proto::common::v1::{Consistency, ErrorReason};
use prost::Message;
use prost_types::{FieldMask, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tonic::Code;

use crate::{
    consistency,
    fault::{Fault, Violations},
    filter::{Fields, Filter},
    hex, name,
    page::{MAX_PAGE_BYTES, Page, fitting},
    sizes::Sizes,
    store::{CommitTime, Read, Record, Revision, Snapshot, Store, Table, Transaction, Versioned},
    time,
    write::{Intent, store_fault, write},
};

/// What the store keeps of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored<T> {
    /// Never reused within a store.
    pub uid: u64,
    /// Nanoseconds since the epoch.
    pub create_time: i64,
    /// Name for people.
    pub display_name: String,
    /// The caller's labels.
    pub labels: BTreeMap<String, String>,
    /// What is particular to the kind.
    pub body: T,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Record for Stored<T> {}

/// The standard fields that a service sets, for [`Resource::render`].
#[derive(Debug, Clone)]
pub struct Head {
    /// Resource name.
    pub name: String,
    /// As text.
    pub uid: String,
    /// When it was created.
    pub create_time: Option<Timestamp>,
    /// When it was last changed.
    pub update_time: Option<Timestamp>,
    /// Changes with every change.
    pub etag: String,
    /// Token of the revision read or written.
    pub revision: String,
}

/// What a request says of a resource, checked.
#[derive(Debug, Clone)]
pub struct Draft<T> {
    /// Name for people.
    pub display_name: String,
    /// The caller's labels.
    pub labels: BTreeMap<String, String>,
    /// What is particular to the kind.
    pub body: T,
}

/// A place in the store: the uid of what a resource is in, and its ID.
pub type Key = (u64, String);

/// A kind of resource that can be read: Get and List.
pub trait Kind: Send + Sync + 'static {
    /// The wire form.
    type Proto: Message + Default + Clone + Send + 'static;
    /// What is stored besides the standard fields.
    type Body: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// Where it is stored.
    const TABLE: Table<Key, Stored<Self::Body>>;
    /// The collections in its name: `["datasets", "indicators"]`.
    const COLLECTIONS: &'static [&'static str];
    /// The fields that its filters know.
    const FILTER_FIELDS: &'static [&'static str] = FILTER_FIELDS;
    /// The fields that have one of a few words, and the words.
    const FILTER_WORDS: &'static [(&'static str, &'static [&'static str])] = &[];

    /// The wire form of what is stored. `parents` are the IDs in the name before its own.
    fn render(head: Head, stored: &Stored<Self::Body>, parents: &[String]) -> Self::Proto;

    /// The uid of what the resource is in: 0 at the top.
    ///
    /// # Errors
    /// NOT_FOUND if a parent does not exist.
    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault>;

    /// The value of a filter field that is not one of [`FILTER_FIELDS`].
    fn field<'a>(stored: &'a Stored<Self::Body>, path: &str) -> Option<&'a str> {
        let _ = (stored, path);
        None
    }
}

/// A kind of resource that callers create, change and delete.
pub trait Resource: Kind {
    /// The field that carries it in requests: `indicator`.
    const FIELD: &'static str;

    /// Name and etag as a request gives them.
    fn identity(proto: &Self::Proto) -> (&str, &str);

    /// Checks what a request says. `at` is the path to the resource in the request.
    fn parse(
        proto: &Self::Proto,
        at: &str,
        parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Self::Body>>;

    /// Copies the fields that `paths` name from `new` to `old`; every mutable one for `*`, every
    /// one that is set where `paths` is none.
    ///
    /// # Errors
    /// The path that is no field that can be changed.
    fn merge(
        old: &mut Self::Proto,
        new: &Self::Proto,
        paths: Option<&[String]>,
    ) -> Result<(), String>;

    /// Checks a draft against the store: what it refers to, what may not change from `old`.
    ///
    /// # Errors
    /// The fault to answer; violations are pushed.
    fn check(
        tx: &Transaction<'_>,
        scope: u64,
        at: &str,
        draft: &mut Draft<Self::Body>,
        old: Option<&Stored<Self::Body>>,
        violations: &mut Violations,
    ) -> Result<(), Fault>;

    /// # Errors
    /// FAILED_PRECONDITION (RESOURCE_IN_USE) while something uses the resource.
    fn check_unused(
        tx: &Transaction<'_>,
        key: &Key,
        stored: &Stored<Self::Body>,
        name: &str,
    ) -> Result<(), Fault>;
}

struct Row<'a, R: Kind> {
    id: &'a str,
    stored: &'a Stored<R::Body>,
}

impl<R: Kind> Fields for Row<'_, R> {
    fn field(&self, path: &str) -> Option<&str> {
        match standard_field(self.id, self.stored, path) {
            None => R::field(self.stored, path),
            found => found,
        }
    }
}

impl<T> Fields for (&str, &Stored<T>) {
    fn field(&self, path: &str) -> Option<&str> {
        standard_field(self.0, self.1, path)
    }
}

fn standard_field<'a, T>(id: &'a str, stored: &'a Stored<T>, path: &str) -> Option<&'a str> {
    match path {
        "id" => Some(id),
        "display_name" => Some(&stored.display_name),
        _ => stored
            .labels
            .get(path.strip_prefix("labels.")?)
            .map(String::as_str),
    }
}

/// Most paths of an update mask; no resource has as many fields.
const MAX_PATHS: usize = 100;

/// The fields that filters of every resource know.
pub const FILTER_FIELDS: &[&str] = &["id", "display_name", "labels."];

/// The etag of a version of a resource.
#[must_use]
pub fn etag(uid: u64, revision: Revision) -> String {
    let mut etag = String::with_capacity(34);
    hex::push(&mut etag, uid);
    etag.push('-');
    hex::push(&mut etag, revision.get());
    etag
}

/// A uid as text.
#[must_use]
pub fn uid_text(uid: u64) -> String {
    hex::padded(uid)
}

/// The full name of a resource with these IDs.
#[must_use]
pub fn full_name<R: Kind>(parents: &[String], id: &str) -> String {
    let ids = parents.iter().map(String::as_str).chain([id]);
    let parts: Vec<(&str, &str)> = R::COLLECTIONS.iter().copied().zip(ids).collect();
    name::join(&parts)
}

/// The standard fields of a version that `changed` last and that is read at `read_at`.
pub fn head<R: Kind>(
    store: &Store,
    name: String,
    stored: &Stored<R::Body>,
    changed: (Revision, CommitTime),
    read_at: Revision,
) -> Head {
    Head {
        name,
        uid: uid_text(stored.uid),
        create_time: Some(time::from_nanos(stored.create_time)),
        update_time: Some(time::timestamp(changed.1)),
        etag: etag(stored.uid, changed.0),
        revision: store.token(read_at),
    }
}

fn render<R: Kind>(
    store: &Store,
    read: &Snapshot,
    parents: &[String],
    id: &str,
    version: &Versioned<Stored<R::Body>>,
) -> R::Proto {
    let name = full_name::<R>(parents, id);
    let changed = (version.revision, version.time);
    let head = head::<R>(store, name, &version.value, changed, read.revision());
    R::render(head, &version.value, parents)
}

/// The parents in `parent`, which is empty for a resource at the top.
fn parents<R: Kind>(parent: &str) -> Result<Vec<String>, Fault> {
    match R::COLLECTIONS {
        [_] => Ok(Vec::new()),
        [collections @ .., _] => name::parse_all("parent", parent, collections),
        [] => Ok(Vec::new()),
    }
}

/// The parents and the ID in a name.
///
/// # Errors
/// INVALID_ARGUMENT for `field`.
pub fn identify<R: Kind>(field: &str, name: &str) -> Result<(Vec<String>, String), Fault> {
    let mut ids = name::parse_all(field, name, R::COLLECTIONS)?;
    let id = ids.pop().unwrap_or_default();
    Ok((ids, id))
}

/// Get (AIP-131).
///
/// # Errors
/// INVALID_ARGUMENT for a malformed name, NOT_FOUND if it does not exist at the revision.
pub async fn get<R: Kind>(
    store: &Store,
    name: &str,
    consistency: Option<&Consistency>,
) -> Result<R::Proto, Fault> {
    let (parents, id) = identify::<R>("name", name)?;
    let read = consistency::snapshot(store, consistency).await?;
    let version = find::<R>(&read, &parents, &id)?;
    Ok(render::<R>(store, &read, &parents, &id, &version))
}

/// Finds a resource by the IDs in its name.
///
/// # Errors
/// NOT_FOUND if it or a parent does not exist at the revision.
pub fn find<R: Kind>(
    read: &impl Read,
    parents: &[String],
    id: &str,
) -> Result<Versioned<Stored<R::Body>>, Fault> {
    let scope = R::scope(read, parents)?;
    read.get(&R::TABLE, &(scope, id.to_owned()))
        .map_err(|e| store_fault(&e))?
        .ok_or_else(|| Fault::not_found(&full_name::<R>(parents, id)))
}

/// The resources of one page, the token of the next and the revision.
#[derive(Debug)]
pub struct Listed<P> {
    /// The resources.
    pub items: Vec<P>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// Token of the revision read.
    pub revision: String,
}

/// What a List request says.
#[derive(Debug)]
pub struct Listing<'a> {
    /// Name of what the resources are in.
    pub parent: &'a str,
    /// Size and place.
    pub page: Page,
    /// The filter's text.
    pub filter: &'a str,
    /// `id` or `id desc`.
    pub order_by: &'a str,
    /// Which state of the store.
    pub consistency: Option<&'a Consistency>,
}

/// List (AIP-132), by ID.
///
/// # Errors
/// INVALID_ARGUMENT for a filter, order or token that cannot be read, NOT_FOUND for the parent.
pub async fn list<R: Kind>(store: &Store, listing: Listing<'_>) -> Result<Listed<R::Proto>, Fault> {
    let parents = parents::<R>(listing.parent)?;
    let mut filter = Filter::parse("filter", listing.filter, R::FILTER_FIELDS)?;
    for (path, words) in R::FILTER_WORDS {
        filter = filter.with_words("filter", path, words)?;
    }
    let descending = descending(listing.order_by)?;
    let page = &listing.page;
    let read = consistency::page_snapshot(store, page, listing.consistency).await?;
    let scope = R::scope(&read, &parents)?;
    let mut found = VecDeque::new();
    for row in read.scan(&R::TABLE, &(scope,)) {
        let ((_, id), version) = row.map_err(|e| store_fault(&e))?;
        let after = page.after.as_deref();
        let beyond = after.is_none_or(|after| {
            if descending {
                *id < *after
            } else {
                *id > *after
            }
        });
        if beyond
            && filter.matches(&Row::<R> {
                id: &id,
                stored: &version.value,
            })
        {
            found.push_back((id, version));
        }
        // One more than the page has: those that come first, which a scan finds last where the
        // order descends.
        if found.len() > page.size + 1 {
            found.pop_front();
        }
        if !descending && found.len() > page.size {
            break;
        }
    }
    let mut found = Vec::from(found);
    if descending {
        found.reverse();
    }
    let rendered = |(id, version): &(String, Versioned<Stored<R::Body>>)| {
        render::<R>(store, &read, &parents, id, version)
    };
    let mut items: Vec<R::Proto> = found.iter().take(page.size).map(rendered).collect();
    items.truncate(fitting(&items));
    let revision = store.token(read.revision());
    let next_page_token = match found.get(items.len().saturating_sub(1)) {
        Some((id, _)) if items.len() < found.len() => page.next(&revision, id),
        _ => String::new(),
    };
    Ok(Listed {
        items,
        next_page_token,
        revision,
    })
}

/// Whether an `order_by` over `id` descends.
///
/// # Errors
/// INVALID_ARGUMENT (ORDER_BY_INVALID) for anything else.
pub fn descending(order_by: &str) -> Result<bool, Fault> {
    match order_by.split_whitespace().collect::<Vec<_>>()[..] {
        [] | ["id" | "id,"] | ["id", "asc"] => Ok(false),
        ["id", "desc"] => Ok(true),
        _ => {
            let text = format!("{order_by:?} is not known; there are \"id\" and \"id desc\"");
            Err(Fault::field("order_by", ErrorReason::OrderByInvalid, text))
        }
    }
}

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
    let current = found.map(|(uid, revision)| self::etag(uid, revision));
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

/// BatchGet (AIP-231): all or none, in order; also the revision read.
///
/// # Errors
/// NOT_FOUND for the first that does not exist, INVALID_ARGUMENT for names under another parent and
/// for more than an answer holds.
pub async fn batch_get<R: Kind>(
    store: &Store,
    parent: &str,
    names: &[String],
    consistency: Option<&Consistency>,
) -> Result<(Vec<R::Proto>, String), Fault> {
    let parents = parents::<R>(parent)?;
    let mut violations = Violations::new();
    violations.count("names", names.len(), Sizes::current().batch);
    let mut ids = Vec::with_capacity(names.len());
    for (row, name) in names.iter().enumerate() {
        match identify::<R>("names", name) {
            Ok((of, id)) if of == parents => ids.push(id),
            _ => {
                let text = format!("{name:?} is not {}", full_name::<R>(&parents, "{id}"));
                violations.push(format!("names[{row}]"), ErrorReason::NameInvalid, text);
            }
        }
    }
    violations.finish()?;
    let read = consistency::snapshot(store, consistency).await?;
    let (mut found, mut bytes) = (Vec::with_capacity(ids.len()), 0);
    for id in &ids {
        let version = find::<R>(&read, &parents, id)?;
        let one = render::<R>(store, &read, &parents, id, &version);
        bytes += one.encoded_len();
        if bytes > MAX_PAGE_BYTES {
            let text =
                format!("the answer would have more than {MAX_PAGE_BYTES} bytes; ask for fewer");
            return Err(Fault::field("names", ErrorReason::TooManyItems, text));
        }
        found.push(one);
    }
    Ok((found, store.token(read.revision())))
}

/// Implements [`Resource::merge`] for a wire type by listing its mutable fields.
#[macro_export]
macro_rules! merge_fields {
    ($old:expr, $new:expr, $paths:expr, [$($field:ident),+ $(,)?]) => {{
        let (old, new, paths) = ($old, $new, $paths);
        let unset = Self::Proto::default();
        match paths {
            None => {
                $(if new.$field != unset.$field { old.$field = new.$field.clone(); })+
                Ok(())
            }
            Some(paths) => {
                for path in paths {
                    match path.as_str() {
                        "*" => { $(old.$field = new.$field.clone();)+ }
                        $(stringify!($field) => old.$field = new.$field.clone(),)+
                        other => return Err(other.to_owned()),
                    }
                }
                Ok(())
            }
        }
    }};
}
