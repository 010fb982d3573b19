//! What a ranking is computed from: read from the live data, or from an edition.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use almanac_service_kit::{
    columns::Columns,
    fault::Fault,
    memory::claim,
    plain::control::Control,
    store::{Read, Snapshot},
    write::store_fault,
};

use super::{
    EDITION_CELLS, EDITION_INPUTS, EDITION_RESULTS, EditionCell, EditionCells, EditionInputs,
    EditionResult, Index, Observation, PeriodSelection,
    catalog::{Catalog, EntitySet},
    observed::Observed,
};
use crate::domain::{column::Column, entities::Entities, framework::Node, pipeline::Ranking};

/// Everything that determines a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Framework, methodology and entities.
    pub fixed: EditionInputs,
    /// Position of each leaf in the framework, and what it reads.
    pub leaves: Vec<(usize, EditionCells)>,
    /// The entities' IDs, by row.
    pub ids: Arc<Entities>,
    /// The cells of each leaf as numbers.
    pub figures: Vec<Arc<Figures>>,
}

/// Cells as numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The values.
    pub values: Column,
    /// How many periods before the one asked for, 0 where there is no value.
    pub ages: Vec<u32>,
}

impl Figures {
    /// The numbers of cells that a period selected.
    ///
    /// # Errors
    /// INTERNAL for what should have been refused before: a value that is not finite.
    pub fn new(cells: &[EditionCell], selection: PeriodSelection) -> Result<Self, Fault> {
        let target = selection.period.ordinal();
        let age = |ordinal: i64| u32::try_from(target.saturating_sub(ordinal)).unwrap_or(u32::MAX);
        let value = |cell: &EditionCell| cell.figure.map(|(value, _)| value);
        let values: Vec<Option<f64>> = cells.iter().map(value).collect();
        let ages = cells.iter().map(|cell| cell.figure);
        Ok(Self {
            values: Column::from_options(&values).map_err(|e| Fault::internal(&e))?,
            ages: ages
                .map(|figure| figure.map_or(0, |(_, ordinal)| age(ordinal)))
                .collect(),
        })
    }
}

/// Observations that are tried and not stored, by ordinal.
pub type TriedCells = BTreeMap<i64, Observation>;
/// Observations that are tried, by indicator ID and entity ID.
pub type Tried = BTreeMap<(String, String), TriedCells>;

/// Rankings that are remembered, and the most scores of one.
const RANKINGS: usize = 16;
const RANKED_SCORES: usize = 1 << 20;

/// Bytes of a cell beside itself: its number, its age, and how it is normalized.
const CELL_BYTES: usize = 40;
/// Bytes of an entity at a node: score and rank as computed, as stored and as told.
const SCORE_BYTES: usize = 96;

/// How many bytes a ranking of so many entities takes from the reading of its inputs to its answer.
/// `leaves` counts those whose cells are selected anew; what is kept is shared.
#[must_use]
pub fn estimate(nodes: &[Node], leaves: usize, entities: usize) -> usize {
    let cell = size_of::<EditionCell>() + CELL_BYTES;
    let an_entity = leaves * cell + nodes.len() * SCORE_BYTES;
    entities.saturating_mul(an_entity)
}

/// Datasets as computations read them.
#[derive(Debug)]
pub struct Decoded {
    /// The last ranking of each index, by its uid.
    rankings: Mutex<VecDeque<(u64, Arc<Ranking>)>>,
    catalogs: Columns<Catalog>,
    observed: Columns<Observed>,
}

impl Decoded {
    /// Keeps at most so many bytes: a quarter for entities and indicators, the rest for
    /// observations.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            rankings: Mutex::default(),
            catalogs: Columns::new(bytes / 4),
            observed: Columns::new(bytes - bytes / 4),
        }
    }

    /// Bytes that are kept, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.catalogs.bytes() + self.observed.bytes()
    }

    /// The last ranking of an index: most nodes of the next one have the same scores.
    #[must_use]
    pub fn last_ranking(&self, index: u64) -> Option<Arc<Ranking>> {
        let rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        let found = rankings.iter().find(|(of, _)| *of == index);
        found.map(|(_, ranking)| Arc::clone(ranking))
    }

    /// Remembers the last ranking of an index, unless it is large.
    pub fn remember(&self, index: u64, inputs: &Inputs, ranking: &Arc<Ranking>) {
        if inputs.ids.len() * inputs.fixed.nodes.len() > RANKED_SCORES {
            return;
        }
        let mut rankings = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        rankings.retain(|(of, _)| *of != index);
        rankings.truncate(RANKINGS - 1);
        rankings.push_front((index, Arc::clone(ranking)));
    }

    /// Reads the inputs of an index over the live data of a dataset.
    ///
    /// # Errors
    /// A fault of the store, or CANCELLED (COMPUTATION_STOPPED) once nobody waits.
    pub fn live(
        &self,
        read: &Snapshot,
        dataset: u64,
        index: &Index,
        tried: &Tried,
        control: &dyn Control,
    ) -> Result<Inputs, Fault> {
        let catalog = self.catalogs.at(read, dataset, control)?;
        let set = catalog.set(index.entities.as_ref(), control)?;
        let mut columns = Vec::new();
        let mut anew = 0;
        for (position, node) in index.nodes.iter().enumerate() {
            let Some(id) = &node.indicator else { continue };
            let Some(indicator) = catalog.indicator(id) else {
                let text = format!("indicator {id} of an index is gone");
                return Err(Fault::internal(&text));
            };
            let column = self.observed.at(read, indicator.uid, control)?;
            let selection = index.plan.selection(&node.id);
            let tried = tried_rows(tried, id, &set);
            anew += usize::from(!tried.is_empty() || !column.keeps(&set, selection));
            columns.push((position, indicator, column, selection, tried));
        }
        claim(estimate(&index.nodes, anew, set.ids.len()), control)?;
        let (mut leaves, mut figures) = (Vec::new(), Vec::new());
        for (position, indicator, column, selection, tried) in columns {
            let cells = column.select_with(&set, selection, &tried, control)?;
            let read = EditionCells {
                direction: indicator.body.direction,
                unit: indicator.body.unit.clone(),
                display_name: indicator.display_name.clone(),
                source: indicator.body.source.clone(),
                cells: cells.cells,
            };
            leaves.push((position, read));
            figures.push(cells.figures);
        }
        let fixed = EditionInputs {
            nodes: index.nodes.clone(),
            plan: index.plan.clone(),
            entities: Arc::clone(&set.entities),
        };
        Ok(Inputs {
            fixed,
            leaves,
            ids: Arc::clone(&set.ids),
            figures,
        })
    }
}

/// What is tried for an indicator, by entity row.
fn tried_rows<'a>(
    tried: &'a Tried,
    indicator: &str,
    set: &EntitySet,
) -> BTreeMap<usize, &'a TriedCells> {
    let first = (indicator.to_owned(), String::new());
    let own = tried.range(first..);
    let own = own.take_while(|((of, _), _)| of == indicator);
    own.filter_map(|((_, entity), cells)| Some((set.ids.row(entity)?, cells)))
        .collect()
}

/// Reads framework, methodology and entities of an edition.
///
/// # Errors
/// A fault of the store; INTERNAL if they are missing.
pub fn edition_inputs(read: &impl Read, uid: u64) -> Result<EditionInputs, Fault> {
    let found = read.get(&EDITION_INPUTS, &uid);
    let found = found.map_err(|e| store_fault(&e))?;
    let found = found.ok_or_else(|| Fault::internal(&"an edition without inputs"))?;
    Ok(found.value)
}

/// Reads the cells of a leaf of an edition.
///
/// # Errors
/// A fault of the store; INTERNAL if they are missing.
pub fn edition_cells(read: &impl Read, uid: u64, leaf: usize) -> Result<EditionCells, Fault> {
    let leaf = u32::try_from(leaf).map_err(|e| Fault::internal(&e))?;
    let found = read.get(&EDITION_CELLS, &(uid, leaf));
    let found = found.map_err(|e| store_fault(&e))?;
    let found = found.ok_or_else(|| Fault::internal(&"an edition lacks a column"))?;
    Ok(found.value)
}

/// Reads the inputs of an edition.
///
/// # Errors
/// A fault of the store; INTERNAL if parts of the edition are missing.
pub fn edition(read: &impl Read, uid: u64, control: &dyn Control) -> Result<Inputs, Fault> {
    let fixed = edition_inputs(read, uid)?;
    let expected = fixed
        .nodes
        .iter()
        .filter(|node| node.indicator.is_some())
        .count();
    let bytes = estimate(&fixed.nodes, expected, fixed.entities.len());
    claim(bytes, control)?;
    let mut leaves: Vec<(usize, EditionCells)> = Vec::new();
    for cells in read.scan(&EDITION_CELLS, &(uid,)) {
        control.check()?;
        let ((_, position), version) = cells.map_err(|e| store_fault(&e))?;
        claim(version.value.told_bytes(), control)?;
        leaves.push((position as usize, version.value));
    }
    if leaves.len() != expected {
        return Err(Fault::internal(&"an edition lacks columns"));
    }
    let figures = leaves.iter().map(|(position, cells)| {
        control.check()?;
        let node = fixed.nodes.get(*position);
        let node = node.ok_or_else(|| Fault::internal(&"a column of no node"))?;
        Figures::new(&cells.cells, fixed.plan.selection(&node.id)).map(Arc::new)
    });
    let figures = figures.collect::<Result<_, _>>()?;
    let ids = fixed.entities.iter().map(|entity| entity.id.clone());
    let ids = Entities::new(ids.collect()).map_err(|e| Fault::internal(&e))?;
    Ok(Inputs {
        ids: Arc::new(ids),
        fixed,
        leaves,
        figures,
    })
}

/// Reads the scores and ranks of an edition, node by node.
///
/// # Errors
/// A fault of the store; INTERNAL if some are missing.
pub fn edition_results(
    read: &impl Read,
    uid: u64,
    nodes: &[Node],
    control: &dyn Control,
) -> Result<Vec<EditionResult>, Fault> {
    let mut results = Vec::with_capacity(nodes.len());
    for result in read.scan(&EDITION_RESULTS, &(uid,)) {
        control.check()?;
        let ((_, position), version) = result.map_err(|e| store_fault(&e))?;
        if position as usize == results.len() {
            results.push(version.value);
        }
    }
    if results.len() == nodes.len() {
        Ok(results)
    } else {
        Err(Fault::internal(&"an edition lacks results"))
    }
}

#[cfg(test)]
mod tests;
