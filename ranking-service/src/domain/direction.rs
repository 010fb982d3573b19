//! Which way an indicator points.
//!
//! Method: the directed value is x' = d x with d = +1 where more is better and d = -1 where less is
//! better (OECD/JRC handbook, step 5; COINr `Direction`). A change of sign is exact, so directing
//! a column costs no digit. It happens inside [`super::normalize`], never as a pass of its own.

use serde::{Deserialize, Serialize};

/// Which way an indicator points.
///
/// Stored by position: variants are only ever appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

impl Direction {
    /// The factor d of x' = d x.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::HigherIsBetter => 1.0,
            Self::LowerIsBetter => -1.0,
        }
    }

    /// The name in canonical forms: part of every input digest, so it never changes.
    #[must_use]
    pub fn canonical_name(self) -> &'static str {
        match self {
            Self::HigherIsBetter => "higher_is_better",
            Self::LowerIsBetter => "lower_is_better",
        }
    }
}
