//! What the ranking service keeps, and under which keys.
//!
//! Stored types are encoded by position: their fields only change together with
//! `Record::VERSION` and a migration.

pub mod catalog;
mod cells;
pub mod load;
pub mod observed;

use std::sync::Arc;

use almanac_service_kit::{
    plain::period::{Frequency, Period},
    resource::{Key, Stored},
    store::{Keep, Record, Table},
};
use serde::{Deserialize, Serialize};

pub use cells::{CellTold, EditionCell, EditionCells};

use crate::domain::{
    direction::Direction, framework::Node, methodology::Methodology, selection::CellState,
};

/// Datasets, by (0, ID).
pub const DATASETS: Table<Key, Stored<Dataset>> = Table::new(1, "datasets");
/// Sources, by dataset uid and ID.
pub const SOURCES: Table<Key, Stored<Source>> = Table::new(2, "sources");
/// Indicators, by dataset uid and ID.
pub const INDICATORS: Table<Key, Stored<Indicator>> = Table::new(3, "indicators");
/// Entities, by dataset uid and ID.
pub const ENTITIES: Table<Key, Stored<Entity>> = Table::new(4, "entities");
/// Indices, by dataset uid and ID.
pub const INDICES: Table<Key, Stored<Index>> = Table::new(5, "indices");
/// Observations.
pub const OBSERVATIONS: Table<ObservationKey, Observation> = Table::new(6, "observations");
/// One entry for each entity and indicator that holds observations, by (entity uid, indicator
/// uid): so that an entity in use is found without reading every observation.
pub const OBSERVED: Table<(u64, u64), ()> = Table::new(7, "observed");
/// Editions, by index uid and ID.
pub const EDITIONS: Table<Key, Stored<Edition>> = Table::new(8, "editions");
/// What an edition was computed from besides its cells, by edition uid.
pub const EDITION_INPUTS: Table<u64, EditionInputs> = Table::new(9, "edition_inputs");
/// The cells of an edition, by edition uid and position of the leaf.
pub const EDITION_CELLS: Table<(u64, u32), EditionCells> = Table::new(10, "edition_cells");
/// The scores and ranks of an edition, by edition uid and position of the node.
pub const EDITION_RESULTS: Table<(u64, u32), EditionResult> = Table::new(11, "edition_results");

/// Sources that observations name, by source uid.
pub const SOURCES_USED: Table<u64, ()> = Table::new(12, "sources_used");

/// Which versions compaction keeps: all of observations, and of the rest what can still be read. A
/// table that is not named here keeps all.
#[must_use]
pub fn keep(table: u8) -> Keep {
    let readable = [
        DATASETS.id(),
        SOURCES.id(),
        INDICATORS.id(),
        ENTITIES.id(),
        INDICES.id(),
        OBSERVED.id(),
        EDITIONS.id(),
        EDITION_INPUTS.id(),
        EDITION_CELLS.id(),
        EDITION_RESULTS.id(),
        SOURCES_USED.id(),
    ];
    match readable.contains(&table) {
        true => Keep::Readable,
        false => Keep::All,
    }
}

/// Indicator uid, entity uid, and the ordinal of the period at the indicator's frequency.
pub type ObservationKey = (u64, u64, i64);

/// What is particular to a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// What it holds.
    pub description: String,
}

/// What is particular to a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// How to cite it.
    pub citation: String,
    /// Where it is published.
    pub url: String,
    /// SPDX identifier or name.
    pub license: String,
    /// What the license asks for.
    pub attribution: String,
}

/// What is particular to an indicator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    /// What it measures.
    pub description: String,
    /// Unit of its values.
    pub unit: String,
    /// Which way it counts.
    pub direction: Direction,
    /// How often it is observed.
    pub frequency: Frequency,
    /// ID of its default source; empty for none.
    pub source: String,
    /// License, where it differs from the source's.
    pub license: String,
    /// ID of its denominator; empty for none.
    pub denominator: String,
    /// Fixed ends of its scale.
    pub goalposts: Option<(f64, f64)>,
    /// The value aimed at.
    pub target: Option<f64>,
}

/// What is particular to an entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub description: String,
}

/// What is particular to an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// What it is about.
    pub description: String,
    /// The framework; indicators by ID.
    pub nodes: Vec<Node>,
    /// How it is computed.
    pub plan: Plan,
    /// Which entities take part; none for all.
    pub entities: Option<EntityFilter>,
}

/// A methodology with the periods that count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What scores and ranks follow from cells.
    pub methodology: Methodology,
    /// Which figure of every indicator counts.
    pub periods: PeriodSelection,
    /// What differs at single leaves, by node ID.
    pub node_periods: Vec<(String, PeriodSelection)>,
}

/// The latest value at or before a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeriodSelection {
    /// The period asked for.
    pub period: Period,
    /// How many periods older a figure may be; none for 0.
    pub max_age: Option<u32>,
}

/// Which entities take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityFilter {
    /// Over entities; empty for all.
    pub filter: String,
    /// Entity IDs; empty for all.
    pub entities: Vec<String>,
}

/// One version of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The figure, or that there is none.
    pub state: CellState,
    /// Number of common.v1.Missing.Reason, where missing.
    pub missing_reason: i32,
    /// Why it is missing or retracted.
    pub state_note: String,
    /// ID of its source; empty for the indicator's.
    pub source: String,
    /// What a reader should know.
    pub note: String,
    /// Number of ObservationStatus.
    pub status: i32,
    /// Nanoseconds since the epoch, if known.
    pub release_time: Option<i64>,
}

/// Where an edition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EditionState {
    /// Being computed.
    Creating,
    /// Final.
    Published,
    /// Could not be computed: an encoded google.rpc.Status.
    Failed(Vec<u8>),
    /// Not to be quoted any more, and why.
    Withdrawn(String),
}

/// What is particular to an edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edition {
    /// Where it stands.
    pub state: EditionState,
    /// What its readers should know.
    pub notes: String,
    /// Token of the revision whose data goes in.
    pub data_revision: String,
    /// The digest that the publisher expects; empty for any.
    pub expected_result_digest: String,
    /// What came out; none until it is published.
    pub outcome: Option<EditionOutcome>,
}

/// What a published edition is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditionOutcome {
    /// Digest of framework, methodology, entities and cells.
    pub input_digest: String,
    /// Digest of scores and ranks.
    pub result_digest: String,
    /// Version of the numerical definitions.
    pub engine_version: u32,
    /// Nanoseconds since the epoch.
    pub publish_time: i64,
    /// Number of entities.
    pub entities: u32,
    /// Number of entities with a rank.
    pub ranked: u32,
    /// Number of cells with a value.
    pub cells: u64,
}

/// What an edition was computed from besides its cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditionInputs {
    /// The index as it was.
    pub nodes: Vec<Node>,
    /// How it was computed.
    pub plan: Plan,
    /// The entities that took part, by row.
    pub entities: Arc<Vec<EntityRow>>,
}

/// An entity as an edition saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRow {
    /// Its ID.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Scores and ranks of an edition at one node, by entity row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditionResult {
    /// The scores.
    pub scores: Vec<Option<f64>>,
    /// The ranks.
    pub ranks: Vec<Option<i32>>,
    /// The fractional ranks; empty unless asked for.
    pub fractional: Vec<Option<f64>>,
}

impl EditionResult {
    /// About how many bytes it takes in the store.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let numbers = self.scores.len() + self.fractional.len();
        numbers * (1 + size_of::<f64>()) + self.ranks.len() * (1 + size_of::<i32>()) + 64
    }
}

impl Plan {
    /// The figure of a leaf that counts.
    #[must_use]
    pub fn selection(&self, node: &str) -> PeriodSelection {
        let own = self.node_periods.iter().find(|(id, _)| id == node);
        own.map_or(self.periods, |(_, selection)| *selection)
    }
}

impl Record for Observation {}
impl Record for EditionInputs {}
impl Record for EditionResult {}
