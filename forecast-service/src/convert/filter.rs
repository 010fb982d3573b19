//! Filters over series: `members.region = "japan"` is that member itself, `members.region:"asia"`
//! that member and everything below it.

use std::collections::{BTreeMap, BTreeSet};

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1::ErrorReason};
use almanac_service_kit::{
    fault::{Fault, Violations},
    filter::{Fields, Filter},
};

use crate::domain::hierarchy::{Dimension, Hierarchy, Series, SeriesKey};

const MEMBERS: &str = "members.";

/// The names of a point's status in filters.
const STATUSES: &[&str] = &["ACTUAL", "ESTIMATE", "PUBLISHED"];

/// A filter over series and, where allowed, status.
#[derive(Debug)]
pub struct SeriesFilter {
    filter: Filter,
    lines: Lines,
}

/// By dimension and member: the member and everything above it.
type Lines = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// One item as a filter sees it.
struct Item<'a> {
    key: &'a SeriesKey,
    status: Option<&'a str>,
    lines: &'a Lines,
}

impl Fields for Item<'_> {
    fn field(&self, path: &str) -> Option<&str> {
        match path.strip_prefix(MEMBERS) {
            Some(dimension) => self.key.members.get(dimension).map(String::as_str),
            None => self.status.filter(|_| path == "status"),
        }
    }

    fn has(&self, path: &str, value: &str) -> Option<bool> {
        let dimension = path.strip_prefix(MEMBERS)?;
        let line = self.lines.get(dimension)?.get(self.field(path)?)?;
        Some(value == "*" || line.contains(value))
    }
}

impl SeriesFilter {
    /// Reads the filter of a request about series of `hierarchy`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for what cannot be read, or names unknown dimensions or members.
    pub fn parse(text: &str, hierarchy: &Hierarchy, with_status: bool) -> Result<Self, Fault> {
        let dimensions = hierarchy.dimensions();
        let lines: Lines = dimensions
            .iter()
            .map(|dimension| (dimension.id.clone(), member_lines(dimension)))
            .collect();
        let fields = &[MEMBERS, "status"][..if with_status { 2 } else { 1 }];
        let filter =
            Filter::parse("filter", text, fields)?.with_words("filter", "status", STATUSES)?;
        check(&filter, &lines)?;
        Ok(Self { filter, lines })
    }

    /// Whether a series passes; `status` is the name of a point's status, none where derived.
    #[must_use]
    pub fn matches(&self, key: &SeriesKey, status: Option<&str>) -> bool {
        self.filter.matches(&Item {
            key,
            status,
            lines: &self.lines,
        })
    }

    /// As [`SeriesFilter::matches`], by position.
    #[must_use]
    pub fn passes(&self, hierarchy: &Hierarchy, series: &Series) -> bool {
        self.matches(&hierarchy.key(series), None)
    }
}

fn member_lines(dimension: &Dimension) -> BTreeMap<String, BTreeSet<String>> {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // In canonical order parents stand before their children.
    for member in &dimension.members {
        let above = member.parent.as_ref().and_then(|parent| lines.get(parent));
        let mut line = above.cloned().unwrap_or_default();
        line.insert(member.id.clone());
        lines.insert(member.id.clone(), line);
    }
    lines
}

/// Whether the members that the filter names exist.
fn check(filter: &Filter, lines: &Lines) -> Result<(), Fault> {
    let mut violations = Violations::new();
    filter.each(|path, value| {
        let Some(dimension) = path.strip_prefix(MEMBERS) else {
            return;
        };
        match lines.get(dimension) {
            None => {
                let text = format!("there is no dimension {dimension:?}");
                violations.push("filter", ErrorReason::DimensionUnknown, text);
            }
            Some(members) if value != "*" && !members.contains_key(value) => {
                let text = format!("dimension {dimension:?} has no member {value:?}");
                violations.push("filter", ErrorReason::MemberUnknown, text);
            }
            Some(_) => {}
        }
    });
    violations.finish()
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
            ("status = actual", "FILTER_INVALID"),
        ] {
            assert_eq!(
                passes(text, "china").unwrap_err().reason(),
                reason,
                "{text}"
            );
        }
    }
}
