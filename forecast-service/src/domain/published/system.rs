//! Figures as linear constraints on the unknowns.
//!
//! The unknowns x are the classes of the partition, period by period; a node is a sum of
//! unknowns. Every figure limits a *quantity*: a node, a sum of nodes, or a ratio of two nodes.
//!
//! | figure | quantity q | constraint |
//! |---|---|---|
//! | value, sum, bound | a'x | lower <= a'x <= upper |
//! | growth g percent | to'x / from'x = 1 + g/100 | lower from'x <= to'x <= upper from'x |
//! | share s percent | part'x / whole'x = s/100 | lower whole'x <= part'x <= upper whole'x |
//! | multiple m | left'x / right'x = m | lower right'x <= left'x <= upper right'x |
//! | comparison | left'x - factor right'x | >= 0 or <= 0 |
//!
//! A ratio's constraint is linear because its denominator is not negative, which it adds as a
//! constraint where the market itself allows negative values.

use std::collections::{BTreeMap, BTreeSet};

use almanac_service_kit::plain::period::Period;

use super::figures::{Claim, Figure, NodeAt, Place, QuestionFault, QuestionProblem, Relation};
use super::lp::{Polyhedron, Row};
use super::partition::Partition;
use super::{MAX_UNKNOWNS, Question};
use crate::domain::hierarchy::{Hierarchy, Series, SeriesKey};

/// A linear form: coefficients of unknowns, ascending and without zeros.
pub(super) type Form = Vec<(usize, f64)>;

/// What is left of terms that cancel, relative to them, is noise below this.
const CANCELLED: f64 = 4.0 * f64::EPSILON;

/// What a figure limits.
#[derive(Debug, Clone)]
pub(super) struct Quantity {
    pub(super) numerator: Form,
    /// Absent for a plain linear quantity.
    pub(super) denominator: Option<Form>,
}

/// A figure resolved against the unknowns.
#[derive(Debug, Clone)]
pub(super) struct Constraint {
    pub(super) quantity: Quantity,
    /// The ends of the quantity; infinite where a side is open.
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// The quantity as printed; absent where nothing was.
    pub(super) middle: Option<f64>,
}

impl Constraint {
    /// The ends when the figure may use only this part (0 to 1) of its rounding.
    ///
    /// 1 gives the ends as printed, bit for bit. Figures without a printed middle always keep
    /// their ends.
    pub(super) fn ends(&self, part: f64) -> (f64, f64) {
        match self.middle {
            Some(middle) if part < 1.0 => (
                middle - part * (middle - self.lower),
                middle + part * (self.upper - middle),
            ),
            _ => (self.lower, self.upper),
        }
    }
}

/// The figures of a question as constraints on its unknowns.
#[derive(Debug)]
pub(super) struct System<'a> {
    pub(super) hierarchy: &'a Hierarchy,
    pub(super) figures: &'a [Figure],
    pub(super) nonnegative: bool,
    pub(super) partition: Partition,
    /// Every period named, ascending.
    pub(super) periods: Vec<Period>,
    pub(super) constraints: Vec<Constraint>,
}

impl<'a> System<'a> {
    /// Resolves a question that [`super::check`] found without faults.
    pub(super) fn new(question: &Question<'a>) -> Result<Self, Vec<QuestionFault>> {
        let too_large = || {
            vec![QuestionFault {
                place: Place::Whole,
                problem: QuestionProblem::TooManyUnknowns,
            }]
        };
        let (named, periods) = touched(question);
        let partition = Partition::new(question.hierarchy, &named)
            .filter(|cut| cut.len() * periods.len() <= MAX_UNKNOWNS)
            .ok_or_else(too_large)?;
        let mut system = Self {
            hierarchy: question.hierarchy,
            figures: question.figures,
            nonnegative: question.nonnegative,
            partition,
            periods,
            constraints: Vec::with_capacity(question.figures.len()),
        };
        for (position, figure) in question.figures.iter().enumerate() {
            let constraint = system.constraint(&figure.claim).map_err(|problem| {
                vec![QuestionFault {
                    place: Place::Figure(position),
                    problem,
                }]
            })?;
            system.constraints.push(constraint);
        }
        Ok(system)
    }

    /// The number of unknowns.
    pub(super) fn unknowns(&self) -> usize {
        self.partition.len() * self.periods.len()
    }

    /// The unknown that stands for a class in a period.
    pub(super) fn unknown(&self, period: usize, class: usize) -> usize {
        period * self.partition.len() + class
    }

    /// A node in a period as a sum of unknowns.
    pub(super) fn node(&self, series: &Series, period: Period) -> Form {
        let Ok(period) = self.periods.binary_search(&period) else {
            return Form::new();
        };
        self.partition
            .classes_of(series)
            .iter()
            .map(|&class| (self.unknown(period, class), 1.0))
            .collect()
    }

    /// The figures chosen, each allowed its part of its rounding.
    pub(super) fn polyhedron(&self, chosen: impl IntoIterator<Item = (usize, f64)>) -> Polyhedron {
        let mut polyhedron = Polyhedron::new(self.unknowns(), self.nonnegative);
        for (figure, part) in chosen {
            let constraint = &self.constraints[figure];
            let (lower, upper) = constraint.ends(part);
            polyhedron
                .rows
                .extend(rows(&constraint.quantity, lower, upper));
            if let (false, Some(form)) = (self.nonnegative, &constraint.quantity.denominator) {
                polyhedron.rows.push(Row {
                    form: form.clone(),
                    lower: 0.0,
                    upper: f64::INFINITY,
                });
            }
        }
        polyhedron
    }

    /// Every figure with its full rounding.
    pub(super) fn as_printed(&self) -> Polyhedron {
        self.polyhedron((0..self.figures.len()).map(|figure| (figure, 1.0)))
    }

    fn constraint(&self, claim: &Claim) -> Result<Constraint, QuestionProblem> {
        let at = |series: &SeriesKey, period| -> Result<Form, QuestionProblem> {
            Ok(self.node(&self.hierarchy.series(series)?, period))
        };
        let linear = |numerator, lower, middle, upper| Constraint {
            quantity: Quantity {
                numerator,
                denominator: None,
            },
            lower,
            upper,
            middle,
        };
        let range = claim
            .printed()
            .map(|printed| printed.range().map_err(QuestionProblem::Printed))
            .transpose()?;
        let printed = |form| {
            let unprinted = linear(Form::new(), f64::NEG_INFINITY, None, f64::INFINITY);
            range.map_or(unprinted, |r| {
                linear(form, r.lower, Some(r.middle), r.upper)
            })
        };
        Ok(match claim {
            Claim::Value { series, period, .. } => printed(at(series, *period)?),
            Claim::Sum { terms, .. } => {
                let forms = terms.iter().map(|term| at(&term.series, term.period));
                printed(sum(forms
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .flatten()))
            }
            Claim::Bound {
                series,
                period,
                lower,
                upper,
            } => linear(
                at(series, *period)?,
                lower.unwrap_or(f64::NEG_INFINITY),
                None,
                upper.unwrap_or(f64::INFINITY),
            ),
            Claim::Growth {
                series, from, to, ..
            } => {
                let growth = printed(at(series, *to)?);
                ratio(growth, at(series, *from)?, |percent| {
                    (100.0 + percent) / 100.0
                })
            }
            Claim::Share {
                part,
                whole,
                period,
                ..
            } => {
                let share = printed(at(part, *period)?);
                ratio(share, at(whole, *period)?, |percent| percent / 100.0)
            }
            Claim::Multiple { left, right, .. } => {
                let multiple = printed(at(&left.series, left.period)?);
                ratio(multiple, at(&right.series, right.period)?, |times| times)
            }
            Claim::Comparison {
                left,
                relation,
                factor,
                right,
            } => {
                let node = |n: &NodeAt| at(&n.series, n.period);
                let scaled = node(right)?.into_iter().map(|(u, c)| (u, -factor * c));
                let difference = sum(node(left)?.into_iter().chain(scaled));
                match relation {
                    Relation::AtLeast => linear(difference, 0.0, None, f64::INFINITY),
                    Relation::AtMost => linear(difference, f64::NEG_INFINITY, None, 0.0),
                }
            }
        })
    }
}

/// Turns a constraint in the terms a figure is printed in into one on a ratio.
fn ratio(printed: Constraint, denominator: Form, meant: impl Fn(f64) -> f64) -> Constraint {
    Constraint {
        quantity: Quantity {
            numerator: printed.quantity.numerator,
            denominator: Some(denominator),
        },
        lower: meant(printed.lower),
        upper: meant(printed.upper),
        middle: printed.middle.map(meant),
    }
}

/// A form with its terms sorted and added up; terms that cancel to rounding noise are left out.
pub(super) fn sum(terms: impl Iterator<Item = (usize, f64)>) -> Form {
    let mut form: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (unknown, coefficient) in terms {
        let (total, size) = form.entry(unknown).or_insert((0.0, 0.0));
        *total += coefficient;
        *size += coefficient.abs();
    }
    form.into_iter()
        .filter(|(_, (total, size))| total.abs() > CANCELLED * size)
        .map(|(unknown, (total, _))| (unknown, total))
        .collect()
}

/// The rows that keep a quantity between two ends.
fn rows(quantity: &Quantity, lower: f64, upper: f64) -> Vec<Row> {
    let numerator = || quantity.numerator.iter().copied();
    let Some(denominator) = &quantity.denominator else {
        return vec![Row {
            form: numerator().collect(),
            lower,
            upper,
        }];
    };
    let against = |end: f64| {
        let scaled = denominator.iter().map(|&(u, c)| (u, -end * c));
        sum(numerator().chain(scaled))
    };
    // Equal ends make one equation instead of two inequalities that leave no interior.
    if lower >= upper {
        return vec![Row {
            form: against(lower),
            lower: 0.0,
            upper: 0.0,
        }];
    }
    vec![
        Row {
            form: against(lower),
            lower: 0.0,
            upper: f64::INFINITY,
        },
        Row {
            form: against(upper),
            lower: f64::NEG_INFINITY,
            upper: 0.0,
        },
    ]
}

/// Every node and period the question names.
fn touched(question: &Question<'_>) -> (BTreeSet<Series>, Vec<Period>) {
    let figures = question.figures.iter().flat_map(|f| f.claim.nodes());
    let prior = question.prior.iter().map(|p| (&p.series, p.period));
    let growth = question
        .growth
        .iter()
        .flat_map(|g| [(&g.series, g.from), (&g.series, g.to)]);
    let placed: Vec<_> = figures.chain(prior).chain(growth).collect();
    let asked = question.nodes.iter();
    let named = placed
        .iter()
        .map(|(series, _)| *series)
        .chain(asked)
        .filter_map(|key| question.hierarchy.series(key).ok())
        .collect();
    let periods: BTreeSet<Period> = placed.iter().map(|(_, period)| *period).collect();
    (named, periods.into_iter().collect())
}
