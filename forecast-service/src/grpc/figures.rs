//! SolvePublishedFigures.

use std::collections::{BTreeMap, BTreeSet};

use almanac_proto::{
    common::v1::ErrorReason as Common,
    forecast::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::{Fault, Violations},
    memory::claim,
    name,
    plain::{
        control::Control,
        period::{Frequency, Period},
    },
    store::{Snapshot, Store},
};

use super::{outlook::ENGINE_VERSION, series_count};
use crate::{
    convert::{
        self,
        figures::{Context, Weights, figures, growth_pairs, paths, prior_weights},
        solution,
    },
    domain::{
        hierarchy::{Hierarchy, SeriesKey},
        published::{Answer, Figure, GrowthQuery, MAX_ANSWERS, PriorValue, Question, solve},
    },
    error,
    store::MarketView,
};

/// The tree that figures are about.
struct Structure {
    hierarchy: Hierarchy,
    frequency: Option<Frequency>,
    nonnegative: bool,
}

/// SolvePublishedFigures.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the market.
pub async fn solve_figures(
    store: &Store,
    request: pb::SolvePublishedFiguresRequest,
) -> Result<pb::SolvePublishedFiguresResponse, Fault> {
    use pb::solve_published_figures_request::Structure as Wire;
    let market = match &request.structure {
        Some(Wire::Market(market)) => {
            let [id] = name::parse("market", market, convert::MARKET)?;
            let read = consistency::snapshot(store, request.consistency.as_ref()).await?;
            Some((read, id))
        }
        _ => None,
    };
    let revision = market
        .as_ref()
        .map(|(read, _)| store.token(read.revision()))
        .unwrap_or_default();
    compute(move |caller| {
        let structure = structure(&request, market, caller)?;
        let outcome = answer(&request, &structure, caller)?;
        let outcome = Some(match outcome {
            Answer::Feasible(solution) => {
                let feasible = solution::feasible(solution, &structure.hierarchy);
                pb::solve_published_figures_response::Outcome::Feasible(feasible)
            }
            Answer::Conflicting(conflict) => {
                let conflict = solution::conflict(conflict);
                pb::solve_published_figures_response::Outcome::Conflict(conflict)
            }
        });
        let engine_version = ENGINE_VERSION.to_string();
        Ok(pb::SolvePublishedFiguresResponse {
            revision,
            engine_version,
            outcome,
        })
    })
    .await
}

fn structure(
    request: &pb::SolvePublishedFiguresRequest,
    market: Option<(Snapshot, String)>,
    control: &dyn Control,
) -> Result<Structure, Fault> {
    use pb::solve_published_figures_request::Structure as Wire;
    if let Some((read, id)) = market {
        let market = MarketView::load(&read, &id, control)?;
        let nonnegative = request.nonnegative.unwrap_or(market.body.nonnegative);
        let frequency = Some(market.body.frequency);
        return Ok(Structure {
            hierarchy: market.hierarchy,
            frequency,
            nonnegative,
        });
    }
    let mut violations = Violations::new();
    let hierarchy = match &request.structure {
        Some(Wire::Dimensions(wire)) => {
            let at = "dimensions.dimensions";
            convert::market::dimensions(&wire.dimensions, at, &mut violations)
        }
        _ => {
            let text = "set market or dimensions";
            violations.push("structure", Common::OneofUnset, text);
            None
        }
    };
    if request.nonnegative.is_none() {
        let text = "is required where there is no market to say it";
        violations.push("nonnegative", Common::FieldRequired, text);
    }
    if request.consistency.is_some() {
        let text = "is only for a market";
        violations.push("consistency", Common::FieldInvalid, text);
    }
    violations.finish()?;
    match (hierarchy, request.nonnegative) {
        (Some((_, hierarchy)), Some(nonnegative)) => Ok(Structure {
            hierarchy,
            frequency: None,
            nonnegative,
        }),
        _ => Err(Fault::internal(
            &"dimensions were refused without a violation",
        )),
    }
}

/// What the figures of a request imply.
fn answer(
    request: &pb::SolvePublishedFiguresRequest,
    structure: &Structure,
    control: &dyn Control,
) -> Result<Answer, Fault> {
    let hierarchy = &structure.hierarchy;
    let every = every_series(hierarchy)?;
    let (frequency, violations) = (structure.frequency, Violations::new());
    let mut context = Context {
        hierarchy,
        frequency,
        violations,
    };
    let figures = figures(&request.figures, &mut context);
    let pairs = growth_pairs(&request.growth_pairs, &every, &mut context);
    let weights = prior_weights(&request.prior_weights, &mut context);
    context.violations.finish()?;
    let (rows, growth): (Vec<usize>, Vec<GrowthQuery>) = pairs.into_iter().unzip();
    let periods = periods(&figures, &growth);
    let others = growth.len() + weights.len();
    let bytes = estimate(figures.len(), every.len(), periods.len(), others);
    claim(bytes, control)?;
    let question = Question {
        hierarchy,
        figures: &figures,
        nonnegative: structure.nonnegative,
        nodes: &every,
        growth: &growth,
        prior: &[],
    };
    let paths: Vec<_> = request.figures.iter().map(paths).collect();
    let place = |error| error::solve(error, &paths, &rows);
    let plain = solve(&question, control).map_err(place)?;
    let Answer::Feasible(solution) = &plain else {
        return Ok(plain);
    };
    if weights.is_empty() {
        return Ok(plain);
    }
    // Weights only compare leaves with each other; how large the market is, the figures say.
    let levels = solution::levels(solution, hierarchy);
    let prior = prior(hierarchy, &periods, &weights, &levels);
    let weighted = Question {
        prior: &prior,
        ..question
    };
    solve(&weighted, control).map_err(place)
}

/// Bytes that linear programs over few figures take, and what each pair of figures adds.
const PROGRAM_BYTES: usize = 1 << 20;
const PAIR_BYTES: usize = 128;
/// Bytes of a series in a period: its key, its interval, its place in the answer.
const ANSWER_BYTES: usize = 1024;

/// How many bytes it takes to solve so many figures for so many series and periods.
fn estimate(figures: usize, series: usize, periods: usize, others: usize) -> usize {
    let answers = series.saturating_mul(periods).min(MAX_ANSWERS) + others;
    PROGRAM_BYTES + figures * figures * PAIR_BYTES + answers * ANSWER_BYTES
}

fn every_series(hierarchy: &Hierarchy) -> Result<Vec<SeriesKey>, Fault> {
    match series_count(hierarchy) {
        Some(count) if count <= MAX_ANSWERS => Ok(hierarchy
            .all_series()
            .map(|series| hierarchy.key(&series))
            .collect()),
        _ => {
            let text = format!("the tree has more than {MAX_ANSWERS} series to solve for");
            Err(Fault::field("structure", ErrorReason::FiguresTooMany, text))
        }
    }
}

fn periods(figures: &[Figure], growth: &[GrowthQuery]) -> BTreeSet<Period> {
    let named = figures
        .iter()
        .flat_map(|figure| figure.claim.nodes())
        .map(|(_, period)| period);
    named
        .chain(growth.iter().flat_map(|query| [query.from, query.to]))
        .collect()
}

/// A prior value for each leaf and period, scaled to the level of the period.
fn prior(
    hierarchy: &Hierarchy,
    periods: &BTreeSet<Period>,
    weights: &Weights,
    levels: &BTreeMap<Period, f64>,
) -> Vec<PriorValue> {
    let leaves: Vec<SeriesKey> = (0..hierarchy.leaf_count())
        .filter_map(|leaf| hierarchy.leaf_at(leaf))
        .map(|series| hierarchy.key(&series))
        .collect();
    let mut values = Vec::new();
    for &period in periods {
        let weight = |leaf: &SeriesKey| {
            let own = weights.get(&(leaf.clone(), Some(period)));
            own.or_else(|| weights.get(&(leaf.clone(), None)))
                .copied()
                .unwrap_or(1.0)
        };
        let total = leaves.iter().fold(0.0, |sum, leaf| sum + weight(leaf));
        let scale = levels.get(&period).map_or(1.0, |level| level / total);
        values.extend(leaves.iter().map(|leaf| {
            let value = weight(leaf) * scale;
            PriorValue {
                series: leaf.clone(),
                period,
                value,
            }
        }));
    }
    values
}
