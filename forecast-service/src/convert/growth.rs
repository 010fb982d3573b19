//! Growth, on the wire.

use almanac_proto::forecast::v1 as pb;

use super::series;
use crate::domain::{
    growth::{Growth, Undefined},
    hierarchy::{Hierarchy, Series},
};

/// The value in the first and in the last period.
pub type Ends = (Option<f64>, Option<f64>);

/// How one series grows, and what that means to the whole.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The series.
    pub series: Series,
    /// Its values.
    pub ends: Ends,
    /// Its growth.
    pub growth: Growth,
    /// Percent of the whole.
    pub share_of_total: Ends,
    /// Position of the dimension, parent along it, percent of it, and percentage points of its
    /// growth.
    pub parents: Vec<(usize, Series, Ends, Option<f64>)>,
    /// Percentage points of the whole's growth.
    pub contribution: Option<f64>,
    /// Rank by growth among the series asked for.
    pub rank: Option<u32>,
}

/// A summary on the wire.
#[must_use]
pub fn render(summary: Summary, hierarchy: &Hierarchy) -> pb::NodeGrowthSummary {
    let key = hierarchy.key(&summary.series);
    let dimensions: Vec<String> = key.members.keys().cloned().collect();
    let parents = summary
        .parents
        .into_iter()
        .map(|(dimension, parent, share, points)| pb::ParentShare {
            dimension: dimensions.get(dimension).cloned().unwrap_or_default(),
            parent: Some(series::render(hierarchy.key(&parent))),
            share: Some(render_share(share)),
            contribution_percentage_points: points,
        });
    pb::NodeGrowthSummary {
        display_name: hierarchy.label(&summary.series),
        growth: Some(render_growth(summary.ends, summary.growth)),
        share_of_total: Some(render_share(summary.share_of_total)),
        share_of_parent: parents.collect(),
        contribution_percentage_points: summary.contribution,
        growth_rank: summary.rank.and_then(|rank| i32::try_from(rank).ok()),
        series: Some(series::render(key)),
    }
}

fn render_share((start_percent, end_percent): Ends) -> pb::ShareChange {
    pb::ShareChange {
        start_percent,
        end_percent,
    }
}

fn render_growth((start, end): Ends, growth: Growth) -> pb::Growth {
    let undefined_reason = match growth.undefined {
        None => pb::UndefinedReason::Unspecified,
        Some(Undefined::Missing) => pb::UndefinedReason::Missing,
        Some(Undefined::StartZero) => pb::UndefinedReason::StartZero,
        Some(Undefined::SignChange) => pb::UndefinedReason::SignChange,
    };
    pb::Growth {
        start: start.unwrap_or_default(),
        end: end.unwrap_or_default(),
        growth_percent: growth.percent,
        cagr_percent: growth.cagr_percent,
        undefined_reason: undefined_reason.into(),
        start_missing: start.is_none(),
        end_missing: end.is_none(),
    }
}
