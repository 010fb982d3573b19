//! Figures that no market fulfills, or none but one of zeros.
//!
//! The ratio of two values has limits that come from the tree alone: a value is once itself, and
//! where nothing is negative a ratio is at least 0, a part at most its whole, a whole at least its
//! part. A figure that states a ratio outside of these limits is a slip of whoever wrote it. As a
//! constraint it would hold if both values were zero, and "everything is zero" is no answer to a
//! slip: so it is refused. A rounded figure is refused only if all of its rounding is outside.

use thiserror::Error;

use super::figures::{Claim, NodeAt, Relation};
use super::lp::TOLERANCE;
use crate::domain::hierarchy::{Hierarchy, SeriesKey};

/// Why a figure cannot be true of values other than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Impossible {
    /// A loss of more than everything.
    #[error("a market without negative values does not grow by less than -100 %")]
    GrowthBelowAll,
    /// A share of the same leaves that is not all of them.
    #[error("the part is all of the whole: its share is 100 %")]
    ShareOfItself,
    /// A share that is not one of a part.
    #[error("in a market without negative values a part has 0 to 100 % of its whole")]
    ShareOfPart,
    /// A multiple of the same leaves other than 1.
    #[error("both sides are the same value: it is 1 times itself")]
    MultipleOfItself,
    /// A part larger than its whole.
    #[error(
        "the left side is a part of the right one: in a market without negative values it is 0 to \
         1 times as large"
    )]
    MultipleOfWhole,
    /// A whole smaller than its part.
    #[error(
        "the right side is a part of the left one: in a market without negative values the left \
         one is at least 1 times as large"
    )]
    MultipleOfPart,
    /// A negative multiple.
    #[error("in a market without negative values a multiple is not negative")]
    NegativeMultiple,
}

/// What the leaves of two values in the same period have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinship {
    Same,
    LeftInside,
    RightInside,
    Other,
}

impl Kinship {
    fn of(hierarchy: &Hierarchy, left: &SeriesKey, right: &SeriesKey) -> Self {
        let (Ok(left), Ok(right)) = (hierarchy.series(left), hierarchy.series(right)) else {
            return Self::Other;
        };
        match (
            hierarchy.contains(&right, &left),
            hierarchy.contains(&left, &right),
        ) {
            (true, true) => Self::Same,
            (true, false) => Self::LeftInside,
            (false, true) => Self::RightInside,
            (false, false) => Self::Other,
        }
    }

    /// The least and the greatest ratio of left to right.
    fn limits(self, nonnegative: bool) -> (f64, f64) {
        match (self, nonnegative) {
            (Self::Same, _) => (1.0, 1.0),
            (_, false) => (f64::NEG_INFINITY, f64::INFINITY),
            (Self::LeftInside, true) => (0.0, 1.0),
            (Self::RightInside, true) => (1.0, f64::INFINITY),
            (Self::Other, true) => (0.0, f64::INFINITY),
        }
    }
}

/// Why the claim cannot be true of values other than zero; `None` if it can, or if it cannot be
/// read.
pub(super) fn refuted(
    hierarchy: &Hierarchy,
    nonnegative: bool,
    claim: &Claim,
) -> Option<Impossible> {
    let (kinship, stated) = match claim {
        Claim::Growth { .. } => (Kinship::Other, printed(claim, |p| (100.0 + p) / 100.0)?),
        Claim::Share { part, whole, .. } => {
            let kinship = Kinship::of(hierarchy, part, whole);
            // A part outside of its whole is a fault of another kind.
            if !matches!(kinship, Kinship::Same | Kinship::LeftInside) {
                return None;
            }
            (kinship, printed(claim, |percent| percent / 100.0)?)
        }
        Claim::Multiple { left, right, .. } => {
            let kinship = between(hierarchy, left, right);
            (kinship, printed(claim, |times| times)?)
        }
        // Unlike a ratio, a comparison says nothing of signs: -2 is at least 3 times -1.
        Claim::Comparison {
            left,
            relation,
            factor,
            right,
        } if nonnegative => {
            let stated = match relation {
                Relation::AtLeast => (*factor, f64::INFINITY),
                Relation::AtMost => (f64::NEG_INFINITY, *factor),
            };
            (between(hierarchy, left, right), stated)
        }
        Claim::Value { .. }
        | Claim::Bound { .. }
        | Claim::Sum { .. }
        | Claim::Comparison { .. } => {
            return None;
        }
    };
    let (least, most) = kinship.limits(nonnegative);
    let apart = |low: f64, high: f64| low - high > TOLERANCE * high.abs().max(1.0);
    if !apart(stated.0, most) && !apart(least, stated.1) {
        return None;
    }
    Some(match (claim, kinship) {
        (Claim::Growth { .. }, _) => Impossible::GrowthBelowAll,
        (Claim::Share { .. }, Kinship::Same) => Impossible::ShareOfItself,
        (Claim::Share { .. }, _) => Impossible::ShareOfPart,
        (_, Kinship::Same) => Impossible::MultipleOfItself,
        (_, Kinship::LeftInside) => Impossible::MultipleOfWhole,
        (_, Kinship::RightInside) => Impossible::MultipleOfPart,
        (_, Kinship::Other) => Impossible::NegativeMultiple,
    })
}

fn between(hierarchy: &Hierarchy, left: &NodeAt, right: &NodeAt) -> Kinship {
    if left.period == right.period {
        Kinship::of(hierarchy, &left.series, &right.series)
    } else {
        Kinship::Other
    }
}

/// The least and the greatest ratio that prints so.
fn printed(claim: &Claim, meant: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
    let range = claim.printed()?.range().ok()?;
    Some((meant(range.lower), meant(range.upper)))
}
