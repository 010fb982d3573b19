//! Growth between two periods: how much, how fast, whose share, whose contribution.
//!
//! growth % = 100 (v1/v0 - 1); CAGR % = 100 ((v1/v0)^(1/n) - 1) over n periods; the contribution
//! of a part to the growth of the whole, in percentage points, is 100 (v1 - v0) / V0, so that
//! parts add up. Cost: O(1) a series, a sort for ranks.

/// Why a growth cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undefined {
    /// One of the two values is missing.
    Missing,
    /// The first value is 0, or so close to it that the ratio is too large for a double.
    StartZero,
    /// The values have different signs, or both are negative.
    SignChange,
}

/// How a series went from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Percent in all; none where undefined.
    pub percent: Option<f64>,
    /// Percent a period at a constant rate; none where undefined.
    pub cagr_percent: Option<f64>,
    /// Why there is none.
    pub undefined: Option<Undefined>,
}

/// Growth from `start` to `end` over `periods` periods.
#[must_use]
pub fn growth(start: Option<f64>, end: Option<f64>, periods: u32) -> Growth {
    let none = |why| Growth {
        percent: None,
        cagr_percent: None,
        undefined: Some(why),
    };
    let (Some(start), Some(end)) = (start, end) else {
        return none(Undefined::Missing);
    };
    if start == 0.0 {
        return none(Undefined::StartZero);
    }
    if start < 0.0 || end < 0.0 {
        return none(Undefined::SignChange);
    }
    let ratio = end / start;
    // Next to nothing at the start is nothing: the ratio is too large for a double.
    if !(100.0 * ratio).is_finite() {
        return none(Undefined::StartZero);
    }
    let rate = libm::pow(ratio, 1.0 / f64::from(periods.max(1)));
    let percent = |ratio: f64| Some(100.0 * (ratio - 1.0));
    Growth {
        percent: percent(ratio),
        cagr_percent: percent(rate),
        undefined: None,
    }
}

/// Percent of `whole` that `part` is; none where one is missing or the whole is 0.
#[must_use]
pub fn share(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let (part, whole) = part.zip(whole).filter(|(_, whole)| *whole != 0.0)?;
    Some(100.0 * part / whole).filter(|share| share.is_finite())
}

/// Percentage points of the whole's growth that come from a part.
#[must_use]
pub fn contribution(start: Option<f64>, end: Option<f64>, whole_start: Option<f64>) -> Option<f64> {
    share(end.zip(start).map(|(end, start)| end - start), whole_start)
}

/// Ranks by growth: the largest 1, ties the same (1, 1, 3), none without a growth.
#[must_use]
pub fn ranks(percents: &[Option<f64>]) -> Vec<Option<u32>> {
    let mut descending: Vec<f64> = percents.iter().flatten().copied().collect();
    descending.sort_unstable_by(|a, b| b.total_cmp(a));
    let rank = |percent: &Option<f64>| {
        let own = (*percent)?;
        let above = descending.partition_point(|other| *other > own);
        u32::try_from(above).ok()?.checked_add(1)
    };
    percents.iter().map(rank).collect()
}

/// The values of `periods` + 1 periods from `start` to `end` at a constant rate; the ends are
/// exact. None where the growth is undefined.
#[must_use]
pub fn constant_growth_path(start: f64, end: f64, periods: u32) -> Option<Vec<f64>> {
    growth(Some(start), Some(end), periods).percent?;
    let (ratio, steps) = (end / start, f64::from(periods.max(1)));
    let at = |step: u32| match step {
        0 => start,
        step if step == periods => end,
        step => start * libm::pow(ratio, f64::from(step) / steps),
    };
    Some((0..=periods).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        let doubled = growth(Some(19.0), Some(42.0), 5);
        assert!((doubled.percent.unwrap() - 121.052_631_578_947_37).abs() < 1e-12);
        assert!((doubled.cagr_percent.unwrap() - 17.192_316_229_445_33).abs() < 1e-12);
        assert_eq!(share(Some(1.0), Some(4.0)), Some(25.0));
        assert_eq!(contribution(Some(1.0), Some(3.0), Some(4.0)), Some(50.0));
    }

    #[test]
    fn what_is_undefined() {
        let why = |start, end| growth(start, end, 1).undefined;
        assert_eq!(why(None, Some(1.0)), Some(Undefined::Missing));
        assert_eq!(why(Some(0.0), Some(1.0)), Some(Undefined::StartZero));
        assert_eq!(why(Some(-1.0), Some(1.0)), Some(Undefined::SignChange));
        assert_eq!(growth(Some(2.0), Some(0.0), 3).cagr_percent, Some(-100.0));
        assert_eq!(share(Some(1.0), Some(0.0)), None);
    }

    #[test]
    fn ranks_share_places() {
        let ranks = ranks(&[Some(1.0), Some(3.0), None, Some(3.0)]);
        assert_eq!(ranks, [Some(3), Some(1), None, Some(1)]);
    }

    #[test]
    fn a_path_grows_at_one_rate_between_exact_ends() {
        let path = constant_growth_path(19.0, 42.0, 5).unwrap();
        assert_eq!((path[0], path[5]), (19.0, 42.0));
        for pair in path.windows(2) {
            assert!((pair[1] / pair[0] - libm::pow(42.0 / 19.0, 0.2)).abs() < 1e-14);
        }
        assert_eq!(constant_growth_path(0.0, 1.0, 5), None);
    }
}
