//! What goes wrong in the domain, and how a caller is told.

use almanac_proto::ranking::v1::ErrorReason;
use almanac_service_kit::fault::Fault;
use tonic::Code;

use crate::domain::{
    pipeline::{InputFault, PipelineError},
    scorecard::ScorecardError,
};

/// The error domain of the service.
pub const DOMAIN: &str = "ranking.almanac";

/// How a caller is told of a computation that failed.
#[must_use]
pub fn pipeline(error: &PipelineError) -> Fault {
    match error {
        PipelineError::Stopped(stopped) => (*stopped).into(),
        // Methodologies are checked when they are stored or tried.
        PipelineError::Methodology(faults) => Fault::internal(faults),
        PipelineError::Inputs(faults) => match faults.0.first() {
            Some(first) => input(first, &error.to_string()),
            None => Fault::internal(error),
        },
    }
}

fn input(first: &InputFault, all: &str) -> Fault {
    let failed =
        |reason, hint: &str| Fault::new(Code::FailedPrecondition, reason, format!("{all}{hint}"));
    match first {
        InputFault::NoEntities => failed(ErrorReason::NoEntities, "; no entity takes part"),
        InputFault::ConstantColumn {
            node, indicator, ..
        }
        | InputFault::EmptyColumn { node, indicator } => failed(
            ErrorReason::ConstantColumn,
            "; say what it becomes (constant_column), look further back (max_age) or leave it out",
        )
        .with("node", node)
        .with("indicator", indicator),
        InputFault::ScoreTooLarge { node } => {
            failed(ErrorReason::ResultOutOfRange, "").with("node", node)
        }
        // The columns are the service's own work.
        InputFault::ColumnMissing { .. }
        | InputFault::ColumnRepeated { .. }
        | InputFault::NoLeaf { .. }
        | InputFault::ColumnLength { .. } => Fault::internal(&all),
    }
}

/// How a caller is told of a scorecard that failed.
#[must_use]
pub fn scorecard(error: &ScorecardError) -> Fault {
    match error {
        ScorecardError::Stopped(stopped) => (*stopped).into(),
        ScorecardError::NoSuchRow { .. } | ScorecardError::NodeNotKept { .. } => {
            Fault::internal(error)
        }
    }
}
