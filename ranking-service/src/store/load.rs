//! What a ranking is computed from: read from the live data, or from an edition.

use std::collections::{BTreeMap, BTreeSet};

use almanac_service_kit::{
    fault::Fault,
    filter::Filter,
    plain::control::Control,
    resource::{FILTER_FIELDS, Stored},
    store::Read,
    write::store_fault,
};

use super::{
    EDITION_CELLS, EDITION_INPUTS, EDITION_RESULTS, ENTITIES, EditionCell, EditionCells,
    EditionInputs, EditionResult, EntityRow, INDICATORS, Index, Indicator, OBSERVATIONS,
    Observation, PeriodSelection,
};
use crate::domain::{
    framework::Node,
    selection::{Absence, LookBack, PeriodCell, Selection},
};

/// Everything that determines a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// Framework, methodology and entities.
    pub fixed: EditionInputs,
    /// Position of each leaf in the framework, and what it reads.
    pub leaves: Vec<(usize, EditionCells)>,
}

/// Observations that are tried and not stored, by indicator ID, entity ID and ordinal.
pub type Tried = BTreeMap<(String, String), BTreeMap<i64, Observation>>;

/// Reads the inputs of an index over the live data of a dataset.
///
/// # Errors
/// A fault of the store, or CANCELLED once `control` says stop.
pub fn live(
    read: &impl Read,
    dataset: u64,
    index: &Index,
    tried: &Tried,
    control: &dyn Control,
) -> Result<Inputs, Fault> {
    let entities = entities(read, dataset, index, control)?;
    let rows: BTreeMap<u64, usize> = entities
        .iter()
        .enumerate()
        .map(|(row, (uid, _))| (*uid, row))
        .collect();
    let entities: Vec<EntityRow> = entities.into_iter().map(|(_, entity)| entity).collect();
    let mut columns: BTreeMap<(String, PeriodSelection), EditionCells> = BTreeMap::new();
    let mut leaves = Vec::new();
    for (position, node) in index.nodes.iter().enumerate() {
        let Some(id) = &node.indicator else { continue };
        let selection = index.plan.selection(&node.id);
        let key = (id.clone(), selection);
        if !columns.contains_key(&key) {
            let leaf = Leaf {
                id,
                selection,
                rows: &rows,
                entities: &entities,
                tried,
                control,
            };
            columns.insert(key.clone(), leaf.read(read, dataset)?);
        }
        leaves.extend(columns.get(&key).map(|cells| (position, cells.clone())));
    }
    let fixed = EditionInputs {
        nodes: index.nodes.clone(),
        plan: index.plan.clone(),
        entities,
    };
    Ok(Inputs { fixed, leaves })
}

/// The entities that take part, by ID, with their uids.
fn entities(
    read: &impl Read,
    dataset: u64,
    index: &Index,
    control: &dyn Control,
) -> Result<Vec<(u64, EntityRow)>, Fault> {
    let (filter, named) = match &index.entities {
        Some(entities) => {
            let named: BTreeSet<&str> = entities.entities.iter().map(String::as_str).collect();
            (
                Filter::parse("filter", &entities.filter, FILTER_FIELDS)?,
                named,
            )
        }
        None => (Filter::default(), BTreeSet::new()),
    };
    let mut found = Vec::new();
    for entity in read.scan(&ENTITIES, &(dataset,)) {
        control.check()?;
        let ((_, id), version) = entity.map_err(|e| store_fault(&e))?;
        let takes_part = (named.is_empty() || named.contains(id.as_str()))
            && filter.matches(&(id.as_str(), &version.value));
        if takes_part {
            let Stored {
                uid,
                display_name,
                labels,
                ..
            } = version.value;
            found.push((
                uid,
                EntityRow {
                    id,
                    display_name,
                    labels,
                },
            ));
        }
    }
    Ok(found)
}

/// One column to be read.
struct Leaf<'a> {
    id: &'a str,
    selection: PeriodSelection,
    rows: &'a BTreeMap<u64, usize>,
    entities: &'a [EntityRow],
    tried: &'a Tried,
    control: &'a dyn Control,
}

impl Leaf<'_> {
    fn read(&self, read: &impl Read, dataset: u64) -> Result<EditionCells, Fault> {
        let key = (dataset, self.id.to_owned());
        let indicator = read.get(&INDICATORS, &key).map_err(|e| store_fault(&e))?;
        let Some(Stored {
            uid,
            display_name,
            body,
            ..
        }) = indicator.map(|found| found.value)
        else {
            let text = format!("indicator {} of an index is gone", self.id);
            return Err(Fault::internal(&text));
        };
        let mut cells: Vec<EditionCell> = Vec::with_capacity(self.entities.len());
        let mut figures = self.figures(read, uid)?;
        for (row, entity) in self.entities.iter().enumerate() {
            self.control.check()?;
            let mut own = figures.remove(&row).unwrap_or_default();
            if let Some(tried) = self.tried.get(&(self.id.to_owned(), entity.id.clone())) {
                own.extend(
                    tried
                        .iter()
                        .map(|(ordinal, tried)| (*ordinal, tried.clone())),
                );
            }
            cells.push(self.select(&own));
        }
        Ok(column(body, display_name, cells))
    }

    /// The observations of the indicator by entity row and ordinal.
    fn figures(
        &self,
        read: &impl Read,
        uid: u64,
    ) -> Result<BTreeMap<usize, BTreeMap<i64, Observation>>, Fault> {
        let mut figures: BTreeMap<usize, BTreeMap<i64, Observation>> = BTreeMap::new();
        for observation in read.scan(&OBSERVATIONS, &(uid,)) {
            self.control.check()?;
            let ((_, entity, ordinal), version) = observation.map_err(|e| store_fault(&e))?;
            if let Some(row) = self.rows.get(&entity) {
                figures
                    .entry(*row)
                    .or_default()
                    .insert(ordinal, version.value);
            }
        }
        Ok(figures)
    }

    fn select(&self, own: &BTreeMap<i64, Observation>) -> EditionCell {
        let look_back = LookBack::new(self.selection.period.ordinal(), self.selection.max_age);
        let cells = own.iter().map(|(ordinal, observation)| PeriodCell {
            ordinal: *ordinal,
            state: observation.state,
        });
        let found = look_back.select(cells);
        let at = match found {
            Selection::Found(figure) => own.get(&figure.ordinal),
            Selection::NotFound(Absence::KnownMissing { ordinal }) => own.get(&ordinal),
            Selection::NotFound(_) => None,
        };
        let figure = match found {
            Selection::Found(figure) => Some((figure.value, figure.ordinal)),
            Selection::NotFound(_) => None,
        };
        EditionCell {
            figure,
            source: at.map(|at| at.source.clone()).unwrap_or_default(),
            status: at.map(|at| at.status).unwrap_or_default(),
            missing: at
                .filter(|_| figure.is_none())
                .map(|at| (at.missing_reason, at.state_note.clone())),
        }
    }
}

fn column(indicator: Indicator, display_name: String, cells: Vec<EditionCell>) -> EditionCells {
    EditionCells {
        direction: indicator.direction,
        unit: indicator.unit,
        display_name,
        source: indicator.source,
        cells,
    }
}

/// Reads the inputs of an edition.
///
/// # Errors
/// A fault of the store; INTERNAL if parts of the edition are missing.
pub fn edition(read: &impl Read, uid: u64, control: &dyn Control) -> Result<Inputs, Fault> {
    let fixed = read
        .get(&EDITION_INPUTS, &uid)
        .map_err(|e| store_fault(&e))?;
    let fixed = fixed
        .ok_or_else(|| Fault::internal(&"an edition without inputs"))?
        .value;
    let mut leaves = Vec::new();
    for cells in read.scan(&EDITION_CELLS, &(uid,)) {
        control.check()?;
        let ((_, position), version) = cells.map_err(|e| store_fault(&e))?;
        leaves.push((position as usize, version.value));
    }
    let expected = fixed
        .nodes
        .iter()
        .filter(|node| node.indicator.is_some())
        .count();
    if leaves.len() != expected {
        return Err(Fault::internal(&"an edition lacks columns"));
    }
    Ok(Inputs { fixed, leaves })
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
