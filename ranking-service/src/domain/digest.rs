//! Names for inputs and results: equal digests mean an equal ranking, on any machine.
//!
//! Items are written in the canonical form of [`almanac_service_kit::plain::digest`] (BLAKE3 over
//! tagged, length-prefixed items). `[..]` below is a sequence, whose item count comes first;
//! `a | absent` is the one or the absent item. Ids are ordered by their bytes, so neither digest
//! depends on the order of rows, nodes, overrides or inputs. Display names are not part of it:
//! they change no number.
//!
//! # Input: domain `almanac.ranking.input/1`
//!
//! 1. text `framework`, then `[nodes]` by id, each
//!    `[text id, text parent | absent, number weight, text indicator | absent, method]`.
//!    The weight is the one given. The method is the one in force at the node, whether by default
//!    or by override:
//!    - leaf: `[text name, numbers, number score | absent]`, where the last is what a column
//!      without spread becomes (absent: an error) and name and numbers are
//!      `identity` and `[]`, `min_max` and `[lower, upper]`,
//!      `z_score` and `[mean, standard deviation]`;
//!    - inner node: `[text name, numbers, number minimum availability]`, where name and numbers are
//!      `weighted_arithmetic_mean` and `[]`.
//! 2. text `rank`, then `[text method, number tie tolerance, unsigned score decimals | absent]`;
//!    the method is `competition`, `dense` or `fractional`.
//! 3. text `entities`, then `[text id]` by id.
//! 4. text `cells`, then `[leaves]` by id, each
//!    `[text id, text direction, text period, unsigned max age, [cells]]`. The direction is
//!    `higher_is_better` or `lower_is_better`; the period is the one asked for, in canonical form;
//!    the cells follow the order of 3, each `[number value, unsigned age] | absent`, where age
//!    counts periods back from the one asked for.
//!
//! A step that comes with a later version is written after 4, its name first and only where it is
//! used, so that digests of earlier editions stay what they are.
//!
//! # Result: domain `almanac.ranking.result/1`
//!
//! 1. text `entities`, then `[text id]` by id.
//! 2. text `nodes`, then `[nodes]` by id, each
//!    `[text id, [scores], [ranks], [fractional ranks] | absent]`, in the order of 1: a score is
//!    `number | absent`, a rank `unsigned | absent`, a fractional rank `number | absent`; the list
//!    of these is absent unless the methodology asks for it.
//!
//! Cost: 18 bytes hashed for each cell of the input and for each score and rank of the result.

use almanac_service_kit::plain::{
    control::{Control, Stopped, attended},
    digest::Canonical,
};

use super::entities::Entities;
use super::framework::Framework;
use super::methodology::{
    Aggregation, AggregationMethod, ConstantColumn, Methodology, Normalization,
    NormalizationMethod, RankOptions, Step, TieMethod,
};
use super::pipeline::{LeafInput, PipelineError, Ranking, assign};
use super::rank::Ranks;

/// Names the numerical definitions of this domain, not the build: it goes up by one whenever any
/// input could give another score, rank or digest, down to the last bit. Editions record it; a
/// binary replays all versions up to its own.
pub const ENGINE_VERSION: u32 = 1;

const INPUT: &str = "almanac.ranking.input/1";
const RESULT: &str = "almanac.ranking.result/1";

/// What a leaf read and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct LeafCells<'a> {
    /// The leaf, its direction and its values.
    pub input: LeafInput<'a>,
    /// The period asked for, in canonical form.
    pub period: &'a str,
    /// The greatest age that was in reach.
    pub max_age: u32,
    /// The age of each value by row, anything where there is no value; `None`: all are 0.
    pub ages: Option<&'a [u32]>,
}

/// Names everything that determines a ranking.
///
/// # Errors
/// [`PipelineError`] where methodology or cells do not fit the framework.
pub fn input_digest(
    framework: &Framework,
    methodology: &Methodology,
    entities: &Entities,
    cells: &[LeafCells<'_>],
    control: &dyn Control,
) -> Result<String, PipelineError> {
    let steps = methodology.resolve(framework)?;
    let inputs = assign(framework, entities, cells.iter().map(|leaf| &leaf.input))?;
    let mut form = Canonical::new(INPUT);
    form.text("framework").sequence(framework.len());
    for node in attended(framework.by_id(), control) {
        let &node = node?;
        let given = &framework.nodes()[node];
        form.sequence(5).text(&given.id);
        optional_text(&mut form, given.parent.as_deref());
        form.number(given.weight);
        optional_text(&mut form, given.indicator.as_deref());
        match steps[node] {
            Step::Normalize(normalization) => write_normalization(&mut form, normalization),
            Step::Aggregate(aggregation) => write_aggregation(&mut form, aggregation),
        }
    }
    write_rank_options(&mut form, &methodology.rank);
    write_entities(&mut form, entities, control)?;
    form.text("cells").sequence(cells.len());
    for &node in framework.by_id() {
        if let Some(index) = inputs[node] {
            form.sequence(5).text(&framework.nodes()[node].id);
            write_cells(&mut form, entities, &cells[index], control)?;
        }
    }
    Ok(form.finish())
}

/// Names scores and ranks of every node; `None` where the ranking does not hold every node.
///
/// # Errors
/// [`Stopped`] once the result is no longer wanted.
pub fn result_digest(
    framework: &Framework,
    entities: &Entities,
    ranking: &Ranking,
    control: &dyn Control,
) -> Result<Option<String>, Stopped> {
    let mut form = Canonical::new(RESULT);
    write_entities(&mut form, entities, control)?;
    form.text("nodes").sequence(framework.len());
    for &node in framework.by_id() {
        let Some(result) = ranking.node(node) else {
            return Ok(None);
        };
        form.sequence(4).text(&framework.nodes()[node].id);
        form.sequence(entities.len());
        for row in attended(entities.canonical(), control) {
            form.optional_number(result.scores.get(row?));
        }
        write_ranks(&mut form, entities, &result.ranks, control)?;
    }
    Ok(Some(form.finish()))
}

fn optional_text(form: &mut Canonical, text: Option<&str>) {
    match text {
        Some(text) => form.text(text),
        None => form.absent(),
    };
}

fn write_method(form: &mut Canonical, name: &str, numbers: &[f64]) {
    form.sequence(3).text(name).sequence(numbers.len());
    for &number in numbers {
        form.number(number);
    }
}

fn write_normalization(form: &mut Canonical, normalization: &Normalization) {
    match normalization.method {
        NormalizationMethod::Identity => write_method(form, "identity", &[]),
        NormalizationMethod::MinMax { lower, upper } => {
            write_method(form, "min_max", &[lower, upper]);
        }
        NormalizationMethod::ZScore {
            mean,
            standard_deviation,
        } => write_method(form, "z_score", &[mean, standard_deviation]),
    }
    form.optional_number(match normalization.constant_column {
        ConstantColumn::Error => None,
        ConstantColumn::Value(score) => Some(score),
    });
}

fn write_aggregation(form: &mut Canonical, aggregation: &Aggregation) {
    match aggregation.method {
        AggregationMethod::WeightedArithmeticMean => {
            write_method(form, "weighted_arithmetic_mean", &[]);
        }
    }
    form.number(aggregation.minimum_availability);
}

fn write_rank_options(form: &mut Canonical, options: &RankOptions) {
    let method = match options.tie_method {
        TieMethod::Competition => "competition",
        TieMethod::Dense => "dense",
        TieMethod::Fractional => "fractional",
    };
    form.text("rank").sequence(3).text(method);
    form.number(options.tie_tolerance);
    match options.score_decimals {
        Some(decimals) => form.unsigned(decimals.into()),
        None => form.absent(),
    };
}

fn write_entities(
    form: &mut Canonical,
    entities: &Entities,
    control: &dyn Control,
) -> Result<(), Stopped> {
    form.text("entities").sequence(entities.len());
    for row in attended(entities.canonical(), control) {
        form.text(&entities.ids()[row?]);
    }
    Ok(())
}

fn write_cells(
    form: &mut Canonical,
    entities: &Entities,
    leaf: &LeafCells<'_>,
    control: &dyn Control,
) -> Result<(), Stopped> {
    form.text(leaf.input.direction.canonical_name());
    form.text(leaf.period).unsigned(leaf.max_age.into());
    form.sequence(entities.len());
    for row in attended(entities.canonical(), control) {
        let row = row?;
        match leaf.input.values.get(row) {
            Some(value) => {
                let age = leaf.ages.and_then(|ages| ages.get(row)).copied();
                form.sequence(2).number(value);
                form.unsigned(age.unwrap_or(0).into());
            }
            None => {
                form.absent();
            }
        }
    }
    Ok(())
}

fn write_ranks(
    form: &mut Canonical,
    entities: &Entities,
    ranks: &Ranks,
    control: &dyn Control,
) -> Result<(), Stopped> {
    form.sequence(entities.len());
    for row in attended(entities.canonical(), control) {
        match ranks.rank(row?) {
            // Ranks are at least 1.
            Some(rank) => form.unsigned(rank.unsigned_abs().into()),
            None => form.absent(),
        };
    }
    if ranks.is_fractional() {
        form.sequence(entities.len());
        for row in attended(entities.canonical(), control) {
            form.optional_number(ranks.fractional_rank(row?));
        }
    } else {
        form.absent();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
