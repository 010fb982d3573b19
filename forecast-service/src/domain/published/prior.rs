//! What is believed before the figures are seen.
//!
//! *Division.* Every member of a dimension divides its value equally among its children;
//! dimensions multiply. So the prior depends on the market alone and not on which of its nodes
//! the figures happen to name, nor on how many leaves a member was broken down into.
//!
//! *Level.* In each period the unknowns the figures limit to both sides are taken together; the
//! middle of the interval of their sum is the level. A period without any takes the level of
//! the nearest period that has one, the earlier of two. Values stated by the caller replace both.

use almanac_service_kit::plain::control::Control;

use super::PriorValue;
use super::intervals::{Interval, of_form};
use super::lp::{LpError, Polyhedron};
use super::system::{Form, System};

/// For each unknown, where it is expected and how far it may reasonably be from there.
#[derive(Debug, Clone)]
pub(super) struct Prior {
    pub(super) expected: Vec<f64>,
    /// Positive.
    pub(super) spread: Vec<f64>,
}

/// The level of a period: the middle of what is known, and its size.
#[derive(Debug, Clone, Copy)]
struct Level {
    middle: f64,
    size: f64,
}

/// The prior over the points of `set`; `None` if nothing gives any period a level.
pub(super) fn of(
    system: &System<'_>,
    set: &Polyhedron,
    stated: &[PriorValue],
    control: &dyn Control,
) -> Result<Option<Prior>, LpError> {
    let mut levels = Vec::with_capacity(system.periods.len());
    for period in 0..system.periods.len() {
        levels.push(level(system, set, period, control)?);
    }
    let own = stated_values(system, stated);
    let fallback = largest_stated(&own).map(|size| Level { middle: size, size });
    let Some(levels) = filled(&levels, fallback) else {
        return Ok(None);
    };
    let mut expected = Vec::with_capacity(system.unknowns());
    let mut spread = Vec::with_capacity(system.unknowns());
    for (period, level) in levels.iter().enumerate() {
        for (class, weight) in system.partition.weights().iter().enumerate() {
            match own[system.unknown(period, class)] {
                Some(value) => {
                    expected.push(value);
                    spread.push(value);
                }
                None => {
                    expected.push(weight * level.middle);
                    spread.push(weight * level.size);
                }
            }
        }
    }
    Ok(Some(Prior { expected, spread }))
}

/// The level of the whole market (all weights) in a period.
fn level(
    system: &System<'_>,
    set: &Polyhedron,
    period: usize,
    control: &dyn Control,
) -> Result<Option<Level>, LpError> {
    let classes: Vec<usize> = (0..system.partition.len()).collect();
    let form = |classes: &[usize]| -> Form {
        let unknowns = classes.iter().map(|&c| (system.unknown(period, c), 1.0));
        unknowns.collect()
    };
    let middle = |interval: Option<Interval>| interval.and_then(Interval::middle);
    let mut limited = classes;
    let mut known = middle(of_form(set, &form(&limited), control)?);
    if known.is_none() {
        let mut kept = Vec::new();
        for &class in &limited {
            if middle(of_form(set, &form(&[class]), control)?).is_some() {
                kept.push(class);
            }
        }
        limited = kept;
        if !limited.is_empty() {
            known = middle(of_form(set, &form(&limited), control)?);
        }
    }
    let weights = system.partition.weights();
    let weight = limited.iter().fold(0.0, |sum, &class| sum + weights[class]);
    Ok(known.map(|(middle, half)| Level {
        middle: middle / weight,
        size: middle.abs().max(half) / weight,
    }))
}

/// Every period with a level that has a size; `None` if there is none to lend.
fn filled(levels: &[Option<Level>], fallback: Option<Level>) -> Option<Vec<Level>> {
    let usable = |level: &Option<Level>| level.filter(|l| l.size > 0.0);
    (0..levels.len())
        .map(|period| {
            let nearest = (0..levels.len())
                .filter_map(|other| Some((period.abs_diff(other), usable(&levels[other])?)))
                .min_by_key(|(distance, _)| *distance)
                .map(|(_, level)| level);
            // A market known to be zero in every period has points, if only one.
            let zero = levels[period].map(|_| Level {
                middle: 1.0,
                size: 1.0,
            });
            nearest.or(fallback).or(zero)
        })
        .collect()
}

/// For each unknown its part of the stated value of the smallest node around it.
fn stated_values(system: &System<'_>, stated: &[PriorValue]) -> Vec<Option<f64>> {
    let mut values = vec![None; system.unknowns()];
    let mut sizes = vec![usize::MAX; system.unknowns()];
    let weights = system.partition.weights();
    for prior in stated {
        let Ok(series) = system.hierarchy.series(&prior.series) else {
            continue;
        };
        let leaves = system.hierarchy.leaves_of(&series).count();
        let form = system.node(&series, prior.period);
        let class = |unknown: usize| unknown % system.partition.len().max(1);
        let whole = form
            .iter()
            .fold(0.0, |sum, &(u, _)| sum + weights[class(u)]);
        for (unknown, _) in form {
            if leaves < sizes[unknown] {
                sizes[unknown] = leaves;
                values[unknown] = Some(prior.value * weights[class(unknown)] / whole);
            }
        }
    }
    values
}

fn largest_stated(values: &[Option<f64>]) -> Option<f64> {
    values
        .iter()
        .flatten()
        .copied()
        .fold(None, |largest, value| {
            Some(largest.map_or(value, |l: f64| l.max(value)))
        })
}
