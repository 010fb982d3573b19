//! The observations of one indicator, decoded into columns, and what periods select from them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use almanac_service_kit::{
    columns::{Advance, Decoded},
    fault::Fault,
    plain::control::{Control, Stopped, attended},
    store::{Read, Revision, Snapshot},
    write::store_fault,
};

use super::{
    CellTold, EditionCell, OBSERVATIONS, Observation, PeriodSelection,
    catalog::EntitySet,
    load::{Figures, TriedCells},
};
use crate::domain::selection::{Absence, CellState, LookBack, PeriodCell, Selection};

/// Selections that are kept for each indicator: those of the indices and periods in use.
const SELECTIONS: usize = 4;
/// Bytes of one observation in the columns, and of one selected cell.
const BYTES: usize = 28;
const SELECTED_BYTES: usize = size_of::<EditionCell>() + 12;
/// Bytes of what an observation says, but for its texts: listed, looked up by, and what cells share.
const TEXT_BYTES: usize = 2 * size_of::<Told>() + size_of::<CellTold>() + 24;
/// Texts that no observation has any more are dropped by a new load once there are this many.
const UNUSED_TEXTS: usize = 1024;

/// What an observation says besides its value; most say the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Told {
    kind: Kind,
    /// What a cell that it is selected for says.
    cell: Arc<CellTold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Value,
    Missing,
    Retracted,
}

/// The observations of an indicator by entity uid and ordinal, one row each.
#[derive(Debug, Default)]
pub struct Observed {
    entities: Vec<u64>,
    ordinals: Vec<i64>,
    /// 0 where there is none.
    values: Vec<f64>,
    /// By number in `texts`.
    told: Vec<u32>,
    texts: Texts,
    selected: Mutex<VecDeque<Selected>>,
}

/// What is told, each once.
#[derive(Debug, Clone, Default)]
struct Texts {
    by_number: Vec<Told>,
    numbers: HashMap<Told, u32>,
}

/// What a period selects for a set of entities.
#[derive(Debug)]
struct Selected {
    set: Weak<EntitySet>,
    selection: PeriodSelection,
    cells: Cells,
}

impl Selected {
    fn is_of(&self, set: &Arc<EntitySet>, selection: PeriodSelection) -> bool {
        self.selection == selection && std::ptr::eq(self.set.as_ptr(), Arc::as_ptr(set))
    }
}

/// The cells of a column and the same as numbers.
#[derive(Debug, Clone)]
pub struct Cells {
    /// One for each entity row.
    pub cells: Arc<Vec<EditionCell>>,
    /// The same as numbers.
    pub figures: Arc<Figures>,
}

/// An observation as a selection sees it.
type Candidate<'a> = (i64, CellState, &'a Told);

impl Decoded for Observed {
    fn load(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault> {
        let mut columns = Self::default();
        for observation in attended(read.scan(&OBSERVATIONS, &(uid,)), control) {
            let ((_, entity, ordinal), version) = observation?.map_err(|e| store_fault(&e))?;
            columns.push(entity, ordinal, version.value);
        }
        Ok(columns)
    }

    fn unchanged_since(read: &Snapshot, uid: u64) -> Revision {
        read.unchanged_since(&OBSERVATIONS, &(uid,))
    }

    fn advance(
        &self,
        read: &Snapshot,
        uid: u64,
        since: Revision,
        control: &dyn Control,
    ) -> Result<Advance<Self>, Fault> {
        let changes = read
            .changed_keys(&OBSERVATIONS, &(uid,), since)
            .map_err(|e| store_fault(&e))?;
        let Some(changes) = changes else {
            return Ok(Advance::Unknown);
        };
        let Some(newest) = changes.newest else {
            return Ok(Advance::Same);
        };
        let unused = self.texts.by_number.len().saturating_sub(self.len());
        // Reading a record by its key costs about twice as much as in a scan.
        if changes.keys.len() > self.len() / 2 + 1 || unused > UNUSED_TEXTS {
            return Ok(Advance::Unknown);
        }
        let mut next = Self {
            texts: self.texts.clone(),
            ..Self::default()
        };
        let mut row = 0;
        for key in attended(changes.keys, control) {
            let key = key?;
            let (_, entity, ordinal) = key;
            let before = |row: &usize| self.key(*row).is_some_and(|at| at < (entity, ordinal));
            let start = row;
            row += self.entities[row..].partition_point(|other| *other < entity);
            while before(&row) {
                row += 1;
            }
            next.copy(self, start..row);
            if self.key(row) == Some((entity, ordinal)) {
                row += 1;
            }
            if let Some(found) = read.get(&OBSERVATIONS, &key).map_err(|e| store_fault(&e))? {
                next.push(entity, ordinal, found.value);
            }
        }
        next.copy(self, row..self.len());
        Ok(Advance::Changed(next, newest))
    }

    fn bytes(&self) -> usize {
        let text = |told: &Told| TEXT_BYTES + told.cell.text_bytes();
        let texts: usize = self.texts.by_number.iter().map(text).sum();
        let entities = self.entities.chunk_by(|a, b| a == b).count();
        // Every loaded column is one from which something is selected.
        self.len() * BYTES + texts + entities * SELECTED_BYTES
    }
}

impl Observed {
    fn len(&self) -> usize {
        self.entities.len()
    }

    fn key(&self, row: usize) -> Option<(u64, i64)> {
        Some((*self.entities.get(row)?, *self.ordinals.get(row)?))
    }

    fn push(&mut self, entity: u64, ordinal: i64, observation: Observation) {
        let value = match observation.state {
            CellState::Value(value) => value,
            CellState::Missing | CellState::Retracted => 0.0,
        };
        self.entities.push(entity);
        self.ordinals.push(ordinal);
        self.values.push(value);
        let last = self.told.last().copied();
        self.told.push(self.texts.number(observation, last));
    }

    fn copy(&mut self, from: &Self, rows: std::ops::Range<usize>) {
        self.entities
            .extend_from_slice(&from.entities[rows.clone()]);
        self.ordinals
            .extend_from_slice(&from.ordinals[rows.clone()]);
        self.values.extend_from_slice(&from.values[rows.clone()]);
        self.told.extend_from_slice(&from.told[rows]);
    }

    fn candidates(
        &self,
        rows: std::ops::Range<usize>,
    ) -> impl Iterator<Item = Candidate<'_>> + Clone {
        rows.map(|row| {
            let told = &self.texts.by_number[self.told[row] as usize];
            let state = match told.kind {
                Kind::Value => CellState::Value(self.values[row]),
                Kind::Missing => CellState::Missing,
                Kind::Retracted => CellState::Retracted,
            };
            (self.ordinals[row], state, told)
        })
    }

    /// What a period selects for every entity of a set.
    ///
    /// # Errors
    /// INTERNAL for a stored value that is not finite, CANCELLED once nobody waits.
    pub fn select(
        &self,
        set: &Arc<EntitySet>,
        selection: PeriodSelection,
        control: &dyn Control,
    ) -> Result<Cells, Fault> {
        let mut kept = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.set.strong_count() > 0);
        if let Some(found) = kept.iter().find(|one| one.is_of(set, selection)) {
            return Ok(found.cells.clone());
        }
        let cells = Cells::new(self.cells(set, selection, control)?, selection)?;
        kept.truncate(SELECTIONS - 1);
        kept.push_front(Selected {
            set: Arc::downgrade(set),
            selection,
            cells: cells.clone(),
        });
        Ok(cells)
    }

    /// Whether what a period selects for a set of entities is at hand.
    #[must_use]
    pub fn keeps(&self, set: &Arc<EntitySet>, selection: PeriodSelection) -> bool {
        let kept = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().any(|one| one.is_of(set, selection))
    }

    fn cells(
        &self,
        set: &EntitySet,
        selection: PeriodSelection,
        control: &dyn Control,
    ) -> Result<Vec<EditionCell>, Stopped> {
        let mut cells = vec![EditionCell::default(); set.entities.len()];
        let mut at = 0;
        for entity in attended(&set.by_uid, control) {
            let &(uid, row) = entity?;
            at += self.entities[at..].partition_point(|entity| *entity < uid);
            let end = at + self.entities[at..].partition_point(|entity| *entity == uid);
            if let Some(cell) = choose(selection, self.candidates(at..end)) {
                cells[row as usize] = cell;
            }
            at = end;
        }
        Ok(cells)
    }

    /// As [`Observed::select`], with figures that are tried, by entity row.
    ///
    /// # Errors
    /// As [`Observed::select`].
    pub fn select_with(
        &self,
        set: &Arc<EntitySet>,
        selection: PeriodSelection,
        tried: &BTreeMap<usize, &TriedCells>,
        control: &dyn Control,
    ) -> Result<Cells, Fault> {
        let base = self.select(set, selection, control)?;
        if tried.is_empty() {
            return Ok(base);
        }
        let mut cells = Vec::clone(&base.cells);
        for (&row, tried) in tried {
            let uid = set.uid(row);
            let start = self.entities.partition_point(|entity| *entity < uid);
            let end = self.entities.partition_point(|entity| *entity <= uid);
            let told: Vec<(i64, CellState, Told)> = tried
                .iter()
                .map(|(ordinal, tried)| {
                    (*ordinal, tried.state, Told::new(Observation::clone(tried)))
                })
                .collect();
            let stored = self.candidates(start..end);
            let stored = stored.filter(|(ordinal, ..)| !tried.contains_key(ordinal));
            let tried = told
                .iter()
                .map(|(ordinal, state, told)| (*ordinal, *state, told));
            cells[row] = choose(selection, stored.chain(tried)).unwrap_or_default();
        }
        Cells::new(cells, selection)
    }
}

/// The cell that counts among those of an entity, if one does; no period stands twice.
fn choose<'a>(
    selection: PeriodSelection,
    mut own: impl Iterator<Item = Candidate<'a>> + Clone,
) -> Option<EditionCell> {
    let look_back = LookBack::new(selection.period.ordinal(), selection.max_age);
    let cells = own
        .clone()
        .map(|(ordinal, state, _)| PeriodCell { ordinal, state });
    let (figure, ordinal) = match look_back.select(cells) {
        Selection::Found(figure) => (Some((figure.value, figure.ordinal)), figure.ordinal),
        Selection::NotFound(Absence::KnownMissing { ordinal }) => (None, ordinal),
        Selection::NotFound(_) => return None,
    };
    let (_, _, told) = own.find(|(other, ..)| *other == ordinal)?;
    Some(EditionCell {
        figure,
        told: Arc::clone(&told.cell),
    })
}

impl Cells {
    fn new(cells: Vec<EditionCell>, selection: PeriodSelection) -> Result<Self, Fault> {
        Ok(Self {
            figures: Arc::new(Figures::new(&cells, selection)?),
            cells: Arc::new(cells),
        })
    }
}

impl Told {
    fn new(observation: Observation) -> Self {
        let kind = Kind::of(observation.state);
        let missing = (observation.missing_reason, observation.state_note);
        Self {
            kind,
            cell: Arc::new(CellTold {
                source: observation.source,
                status: observation.status,
                missing: (kind != Kind::Value).then_some(missing),
            }),
        }
    }

    fn is_of(&self, observation: &Observation) -> bool {
        let missing = self.cell.missing.as_ref();
        self.kind == Kind::of(observation.state)
            && self.cell.source == observation.source
            && self.cell.status == observation.status
            && missing.is_none_or(|(reason, note)| {
                (*reason, note) == (observation.missing_reason, &observation.state_note)
            })
    }
}

impl Kind {
    fn of(state: CellState) -> Self {
        match state {
            CellState::Value(_) => Self::Value,
            CellState::Missing => Self::Missing,
            CellState::Retracted => Self::Retracted,
        }
    }
}

impl Texts {
    /// The number of what an observation says; quickly, where the one before said the same.
    fn number(&mut self, observation: Observation, before: Option<u32>) -> u32 {
        if let Some(number) = before
            && self.by_number[number as usize].is_of(&observation)
        {
            return number;
        }
        let told = Told::new(observation);
        if let Some(number) = self.numbers.get(&told) {
            return *number;
        }
        let number = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        self.by_number.push(told.clone());
        self.numbers.insert(told, number);
        number
    }
}
