//! What published figures imply, on the wire.

use std::collections::BTreeMap;

use almanac_proto::forecast::v1 as pb;
use almanac_service_kit::plain::period::Period;

use super::series::render;
use crate::domain::{
    hierarchy::{Hierarchy, SeriesKey},
    published::{Conflict, ConflictMember, GrowthAnswer, Interval, NodeAnswer, Solution},
};

/// Figures that agree.
#[must_use]
pub fn feasible(solution: Solution, hierarchy: &Hierarchy) -> pb::Feasible {
    let central: BTreeMap<(SeriesKey, Period), f64> = solution
        .nodes
        .iter()
        .filter_map(|node| Some(((node.series.clone(), node.period), node.central?)))
        .collect();
    let growth = solution
        .growth
        .into_iter()
        .map(|answer| growth_interval(answer, &central));
    let growth_intervals = growth.collect();
    let mut nodes: Vec<(Period, _, NodeAnswer)> = solution
        .nodes
        .into_iter()
        // In canonical order parents stand before their children.
        .map(|node| (node.period, hierarchy.series(&node.series).ok(), node))
        .collect();
    nodes.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let intervals = nodes.into_iter().map(|(_, _, node)| pb::FigureInterval {
        node: Some(render(node.series)),
        period: node.period.to_string(),
        lower: node.interval.lower,
        upper: node.interval.upper,
        central: node.central,
    });
    pb::Feasible {
        intervals: intervals.collect(),
        growth_intervals,
    }
}

fn growth_interval(
    answer: GrowthAnswer,
    central: &BTreeMap<(SeriesKey, Period), f64>,
) -> pb::GrowthInterval {
    let query = answer.query;
    let at = |period| central.get(&(query.series.clone(), period)).copied();
    let central_percent = at(query.from)
        .zip(at(query.to))
        .filter(|(from, _)| *from > 0.0)
        .map(|(from, to)| (to / from - 1.0) * 100.0);
    pb::GrowthInterval {
        lower_percent: answer.growth_percent.and_then(|interval| interval.lower),
        upper_percent: answer.growth_percent.and_then(|interval| interval.upper),
        central_percent,
        node: Some(render(query.series)),
        from_period: query.from.to_string(),
        to_period: query.to.to_string(),
    }
}

/// The central estimate of the whole in each period that has a positive one.
#[must_use]
pub fn levels(solution: &Solution, hierarchy: &Hierarchy) -> BTreeMap<Period, f64> {
    let whole = hierarchy.key(&hierarchy.root());
    let whole = solution.nodes.iter().filter(|node| node.series == whole);
    whole
        .filter_map(|node| Some((node.period, node.central?)))
        .filter(|(_, level)| *level > 0.0)
        .collect()
}

/// Figures that contradict each other.
#[must_use]
pub fn conflict(conflict: Conflict) -> pb::Conflict {
    let statements = conflict
        .members
        .iter()
        .map(|member| member.statement.clone());
    pb::Conflict {
        figure_ids: conflict
            .members
            .iter()
            .map(|member| member.id.clone())
            .collect(),
        explanation: std::iter::once(conflict.summary)
            .chain(statements)
            .collect(),
        implied_intervals: conflict.members.into_iter().map(implied).collect(),
    }
}

fn implied(member: ConflictMember) -> pb::ImpliedInterval {
    let open = Interval {
        lower: None,
        upper: None,
    };
    let others = member.others_allow.unwrap_or(open);
    pb::ImpliedInterval {
        figure_id: member.id,
        lower: others.lower,
        upper: others.upper,
        stated_lower: member.says.lower,
        stated_upper: member.says.upper,
    }
}
