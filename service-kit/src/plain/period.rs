//! Calendar periods: a year, a quarter, an ISO week, an hour.
//!
//! Every period has one text form, the canonical one; any other spelling of the same period is
//! refused rather than guessed at, so that equal periods are equal strings everywhere:
//!
//! | frequency | form | counted from (ordinal) |
//! |---|---|---|
//! | yearly | `2023` | year 0 |
//! | half-yearly | `2023-S1` | first half of year 0 |
//! | quarterly | `2023-Q2` | first quarter of year 0 |
//! | monthly | `2023-07` | January of year 0 |
//! | weekly | `2023-W31` (ISO 8601) | the week of Monday 0001-01-01 |
//! | daily | `2023-07-14` | 0001-01-01 |
//! | hourly | `2023-07-14T05` | 0001-01-01T00 |
//!
//! Half-years and quarters are written as SDMX writes them. Years run from 0001 to 9999 in the
//! proleptic Gregorian calendar. Hours are hours of the civil day: no time zone, 24 a day.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{Date, ISOWeekDate, Weekday};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How often a series has a value, from the rarest to the most frequent.
// Stored by position: append, never reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Frequency {
    /// One value a year.
    Yearly,
    /// Two values a year.
    HalfYearly,
    /// Four values a year.
    Quarterly,
    /// Twelve values a year.
    Monthly,
    /// One value an ISO week, 52 or 53 a year.
    Weekly,
    /// One value a day.
    Daily,
    /// One value an hour.
    Hourly,
}

impl Frequency {
    /// Every frequency, in order.
    pub const ALL: [Self; 7] = [
        Self::Yearly,
        Self::HalfYearly,
        Self::Quarterly,
        Self::Monthly,
        Self::Weekly,
        Self::Daily,
        Self::Hourly,
    ];

    /// The number of periods after which a season customarily repeats: one year for everything
    /// down to weeks (taken as 52), one week for days, one day for hours.
    #[must_use]
    pub fn season_length(self) -> usize {
        match self {
            Self::Yearly => 1,
            Self::HalfYearly => 2,
            Self::Quarterly => 4,
            Self::Monthly => 12,
            Self::Weekly => 52,
            Self::Daily => 7,
            Self::Hourly => 24,
        }
    }

    /// The canonical form, by example.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Yearly => "2023",
            Self::HalfYearly => "2023-S1",
            Self::Quarterly => "2023-Q2",
            Self::Monthly => "2023-07",
            Self::Weekly => "2023-W31",
            Self::Daily => "2023-07-14",
            Self::Hourly => "2023-07-14T05",
        }
    }

    /// The ordinals of the periods of the years 0001 to 9999.
    fn ordinals(self) -> RangeInclusive<i64> {
        let per_year = |n: i64| n..=(LAST_YEAR * n + n - 1);
        match self {
            Self::Yearly => per_year(1),
            Self::HalfYearly => per_year(2),
            Self::Quarterly => per_year(4),
            Self::Monthly => per_year(12),
            Self::Weekly => 0..=LAST_DAY / 7,
            Self::Daily => 0..=LAST_DAY,
            Self::Hourly => 0..=LAST_DAY * 24 + 23,
        }
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yearly => "yearly",
            Self::HalfYearly => "half-yearly",
            Self::Quarterly => "quarterly",
            Self::Monthly => "monthly",
            Self::Weekly => "weekly",
            Self::Daily => "daily",
            Self::Hourly => "hourly",
        })
    }
}

const FIRST_DATE: Date = Date::constant(1, 1, 1);
const UNIX_EPOCH: Date = Date::constant(1970, 1, 1);
/// 1970-01-01, in days since 0001-01-01.
const UNIX_EPOCH_DAY: i64 = 719_162;
const LAST_YEAR: i64 = 9999;
/// 9999-12-31, in days since 0001-01-01, which is a Monday.
const LAST_DAY: i64 = 3_652_058;

/// One period of a calendar.
///
/// Periods of one frequency are ordered by time; across frequencies the order is by frequency
/// first and means nothing. Stored as the pair of frequency and ordinal, checked when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Period {
    frequency: Frequency,
    ordinal: i64,
}

/// What a stored period looks like before its ordinal has been checked.
#[derive(Deserialize)]
struct Stored {
    frequency: Frequency,
    ordinal: i64,
}

impl TryFrom<Stored> for Period {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        Self::from_ordinal(stored.frequency, stored.ordinal).ok_or_else(|| {
            format!(
                "no {} period has the ordinal {}",
                stored.frequency, stored.ordinal
            )
        })
    }
}

/// Why a text is not a period.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeriodError {
    /// The text has none of the canonical forms.
    #[error(
        "{text:?} is not a period in canonical form: write 2023, 2023-S1, 2023-Q2, 2023-07, \
         2023-W31, 2023-07-14 or 2023-07-14T05"
    )]
    NotCanonical {
        /// The text, shortened if it is long.
        text: String,
    },
    /// The form is right, but the calendar has no such period.
    #[error("{text:?} does not exist: {reason}")]
    OutOfRange {
        /// The text.
        text: String,
        /// Which part is out of range, and its range.
        reason: &'static str,
    },
    /// A period, but of another frequency than the one declared.
    #[error("{text:?} is a {found} period where a {expected} one is expected, such as {}",
        .expected.example())]
    WrongFrequency {
        /// The text.
        text: String,
        /// What it is.
        found: Frequency,
        /// What was declared.
        expected: Frequency,
    },
}

impl Period {
    /// The period with this ordinal; `None` outside the years 0001 to 9999.
    #[must_use]
    pub fn from_ordinal(frequency: Frequency, ordinal: i64) -> Option<Self> {
        frequency
            .ordinals()
            .contains(&ordinal)
            .then_some(Self { frequency, ordinal })
    }

    /// Reads a period that must have the declared frequency.
    ///
    /// # Errors
    /// [`PeriodError`], saying what is wrong and what is canonical.
    pub fn parse_as(frequency: Frequency, text: &str) -> Result<Self, PeriodError> {
        let period: Self = text.parse()?;
        if period.frequency == frequency {
            Ok(period)
        } else {
            Err(PeriodError::WrongFrequency {
                text: text.to_owned(),
                found: period.frequency,
                expected: frequency,
            })
        }
    }

    /// How often periods of this kind come.
    #[must_use]
    pub fn frequency(self) -> Frequency {
        self.frequency
    }

    /// The position of the period among those of its frequency; neighbors differ by one.
    #[must_use]
    pub fn ordinal(self) -> i64 {
        self.ordinal
    }

    /// The period `n` later (earlier if negative); `None` outside the years 0001 to 9999.
    #[must_use]
    pub fn offset(self, n: i64) -> Option<Self> {
        Self::from_ordinal(self.frequency, self.ordinal.checked_add(n)?)
    }

    /// How many periods `self` is later than `earlier`; `None` if their frequencies differ.
    #[must_use]
    pub fn periods_since(self, earlier: Self) -> Option<i64> {
        (self.frequency == earlier.frequency).then_some(self.ordinal - earlier.ordinal)
    }

    /// The civil day the period starts on.
    #[must_use]
    pub fn first_date(self) -> Date {
        let month_of_year = |n: i64| {
            let month = self.ordinal.rem_euclid(n) * (12 / n) + 1;
            civil(self.ordinal.div_euclid(n), month)
        };
        match self.frequency {
            Frequency::Yearly => month_of_year(1),
            Frequency::HalfYearly => month_of_year(2),
            Frequency::Quarterly => month_of_year(4),
            Frequency::Monthly => month_of_year(12),
            Frequency::Weekly => day(self.ordinal * 7),
            Frequency::Daily => day(self.ordinal),
            Frequency::Hourly => day(self.ordinal.div_euclid(24)),
        }
    }
}

/// The day this many days after 0001-01-01.
fn day(days: i64) -> Date {
    // From 1970, because jiff adds no duration longer than that day's distance to a date's range.
    // Saturation never happens: every ordinal was checked to lie in the calendar.
    UNIX_EPOCH.saturating_add(SignedDuration::from_secs((days - UNIX_EPOCH_DAY) * 86_400))
}

/// The first day of a month whose year and number come from a checked ordinal.
fn civil(year: i64, month: i64) -> Date {
    let year = i16::try_from(year).unwrap_or(i16::MAX);
    let month = i8::try_from(month).unwrap_or(i8::MAX);
    Date::new(year, month, 1).unwrap_or(FIRST_DATE)
}

fn days_since_first(date: Date) -> i64 {
    date.duration_since(FIRST_DATE).as_secs() / 86_400
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.first_date();
        let (year, month) = (date.year(), date.month());
        match self.frequency {
            Frequency::Yearly => write!(f, "{year:04}"),
            Frequency::HalfYearly => write!(f, "{year:04}-S{}", (month - 1) / 6 + 1),
            Frequency::Quarterly => write!(f, "{year:04}-Q{}", (month - 1) / 3 + 1),
            Frequency::Monthly => write!(f, "{year:04}-{month:02}"),
            Frequency::Weekly => {
                let week = date.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Frequency::Daily => write!(f, "{year:04}-{month:02}-{:02}", date.day()),
            Frequency::Hourly => write!(
                f,
                "{year:04}-{month:02}-{:02}T{:02}",
                date.day(),
                self.ordinal.rem_euclid(24)
            ),
        }
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let form = match_form(text.as_bytes()).ok_or_else(|| PeriodError::NotCanonical {
            text: text.chars().take(SHOWN).collect(),
        })?;
        form.period().map_err(|reason| PeriodError::OutOfRange {
            text: text.to_owned(),
            reason,
        })
    }
}

/// How much of a text that is no period an error repeats.
const SHOWN: usize = 40;

/// The numbers of a text that has one of the canonical shapes; none is checked yet.
struct Form {
    frequency: Frequency,
    year: i16,
    /// The half-year, quarter, month or week; 1 for a year.
    part: i8,
    day: i8,
    hour: i8,
}

fn match_form(text: &[u8]) -> Option<Form> {
    let (year, rest) = (digits(text.get(..4)?)?, text.get(4..)?);
    let form = |frequency, part, day, hour| {
        Some(Form {
            frequency,
            year,
            part,
            day,
            hour,
        })
    };
    match *rest {
        [] => form(Frequency::Yearly, 1, 1, 0),
        [b'-', b'S', s] => form(Frequency::HalfYearly, short(&[s])?, 1, 0),
        [b'-', b'Q', q] => form(Frequency::Quarterly, short(&[q])?, 1, 0),
        [b'-', b'W', w, v] => form(Frequency::Weekly, short(&[w, v])?, 1, 0),
        [b'-', m, n] => form(Frequency::Monthly, short(&[m, n])?, 1, 0),
        [b'-', m, n, b'-', d, e] => form(Frequency::Daily, short(&[m, n])?, short(&[d, e])?, 0),
        [b'-', m, n, b'-', d, e, b'T', h, i] => form(
            Frequency::Hourly,
            short(&[m, n])?,
            short(&[d, e])?,
            short(&[h, i])?,
        ),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<i16> {
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i16::from(byte - b'0'))
    })
}

fn short(text: &[u8]) -> Option<i8> {
    digits(text).and_then(|value| i8::try_from(value).ok())
}

impl Form {
    fn period(&self) -> Result<Period, &'static str> {
        if self.year < 1 {
            return Err("years run from 0001 to 9999");
        }
        let ordinal = match self.frequency {
            Frequency::Yearly => i64::from(self.year),
            Frequency::HalfYearly => self.part_of_year(2, "half-years are S1 and S2")?,
            Frequency::Quarterly => self.part_of_year(4, "quarters are Q1 to Q4")?,
            Frequency::Monthly => self.part_of_year(12, "months are 01 to 12")?,
            Frequency::Weekly => ISOWeekDate::new(self.year, self.part, Weekday::Monday)
                .map(|week| days_since_first(week.date()) / 7)
                .map_err(|_| "ISO weeks are W01 to W52, in long years W53")?,
            Frequency::Daily => self.date()?,
            Frequency::Hourly => {
                let hour = i64::from(self.hour);
                if hour > 23 {
                    return Err("hours are 00 to 23");
                }
                self.date()? * 24 + hour
            }
        };
        Period::from_ordinal(self.frequency, ordinal).ok_or("years run from 0001 to 9999")
    }

    fn part_of_year(&self, parts: i64, reason: &'static str) -> Result<i64, &'static str> {
        let part = i64::from(self.part);
        if (1..=parts).contains(&part) {
            Ok(i64::from(self.year) * parts + part - 1)
        } else {
            Err(reason)
        }
    }

    fn date(&self) -> Result<i64, &'static str> {
        Date::new(self.year, self.part, self.day)
            .map(days_since_first)
            .map_err(|_| "the calendar has no such day")
    }
}

#[cfg(test)]
mod tests;
