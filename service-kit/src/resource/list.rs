//! Several resources at a time: List and BatchGet.

use std::collections::VecDeque;

use almanac_proto::common::v1::{Consistency, ErrorReason};
use prost::Message as _;

use super::{Kind, Stored, find, full_name, identify, parents, render};
use crate::{
    consistency,
    fault::{Fault, Violations},
    filter::{Fields, Filter},
    page::{MAX_PAGE_BYTES, Page, fitting},
    sizes::Sizes,
    store::{Read as _, Store, Versioned},
    write::store_fault,
};

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
