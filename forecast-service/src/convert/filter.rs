//! Filters over series: `members.region = "japan"` is that member itself, `members.region:"asia"`
//! that member and everything below it.
//!
//! The kit's filters compare texts. So `members.D:"m"` is rewritten to ask whether the path of
//! the series' member from its root, `/asia/japan/`, has the part `/m/`.

use std::collections::BTreeMap;

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1::ErrorReason};
use almanac_service_kit::{
    fault::{Fault, Violations},
    filter::{Fields, Filter},
};

use crate::domain::hierarchy::{Dimension, Hierarchy, Series, SeriesKey};

const MEMBERS: &str = "members.";
const PATHS: &str = "paths.";

/// A filter over series and, where allowed, status.
#[derive(Debug)]
pub struct SeriesFilter {
    filter: Filter,
    /// By dimension: the path of each member from the root.
    paths: BTreeMap<String, BTreeMap<String, String>>,
}

/// One item as a filter sees it.
struct Item<'a> {
    key: &'a SeriesKey,
    status: Option<&'a str>,
    paths: &'a BTreeMap<String, BTreeMap<String, String>>,
}

impl Fields for Item<'_> {
    fn field(&self, path: &str) -> Option<&str> {
        if let Some(dimension) = path.strip_prefix(MEMBERS) {
            return self.key.members.get(dimension).map(String::as_str);
        }
        if let Some(dimension) = path.strip_prefix(PATHS) {
            let member = self.key.members.get(dimension)?;
            return self.paths.get(dimension)?.get(member).map(String::as_str);
        }
        self.status.filter(|_| path == "status")
    }
}

impl SeriesFilter {
    /// Reads the filter of a request about series of `hierarchy`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for what cannot be read, or names unknown dimensions or members.
    pub fn parse(text: &str, hierarchy: &Hierarchy, with_status: bool) -> Result<Self, Fault> {
        let dimensions = hierarchy.dimensions();
        let paths: BTreeMap<_, _> = dimensions
            .iter()
            .map(|dimension| (dimension.id.clone(), member_paths(dimension)))
            .collect();
        let terms = terms(text);
        check(&terms, &paths)?;
        let mut fields: Vec<String> = paths
            .keys()
            .flat_map(|id| [format!("{MEMBERS}{id}"), format!("{PATHS}{id}")])
            .collect();
        fields.extend(with_status.then(|| "status".to_owned()));
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let filter = Filter::parse("filter", &rewritten(text, &terms), &fields)?;
        Ok(Self { filter, paths })
    }

    /// Whether a series passes; `status` is the name of a point's status, none where derived.
    #[must_use]
    pub fn matches(&self, key: &SeriesKey, status: Option<&str>) -> bool {
        self.filter.matches(&Item {
            key,
            status,
            paths: &self.paths,
        })
    }

    /// As [`SeriesFilter::matches`], by position.
    #[must_use]
    pub fn passes(&self, hierarchy: &Hierarchy, series: &Series) -> bool {
        self.matches(&hierarchy.key(series), None)
    }
}

/// `/asia/japan/` for each member.
fn member_paths(dimension: &Dimension) -> BTreeMap<String, String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    // In canonical order parents stand before their children.
    for member in &dimension.members {
        let above = member.parent.as_ref().and_then(|parent| paths.get(parent));
        let path = format!("{}{}/", above.map_or("/", String::as_str), member.id);
        paths.insert(member.id.clone(), path);
    }
    paths
}

/// A comparison of `members.D` in the text of a filter.
#[derive(Debug, PartialEq, Eq)]
struct Term<'a> {
    /// Where it begins.
    start: usize,
    /// Where it ends.
    end: usize,
    dimension: &'a str,
    /// Whether it asks for everything below as well.
    below: bool,
    value: String,
}

/// Every comparison of members; what is malformed is left to the filter's own parser.
fn terms(text: &str) -> Vec<Term<'_>> {
    let mut terms = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if first == '"' || first == '\'' {
            quoted(rest).map_or(rest.len(), |(_, length)| length)
        } else if is_word(first) {
            let length = word(rest);
            match term(text, at, length) {
                Some(term) => {
                    at = term.end;
                    terms.push(term);
                    continue;
                }
                None => length,
            }
        } else {
            first.len_utf8()
        };
        at += length;
    }
    terms
}

fn term(text: &str, start: usize, length: usize) -> Option<Term<'_>> {
    let dimension = text[start..start + length].strip_prefix(MEMBERS)?;
    let rest = text[start + length..].trim_start();
    let operator = ["!=", "=", ":"]
        .into_iter()
        .find(|sign| rest.starts_with(sign))?;
    let rest = rest[operator.len()..].trim_start();
    let (value, length) = match rest.chars().next()? {
        '"' | '\'' => quoted(rest)?,
        first if is_word(first) => (rest[..word(rest)].to_owned(), word(rest)),
        _ => return None,
    };
    let end = text.len() - rest.len() + length;
    Some(Term {
        start,
        end,
        dimension,
        below: operator == ":",
        value,
    })
}

/// The characters of words, as the kit's filters have them.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '*' | '/')
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

fn quoted(rest: &str) -> Option<(String, usize)> {
    let quote = rest.chars().next()?;
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Some((text, at + c.len_utf8())),
            c => text.push(c),
        }
    }
    None
}

fn check(
    terms: &[Term<'_>],
    paths: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<(), Fault> {
    let mut violations = Violations::new();
    for Term {
        dimension,
        below,
        value,
        ..
    } in terms
    {
        match paths.get(*dimension) {
            None => {
                let text = format!("there is no dimension {dimension:?}");
                violations.push("filter", ErrorReason::DimensionUnknown, text);
            }
            Some(_) if *below && value == "*" => {}
            Some(members) if !members.contains_key(value) => {
                let text = format!("dimension {dimension:?} has no member {value:?}");
                violations.push("filter", ErrorReason::MemberUnknown, text);
            }
            Some(_) => {}
        }
    }
    violations.finish()
}

fn rewritten(text: &str, terms: &[Term<'_>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Term {
        start,
        end,
        dimension,
        value,
        ..
    } in terms.iter().filter(|term| term.below)
    {
        out.push_str(&text[at..*start]);
        let part = if value == "*" {
            value.clone()
        } else {
            format!("/{value}/")
        };
        out.push_str(&format!("{PATHS}{dimension}:\"{part}\""));
        at = *end;
    }
    out.push_str(&text[at..]);
    out
}

/// The place of one item in a list for which a token was made, or why it is none.
///
/// # Errors
/// INVALID_ARGUMENT: the token is damaged.
pub fn place<T>(parsed: Option<T>) -> Result<T, Fault> {
    parsed.ok_or_else(|| {
        let text = "is not a token of this list; start without one";
        Fault::field("page_token", Common::PageTokenInvalid, text)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::series::tests::asia, *};

    fn passes(text: &str, region: &str) -> Result<bool, Fault> {
        let filter = SeriesFilter::parse(text, &asia(), true)?;
        let key = SeriesKey::of([("component", "all"), ("region", region)]);
        Ok(filter.matches(&key, Some("ACTUAL")))
    }

    #[test]
    fn members_and_what_is_below_them() {
        for (text, china, whole) in [
            ("", true, true),
            ("members.region = \"china\"", true, false),
            ("members.region = asia", false, true),
            ("members.region:asia", true, true),
            ("members.region:'asia' AND status = ACTUAL", true, true),
            ("NOT members.region : \"china\"", false, true),
            ("members.region:* ", true, true),
            ("members.region != china", false, true),
            ("status = ESTIMATE", false, false),
            (
                "(members.region:india OR members.region:china)",
                true,
                false,
            ),
        ] {
            assert_eq!(passes(text, "china").unwrap(), china, "{text}");
            assert_eq!(passes(text, "asia").unwrap(), whole, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, reason) in [
            ("members.city:asia", "DIMENSION_UNKNOWN"),
            ("members.region:mars", "MEMBER_UNKNOWN"),
            ("members.region = mars", "MEMBER_UNKNOWN"),
            ("members.region:\"chin", "FILTER_INVALID"),
            ("members.region >", "FILTER_INVALID"),
            ("value = 1", "FILTER_INVALID"),
        ] {
            assert_eq!(
                passes(text, "china").unwrap_err().reason(),
                reason,
                "{text}"
            );
        }
    }
}
