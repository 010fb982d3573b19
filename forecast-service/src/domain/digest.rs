//! Names for the inputs and the result of a forecast: equal digests mean an equal forecast.
//!
//! Items are written in the canonical form of [`almanac_service_kit::plain::digest`]; `[..]` is a
//! sequence, whose item count comes first. Dimensions, members and series are in the hierarchy's
//! canonical order, so nothing depends on the order in which they were declared. Display names
//! change no number and are not part of it.
//!
//! # Input: domain `almanac.forecast.input/1`
//! 1. text `dimensions`, then `[dimensions]`, each `[text id, [members]]`, each member
//!    `[text id, text parent | absent]`.
//! 2. text `plan`, then `[text method, text reconciliation, unsigned horizon, text cut-off,
//!    flag nonnegative, [number level]]`; the method is [`super::models::Model::name`], the
//!    cut-off a period in canonical form.
//! 3. text `histories`, then `[leaves]`, each `[signed periods from the first value to the
//!    cut-off, [number value | absent]]`.
//!
//! # Result: domain `almanac.forecast.result/1`
//! text `series`, then `[series]`, each `[[number mean], [intervals]]`, each interval
//! `[number level, [number lower], [number upper]]`.

use almanac_service_kit::plain::{
    control::{Control, Stopped, attended},
    digest::Canonical,
};

use super::hierarchy::Dimension;

/// Names the numerical definitions of this domain, not the build: it goes up by one whenever any
/// input could give another bit.
pub const ENGINE_VERSION: u32 = 1;

/// What determines a forecast besides its histories.
#[derive(Debug, Clone, Copy)]
pub struct InputForm<'a> {
    /// The dimensions, in canonical order.
    pub dimensions: &'a [Dimension],
    /// The model's name.
    pub method: &'a str,
    /// How series are made to add up: `bottom_up`.
    pub reconciliation: &'a str,
    /// Number of periods ahead.
    pub horizon: u32,
    /// The cut-off, in canonical form.
    pub last_period: &'a str,
    /// Whether values below 0 are impossible.
    pub nonnegative: bool,
    /// Probabilities of the intervals.
    pub levels: &'a [f64],
}

/// One series of a result.
#[derive(Debug, Clone, Copy)]
pub struct ResultForm<'a, L> {
    /// Expected values.
    pub means: &'a [f64],
    /// Limits by level.
    pub intervals: &'a [L],
}

/// The digest of the inputs; each history is what it spans before the cut-off, and its values.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub fn input_digest<'a>(
    input: &InputForm<'_>,
    histories: impl ExactSizeIterator<Item = (i64, &'a [Option<f64>])>,
    control: &dyn Control,
) -> Result<String, Stopped> {
    let mut form = Canonical::new("almanac.forecast.input/1");
    form.text("dimensions").sequence(input.dimensions.len());
    for dimension in input.dimensions {
        form.sequence(2)
            .text(&dimension.id)
            .sequence(dimension.members.len());
        for member in attended(&dimension.members, control) {
            let member = member?;
            form.sequence(2).text(&member.id);
            match &member.parent {
                Some(parent) => form.text(parent),
                None => form.absent(),
            };
        }
    }
    form.text("plan")
        .sequence(6)
        .text(input.method)
        .text(input.reconciliation);
    form.unsigned(input.horizon.into())
        .text(input.last_period)
        .flag(input.nonnegative);
    numbers(&mut form, input.levels, control)?;
    form.text("histories").sequence(histories.len());
    for (span, values) in histories {
        form.sequence(2).signed(span).sequence(values.len());
        for value in attended(values, control) {
            form.optional_number(*value?);
        }
    }
    Ok(form.finish())
}

/// The digest of a result: for each series its means, and for each interval its level and limits.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub fn result_digest<'a, L>(
    series: impl ExactSizeIterator<Item = ResultForm<'a, L>>,
    limits: impl Fn(&L) -> (f64, &[f64], &[f64]),
    control: &dyn Control,
) -> Result<String, Stopped>
where
    L: 'a,
{
    let mut form = Canonical::new("almanac.forecast.result/1");
    form.text("series").sequence(series.len());
    for one in series {
        form.sequence(2);
        numbers(&mut form, one.means, control)?;
        form.sequence(one.intervals.len());
        for interval in one.intervals {
            let (level, lower, upper) = limits(interval);
            form.sequence(3).number(level);
            numbers(&mut form, lower, control)?;
            numbers(&mut form, upper, control)?;
        }
    }
    Ok(form.finish())
}

fn numbers(form: &mut Canonical, numbers: &[f64], control: &dyn Control) -> Result<(), Stopped> {
    form.sequence(numbers.len());
    for number in attended(numbers, control) {
        form.number(*number?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use almanac_service_kit::plain::control::Unlimited;

    use super::*;

    fn digest(change: impl Fn(&mut InputForm<'_>), values: &[Option<f64>]) -> String {
        let mut form = InputForm {
            dimensions: &[],
            method: "drift",
            reconciliation: "bottom_up",
            horizon: 5,
            last_period: "2023",
            nonnegative: true,
            levels: &[0.8],
        };
        change(&mut form);
        input_digest(&form, [(1, values)].into_iter(), &Unlimited).unwrap()
    }

    #[test]
    fn every_input_counts() {
        let values = [Some(1.0), None];
        let base = digest(|_| {}, &values);
        assert_eq!(base, digest(|_| {}, &values));
        assert_ne!(base, digest(|_| {}, &[Some(1.0), Some(0.0)]));
        assert_ne!(base, digest(|form| form.horizon = 6, &values));
        assert_ne!(base, digest(|form| form.method = "naive", &values));
        assert_ne!(base, digest(|form| form.nonnegative = false, &values));
        assert_ne!(base, digest(|form| form.levels = &[0.95], &values));
        assert_ne!(base, digest(|form| form.last_period = "2024", &values));
    }

    #[test]
    fn every_number_of_a_result_counts() {
        let digest = |mean: f64, upper: f64| {
            let limits = [(0.8, [0.5], [upper])];
            let form = ResultForm {
                means: &[mean],
                intervals: &limits,
            };
            result_digest(
                [form].into_iter(),
                |(level, lower, upper)| (*level, lower, upper),
                &Unlimited,
            )
            .unwrap()
        };
        assert_eq!(digest(1.0, 2.0), digest(1.0, 2.0));
        assert_ne!(digest(1.0, 2.0), digest(1.0, 2.0 + 1e-15));
        assert_ne!(digest(1.0, 2.0), digest(1.0 + 1e-15, 2.0));
    }
}
