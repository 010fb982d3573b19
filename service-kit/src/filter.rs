//! Filters of lists, after AIP-160: `labels.region = "asia" AND (id = a OR display_name:"york")`.
//!
//! As in the AIP, OR binds tighter than AND. Comparisons: `=`, `!=`, `<`, `<=`, `>`, `>=` (as
//! text) and `:` (contains; for `labels:KEY`, has the key). `NOT` and parentheses group.

use almanac_proto::common::v1::ErrorReason;

use crate::fault::Fault;

mod lexer;
mod parser;
#[cfg(any(test, feature = "fuzz"))]
mod print;

/// Most bytes of a filter.
pub const MAX_FILTER_BYTES: usize = 4096;
/// How deep parentheses and NOT may nest.
pub const MAX_DEPTH: usize = 32;

/// What a filter may ask about one item.
pub trait Fields {
    /// The value of a field (`display_name`, `labels.region`); none where the item has none.
    fn field(&self, path: &str) -> Option<&str>;

    /// Whether `path:value` holds, for a field of which `:` asks something of its own; none where
    /// it asks whether the text contains the value.
    fn has(&self, _path: &str, _value: &str) -> Option<bool> {
        None
    }
}

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// None: everything passes.
    root: Option<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare {
        path: String,
        operator: Operator,
        value: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

impl Filter {
    /// Reads a filter over `fields`; one that ends in a point, as `labels.`, stands for everything
    /// below it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for `at` (FILTER_INVALID), saying what is wrong and where.
    pub fn parse(at: &str, text: &str, fields: &[&str]) -> Result<Self, Fault> {
        let wrong = |description: String| Fault::field(at, ErrorReason::FilterInvalid, description);
        if text.len() > MAX_FILTER_BYTES {
            return Err(wrong(format!(
                "has {} bytes, the limit is {MAX_FILTER_BYTES}",
                text.len()
            )));
        }
        let tokens = lexer::tokens(text).map_err(wrong)?;
        let root = parser::parse(&tokens, fields).map_err(wrong)?;
        Ok(Self { root })
    }

    /// Calls `see` with the field and the value of each comparison, in the order of the text.
    pub fn each(&self, mut see: impl FnMut(&str, &str)) {
        if let Some(root) = &self.root {
            root.each(&mut see);
        }
    }

    /// As it is, if every value that `path` is compared with is one of `words`: a word that no
    /// item can have is a slip of the caller's, and an empty answer would hide it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for `at` (FILTER_INVALID), with the words there are.
    pub fn with_words(self, at: &str, path: &str, words: &[&str]) -> Result<Self, Fault> {
        let mut wrong = None;
        self.each(|field, value| {
            if field == path && value != "*" && !words.contains(&value) {
                wrong.get_or_insert_with(|| value.to_owned());
            }
        });
        let Some(wrong) = wrong else {
            return Ok(self);
        };
        let text = format!(
            "{path} is never {wrong:?}; it is one of {}",
            words.join(", ")
        );
        Err(Fault::field(at, ErrorReason::FilterInvalid, text))
    }

    /// Whether an item passes.
    #[must_use]
    pub fn matches(&self, item: &impl Fields) -> bool {
        self.root.as_ref().is_none_or(|node| node.matches(item))
    }
}

impl Node {
    fn each(&self, see: &mut impl FnMut(&str, &str)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.each(see)),
            Self::Not(node) => node.each(see),
            Self::Compare { path, value, .. } => see(path, value),
        }
    }

    fn matches(&self, item: &impl Fields) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(item)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(item)),
            Self::Not(node) => !node.matches(item),
            Self::Compare {
                path,
                operator,
                value,
            } => operator.holds(path, value, item),
        }
    }
}

impl Operator {
    fn holds(self, path: &str, value: &str, item: &impl Fields) -> bool {
        if self == Self::Has && path == "labels" {
            return item.field(&format!("labels.{value}")).is_some();
        }
        if self == Self::Has
            && let Some(has) = item.has(path, value)
        {
            return has;
        }
        // What an item does not have equals nothing, and differs from everything.
        let Some(field) = item.field(path) else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => field == value,
            Self::NotEqual => field != value,
            Self::Less => field < value,
            Self::LessOrEqual => field <= value,
            Self::Greater => field > value,
            Self::GreaterOrEqual => field >= value,
            Self::Has => value == "*" || field.to_lowercase().contains(&value.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct City;

    impl Fields for City {
        fn field(&self, path: &str) -> Option<&str> {
            match path {
                "id" => Some("new-york"),
                "display_name" => Some("New York"),
                "labels.region" => Some("america"),
                _ => None,
            }
        }
    }

    const FIELDS: &[&str] = &["id", "display_name", "labels."];

    #[test]
    fn what_passes() {
        for (text, passes) in [
            ("", true),
            ("id = new-york", true),
            ("id = \"new-york\"", true),
            ("id != 'paris'", true),
            ("display_name:york", true),
            ("display_name:\"w Y\"", true),
            ("labels.region = asia", false),
            ("labels.country != fr", true),
            ("labels.country = fr", false),
            ("labels:region", true),
            ("labels:country", false),
            ("NOT labels:country", true),
            ("-id = paris", true),
            ("id = paris OR id = new-york", true),
            // OR binds tighter than AND.
            (
                "id = new-york OR id = paris AND labels.region = asia",
                false,
            ),
            ("(id = paris AND id = rome) OR id = new-york", true),
            ("id >= a AND id < o", true),
            ("id > o", false),
        ] {
            let filter = Filter::parse("filter", text, FIELDS).unwrap();
            assert_eq!(filter.matches(&City), passes, "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_where() {
        let deep = format!("{}id = a{}", "(".repeat(40), ")".repeat(40));
        for (text, says) in [
            ("name = a", "\"name\""),
            ("id", "id"),
            ("id =", "end"),
            ("id = a b", "\"b\""),
            ("id = a AND", "end"),
            ("id = \"a", "quote"),
            ("(id = a", "')'"),
            ("id ~ a", "'~'"),
            ("labels = a", "labels"),
            (deep.as_str(), "nested"),
        ] {
            let fault = Filter::parse("filter", text, FIELDS).unwrap_err();
            assert_eq!(fault.reason(), "FILTER_INVALID", "{text}");
            assert!(
                fault.message().contains(says),
                "{text}: {}",
                fault.message()
            );
        }
        let words = |text| {
            let filter = Filter::parse("filter", text, FIELDS).unwrap();
            filter.with_words("filter", "id", &["paris", "rome"])
        };
        assert!(words("id = rome OR NOT id:*").is_ok());
        let fault = words("display_name = x AND (id = rome OR id = oslo)").unwrap_err();
        assert!(
            fault.message().contains("paris, rome"),
            "{}",
            fault.message()
        );
        let long = "x".repeat(5000);
        assert!(Filter::parse("filter", &long, FIELDS).is_err());
    }
}
