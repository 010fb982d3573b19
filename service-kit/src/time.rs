//! Times on the wire.

use almanac_proto::common::v1::ErrorReason;
use prost_types::Timestamp;

use crate::{fault::Violations, store::CommitTime};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A commit time on the wire.
#[must_use]
pub fn timestamp(time: CommitTime) -> Timestamp {
    from_nanos(time.nanoseconds())
}

/// Nanoseconds since the epoch on the wire.
#[must_use]
pub fn from_nanos(nanos: i64) -> Timestamp {
    let rest = nanos.rem_euclid(NANOS_PER_SECOND);
    // The rest is below a billion.
    let rest = i32::try_from(rest).unwrap_or_default();
    Timestamp {
        seconds: nanos.div_euclid(NANOS_PER_SECOND),
        nanos: rest,
    }
}

/// Nanoseconds since the epoch of a time on the wire; a violation where it cannot be one.
pub fn to_nanos(field: &str, time: &Timestamp, violations: &mut Violations) -> i64 {
    let valid = (0..1_000_000_000).contains(&time.nanos);
    let nanos = time
        .seconds
        .checked_mul(NANOS_PER_SECOND)
        .and_then(|nanos| nanos.checked_add(i64::from(time.nanos)))
        .filter(|_| valid);
    nanos.unwrap_or_else(|| {
        let text = "is no time between the years 1678 and 2262 with nanos in 0..1e9";
        violations.push(field, ErrorReason::FieldInvalid, text);
        0
    })
}
