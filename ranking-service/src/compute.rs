//! From inputs to a ranking and its digests: the one way that live rankings, editions and their
//! replays take.

use std::sync::Arc;

use almanac_service_kit::{
    fault::Fault,
    plain::control::{Control, Stopped},
};

use crate::{
    domain::{
        column::Column,
        digest::{LeafCells, input_digest, result_digest},
        entities::Entities,
        framework::Framework,
        methodology::RankOptions,
        pipeline::{Extent, LeafInput, NodeRanking, Ranking, run_knowing},
        rank::rank_in_groups,
        selection::{Figure, Selection},
    },
    error,
    store::{EditionResult, PeriodSelection, load::Inputs},
};

/// A ranking of every node, with what it is known by.
#[derive(Debug)]
pub struct Computed {
    /// The tree.
    pub framework: Framework,
    /// The entities by row.
    pub entities: Arc<Entities>,
    /// Scores and ranks.
    pub ranking: Arc<Ranking>,
    /// Digest of the inputs.
    pub input_digest: String,
    /// Digest of scores and ranks.
    pub result_digest: String,
}

/// Computes the ranking of every node.
///
/// # Errors
/// See [`error::pipeline`]; INTERNAL for inputs that should have been refused before.
pub fn compute(inputs: &Inputs, control: &dyn Control) -> Result<Computed, Fault> {
    compute_knowing(inputs, None, control)
}

/// As [`compute`], faster where `known` has some of the same scores; the same bits with any.
///
/// # Errors
/// As [`compute`].
pub fn compute_knowing(
    inputs: &Inputs,
    known: Option<&Ranking>,
    control: &dyn Control,
) -> Result<Computed, Fault> {
    let framework = Framework::new(inputs.fixed.nodes.clone()).map_err(|e| Fault::internal(&e))?;
    let entities = Arc::clone(&inputs.ids);
    let leaves: Vec<LeafInput<'_>> = inputs
        .leaves
        .iter()
        .zip(&inputs.figures)
        .map(|((node, cells), figures)| LeafInput {
            node: *node,
            direction: cells.direction,
            values: &figures.values,
        })
        .collect();
    let methodology = &inputs.fixed.plan.methodology;
    let ranking = run_knowing(
        &framework,
        methodology,
        &entities,
        &leaves,
        Extent::EveryNode,
        known,
        control,
    )
    .map_err(|e| error::pipeline(&e))?;
    let selections: Vec<(PeriodSelection, String)> = leaves
        .iter()
        .map(|leaf| {
            let selection = inputs
                .fixed
                .plan
                .selection(&framework.nodes()[leaf.node].id);
            (selection, selection.period.to_string())
        })
        .collect();
    let cells: Vec<LeafCells<'_>> = leaves
        .iter()
        .zip(&selections)
        .zip(&inputs.figures)
        .map(|((input, (selection, period)), figures)| LeafCells {
            input: *input,
            period,
            max_age: selection.max_age.unwrap_or(0),
            ages: Some(&figures.ages),
        })
        .collect();
    let input_digest = input_digest(&framework, methodology, &entities, &cells, control)
        .map_err(|e| error::pipeline(&e))?;
    let result_digest = result_digest(&framework, &entities, &ranking, control)?
        .ok_or_else(|| Fault::internal(&"a ranking of every node lacks one"))?;
    Ok(Computed {
        framework,
        entities,
        ranking: Arc::new(ranking),
        input_digest,
        result_digest,
    })
}

impl Computed {
    /// Scores and ranks at every node as they are stored.
    ///
    /// # Errors
    /// [`Stopped`] once nobody waits.
    pub fn results(&self, control: &dyn Control) -> Result<Vec<EditionResult>, Stopped> {
        let stored = |node: Option<&NodeRanking>| {
            control.check()?;
            let Some(NodeRanking { scores, ranks }) = node else {
                return Ok(EditionResult {
                    scores: vec![],
                    ranks: vec![],
                    fractional: vec![],
                });
            };
            let fractional = if ranks.is_fractional() {
                (0..ranks.len())
                    .map(|row| ranks.fractional_rank(row))
                    .collect()
            } else {
                Vec::new()
            };
            Ok(EditionResult {
                scores: scores.to_options(),
                ranks: ranks.to_options(),
                fractional,
            })
        };
        (0..self.framework.len())
            .map(|node| stored(self.ranking.node(node)))
            .collect()
    }
}

/// Ranks within groups: the rank of each row among the rows of its group.
///
/// # Errors
/// INTERNAL for scores that are not finite, CANCELLED once nobody waits.
pub fn group_ranks(
    scores: &[Option<f64>],
    groups: &[Option<u32>],
    options: &RankOptions,
    control: &dyn Control,
) -> Result<Vec<Option<i32>>, Fault> {
    let column = Column::from_options(scores).map_err(|e| Fault::internal(&e))?;
    Ok(rank_in_groups(&column, groups, options, control)?.to_options())
}

/// What a leaf read for an entity, as the domain tells it.
#[must_use]
pub fn selection(inputs: &Inputs, position: usize, row: usize) -> Option<Selection> {
    let (_, cells) = inputs.leaves.iter().find(|(leaf, _)| *leaf == position)?;
    let (value, ordinal) = cells.cells.get(row)?.figure?;
    let node = inputs.fixed.nodes.get(position)?;
    let target = inputs.fixed.plan.selection(&node.id).period.ordinal();
    let age = u32::try_from(target.saturating_sub(ordinal)).unwrap_or(u32::MAX);
    Some(Selection::Found(Figure {
        value,
        ordinal,
        age,
    }))
}
