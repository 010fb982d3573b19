//! Who stands where.
//!
//! Method: ranks by descending score, the largest is 1; a missing score has no rank.
//!
//! Ties: scores are sorted descending; the first opens a group, and whoever lies within the
//! tolerance of the GROUP'S FIRST belongs to it; the next opens a new one. Compared with the first,
//! not with the neighbor, a group cannot creep. The tolerance is 1e-12 of the largest |score| at
//! the node, so that rounding noise breaks no tie, plus the methodology's `tie_tolerance` in score
//! points, which makes tiers.
//!
//! | method | ranks of the groups of 10, 10, 8 |
//! |---|---|
//! | competition | 1, 1, 3: one more than the number of entities in earlier groups |
//! | dense | 1, 1, 2: one more than the number of earlier groups |
//! | fractional | 1.5, 1.5, 3: the mean of the places the group takes, beside the competition rank |
//!
//! With `score_decimals` the scores are first rounded as they are printed ([`super::printed`]).
//!
//! Ranks within groups of entities (a label) are the same inside each group, with the tolerance of
//! the whole node: who ties among all also ties at home where the group's first is the same.
//!
//! Neither the order of rows nor that of children matters. Cost: O(n log n).

use almanac_service_kit::plain::control::{Control, Stopped, attended, sort_unstable_by};

use super::column::Column;
use super::methodology::{RankOptions, TieMethod};
use super::printed::{NOISE, round_as_printed};

/// The ranks of all entities at one node, by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// 0 where there is none.
    ranks: Vec<i32>,
    /// Meaningless where there is none.
    fractional: Option<Vec<f64>>,
    ranked: usize,
}

impl Ranks {
    /// Number of entities, ranked or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether there are no entities.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Number of entities with a rank.
    #[must_use]
    pub fn ranked(&self) -> usize {
        self.ranked
    }

    /// The competition or dense rank of a row.
    #[must_use]
    pub fn rank(&self, row: usize) -> Option<i32> {
        self.ranks.get(row).copied().filter(|&rank| rank > 0)
    }

    /// Whether there are fractional ranks.
    #[must_use]
    pub fn is_fractional(&self) -> bool {
        self.fractional.is_some()
    }

    /// The fractional rank of a row, where the methodology asks for it.
    #[must_use]
    pub fn fractional_rank(&self, row: usize) -> Option<f64> {
        self.rank(row)?;
        self.fractional.as_ref()?.get(row).copied()
    }

    /// The ranks by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<i32>> + '_ {
        self.ranks.iter().map(|&rank| (rank > 0).then_some(rank))
    }

    /// The ranks by row.
    #[must_use]
    pub fn to_options(&self) -> Vec<Option<i32>> {
        self.iter().collect()
    }
}

/// A row, its group and its score as it is ranked.
#[derive(Debug, Clone, Copy)]
struct Standing {
    score: f64,
    group: u32,
    row: u32,
}

/// Ranks all entities that have a score.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub fn rank(
    scores: &Column,
    options: &RankOptions,
    control: &dyn Control,
) -> Result<Ranks, Stopped> {
    rank_by(scores, options, |_| Some(0), control)
}

/// Ranks entities within groups; `groups` numbers each row's group, and a row without one gets no
/// rank. Rows beyond the end of `groups` have none.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub fn rank_in_groups(
    scores: &Column,
    groups: &[Option<u32>],
    options: &RankOptions,
    control: &dyn Control,
) -> Result<Ranks, Stopped> {
    let group_of = |row| groups.get(row).copied().flatten();
    rank_by(scores, options, group_of, control)
}

fn noise(scores: &Column) -> f64 {
    let largest = scores.raw().iter().fold(0.0_f64, |largest, score| {
        let magnitude = score.abs();
        if magnitude > largest {
            magnitude
        } else {
            largest
        }
    });
    NOISE * largest
}

fn rank_by(
    scores: &Column,
    options: &RankOptions,
    group_of: impl Fn(usize) -> Option<u32>,
    control: &dyn Control,
) -> Result<Ranks, Stopped> {
    let noise = noise(scores);
    let mut standings = Vec::with_capacity(scores.len());
    let rows = scores.raw().iter().zip(0_u32..).enumerate();
    for row in attended(rows, control) {
        let (row, (&score, index)) = row?;
        let Some(group) = group_of(row).filter(|_| !score.is_nan()) else {
            continue;
        };
        let score = options
            .score_decimals
            .map_or(score, |decimals| round_as_printed(score, decimals, noise));
        standings.push(Standing {
            score,
            group,
            row: index,
        });
    }
    sort_unstable_by(&mut standings, control, |a, b| {
        let by_score = || b.score.total_cmp(&a.score);
        a.group.cmp(&b.group).then_with(by_score)
    })?;
    let mut ranks = Ranks {
        ranks: vec![0; scores.len()],
        fractional: (options.tie_method == TieMethod::Fractional).then(|| vec![0.0; scores.len()]),
        ranked: standings.len(),
    };
    for members in standings.chunk_by(|a, b| a.group == b.group) {
        assign(
            members,
            noise + options.tie_tolerance,
            options.tie_method,
            &mut ranks,
        );
    }
    Ok(ranks)
}

fn assign(standings: &[Standing], tolerance: f64, method: TieMethod, ranks: &mut Ranks) {
    let mut start = 0;
    let mut groups = 0;
    while start < standings.len() {
        let first = standings[start].score;
        let size = standings[start..]
            .iter()
            .take_while(|standing| first - standing.score <= tolerance)
            .count();
        let end = start + size;
        groups += 1;
        let rank = match method {
            TieMethod::Dense => groups,
            TieMethod::Competition | TieMethod::Fractional => start + 1,
        };
        // Entities are at most i32::MAX, so this is exact.
        let rank = i32::try_from(rank).unwrap_or(i32::MAX);
        let middle = (start + 1 + end) as f64 / 2.0;
        for standing in &standings[start..end] {
            ranks.ranks[standing.row as usize] = rank;
            if let Some(fractional) = &mut ranks.fractional {
                fractional[standing.row as usize] = middle;
            }
        }
        start = end;
    }
}

#[cfg(test)]
mod tests;
