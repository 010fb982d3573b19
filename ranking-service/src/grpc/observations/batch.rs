//! The rows of a batch or of a chunk of an import: checked by themselves, then against what is
//! stored, and written.

use std::collections::{BTreeMap, BTreeSet};

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    fault::{Fault, Violations},
    import::Written as Outcome,
    plain::{
        control::{Control, Stopped, attended},
        period::Frequency,
    },
    store::{Read as _, Revision, Transaction},
    write::store_fault,
};
use tonic::Code;

use crate::{
    convert::{
        observation::{Written, parse},
        period,
    },
    grpc::datasets::dataset_uid,
    store::{ENTITIES, INDICATORS, OBSERVATIONS, OBSERVED, SOURCES, SOURCES_USED},
};

/// Rows after the checks that need no store.
#[derive(Debug, Default)]
pub struct Checked {
    /// The good ones by their place.
    rows: Vec<(usize, Written)>,
    /// What is wrong with the others.
    pub(super) rejected: Vec<(usize, Violations)>,
}

/// Checks rows by themselves.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub(super) fn check(
    protos: &[pb::Observation],
    dataset: &str,
    control: &dyn Control,
) -> Result<Checked, Stopped> {
    let mut checked = Checked::default();
    for row in attended(protos.iter().enumerate(), control) {
        let (row, proto) = row?;
        let mut violations = Violations::new();
        let written = parse(proto, &at(row), dataset, &mut violations);
        match written {
            Some(written) if violations.is_empty() => checked.rows.push((row, written)),
            _ => checked.rejected.push((row, violations)),
        }
    }
    let twice = twice(&checked.rows, control)?;
    checked.rows.retain(|(row, _)| !twice.contains_key(row));
    for (row, first) in twice {
        let mut violations = Violations::new();
        let text = format!("is the same cell as {}", at(first));
        violations.push(at(row), Common::DuplicateKey, text);
        checked.rejected.push((row, violations));
    }
    checked.rejected.sort_by_key(|(row, _)| *row);
    Ok(checked)
}

/// Rows whose cell stands in an earlier row, and that row.
fn twice(
    rows: &[(usize, Written)],
    control: &dyn Control,
) -> Result<BTreeMap<usize, usize>, Stopped> {
    let mut first = BTreeMap::new();
    let mut twice = BTreeMap::new();
    for row in attended(rows, control) {
        let (row, written) = row?;
        let cell = (&written.indicator, &written.entity, written.period);
        let earlier = *first.entry(cell).or_insert(*row);
        if earlier != *row {
            twice.insert(*row, earlier);
        }
    }
    Ok(twice)
}

fn at(row: usize) -> String {
    format!("observations[{row}]")
}

/// Writes the rows that fit what is stored. Refused as a whole (ABORTED) if one of their cells
/// changed after `since`.
pub(super) fn write(
    tx: &mut Transaction<'_>,
    dataset: &str,
    checked: Checked,
    since: Option<Revision>,
) -> Result<Outcome, Fault> {
    let mut batch = Batch::new(dataset_uid(tx, dataset)?, since);
    let mut rejected = checked.rejected;
    let mut count = 0;
    for (row, written) in checked.rows {
        let violations = batch.write(tx, row, written)?;
        if violations.is_empty() {
            count += 1;
        } else {
            rejected.push((row, violations));
        }
    }
    batch.finish(tx)?;
    Ok(Outcome { count, rejected })
}

/// One batch within its transaction. What rows refer to is looked up once.
struct Batch {
    dataset: u64,
    since: Option<Revision>,
    indicators: BTreeMap<String, Option<(u64, Frequency)>>,
    entities: BTreeMap<String, Option<u64>>,
    sources: BTreeMap<String, Option<u64>>,
    /// Sources of rows that were written.
    used: BTreeSet<u64>,
    /// Entities and indicators that are known to have an observation.
    observed: BTreeSet<(u64, u64)>,
}

impl Batch {
    fn new(dataset: u64, since: Option<Revision>) -> Self {
        Self {
            dataset,
            since,
            indicators: BTreeMap::new(),
            entities: BTreeMap::new(),
            sources: BTreeMap::new(),
            used: BTreeSet::new(),
            observed: BTreeSet::new(),
        }
    }

    /// Writes a row, or says what is wrong with it.
    fn write(
        &mut self,
        tx: &mut Transaction<'_>,
        row: usize,
        written: Written,
    ) -> Result<Violations, Fault> {
        let at = |field: &str| format!("{}.{field}", at(row));
        let mut violations = Violations::new();
        let Written {
            indicator,
            entity,
            period,
            observation,
        } = written;
        let found_indicator = self.indicator(tx, &indicator)?;
        let found_entity = self.entity(tx, &entity)?;
        let source = self.source(tx, &observation.source)?;
        if found_indicator.is_none() {
            let text = format!("indicator {indicator:?} does not exist in the dataset");
            violations.push(at("indicator"), ErrorReason::IndicatorUnknown, text);
        }
        if found_entity.is_none() {
            let text = format!("entity {entity:?} does not exist in the dataset");
            violations.push(at("entity"), ErrorReason::EntityUnknown, text);
        }
        if source.is_none() && !observation.source.is_empty() {
            let text = format!(
                "source {:?} does not exist in the dataset",
                observation.source
            );
            violations.push(at("source"), ErrorReason::SourceUnknown, text);
        }
        let (Some((indicator_uid, frequency)), Some(entity_uid)) = (found_indicator, found_entity)
        else {
            return Ok(violations);
        };
        if period.frequency() != frequency {
            let field = at("period");
            period::check_frequency(&field, period, frequency, &indicator, &mut violations);
            return Ok(violations);
        }
        let key = (indicator_uid, entity_uid, period.ordinal());
        self.check_unchanged(tx, &key, row)?;
        if violations.is_empty() {
            tx.put(&OBSERVATIONS, &key, &observation)
                .map_err(|e| store_fault(&e))?;
            self.observed(tx, (entity_uid, indicator_uid))?;
            self.used.extend(source);
        }
        Ok(violations)
    }

    /// Notes that the entity has an observation of the indicator.
    fn observed(&mut self, tx: &mut Transaction<'_>, observed: (u64, u64)) -> Result<(), Fault> {
        if !self.observed.insert(observed) {
            return Ok(());
        }
        let found = tx.get(&OBSERVED, &observed).map_err(|e| store_fault(&e))?;
        if found.is_none() {
            tx.put(&OBSERVED, &observed, &())
                .map_err(|e| store_fault(&e))?;
        }
        Ok(())
    }

    fn indicator(
        &mut self,
        tx: &Transaction<'_>,
        id: &str,
    ) -> Result<Option<(u64, Frequency)>, Fault> {
        if let Some(found) = self.indicators.get(id) {
            return Ok(*found);
        }
        let found = tx.get(&INDICATORS, &(self.dataset, id));
        let found = found.map_err(|e| store_fault(&e))?;
        let found = found.map(|found| (found.value.uid, found.value.body.frequency));
        self.indicators.insert(id.to_owned(), found);
        Ok(found)
    }

    fn entity(&mut self, tx: &Transaction<'_>, id: &str) -> Result<Option<u64>, Fault> {
        if let Some(found) = self.entities.get(id) {
            return Ok(*found);
        }
        let found = tx.get(&ENTITIES, &(self.dataset, id));
        let found = found.map_err(|e| store_fault(&e))?;
        let found = found.map(|found| found.value.uid);
        self.entities.insert(id.to_owned(), found);
        Ok(found)
    }

    /// None also where the row names no source.
    fn source(&mut self, tx: &Transaction<'_>, id: &str) -> Result<Option<u64>, Fault> {
        if id.is_empty() {
            return Ok(None);
        }
        if let Some(found) = self.sources.get(id) {
            return Ok(*found);
        }
        let found = tx.get(&SOURCES, &(self.dataset, id));
        let found = found.map_err(|e| store_fault(&e))?;
        let found = found.map(|found| found.value.uid);
        self.sources.insert(id.to_owned(), found);
        Ok(found)
    }

    fn check_unchanged(
        &self,
        tx: &Transaction<'_>,
        key: &(u64, u64, i64),
        row: usize,
    ) -> Result<(), Fault> {
        let Some(since) = self.since else {
            return Ok(());
        };
        let current = tx.get(&OBSERVATIONS, key).map_err(|e| store_fault(&e))?;
        if current.is_none_or(|current| current.revision <= since) {
            return Ok(());
        }
        let text = format!("{} changed after if_revision; read it again", at(row));
        Err(Fault::new(Code::Aborted, Common::ChangedSinceRevision, text).with("field", at(row)))
    }

    fn finish(self, tx: &mut Transaction<'_>) -> Result<(), Fault> {
        for uid in self.used {
            let found = tx.get(&SOURCES_USED, &uid).map_err(|e| store_fault(&e))?;
            if found.is_none() {
                tx.put(&SOURCES_USED, &uid, &())
                    .map_err(|e| store_fault(&e))?;
            }
        }
        Ok(())
    }
}
