//! Checks of request fields that every resource has: identifiers, texts, labels, numbers.
//!
//! They are methods of [`Violations`], so that one request's faults are told together. What
//! cannot be used comes back empty; the violation is what counts then.

use std::collections::BTreeMap;

use almanac_proto::common::v1::ErrorReason;

use crate::{fault::Violations, sizes::Sizes};

/// Most bytes of a display name.
pub const MAX_NAME_BYTES: usize = 256;
/// Most bytes of a description or citation.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Largest magnitude of a number: far beyond any figure, and far enough from the end of what a
/// double holds that no sum, ratio or square of a request's numbers leaves it.
pub const MAX_MAGNITUDE: f64 = 1e100;
/// Most bytes of the key of a label, and of its value.
pub const MAX_LABEL_BYTES: usize = 63;
/// Most labels of a resource.
pub const MAX_LABELS: usize = 64;

/// Whether `id` matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
#[must_use]
pub fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    matches!(bytes.first(), Some(b'a'..=b'z'))
        && bytes.len() <= 63
        && bytes.iter().all(inner)
        && bytes.last() != Some(&b'-')
}

impl Violations {
    /// An identifier that the caller chooses.
    pub fn id(&mut self, field: &str, id: &str) {
        if id.is_empty() {
            self.push(field, ErrorReason::FieldRequired, "is required");
        } else if !is_id(id) {
            let text = format!(
                "{id:?} is no ID: 1 to 63 of a-z, 0-9 and '-', beginning with a letter and not \
                 ending with '-'"
            );
            self.push(field, ErrorReason::IdInvalid, text);
        }
    }

    /// A text of at most `limit` bytes, in lines and without other control characters: those end
    /// up in logs, tables and C programs, which read them as something else.
    pub fn text(&mut self, field: &str, text: &str, limit: usize) {
        self.characters(field, text, &['\n', '\t']);
        self.length(field, text, limit);
    }

    /// A text of one line and at most `limit` bytes.
    fn line(&mut self, field: &str, text: &str, limit: usize) {
        self.characters(field, text, &[]);
        self.length(field, text, limit);
    }

    fn characters(&mut self, field: &str, text: &str, allowed: &[char]) {
        let odd = |c: &char| c.is_control() && !allowed.contains(c);
        if let Some(found) = text.chars().find(odd) {
            let description = format!("has the control character {found:?}; leave it out");
            self.push(field, ErrorReason::FieldInvalid, description);
        }
    }

    fn length(&mut self, field: &str, text: &str, limit: usize) {
        let limit = limit.min(Sizes::current().text);
        if text.len() > limit {
            let description = format!("has {} bytes, the limit is {limit}", text.len());
            self.push(field, ErrorReason::TextTooLong, description);
        }
    }

    /// A number that is no NaN, not infinite, and within [`MAX_MAGNITUDE`]. Says whether it is
    /// fine.
    pub fn finite(&mut self, field: &str, number: f64) -> bool {
        if !number.is_finite() {
            let text =
                format!("{number} is not a finite number; say a missing value with `missing`");
            self.push(field, ErrorReason::ValueNotFinite, text);
        }
        let fits = number.abs() <= MAX_MAGNITUDE;
        if number.is_finite() && !fits {
            let text = format!("{number:e} is larger than {MAX_MAGNITUDE:e}");
            self.push(field, ErrorReason::FieldInvalid, text);
        }
        fits
    }

    /// A count of items within `1..=limit`. Says whether it is fine.
    pub fn count(&mut self, field: &str, count: usize, limit: usize) -> bool {
        if count == 0 {
            self.push(field, ErrorReason::FieldRequired, "needs at least one item");
        }
        self.at_most(field, count, limit) && count > 0
    }

    /// A count of items of a list that may be empty, of at most `limit` and as many as lists may
    /// have. Says whether it is fine.
    pub fn list(&mut self, field: &str, count: usize, limit: usize) -> bool {
        self.at_most(field, count, limit.min(Sizes::current().list))
    }

    fn at_most(&mut self, field: &str, count: usize, limit: usize) -> bool {
        if count > limit {
            let text = format!("has {count} items, the limit is {limit}");
            self.push(field, ErrorReason::TooManyItems, text);
        }
        count <= limit
    }

    /// Display name and labels, the standard fields that callers set.
    pub fn standard(&mut self, at: &str, display_name: &str, labels: &BTreeMap<String, String>) {
        self.line(&format!("{at}.display_name"), display_name, MAX_NAME_BYTES);
        let field = format!("{at}.labels");
        if !self.list(&field, labels.len(), MAX_LABELS) {
            return;
        }
        let fits = |text: &str| {
            text.len() <= MAX_LABEL_BYTES
                && text.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
                })
        };
        for (key, value) in labels {
            if key.is_empty() || !fits(key) || !fits(value) {
                let text = format!(
                    "{key:?}: {value:?}: keys (1 to 63) and values (0 to 63) are of a-z, 0-9, \
                     '-' and '_'"
                );
                self.push(&field, ErrorReason::FieldInvalid, text);
            }
        }
    }

    /// A `request_id`: empty or a UUID.
    pub fn request_id(&mut self, id: &str) {
        if !id.is_empty() && uuid::Uuid::try_parse(id).is_err() {
            self.push(
                "request_id",
                ErrorReason::FieldInvalid,
                "must be empty or a UUID",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_refused_where_they_are_no_part_of_the_text() {
        let name = |text: &str| {
            let mut violations = Violations::new();
            violations.standard("city", text, &BTreeMap::new());
            violations.finish()
        };
        for odd in ["a\0b", "a\nb", "a\tb", "\u{7f}", "\u{85}", "a\u{1b}[31m"] {
            assert_eq!(name(odd).unwrap_err().reason(), "FIELD_INVALID", "{odd:?}");
        }
        name("Zürich 東京 🏙").unwrap();

        let notes = |text: &str| {
            let mut violations = Violations::new();
            violations.text("notes", text, MAX_TEXT_BYTES);
            violations.finish()
        };
        notes("one line\n\tand another").unwrap();
        for odd in ["a\0b", "a\rb", "\u{1b}"] {
            assert_eq!(notes(odd).unwrap_err().reason(), "FIELD_INVALID", "{odd:?}");
        }
    }

    #[test]
    fn identifiers() {
        for good in ["a", "ab", "a-b", "a1", &"a".repeat(63)] {
            assert!(is_id(good), "{good}");
        }
        for bad in [
            "",
            "1a",
            "-a",
            "a-",
            "A",
            "a_b",
            "ä",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
