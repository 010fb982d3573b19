//! Periods and frequencies.

use almanac_proto::common::v1::{ErrorReason, Frequency as Wire};
use almanac_service_kit::{
    fault::Violations,
    plain::period::{Frequency, Period},
};

/// A frequency, required.
pub fn frequency(field: &str, wire: i32, violations: &mut Violations) -> Frequency {
    match Wire::try_from(wire) {
        Ok(Wire::Yearly) => Frequency::Yearly,
        Ok(Wire::HalfYearly) => Frequency::HalfYearly,
        Ok(Wire::Quarterly) => Frequency::Quarterly,
        Ok(Wire::Monthly) => Frequency::Monthly,
        Ok(Wire::Weekly) => Frequency::Weekly,
        Ok(Wire::Daily) => Frequency::Daily,
        Ok(Wire::Hourly) => Frequency::Hourly,
        Ok(Wire::Unspecified) => {
            violations.push(field, ErrorReason::FieldRequired, "is required");
            Frequency::Yearly
        }
        Err(_) => {
            let text = format!("{wire} is no frequency that this version knows");
            violations.push(field, ErrorReason::FieldInvalid, text);
            Frequency::Yearly
        }
    }
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

/// A period in canonical form, required.
pub fn period(field: &str, text: &str, violations: &mut Violations) -> Option<Period> {
    if text.is_empty() {
        violations.push(field, ErrorReason::FieldRequired, "is required");
        return None;
    }
    match text.parse() {
        Ok(period) => Some(period),
        Err(error) => {
            let error: almanac_service_kit::plain::period::PeriodError = error;
            violations.push(field, ErrorReason::PeriodInvalid, error.to_string());
            None
        }
    }
}

/// Whether a period has the frequency of its indicator; a violation where not.
pub fn check_frequency(
    field: &str,
    period: Period,
    frequency: Frequency,
    indicator: &str,
    violations: &mut Violations,
) -> bool {
    let same = period.frequency() == frequency;
    if !same {
        let text = format!(
            "{period} is {}, but indicator {indicator} is {frequency}: write it like {}",
            period.frequency(),
            frequency.example()
        );
        violations.push(field, ErrorReason::PeriodFrequencyMismatch, text);
    }
    same
}
