//! Periods and frequencies.

use almanac_proto::common::v1::{ErrorReason, Frequency as Wire};
use almanac_service_kit::{
    fault::Violations,
    plain::period::{Frequency, Period},
};

use crate::error::period_reason;

/// A frequency, required.
pub fn frequency(field: &str, wire: i32, violations: &mut Violations) -> Option<Frequency> {
    let frequency = match Wire::try_from(wire) {
        Ok(Wire::Yearly) => Frequency::Yearly,
        Ok(Wire::HalfYearly) => Frequency::HalfYearly,
        Ok(Wire::Quarterly) => Frequency::Quarterly,
        Ok(Wire::Monthly) => Frequency::Monthly,
        Ok(Wire::Weekly) => Frequency::Weekly,
        Ok(Wire::Daily) => Frequency::Daily,
        Ok(Wire::Hourly) => Frequency::Hourly,
        Ok(Wire::Unspecified) => {
            violations.push(field, ErrorReason::FieldRequired, "is required");
            return None;
        }
        Err(_) => {
            let text = format!("{wire} is no frequency that this version knows");
            violations.push(field, ErrorReason::FieldInvalid, text);
            return None;
        }
    };
    Some(frequency)
}

/// A frequency on the wire.
#[must_use]
pub fn wire_frequency(frequency: Frequency) -> i32 {
    let wire = match frequency {
        Frequency::Yearly => Wire::Yearly,
        Frequency::HalfYearly => Wire::HalfYearly,
        Frequency::Quarterly => Wire::Quarterly,
        Frequency::Monthly => Wire::Monthly,
        Frequency::Weekly => Wire::Weekly,
        Frequency::Daily => Wire::Daily,
        Frequency::Hourly => Wire::Hourly,
    };
    wire.into()
}

/// A period in canonical form, required; of the frequency, where there is one.
pub fn period(
    field: &str,
    text: &str,
    frequency: Option<Frequency>,
    violations: &mut Violations,
) -> Option<Period> {
    if text.is_empty() {
        violations.push(field, ErrorReason::FieldRequired, "is required");
        return None;
    }
    let parsed = match frequency {
        Some(frequency) => Period::parse_as(frequency, text),
        None => text.parse(),
    };
    parsed
        .map_err(|error| violations.push(field, period_reason(&error), error.to_string()))
        .ok()
}

/// As [`period`], where the field may be empty.
pub fn optional_period(
    field: &str,
    text: &str,
    frequency: Option<Frequency>,
    violations: &mut Violations,
) -> Option<Period> {
    if text.is_empty() {
        None
    } else {
        period(field, text, frequency, violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_period_of_the_market_has_a_reason() {
        for (text, reason) in [
            ("", "FIELD_REQUIRED"),
            ("23", "PERIOD_INVALID"),
            ("2023-13", "PERIOD_INVALID"),
            ("2023-Q1", "PERIOD_FREQUENCY_MISMATCH"),
        ] {
            let mut violations = Violations::new();
            assert_eq!(
                period("p", text, Some(Frequency::Yearly), &mut violations),
                None
            );
            let fault = violations.finish().unwrap_err();
            assert_eq!(fault.reason(), reason, "{text}");
            assert!(fault.message().starts_with("p: "), "{fault:?}");
        }
    }

    #[test]
    fn frequencies_go_there_and_back() {
        for expected in Frequency::ALL {
            let mut violations = Violations::new();
            let found = frequency("f", wire_frequency(expected), &mut violations);
            assert_eq!(found, Some(expected));
        }
    }
}
