//! Faults of a question, all of them, before anything is solved.

use std::collections::BTreeMap;

use almanac_service_kit::plain::period::Period;

use super::figures::{Claim, Place, QuestionFault, QuestionProblem};
use super::{MAX_ANSWERS, MAX_FIGURES, Question, possible};
use crate::domain::hierarchy::{Hierarchy, SeriesKey};

/// Every fault of the question, in the order of its parts.
#[must_use]
pub fn check(question: &Question<'_>) -> Vec<QuestionFault> {
    let whole = |problem| {
        vec![QuestionFault {
            place: Place::Whole,
            problem,
        }]
    };
    let count = question.figures.len();
    if count == 0 {
        return whole(QuestionProblem::NoFigures);
    }
    if count > MAX_FIGURES {
        return whole(QuestionProblem::TooManyFigures { count });
    }
    let asked = question.nodes.len() + question.growth.len() + question.prior.len();
    if asked > MAX_ANSWERS {
        return whole(QuestionProblem::TooManyAnswers {
            count: asked,
            limit: MAX_ANSWERS,
        });
    }
    let mut checker = Checker {
        hierarchy: question.hierarchy,
        nonnegative: question.nonnegative,
        frequency: question
            .figures
            .iter()
            .flat_map(|f| f.claim.nodes())
            .map(|(_, period)| period)
            .next(),
        faults: Vec::new(),
    };
    checker.ids(question);
    for (position, figure) in question.figures.iter().enumerate() {
        checker.claim(Place::Figure(position), &figure.claim);
    }
    for (position, key) in question.nodes.iter().enumerate() {
        checker.series(Place::Node(position), key);
    }
    for (position, query) in question.growth.iter().enumerate() {
        let place = Place::Growth(position);
        checker.series(place, &query.series);
        checker.forward(place, query.from, query.to);
    }
    for (position, prior) in question.prior.iter().enumerate() {
        let place = Place::Prior(position);
        checker.series(place, &prior.series);
        checker.period(place, prior.period);
        if !(prior.value.is_finite() && prior.value > 0.0) {
            let value = prior.value;
            checker.fault(place, QuestionProblem::UnusablePrior { value });
        }
    }
    checker.faults
}

struct Checker<'a> {
    hierarchy: &'a Hierarchy,
    nonnegative: bool,
    /// A period of the frequency all others must share.
    frequency: Option<Period>,
    faults: Vec<QuestionFault>,
}

impl Checker<'_> {
    fn fault(&mut self, place: Place, problem: QuestionProblem) {
        self.faults.push(QuestionFault { place, problem });
    }

    fn ids(&mut self, question: &Question<'_>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, figure) in question.figures.iter().enumerate() {
            let place = Place::Figure(position);
            if figure.id.is_empty() {
                self.fault(place, QuestionProblem::EmptyId);
                continue;
            }
            let first = *seen.entry(&figure.id).or_insert(position);
            if first != position {
                let id = figure.id.clone();
                self.fault(place, QuestionProblem::DuplicateId { id, first });
            }
        }
    }

    fn claim(&mut self, place: Place, claim: &Claim) {
        for (key, period) in claim.nodes() {
            self.series(place, key);
            self.period(place, period);
        }
        if let Some(Err(fault)) = claim.printed().map(super::PrintedNumber::range) {
            self.fault(place, QuestionProblem::Printed(fault));
        }
        match claim {
            Claim::Growth { from, to, .. } if to <= from => {
                let (from, to) = (*from, *to);
                self.fault(place, QuestionProblem::NotForward { from, to });
            }
            Claim::Share { part, whole, .. } => {
                let resolved = (self.hierarchy.series(part), self.hierarchy.series(whole));
                if let (Ok(part), Ok(whole)) = resolved
                    && !self.hierarchy.contains(&whole, &part)
                {
                    self.fault(place, QuestionProblem::PartOutsideWhole);
                }
            }
            Claim::Bound { lower, upper, .. } => {
                let finite = [lower, upper]
                    .into_iter()
                    .flatten()
                    .all(|end| end.is_finite());
                let crossed = matches!((lower, upper), (Some(l), Some(u)) if l > u);
                if !finite || crossed || (lower.is_none() && upper.is_none()) {
                    self.fault(place, QuestionProblem::UnusableBound);
                }
            }
            Claim::Sum { terms, .. } if terms.is_empty() => {
                self.fault(place, QuestionProblem::EmptySum);
            }
            Claim::Comparison { factor, .. } if !(factor.is_finite() && *factor > 0.0) => {
                let factor = *factor;
                self.fault(place, QuestionProblem::UnusableFactor { factor });
            }
            _ => {}
        }
        if let Some(impossible) = possible::refuted(self.hierarchy, self.nonnegative, claim) {
            self.fault(place, QuestionProblem::Impossible(impossible));
        }
    }

    fn series(&mut self, place: Place, key: &SeriesKey) {
        if let Err(fault) = self.hierarchy.series(key) {
            self.fault(place, fault.into());
        }
    }

    fn period(&mut self, place: Place, period: Period) {
        let Some(first) = self.frequency else { return };
        if period.frequency() != first.frequency() {
            let problem = QuestionProblem::MixedFrequencies {
                period,
                found: period.frequency(),
                expected: first.frequency(),
            };
            self.fault(place, problem);
        }
    }

    fn forward(&mut self, place: Place, from: Period, to: Period) {
        self.period(place, from);
        self.period(place, to);
        if to <= from {
            self.fault(place, QuestionProblem::NotForward { from, to });
        }
    }
}
