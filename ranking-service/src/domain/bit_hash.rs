//! The determinism probe: one hash over a fixed workload through the whole domain.
//!
//! Run natively, under another processor model and on another architecture, the probe answers the
//! same text, or results are not reproducible bit for bit. Its inputs come from an integer
//! generator (a linear congruential one, Knuth's MMIX constants), so they are the same anywhere:
//! smooth columns, columns of few whole numbers (ties), huge and tiny ones, gaps, old cells,
//! retracted ones; every normalization, tie method, minimum availability and printed scores; both
//! digests, group ranks and scorecards. Cost: some milliseconds.
//!
//! The recorded answer changes only together with [`super::digest::ENGINE_VERSION`] or with the
//! probe's own workload.

mod workload;

use almanac_service_kit::plain::control::{Stopped, Unlimited};
use almanac_service_kit::plain::digest::Canonical;

use super::digest::{LeafCells, input_digest, result_digest};
use super::entities::Entities;
use super::framework::Framework;
use super::methodology::Methodology;
use super::pipeline::{Extent, LeafInput, Ranking, UnrankedReason, run};
use super::rank::rank_in_groups;
use super::scorecard::{Scorecard, ScorecardOptions, scorecard};
use super::selection::Selection;
use workload::{ENTITIES, Lcg, LeafData, MAX_AGE, leaf_data, methodologies, nodes};

/// The probe's answer: `blake3:` and 64 hexadecimal digits, or `failed: ` and why.
#[must_use]
pub fn bit_probe() -> String {
    match probe() {
        Ok(digest) => digest,
        Err(reason) => format!("failed: {reason}"),
    }
}

fn probe() -> Result<String, Box<dyn std::error::Error>> {
    let mut random = Lcg(20_080_909);
    // 101 and 257 have no common divisor: ids in a scrambled order.
    let ids = (0..ENTITIES).map(|row| format!("e{:03}", row * 101 % ENTITIES));
    let entities = Entities::new(ids.collect())?;
    let framework = Framework::new(nodes(&mut random))?;
    let leaves = framework.leaves().enumerate();
    let leaves: Vec<LeafData> = leaves
        .map(|(index, (node, _))| leaf_data(index, node, &mut random))
        .collect::<Result<_, _>>()?;
    let mut form = Canonical::new("almanac.ranking.bit-probe/1");
    for methodology in methodologies() {
        let cells: Vec<LeafCells<'_>> = leaves.iter().map(leaf_cells).collect();
        let inputs: Vec<LeafInput<'_>> = cells.iter().map(|cell| cell.input).collect();
        form.text(&input_digest(
            &framework,
            &methodology,
            &entities,
            &cells,
            &Unlimited,
        )?);
        let every = Extent::EveryNode;
        let ranking = run(
            &framework,
            &methodology,
            &entities,
            &inputs,
            every,
            &Unlimited,
        )?;
        let digest = result_digest(&framework, &entities, &ranking, &Unlimited)?;
        form.text(&digest.ok_or("a node is not kept")?);
        write_groups(&mut form, &framework, &methodology, &ranking)?;
        for row in (0..ENTITIES).step_by(64) {
            let cell = |node: usize| {
                let leaf = leaves.iter().find(|leaf| leaf.node == node)?;
                leaf.cells.get(row).copied()
            };
            let options = ScorecardOptions::default();
            let card = scorecard(
                &framework, &entities, &ranking, row, options, &cell, &Unlimited,
            )?;
            write_scorecard(&mut form, &card);
        }
    }
    Ok(form.finish())
}

fn leaf_cells(leaf: &LeafData) -> LeafCells<'_> {
    LeafCells {
        input: LeafInput {
            node: leaf.node,
            direction: leaf.direction,
            values: &leaf.values,
        },
        period: "2023",
        max_age: MAX_AGE,
        ages: Some(&leaf.ages),
    }
}

fn write_groups(
    form: &mut Canonical,
    framework: &Framework,
    methodology: &Methodology,
    ranking: &Ranking,
) -> Result<(), Stopped> {
    let groups: Vec<Option<u32>> = (0..ENTITIES as u64)
        .map(|row| u32::try_from(row % 5).ok().filter(|&group| group > 0))
        .collect();
    if let Some(root) = ranking.node(framework.root()) {
        let ranks = rank_in_groups(&root.scores, &groups, &methodology.rank, &Unlimited)?;
        for rank in ranks.iter() {
            form.signed(rank.unwrap_or(0).into());
        }
    }
    for entity in ranking.unranked() {
        form.unsigned(entity.row as u64);
        match entity.reason {
            UnrankedReason::NoData => form.absent(),
            UnrankedReason::LowAvailability { node, present, .. } => {
                form.unsigned(node as u64).unsigned(present as u64)
            }
        };
    }
    Ok(())
}

fn write_scorecard(form: &mut Canonical, card: &Scorecard) {
    for node in &card.nodes {
        form.optional_number(node.share)
            .optional_number(node.contribution_to_parent)
            .optional_number(node.contribution_to_root)
            .optional_number(node.gap_to_best)
            .optional_number(node.lead_over_mean)
            .optional_number(node.lead_over_median)
            .optional_number(node.lead_over_next)
            .optional_number(node.lead_over_leader);
        match node.cell {
            Some(Selection::Found(figure)) => form.number(figure.value).signed(figure.ordinal),
            Some(Selection::NotFound(_)) => form.flag(false),
            None => form.absent(),
        };
    }
    let peers = card.above.iter().chain(&card.below).map(|peer| peer.row);
    let rows = card.strengths.iter().chain(&card.weaknesses).copied();
    for number in peers.chain(rows).chain(card.next).chain(card.leader) {
        form.unsigned(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_recorded() {
        assert_eq!(
            bit_probe(),
            "blake3:9641eb92039c2bfa0122cd586c847d3014a9b85cddc6f536ff918d6016baa8de"
        );
    }
}
