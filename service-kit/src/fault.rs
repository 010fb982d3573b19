//! What goes wrong with a call, and how the caller is told.
//!
//! Services return [`Fault`]s; [`Fault::into_status`] adds the error details: `ErrorInfo` always,
//! `BadRequest` with exact field paths for bad input, `RetryInfo` where a retry helps. The size
//! of the details is capped, because they travel in HTTP/2 trailers and common clients refuse
//! more than 8 KiB of those.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use almanac_proto::{Reason, common::v1::ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Most field violations told in one status.
pub const MAX_VIOLATIONS: usize = 50;
/// Most bytes of field violations told in one status, as encoded.
pub const MAX_VIOLATION_BYTES: usize = 4096;
/// Most bytes of one description: a caller's own text is quoted only so far.
const MAX_DESCRIPTION_BYTES: usize = 300;
/// Most bytes of the text of a status, which travels twice: by itself and in the details.
const MAX_MESSAGE_BYTES: usize = 1000;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    code: Code,
    reason: &'static str,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path to the field: `observations[17].value`.
    pub field: String,
    /// Why it is wrong, for programs.
    pub reason: &'static str,
    /// What is wrong and what is allowed, for people.
    pub description: String,
}

impl Fault {
    /// A fault with a code, a reason and a text that says how to mend it.
    pub fn new(code: Code, reason: impl Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.wire_name(),
            message: clip(message.into(), MAX_MESSAGE_BYTES),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// One wrong field.
    pub fn field(
        field: impl Into<String>,
        reason: impl Reason,
        description: impl Into<String>,
    ) -> Self {
        let mut violations = Violations::new();
        violations.push(field, reason, description);
        violations.into_fault()
    }

    /// The named resource does not exist.
    #[must_use]
    pub fn not_found(name: &str) -> Self {
        Self::new(
            Code::NotFound,
            ErrorReason::ResourceNotFound,
            format!("{name} does not exist"),
        )
        .with("resource_name", name)
    }

    /// A resource of that name exists.
    #[must_use]
    pub fn already_exists(name: &str) -> Self {
        let message =
            format!("{name} exists; choose another ID, or update it where it can be updated");
        Self::new(
            Code::AlreadyExists,
            ErrorReason::ResourceAlreadyExists,
            message,
        )
        .with("resource_name", name)
    }

    /// `users` use the resource; `more` says that there are others.
    #[must_use]
    pub fn in_use(name: &str, users: &str) -> Self {
        let message = format!("{name} is used by {users} and cannot be deleted while it is");
        Self::new(
            Code::FailedPrecondition,
            ErrorReason::ResourceInUse,
            message,
        )
        .with("resource_name", name)
        .with("used_by", users)
    }

    /// A method or step that this version does not have.
    #[must_use]
    pub fn unsupported(field: &str, what: &str) -> Self {
        let message = format!("{field}: this version does not have {what}");
        Self::new(Code::Unimplemented, ErrorReason::MethodUnsupported, message).with("field", field)
    }

    /// A fault of the service. `cause` goes to the log and not to the caller.
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            Code::Internal,
            ErrorReason::Internal,
            "the service failed; its log has the cause under this call's request ID",
        )
    }

    /// Adds an entry to the metadata of `ErrorInfo`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata
            .insert(key.to_owned(), clip(value.into(), MAX_DESCRIPTION_BYTES));
        self
    }

    /// The same of a message that is the field `at` of another one.
    #[must_use]
    pub fn within(mut self, at: &str) -> Self {
        for violation in &mut self.violations {
            violation.field = format!("{at}.{}", violation.field);
        }
        if !self.violations.is_empty() {
            self.message = format!("{at}.{}", self.message);
        }
        self
    }

    /// How long to wait until a retry may succeed, where one may.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Says that a retry after this time may succeed.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The code of the status.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The reason as `ErrorInfo` carries it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whether this is its reason.
    #[must_use]
    pub fn is(&self, reason: impl Reason) -> bool {
        self.reason == reason.wire_name()
    }

    /// The text of the status.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status as an encoded `google.rpc.Status`, for a resource that keeps why it failed.
    #[must_use]
    pub fn into_encoded(self, domain: &str) -> Vec<u8> {
        // What tonic calls the details of a status is the encoded google.rpc.Status itself, and
        // there always is an ErrorInfo in it.
        self.into_status(domain).details().to_vec()
    }

    /// The status, with details under the service's error domain (`ranking.almanac`).
    #[must_use]
    pub fn into_status(self, domain: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            self.reason,
            domain,
            self.metadata.into_iter().collect::<HashMap<_, _>>(),
        );
        if !self.violations.is_empty() {
            let fields = self.violations.into_iter().map(|violation| FieldViolation {
                field: violation.field,
                description: violation.description,
                reason: violation.reason.to_owned(),
                localized_message: None,
            });
            details.set_bad_request(fields.collect::<Vec<_>>());
        }
        if let Some(delay) = self.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(self.code, self.message, details)
    }
}

/// Collects every fault of a request, so that they are told together.
#[derive(Debug, Default)]
pub struct Violations {
    kept: Vec<Violation>,
    bytes: usize,
    total: usize,
    mixed: bool,
    first_reason: Option<&'static str>,
    unsupported: Option<Fault>,
}

impl Violations {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a wrong field. Beyond the caps it is only counted.
    pub fn push(
        &mut self,
        field: impl Into<String>,
        reason: impl Reason,
        description: impl Into<String>,
    ) {
        self.push_named(field, reason.wire_name(), description);
    }

    /// As [`Violations::push`], for a reason that is at hand as its wire name.
    pub fn push_named(
        &mut self,
        field: impl Into<String>,
        reason: &'static str,
        description: impl Into<String>,
    ) {
        self.total += 1;
        self.mixed |= *self.first_reason.get_or_insert(reason) != reason;
        if self.kept.len() == MAX_VIOLATIONS {
            return;
        }
        let field = clip(field.into(), MAX_DESCRIPTION_BYTES);
        let description = clip(description.into(), MAX_DESCRIPTION_BYTES);
        // Each of the three texts and the message around them costs up to three bytes of framing.
        let bytes = field.len() + reason.len() + description.len() + 12;
        if self.bytes + bytes <= MAX_VIOLATION_BYTES {
            self.bytes += bytes;
            self.kept.push(Violation {
                field,
                reason,
                description,
            });
        }
    }

    /// Notes a method or step that this version does not have.
    pub fn unsupported(&mut self, field: &str, what: &str) {
        self.unsupported
            .get_or_insert_with(|| Fault::unsupported(field, what));
    }

    /// Takes over what others were found.
    pub fn absorb(&mut self, others: Self) {
        let untold = others.total - others.kept.len();
        for violation in others.kept {
            self.push_named(violation.field, violation.reason, violation.description);
        }
        self.total += untold;
        self.mixed |= others.mixed;
        self.unsupported = self.unsupported.take().or(others.unsupported);
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0 && self.unsupported.is_none()
    }

    /// # Errors
    /// INVALID_ARGUMENT with everything that was pushed, if anything was; else UNIMPLEMENTED for
    /// what this version does not have.
    pub fn finish(self) -> Result<(), Fault> {
        match self.unsupported {
            Some(fault) if self.total == 0 => Err(fault),
            None if self.total == 0 => Ok(()),
            _ => Err(self.into_fault()),
        }
    }

    fn into_fault(self) -> Fault {
        let first = self.kept.first();
        let first_text = first
            .map(|v| format!("{}: {}", v.field, v.description))
            .unwrap_or_default();
        let message = match self.total {
            1 => first_text,
            total => format!("{total} fields are invalid; the first is {first_text}"),
        };
        let reason = match self.first_reason {
            Some(reason) if !self.mixed => reason,
            _ => ErrorReason::InvalidFields.wire_name(),
        };
        let total = self.total.to_string();
        Fault {
            code: Code::InvalidArgument,
            reason,
            message,
            metadata: BTreeMap::from([("violations_total".to_owned(), total)]),
            violations: self.kept,
            retry_after: None,
        }
    }
}

/// # Errors
/// ABORTED (`reason`) if a digest is expected and the result has another one.
pub fn check_digest(reason: impl Reason, expected: &str, found: &str) -> Result<(), Fault> {
    if expected.is_empty() || expected == found {
        return Ok(());
    }
    let text = format!("the result has digest {found}, not {expected}: the data changed");
    Err(Fault::new(Code::Aborted, reason, text)
        .with("result_digest", found)
        .with("expected_result_digest", expected))
}

/// The longest part of `text` that fits, cut between characters.
fn clip(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_violations_fit_into_trailers() {
        let mut violations = Violations::new();
        for row in 0..10_000 {
            let field = format!("observations[{row}].value");
            violations.push(field, ErrorReason::ValueNotFinite, "x".repeat(1000));
        }
        let status = violations
            .finish()
            .unwrap_err()
            .into_status("ranking.almanac");
        assert!(
            status.details().len() < 6 * 1024,
            "{}",
            status.details().len()
        );
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().unwrap().metadata["violations_total"],
            "10000"
        );
        assert_eq!(details.error_info().unwrap().reason, "VALUE_NOT_FINITE");
        assert!(!details.bad_request().unwrap().field_violations.is_empty());
    }

    #[test]
    fn different_reasons_are_told_each() {
        let mut violations = Violations::new();
        violations.push("a", ErrorReason::FieldRequired, "is empty");
        violations.push("b", ErrorReason::IdInvalid, "is odd");
        let fault = violations.finish().unwrap_err();
        assert_eq!(fault.reason(), "INVALID_FIELDS");
        assert_eq!(fault.violations[1].reason, "ID_INVALID");
        assert!(
            fault
                .message()
                .starts_with("2 fields are invalid; the first is a: is empty")
        );
    }

    #[test]
    fn a_long_text_of_a_caller_fits_into_trailers() {
        let odd = "é".repeat(10_000);
        let fault = Fault::new(Code::Aborted, ErrorReason::EtagMismatch, odd.clone());
        let status = fault.with("etag", odd).into_status("kit.almanac");
        assert!(status.message().len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
        // A letter beyond ASCII takes three times its bytes in a header, details a third more.
        let bytes = 3 * status.message().len() + status.details().len() * 4 / 3;
        assert!(bytes < 8 * 1024, "{bytes}");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("äöü".to_owned(), 3), "ä…");
        assert_eq!(clip("abc".to_owned(), 3), "abc");
    }
}
