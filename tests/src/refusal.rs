//! Errors as a caller sees them.

use std::{collections::BTreeMap, fmt};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What a refused call was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: Code,
    /// `google.rpc.ErrorInfo.reason`; empty where there is none.
    pub reason: String,
    /// `google.rpc.ErrorInfo.domain`.
    pub domain: String,
    /// `google.rpc.ErrorInfo.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// `google.rpc.BadRequest`: field path, reason and description.
    pub fields: Vec<(String, String, String)>,
    /// The text of the status.
    pub message: String,
}

impl Refusal {
    /// Whether a field was refused for this reason.
    #[must_use]
    pub fn names(&self, field: &str, reason: &str) -> bool {
        self.fields
            .iter()
            .any(|(path, why, _)| path == field && why == reason)
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().cloned();
        let fields = details
            .bad_request()
            .map(|bad| bad.field_violations.clone());
        let fields = fields.unwrap_or_default().into_iter();
        Self {
            code: status.code(),
            reason: info
                .as_ref()
                .map(|info| info.reason.clone())
                .unwrap_or_default(),
            domain: info
                .as_ref()
                .map(|info| info.domain.clone())
                .unwrap_or_default(),
            metadata: info
                .map(|info| info.metadata.into_iter().collect())
                .unwrap_or_default(),
            fields: fields
                .map(|field| (field.field, field.reason, field.description))
                .collect(),
            message: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}): {}", self.code, self.reason, self.message)?;
        for (field, reason, description) in &self.fields {
            write!(f, "\n  {field} ({reason}): {description}")?;
        }
        Ok(())
    }
}

/// Compares a result with the refusal that was expected: its code, its reason and, where `field`
/// is not empty, that this field was refused. In a refusal of several fields for different
/// reasons, the reason is that of the field.
///
/// # Errors
/// What is different.
pub fn expect_error<T: fmt::Debug>(
    result: Result<T, Status>,
    code: Code,
    reason: &str,
    field: &str,
) -> Result<Refusal, String> {
    let status = match result {
        Ok(answer) => return Err(format!("expected {code:?} ({reason}), got {answer:?}")),
        Err(status) => status,
    };
    let refusal = Refusal::from(&status);
    let agrees = refusal.code == code
        && if field.is_empty() {
            refusal.reason == reason
        } else {
            refusal.names(field, reason)
        };
    if agrees {
        Ok(refusal)
    } else {
        Err(format!(
            "expected {code:?} ({reason}) at {field:?}, got {refusal}"
        ))
    }
}
