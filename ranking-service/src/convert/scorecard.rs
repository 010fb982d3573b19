//! Scorecards, on the wire and in sentences.

use almanac_proto::{common::v1 as common, ranking::v1 as pb};

use super::{edition, named};
use crate::{
    compute::Computed,
    domain::scorecard::{NodeCard, Scorecard},
    store::load::Inputs,
};

/// How many leaves a sentence names.
const NAMED: usize = 3;

/// A scorecard of an entity of `dataset`.
pub struct Told<'a> {
    /// ID of the dataset.
    pub dataset: &'a str,
    /// What was ranked.
    pub inputs: &'a Inputs,
    /// The ranking.
    pub computed: &'a Computed,
    /// The answer.
    pub card: &'a Scorecard,
}

impl Told<'_> {
    /// The scorecard on the wire.
    #[must_use]
    pub fn render(&self) -> pb::Scorecard {
        let entity = &self.inputs.fixed.entities[self.card.row];
        let framework = &self.computed.framework;
        let top_down = framework.bottom_up().iter().rev();
        let id = |node: &usize| framework.nodes()[*node].id.clone();
        let peers = self.card.above.iter().chain(&self.card.below);
        pb::Scorecard {
            entity: named("entities", self.dataset, &entity.id),
            display_name: entity.display_name.clone(),
            score: self.card.score,
            rank: self.card.rank,
            ranked_count: count(self.card.ranked),
            nodes: top_down.map(|node| self.node(*node)).collect(),
            strengths: self.card.strengths.iter().map(id).collect(),
            weaknesses: self.card.weaknesses.iter().map(id).collect(),
            peers: peers
                .map(|peer| pb::Peer {
                    entity: named("entities", self.dataset, self.id(peer.row)),
                    display_name: self.entity(peer.row).to_owned(),
                    score: peer.score,
                    rank: peer.rank,
                })
                .collect(),
            cells: (0..self.inputs.leaves.len())
                .map(|leaf| self.cell(leaf))
                .collect(),
            explanation: self.explanation(),
        }
    }

    fn id(&self, row: usize) -> &str {
        &self.inputs.fixed.entities[row].id
    }

    /// The entity's name for people.
    fn entity(&self, row: usize) -> &str {
        let entity = &self.inputs.fixed.entities[row];
        if entity.display_name.is_empty() {
            &entity.id
        } else {
            &entity.display_name
        }
    }

    /// The node's name for people: its own, its indicator's, or its ID.
    fn name(&self, node: usize) -> &str {
        let given = &self.computed.framework.nodes()[node];
        let indicator = self.inputs.leaves.iter().find(|(leaf, _)| *leaf == node);
        let names = [
            given.display_name.as_str(),
            indicator
                .map(|(_, cells)| cells.display_name.as_str())
                .unwrap_or_default(),
        ];
        names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(&given.id)
    }

    fn node(&self, node: usize) -> pb::NodeCard {
        let framework = &self.computed.framework;
        let given = &framework.nodes()[node];
        let card = &self.card.nodes[node];
        pb::NodeCard {
            node: given.id.clone(),
            parent: given.parent.clone().unwrap_or_default(),
            display_name: self.name(node).to_owned(),
            weight: framework.share(node),
            effective_weight: framework.effective_weight(node),
            score: card.score,
            rank: card.rank,
            contribution_to_parent: card.contribution_to_parent,
            contribution_to_root: card.contribution_to_root,
            gap_to_best: card.gap_to_best,
            lead_over_median: card.lead_over_median,
            lead_over_next: card.lead_over_next,
        }
    }

    fn cell(&self, leaf: usize) -> pb::Cell {
        let (node, cells) = &self.inputs.leaves[leaf];
        let given = &self.computed.framework.nodes()[*node];
        let cell = &cells.cells[self.card.row];
        let selection = self.inputs.fixed.plan.selection(&given.id);
        let indicator = given.indicator.as_deref().unwrap_or_default();
        let used = edition::render_cell(
            self.dataset,
            indicator,
            self.id(self.card.row),
            selection,
            cells,
            cell,
        );
        let missing = match (&cell.figure, &cell.told.missing) {
            (Some(_), _) => None,
            (None, Some((reason, note))) => Some(common::Missing {
                reason: *reason,
                note: note.clone(),
            }),
            (None, None) => Some(common::Missing::default()),
        };
        pb::Cell {
            node: given.id.clone(),
            indicator: used.indicator,
            period: used.period,
            age: used.age,
            value: used.value,
            unit: cells.unit.clone(),
            normalized: self.card.nodes[*node].score,
            missing,
            source: used.source,
            status: cell.told.status,
        }
    }

    /// Why it stands where it does, in sentences.
    fn explanation(&self) -> Vec<String> {
        let name = self.entity(self.card.row);
        let mut told = vec![match (self.card.score, self.card.rank) {
            (Some(score), Some(rank)) => {
                format!(
                    "{name} ranks {rank} of {} with {score:.2} points.",
                    self.card.ranked
                )
            }
            _ => format!("{name} has no rank: it lacks data."),
        }];
        told.extend(self.lead());
        let strong = self
            .card
            .strengths
            .iter()
            .take(NAMED)
            .map(|leaf| self.standing(*leaf));
        told.extend(sentence("It is strongest in", &strong.collect::<Vec<_>>()));
        let weak = self
            .card
            .weaknesses
            .iter()
            .take(NAMED)
            .map(|leaf| self.standing(*leaf));
        told.extend(sentence("It is weakest in", &weak.collect::<Vec<_>>()));
        let row = self.card.row;
        let absent = self
            .inputs
            .leaves
            .iter()
            .filter(|(_, c)| c.cells[row].figure.is_none());
        let absent: Vec<String> = absent
            .map(|(leaf, _)| self.name(*leaf).to_owned())
            .collect();
        told.extend(sentence(
            "Without a value, so that their weight went to their siblings:",
            &absent,
        ));
        told
    }

    /// What sets it apart from its next neighbor, by child of the root.
    fn lead(&self) -> Option<String> {
        let next = self.card.next?;
        let framework = &self.computed.framework;
        let total = self.card.nodes[framework.root()].lead_over_next?;
        let lead = |node: &usize| self.card.nodes[*node].lead_over_next;
        let mut parts: Vec<(f64, &str)> = framework
            .children(framework.root())
            .iter()
            .filter_map(|node| Some((lead(node)?, self.name(*node))))
            .collect();
        parts.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then_with(|| a.1.cmp(b.1)));
        let parts: Vec<String> = parts
            .iter()
            .map(|(points, name)| format!("{name} {points:+.2}"))
            .collect();
        let (side, distance) = if total < 0.0 {
            ("behind", -total)
        } else {
            ("ahead of", total)
        };
        Some(format!(
            "It is {distance:.2} points {side} {}: {}.",
            self.entity(next),
            parts.join(", ")
        ))
    }

    fn standing(&self, leaf: usize) -> String {
        let NodeCard {
            score,
            rank,
            ranked,
            ..
        } = &self.card.nodes[leaf];
        let name = self.name(leaf);
        match (score, rank) {
            (Some(score), Some(rank)) => format!("{name} ({rank} of {ranked}, {score:.1})"),
            _ => name.to_owned(),
        }
    }
}

fn sentence(start: &str, parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("{start} {}.", parts.join("; ")))
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
