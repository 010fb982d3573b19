//! Resource names: `datasets/{dataset}/indicators/{indicator}`.

use almanac_proto::common::v1::ErrorReason;

use crate::{check::is_id, fault::Fault};

/// The IDs in `name`, which must follow `collections`: for `["datasets", "indicators"]`,
/// `datasets/d/indicators/i` gives `["d", "i"]`.
///
/// # Errors
/// INVALID_ARGUMENT for `field` if it is empty or does not match.
pub fn parse<const N: usize>(
    field: &str,
    name: &str,
    collections: [&str; N],
) -> Result<[String; N], Fault> {
    let ids = parse_all(field, name, &collections)?;
    ids.try_into()
        .map_err(|_| Fault::internal(&"a name has another length than its pattern"))
}

/// As [`parse`], for collections that are not known at compile time.
///
/// # Errors
/// INVALID_ARGUMENT for `field` if it is empty or does not match.
pub fn parse_all(field: &str, name: &str, collections: &[&str]) -> Result<Vec<String>, Fault> {
    if name.is_empty() {
        return Err(Fault::field(
            field,
            ErrorReason::FieldRequired,
            "is required",
        ));
    }
    split(name, collections).ok_or_else(|| {
        let text = format!("{name:?} does not match {}", pattern(collections));
        Fault::field(field, ErrorReason::NameInvalid, text)
    })
}

/// As [`parse`], and also takes the bare ID of the last collection under `parents`.
///
/// # Errors
/// Says what was expected, if `name` is neither a bare ID nor a name under those parents.
pub fn relative(name: &str, collections: &[&str], parents: &[&str]) -> Result<String, String> {
    if is_id(name) {
        return Ok(name.to_owned());
    }
    match split(name, collections) {
        Some(ids) if ids.iter().zip(parents).all(|(id, parent)| id == parent) => {
            ids.into_iter().next_back().ok_or_else(String::new)
        }
        Some(_) => Err(format!("{name:?} belongs to another parent")),
        None => Err(format!(
            "{name:?} is neither an ID nor {}",
            pattern(collections)
        )),
    }
}

/// Joins collections and IDs to a name.
#[must_use]
pub fn join(parts: &[(&str, &str)]) -> String {
    let bytes = parts.iter().map(|(kind, id)| kind.len() + id.len() + 2);
    let mut name = String::with_capacity(bytes.sum());
    for (kind, id) in parts {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(kind);
        name.push('/');
        name.push_str(id);
    }
    name
}

fn split(name: &str, collections: &[&str]) -> Option<Vec<String>> {
    let mut segments = name.split('/');
    let mut ids = Vec::with_capacity(collections.len());
    for collection in collections {
        if segments.next()? != *collection {
            return None;
        }
        ids.push(segments.next().filter(|id| is_id(id))?.to_owned());
    }
    segments.next().is_none().then_some(ids)
}

fn pattern(collections: &[&str]) -> String {
    let parts: Vec<String> = collections
        .iter()
        .map(|kind| format!("{kind}/{{id}}"))
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTITY: [&str; 2] = ["datasets", "entities"];

    #[test]
    fn full_and_relative_names() {
        assert_eq!(
            parse("name", "datasets/d/entities/e", ENTITY).unwrap(),
            ["d", "e"]
        );
        assert_eq!(relative("e", &ENTITY, &["d"]).unwrap(), "e");
        assert_eq!(
            relative("datasets/d/entities/e", &ENTITY, &["d"]).unwrap(),
            "e"
        );
        assert!(
            relative("datasets/x/entities/e", &ENTITY, &["d"])
                .unwrap_err()
                .contains("another")
        );
    }

    #[test]
    fn what_does_not_match_is_told_with_the_pattern() {
        for bad in [
            "datasets/d",
            "datasets/d/entities/",
            "datasets/d/entities/e/x",
            "/",
            "D",
        ] {
            let fault = parse("name", bad, ENTITY).unwrap_err();
            assert_eq!(fault.reason(), "NAME_INVALID");
            assert!(
                fault.message().contains("datasets/{id}/entities/{id}"),
                "{fault:?}"
            );
        }
        assert_eq!(
            parse("name", "", ENTITY).unwrap_err().reason(),
            "FIELD_REQUIRED"
        );
    }
}
