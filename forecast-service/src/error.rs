//! What the domain and the store say, as callers are told.
//!
//! Every match is exhaustive: a new error of the domain does not compile before somebody has
//! decided which code and reason it gets.

use almanac_proto::{Reason as _, common::v1::ErrorReason as Common, forecast::v1::ErrorReason};
use almanac_service_kit::{
    fault::{Fault, Violations},
    plain::{
        control::Stopped,
        period::{Frequency, PeriodError},
    },
    store::StoreError,
    write::store_fault,
};
use tonic::Code;

use crate::domain::{
    bottom_up::ForecastFault,
    hierarchy::{Hierarchy, HierarchyProblem, SeriesFault},
    models::ModelFault,
    published::{Place, QuestionFault, QuestionProblem, SolveError},
};

/// The error domain of the service.
pub const DOMAIN: &str = "forecast.almanac";

/// Turns an error of the store into what a caller is told.
pub trait OrFault<T> {
    /// # Errors
    /// The fault that says what happened.
    fn or_fault(self) -> Result<T, Fault>;
}

impl<T> OrFault<T> for Result<T, StoreError> {
    fn or_fault(self) -> Result<T, Fault> {
        self.map_err(|error| store_fault(&error))
    }
}

/// Why a text is no period, or not the one wanted.
#[must_use]
pub fn period_reason(error: &PeriodError) -> Common {
    match error {
        PeriodError::NotCanonical { .. } | PeriodError::OutOfRange { .. } => Common::PeriodInvalid,
        PeriodError::WrongFrequency { .. } => Common::PeriodFrequencyMismatch,
    }
}

/// Why a key names no series.
#[must_use]
pub fn series_reason(fault: &SeriesFault) -> ErrorReason {
    match fault {
        SeriesFault::UnknownDimension { .. } => ErrorReason::DimensionUnknown,
        SeriesFault::UnknownMember { .. } => ErrorReason::MemberUnknown,
    }
}

/// What is wrong with a declaration of dimensions.
#[must_use]
pub fn hierarchy_reason(problem: &HierarchyProblem) -> &'static str {
    match problem {
        HierarchyProblem::NoDimensions => Common::FieldRequired.wire_name(),
        HierarchyProblem::DuplicateDimension { .. } | HierarchyProblem::DuplicateMember { .. } => {
            Common::DuplicateKey.wire_name()
        }
        HierarchyProblem::TooManyDimensions { .. }
        | HierarchyProblem::TooManyLeaves
        | HierarchyProblem::TooManyMembers { .. } => ErrorReason::DimensionsTooLarge.wire_name(),
        HierarchyProblem::NoRoot { .. } | HierarchyProblem::SecondRoot { .. } => {
            ErrorReason::DimensionRoot.wire_name()
        }
        HierarchyProblem::UnknownParent { .. } => ErrorReason::ParentUnknown.wire_name(),
        HierarchyProblem::Cycle { .. } => ErrorReason::DimensionCycle.wire_name(),
    }
}

/// The computation was told to stop.
#[must_use]
pub fn stopped(stopped: Stopped) -> Fault {
    stopped.into()
}

/// Why published figures were not solved. `paths` lead from each figure of the request to the
/// member that it sets and on to the number in that; `rows` are those of the pairs that asked for
/// each growth.
#[must_use]
pub fn solve(error: SolveError, paths: &[(&str, &str)], rows: &[usize]) -> Fault {
    match error {
        SolveError::Stopped(stopped) => self::stopped(stopped),
        SolveError::Numerical(text) => {
            tracing::error!(cause = text, "figures were not solved");
            let text = "the solver did not come to an end it could prove; fewer figures or \
                        coarser half-widths may help";
            Fault::new(Code::Internal, ErrorReason::SolverFailed, text)
        }
        SolveError::Faults(faults) => {
            let mut violations = Violations::new();
            for QuestionFault { place, problem } in faults {
                let field = match place {
                    Place::Figure(row) => {
                        let (member, number) = paths.get(row).unwrap_or(&("figure", "figure"));
                        match problem {
                            QuestionProblem::Impossible(_) | QuestionProblem::Printed(_) => {
                                format!("figures[{row}].{number}")
                            }
                            _ => format!("figures[{row}].{member}"),
                        }
                    }
                    Place::Growth(row) => match rows.get(row) {
                        Some(pair) => format!("growth_pairs[{pair}]"),
                        None => "growth_pairs".to_owned(),
                    },
                    Place::Prior(_) => "prior_weights".to_owned(),
                    Place::Node(_) | Place::Whole => "figures".to_owned(),
                };
                violations.push_named(field, question_reason(&problem), problem.to_string());
            }
            let fallback = || Fault::internal(&"a question was refused without a fault");
            violations.finish().err().unwrap_or_else(fallback)
        }
    }
}

fn question_reason(problem: &QuestionProblem) -> &'static str {
    match problem {
        QuestionProblem::NoFigures | QuestionProblem::EmptyId => Common::FieldRequired.wire_name(),
        QuestionProblem::TooManyFigures { .. }
        | QuestionProblem::TooManyUnknowns
        | QuestionProblem::TooManyAnswers { .. } => ErrorReason::FiguresTooMany.wire_name(),
        QuestionProblem::DuplicateId { .. } => Common::DuplicateKey.wire_name(),
        QuestionProblem::Series(fault) => series_reason(fault).wire_name(),
        QuestionProblem::Printed(_) => ErrorReason::PrintedNumberInvalid.wire_name(),
        QuestionProblem::MixedFrequencies { .. } => Common::PeriodFrequencyMismatch.wire_name(),
        QuestionProblem::NotForward { .. } => ErrorReason::PeriodRangeInvalid.wire_name(),
        QuestionProblem::PartOutsideWhole
        | QuestionProblem::UnusableBound
        | QuestionProblem::Impossible(_)
        | QuestionProblem::EmptySum
        | QuestionProblem::UnusableFactor { .. } => ErrorReason::FigureInvalid.wire_name(),
        QuestionProblem::UnusablePrior { .. } => ErrorReason::PriorInvalid.wire_name(),
    }
}

/// The season that a series has by its frequency; none for years and weeks, which say it.
#[must_use]
pub fn season_of(frequency: Frequency) -> Option<u32> {
    match frequency {
        Frequency::Yearly | Frequency::Weekly => None,
        Frequency::HalfYearly
        | Frequency::Quarterly
        | Frequency::Monthly
        | Frequency::Daily
        | Frequency::Hourly => u32::try_from(frequency.season_length()).ok(),
    }
}

/// A method needs a season and there is none.
#[must_use]
pub fn season_required(field: &str) -> Fault {
    let text = "is required: the series has no season of its own";
    Fault::field(field, ErrorReason::SeasonLengthRequired, text)
}

fn model_reason(fault: &ModelFault) -> ErrorReason {
    match fault {
        ModelFault::TooShort { .. } => ErrorReason::SeriesTooShort,
        ModelFault::Sparse { .. } | ModelFault::Missing { .. } => ErrorReason::SeriesGaps,
        ModelFault::TooLarge => ErrorReason::ResultOutOfRange,
    }
}

fn with_numbers(told: Fault, fault: &ModelFault) -> Fault {
    match fault {
        ModelFault::TooShort { found, needed } | ModelFault::Sparse { found, needed, .. } => told
            .with("found", found.to_string())
            .with("needed", needed.to_string()),
        ModelFault::Missing { back } => told.with("periods_before_last", back.to_string()),
        ModelFault::TooLarge => told,
    }
}

/// Why a series that a request brings was not forecast.
#[must_use]
pub fn series(fault: &ModelFault) -> Fault {
    let (reason, text) = (model_reason(fault), fault.to_string());
    let told = match fault {
        ModelFault::TooShort { .. } => Fault::field("series.values", reason, text),
        ModelFault::Sparse { .. } | ModelFault::Missing { .. } => {
            Fault::field("series.missing", reason, text)
        }
        ModelFault::TooLarge => Fault::new(Code::FailedPrecondition, reason, text),
    };
    with_numbers(told, fault)
}

/// Why a market was not forecast.
#[must_use]
pub fn forecast(fault: &ForecastFault, hierarchy: &Hierarchy) -> Fault {
    match fault {
        ForecastFault::Stopped(stopped) => self::stopped(*stopped),
        ForecastFault::Leaf { leaf, fault } => {
            let series = hierarchy.leaf_at(*leaf);
            let label = series
                .map(|series| hierarchy.label(&series))
                .unwrap_or_default();
            let text = format!("{label:?}: {fault}");
            let told = Fault::new(Code::FailedPrecondition, model_reason(fault), text);
            with_numbers(told, fault).with("series", label)
        }
    }
}
