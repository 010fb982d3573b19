//! Where an entity stands among the others.

use almanac_service_kit::plain::control::{Control, Stopped, attended, sort_unstable_by};

use super::Peer;
use crate::domain::column::Column;
use crate::domain::entities::Entities;
use crate::domain::pipeline::Ranking;

/// The entities around one at the root.
pub(super) struct Around {
    pub(super) above: Vec<Peer>,
    pub(super) below: Vec<Peer>,
    pub(super) next: Option<usize>,
    pub(super) leader: Option<usize>,
}

impl Around {
    pub(super) fn find(
        entities: &Entities,
        ranking: &Ranking,
        row: usize,
        most: usize,
        control: &dyn Control,
    ) -> Result<Self, Stopped> {
        let mut order = Vec::new();
        for (place, row) in (0_usize..).zip(attended(entities.canonical(), control)) {
            let row = row?;
            if let Some((rank, score)) = ranking.rank(row).zip(ranking.score(row)) {
                order.push((place, Peer { row, score, rank }));
            }
        }
        // Equal ranks in the order of ids.
        sort_unstable_by(&mut order, control, |a, b| {
            (a.1.rank, a.0).cmp(&(b.1.rank, b.0))
        })?;
        let order: Vec<Peer> = order.into_iter().map(|(_, peer)| peer).collect();
        let leader = order.first().map(|peer| peer.row);
        let Some(place) = order.iter().position(|peer| peer.row == row) else {
            return Ok(Self {
                above: Vec::new(),
                below: Vec::new(),
                next: None,
                leader,
            });
        };
        let (before, after) = (&order[..place], &order[place + 1..]);
        Ok(Self {
            above: before[before.len().saturating_sub(most)..].to_vec(),
            below: after[..after.len().min(most)].to_vec(),
            next: after.first().or(before.last()).map(|peer| peer.row),
            leader,
        })
    }
}

/// Best, mean and median score of a node.
pub(super) struct Middle {
    pub(super) best: Option<f64>,
    pub(super) mean: Option<f64>,
    pub(super) median: Option<f64>,
}

impl Middle {
    pub(super) fn of(
        entities: &Entities,
        scores: &Column,
        control: &dyn Control,
    ) -> Result<Self, Stopped> {
        let mut values = Vec::new();
        for row in attended(entities.canonical(), control) {
            values.extend(scores.get(row?));
        }
        if values.is_empty() {
            return Ok(Self {
                best: None,
                mean: None,
                median: None,
            });
        }
        let mean = values.iter().fold(0.0, |sum, value| sum + value) / values.len() as f64;
        let best = values.iter().copied().reduce(f64::max);
        let (half, even) = (values.len() / 2, values.len().is_multiple_of(2));
        let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
        // Of an even number, the lower of the middle two is the largest of those below the upper.
        let below = below.iter().copied();
        let lower = if even { below.reduce(f64::max) } else { None };
        let median = lower.map_or(upper, |lower| lower * 0.5 + upper * 0.5);
        Ok(Self {
            best,
            mean: mean.is_finite().then_some(mean),
            median: Some(median),
        })
    }
}
