//! The standard methods (AIP-131 to 135) of every resource, once.
//!
//! A service says what is particular to a resource in an implementation of [`Resource`]; names,
//! etags, masks, paging, filters, exactly-once writes and revisions are the same for all.

mod change;
mod list;

use std::collections::BTreeMap;

use almanac_proto::common::v1::Consistency;
pub use change::{New, check_etag, create, delete, update};
pub use list::{Listed, Listing, batch_get, descending, list};
use prost::Message;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    consistency,
    fault::{Fault, Violations},
    hex, name,
    store::{
        CommitTime, Led, Read, Record, Revision, Snapshot, Store, Table, Transaction, Versioned,
    },
    time,
    write::store_fault,
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

impl<T: Serialize + DeserializeOwned + Send + 'static> Led for Stored<T> {
    type First = u64;

    fn into_first(self) -> u64 {
        self.uid
    }
}

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

/// The uid of a resource, whose body may be large and is not decoded for it.
///
/// # Errors
/// As [`find`].
pub fn uid<R: Kind>(read: &impl Read, parents: &[String], id: &str) -> Result<u64, Fault> {
    let scope = R::scope(read, parents)?;
    read.get_first(&R::TABLE, &(scope, id.to_owned()))
        .map_err(|e| store_fault(&e))?
        .ok_or_else(|| Fault::not_found(&full_name::<R>(parents, id)))
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
