//! Numbers as they were printed: the digits say how they were rounded.
//!
//! "42" stands for anything in [41.5, 42.5], "19.0" for [18.95, 19.05]: half a unit of the last
//! digit to either side, both ends included because houses round halves both ways. A stated
//! half-width overrides the digits; 0 means exact. A number rounded more coarsely than its
//! digits show ("1,200" to the nearest hundred) needs its half-width stated.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most digits a printed number may have, before and after the point together.
pub const MAX_DIGITS: usize = 30;

/// A number with the digits it was printed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrintedNumber {
    /// An optional sign, digits, and optionally a point and more digits.
    pub decimal: String,
    /// How far the true number may be from the printed one; overrides the digits.
    pub half_width: Option<f64>,
}

/// What a printed number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrintedRange {
    /// The least number that prints so.
    pub lower: f64,
    /// The number as printed.
    pub middle: f64,
    /// The largest number that prints so.
    pub upper: f64,
}

/// Why a text is not a printed number.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PrintedFault {
    /// Nothing was printed.
    #[error("the number is empty")]
    Empty,
    /// Digits grouped by commas, spaces or the like.
    #[error("{text:?} groups its digits: write them without separators, such as 1200")]
    Separator {
        /// The text.
        text: String,
    },
    /// Scientific notation.
    #[error("{text:?} has an exponent: write all digits and, if it is rounded, its half_width")]
    Exponent {
        /// The text.
        text: String,
    },
    /// A percent or currency sign.
    #[error("{text:?} carries a unit: write the number alone")]
    Unit {
        /// The text.
        text: String,
    },
    /// Anything else that is no decimal number.
    #[error("{text:?} is not a decimal number such as 42, -3.5 or 0.10")]
    Malformed {
        /// The text.
        text: String,
    },
    /// More digits than are read.
    #[error("the number has {digits} digits, more than {MAX_DIGITS}")]
    TooLong {
        /// How many.
        digits: usize,
    },
    /// A half-width that is negative or not finite.
    #[error("the half_width {half_width} is not a finite number of at least 0")]
    HalfWidth {
        /// The half-width.
        half_width: f64,
    },
}

impl PrintedNumber {
    /// A number whose digits say the rounding.
    #[must_use]
    pub fn rounded(decimal: &str) -> Self {
        Self {
            decimal: decimal.to_owned(),
            half_width: None,
        }
    }

    /// A number that is meant exactly.
    #[must_use]
    pub fn exact(decimal: &str) -> Self {
        Self {
            decimal: decimal.to_owned(),
            half_width: Some(0.0),
        }
    }

    /// What the number stands for.
    ///
    /// The ends are worked out on the decimal digits and only then turned into the nearest
    /// binary numbers: "0.1" ends at the double nearest to 0.15, not at 0.1 + 0.05.
    ///
    /// # Errors
    /// [`PrintedFault`] if the text is no plain decimal number or the half-width is unusable.
    pub fn range(&self) -> Result<PrintedRange, PrintedFault> {
        let digits = Digits::read(&self.decimal)?;
        let middle = digits.shifted(0)?;
        let Some(half_width) = self.half_width else {
            return Ok(PrintedRange {
                lower: digits.shifted(-5)?,
                middle,
                upper: digits.shifted(5)?,
            });
        };
        if half_width.is_finite() && half_width >= 0.0 {
            Ok(PrintedRange {
                lower: middle - half_width,
                middle,
                upper: middle + half_width,
            })
        } else {
            Err(PrintedFault::HalfWidth { half_width })
        }
    }
}

/// A decimal number as an integer count of units of its last digit.
struct Digits {
    /// Ten times that count, so that half a unit is 5.
    tenths: i128,
    /// Digits after the point.
    places: usize,
}

impl Digits {
    fn read(text: &str) -> Result<Self, PrintedFault> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !all_digits(whole) || !fraction.is_none_or(all_digits) || leading_zero {
            return Err(complaint(text));
        }
        let fraction = fraction.unwrap_or_default();
        let digits = whole.len() + fraction.len();
        if digits > MAX_DIGITS {
            return Err(PrintedFault::TooLong { digits });
        }
        let magnitude = whole
            .bytes()
            .chain(fraction.bytes())
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        Ok(Self {
            tenths: if negative { -magnitude } else { magnitude } * 10,
            places: fraction.len(),
        })
    }

    /// The binary number nearest to the decimal moved by `tenths` of its last unit.
    fn shifted(&self, tenths: i128) -> Result<f64, PrintedFault> {
        let text = format!("{}e-{}", self.tenths + tenths, self.places + 1);
        text.parse().map_err(|_| PrintedFault::Malformed { text })
    }
}

/// The most helpful thing to say about a text that is no decimal number.
fn complaint(text: &str) -> PrintedFault {
    let shown = || text.chars().take(MAX_DIGITS).collect::<String>();
    let has = |marks: &[char]| text.contains(marks);
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    if text.is_empty() {
        PrintedFault::Empty
    } else if !has_digit {
        PrintedFault::Malformed { text: shown() }
    } else if has(&['%', '$', '€', '£', '¥']) {
        PrintedFault::Unit { text: shown() }
    } else if has(&[',', '\'', '_', ' ', '\u{a0}', '\u{202f}', '\u{2019}']) {
        PrintedFault::Separator { text: shown() }
    } else if has(&['e', 'E']) {
        PrintedFault::Exponent { text: shown() }
    } else {
        PrintedFault::Malformed { text: shown() }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "ends are exact, to the bit")]
mod tests {
    use super::*;

    fn ends(text: &str) -> [f64; 3] {
        let range = PrintedNumber::rounded(text).range().unwrap();
        [range.lower, range.middle, range.upper]
    }

    #[test]
    fn digits_say_the_rounding() {
        assert_eq!(ends("42"), [41.5, 42.0, 42.5]);
        assert_eq!(ends("19.0"), [18.95, 19.0, 19.05]);
        assert_eq!(ends("+120"), [119.5, 120.0, 120.5]);
        assert_eq!(ends("-3.5"), [-3.55, -3.5, -3.45]);
        assert_eq!(ends("0"), [-0.5, 0.0, 0.5]);
        assert_eq!(ends("1200"), [1199.5, 1200.0, 1200.5]);
    }

    #[test]
    fn ends_are_the_doubles_nearest_to_the_decimal_ends() {
        assert_eq!(ends("0.1"), [0.05, 0.1, 0.15]);
        assert_ne!(0.15, 0.1 + 0.05);
        assert_eq!(ends("0.30"), [0.295, 0.3, 0.305]);
        let long = "123456789012345678901234567.891";
        assert_eq!(ends(long)[1], 123_456_789_012_345_678_901_234_567.891);
    }

    #[test]
    fn a_stated_half_width_overrides_the_digits() {
        let number = |half_width| PrintedNumber {
            decimal: "1200".to_owned(),
            half_width: Some(half_width),
        };
        let range = number(50.0).range().unwrap();
        assert_eq!([range.lower, range.upper], [1150.0, 1250.0]);
        let range = PrintedNumber::exact("19").range().unwrap();
        assert_eq!([range.lower, range.middle, range.upper], [19.0; 3]);
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                number(bad).range(),
                Err(PrintedFault::HalfWidth { .. })
            ));
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused_with_the_reason() {
        for (text, hint) in [
            ("", "empty"),
            ("1,200", "separators"),
            ("1 200", "separators"),
            ("1'200", "separators"),
            ("1\u{202f}200", "separators"),
            ("1.2e3", "exponent"),
            ("1E3", "exponent"),
            ("76%", "unit"),
            ("$19", "unit"),
            ("+", "not a decimal"),
            ("5.", "not a decimal"),
            (".5", "not a decimal"),
            ("1.2.3", "not a decimal"),
            ("--1", "not a decimal"),
            ("\u{2212}5", "not a decimal"),
            ("007", "not a decimal"),
            ("NaN", "not a decimal"),
            ("inf", "not a decimal"),
            ("0x10", "not a decimal"),
            ("１９", "not a decimal"),
        ] {
            let error = PrintedNumber::rounded(text).range().unwrap_err();
            assert!(error.to_string().contains(hint), "{text:?}: {error}");
        }
        let long = PrintedNumber::rounded(&"1".repeat(31)).range();
        assert_eq!(long, Err(PrintedFault::TooLong { digits: 31 }));
    }
}
