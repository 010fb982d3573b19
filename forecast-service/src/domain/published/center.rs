//! The central estimate: one value for every unknown.
//!
//! Among the values that hold every figure as near to the middle of its rounding as `bands`
//! finds possible, the ones nearest to the prior.

use serde::{Deserialize, Serialize};

use almanac_service_kit::plain::control::Control;

use super::entropy::{KKT_TOLERANCE, Measure, Minimum, minimize};
use super::interior::{REACHES, Reach, find, roomier};
use super::lp::{LpError, Polyhedron, Row, dot};
use super::prior::{self, Prior};
use super::system::System;
use super::{LP_TOLERANCE, PriorValue, bands};

/// How the central estimate came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CenterReport {
    /// Figures that could not all be held exactly as printed, and the part of their rounding
    /// (0 to 1) each was given instead.
    pub opened: Vec<OpenedFigure>,
    /// Why there is no central estimate; absent if there is one.
    pub none: Option<NoCenter>,
    /// The largest violation of the optimality conditions, at most [`KKT_TOLERANCE`]; see there
    /// for what it is relative to.
    pub kkt_residual: f64,
}

/// A figure the central estimate does not hold exactly as printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenedFigure {
    /// The caller's name of the figure.
    pub id: String,
    /// The part of its half-width that was used.
    pub part: f64,
}

/// Why there is no central estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoCenter {
    /// No figure limits any value from above, so nothing says how large the market is.
    NoScale,
    /// The arithmetic does not reach the tolerance: the figures stretch the market over too many
    /// orders of magnitude. Intervals are not affected.
    Unresolved,
}

/// The values of the unknowns, if there is a scale, and the report on them.
pub(super) struct Center {
    pub(super) unknowns: Option<Vec<f64>>,
    pub(super) report: CenterReport,
}

/// Estimates every unknown. Expects figures that can hold together.
///
/// An estimate that cannot be computed to the tolerance is no reason to withhold the intervals,
/// which can: it is reported as [`NoCenter::Unresolved`].
pub(super) fn estimate(
    system: &System<'_>,
    stated: &[PriorValue],
    control: &dyn Control,
) -> Result<Center, LpError> {
    match attempt(system, stated, control) {
        Err(LpError::Numerical(_)) => Ok(Center {
            unknowns: None,
            report: CenterReport {
                opened: Vec::new(),
                none: Some(NoCenter::Unresolved),
                kkt_residual: 0.0,
            },
        }),
        answer => answer,
    }
}

/// By how much the rounding of figures that gave way is opened further, one after the other,
/// where the least part leaves a set too thin to be searched.
const LOOSENING: [f64; 4] = [0.0, 1e-3, 1e-2, 1e-1];

fn attempt(
    system: &System<'_>,
    stated: &[PriorValue],
    control: &dyn Control,
) -> Result<Center, LpError> {
    let least = bands::fit(system, control)?;
    let mut trouble = LpError::Numerical(String::new());
    for further in LOOSENING {
        let loosened = least.iter().map(|part| match *part {
            part if part > 0.0 => (part + further).min(1.0),
            part => part,
        });
        let parts: Vec<f64> = loosened.collect();
        match within(system, &parts, stated, control) {
            Err(error @ LpError::Numerical(_)) => trouble = error,
            answer => return answer,
        }
    }
    Err(trouble)
}

/// The estimate when every figure has its part of its rounding.
fn within(
    system: &System<'_>,
    parts: &[f64],
    stated: &[PriorValue],
    control: &dyn Control,
) -> Result<Center, LpError> {
    let set = system.polyhedron(parts.iter().copied().enumerate());
    let mut report = CenterReport {
        opened: opened(system, parts),
        none: None,
        kkt_residual: 0.0,
    };
    let Some(prior) = prior::of(system, &set, stated, control)? else {
        report.none = Some(NoCenter::NoScale);
        return Ok(Center {
            unknowns: None,
            report,
        });
    };
    let minimum = nearest(&set, &prior, system.nonnegative, control)?;
    let miss = set.miss(&minimum.point);
    if miss > LP_TOLERANCE {
        let text = format!("the estimate misses a figure by {miss:e}");
        return Err(LpError::Numerical(text));
    }
    report.kkt_residual = minimum.kkt;
    Ok(Center {
        unknowns: Some(minimum.point),
        report,
    })
}

fn opened(system: &System<'_>, parts: &[f64]) -> Vec<OpenedFigure> {
    system
        .figures
        .iter()
        .zip(parts)
        .zip(&system.constraints)
        .filter(|((_, part), c)| bands::can_open(c) && **part > 0.0)
        .map(|((figure, part), _)| OpenedFigure {
            id: figure.id.clone(),
            part: *part,
        })
        .collect()
}

/// The point of the set nearest to the prior.
fn nearest(
    set: &Polyhedron,
    prior: &Prior,
    nonnegative: bool,
    control: &dyn Control,
) -> Result<Minimum, LpError> {
    let (offset, measure) = if nonnegative {
        (vec![0.0; prior.expected.len()], Measure::Entropy)
    } else {
        (prior.expected.clone(), Measure::Squares)
    };
    let unit = if nonnegative {
        &prior.expected
    } else {
        &prior.spread
    };
    let set = in_units(set, &offset, unit);
    let mut trouble = LpError::Numerical("the figures lost their points".to_owned());
    let mut minimum = None;
    for reach in REACHES {
        match searched(&set, unit, measure, reach, control) {
            Ok(found) if found.kkt <= KKT_TOLERANCE => {
                minimum = Some(found);
                break;
            }
            Ok(found) => {
                let missed = format!("the estimate misses its conditions by {:e}", found.kkt);
                trouble = LpError::Numerical(missed);
            }
            Err(stopped @ LpError::Stopped(_)) => return Err(stopped),
            Err(error) => trouble = error,
        }
    }
    let Some(mut minimum) = minimum else {
        return Err(trouble);
    };
    for ((value, offset), unit) in minimum.point.iter_mut().zip(&offset).zip(unit) {
        *value = offset + unit * *value;
    }
    Ok(minimum)
}

/// The nearest point found by one way of searching.
fn searched(
    set: &Polyhedron,
    unit: &[f64],
    measure: Measure,
    reach: Reach,
    control: &dyn Control,
) -> Result<Minimum, LpError> {
    let nonnegative = measure == Measure::Entropy;
    let interior = find(set, nonnegative, reach, control)?
        .ok_or_else(|| LpError::Numerical("no point is within reach".to_owned()))?;
    let roomy = roomier(&interior, nonnegative, control)?;
    minimize(unit, measure, &interior, roomy.as_deref(), control)
}

/// The set in u, where x = offset + unit u.
fn in_units(set: &Polyhedron, offset: &[f64], unit: &[f64]) -> Polyhedron {
    let rows = set.rows.iter().map(|row| {
        let settled = dot(&row.form, offset);
        Row {
            form: row.form.iter().map(|&(u, c)| (u, c * unit[u])).collect(),
            lower: row.lower - settled,
            upper: row.upper - settled,
        }
    });
    Polyhedron {
        bounds: set.bounds.clone(),
        rows: rows.collect(),
    }
}
