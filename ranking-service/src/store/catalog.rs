//! Entities and indicators of a dataset, decoded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use almanac_service_kit::{
    columns::{Advance, Decoded},
    fault::Fault,
    filter::Filter,
    plain::control::{Control, attended},
    resource::{FILTER_FIELDS, Key, Stored},
    store::{Read, Record, Revision, Snapshot, Table},
    write::store_fault,
};

use super::{ENTITIES, Entity, EntityFilter, EntityRow, INDICATORS, Indicator};
use crate::domain::entities::Entities;

/// Sets of entities that are kept for each dataset: those of the indices in use.
const SETS: usize = 8;
/// Bytes that a record takes beside its texts.
const OVERHEAD: usize = 160;

/// Records of a table by ID.
type ById<T> = Arc<BTreeMap<String, Arc<Stored<T>>>>;

/// Records brought forward, and the last revision that wrote one of them.
type Forward<T> = (ById<T>, Option<Revision>);

/// Entities and indicators of a dataset.
#[derive(Debug)]
pub struct Catalog {
    entities: ById<Entity>,
    indicators: ById<Indicator>,
    sets: Mutex<VecDeque<(Option<EntityFilter>, Arc<EntitySet>)>>,
}

/// The entities that take part in a ranking.
#[derive(Debug)]
pub struct EntitySet {
    /// By row, ascending by ID.
    pub entities: Arc<Vec<EntityRow>>,
    /// Their IDs.
    pub ids: Arc<Entities>,
    /// Uid and row, ascending by uid.
    pub by_uid: Vec<(u64, u32)>,
    uids: Vec<u64>,
}

impl Decoded for Catalog {
    fn load(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault> {
        Ok(Self {
            entities: all(read, &ENTITIES, uid, control)?,
            indicators: all(read, &INDICATORS, uid, control)?,
            sets: Mutex::default(),
        })
    }

    fn unchanged_since(read: &Snapshot, uid: u64) -> Revision {
        let entities = read.unchanged_since(&ENTITIES, &(uid,));
        entities.max(read.unchanged_since(&INDICATORS, &(uid,)))
    }

    fn advance(
        &self,
        read: &Snapshot,
        uid: u64,
        since: Revision,
        control: &dyn Control,
    ) -> Result<Advance<Self>, Fault> {
        let entities = changed(read, &ENTITIES, (uid, since), &self.entities, control)?;
        let indicators = changed(read, &INDICATORS, (uid, since), &self.indicators, control)?;
        let (Some((entities, first)), Some((indicators, second))) = (entities, indicators) else {
            return Ok(Advance::Unknown);
        };
        let Some(newest) = first.max(second) else {
            return Ok(Advance::Same);
        };
        let sets = match first {
            Some(_) => VecDeque::new(),
            None => self.sets().clone(),
        };
        let next = Self {
            entities,
            indicators,
            sets: Mutex::new(sets),
        };
        Ok(Advance::Changed(next, newest))
    }

    fn bytes(&self) -> usize {
        let labels = |labels: &BTreeMap<String, String>| -> usize {
            labels.iter().map(|(k, v)| k.len() + v.len() + 64).sum()
        };
        // Once as stored, once as a row of the set of all.
        let entity = |(id, stored): (&String, &Arc<Stored<Entity>>)| {
            let texts = id.len() + stored.display_name.len() + labels(&stored.labels);
            2 * (texts + OVERHEAD) + stored.body.description.len()
        };
        let indicator = |(id, stored): (&String, &Arc<Stored<Indicator>>)| {
            let texts = id.len() + stored.display_name.len() + stored.body.description.len();
            texts + labels(&stored.labels) + 2 * OVERHEAD
        };
        self.entities.iter().map(entity).sum::<usize>()
            + self.indicators.iter().map(indicator).sum::<usize>()
    }
}

impl Catalog {
    /// An indicator by its ID.
    #[must_use]
    pub fn indicator(&self, id: &str) -> Option<&Arc<Stored<Indicator>>> {
        self.indicators.get(id)
    }

    /// The entities that pass a filter; all without one.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a filter that cannot be read, CANCELLED once nobody waits.
    pub fn set(
        &self,
        filter: Option<&EntityFilter>,
        control: &dyn Control,
    ) -> Result<Arc<EntitySet>, Fault> {
        let mut sets = self.sets();
        if let Some((_, set)) = sets.iter().find(|(of, _)| of.as_ref() == filter) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(self.filtered(filter, control)?);
        sets.truncate(SETS - 1);
        sets.push_front((filter.cloned(), Arc::clone(&set)));
        Ok(set)
    }

    fn sets(&self) -> std::sync::MutexGuard<'_, VecDeque<(Option<EntityFilter>, Arc<EntitySet>)>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filtered(
        &self,
        filter: Option<&EntityFilter>,
        control: &dyn Control,
    ) -> Result<EntitySet, Fault> {
        let text = filter.map(|filter| filter.filter.as_str());
        let matching = Filter::parse("filter", text.unwrap_or_default(), FILTER_FIELDS)?;
        let named: BTreeSet<&str> = filter
            .iter()
            .flat_map(|filter| filter.entities.iter().map(String::as_str))
            .collect();
        let takes_part = |id: &str, stored: &Stored<Entity>| {
            (named.is_empty() || named.contains(id)) && matching.matches(&(id, stored))
        };
        let (mut entities, mut uids) = (Vec::new(), Vec::new());
        for entity in attended(self.entities.iter(), control) {
            let (id, stored) = entity?;
            if !takes_part(id, stored) {
                continue;
            }
            uids.push(stored.uid);
            entities.push(EntityRow {
                id: id.clone(),
                display_name: stored.display_name.clone(),
                labels: stored.labels.clone(),
            });
        }
        let ids = entities.iter().map(|entity| entity.id.clone()).collect();
        let mut by_uid: Vec<(u64, u32)> = uids.iter().copied().zip(0..).collect();
        by_uid.sort_unstable();
        Ok(EntitySet {
            ids: Arc::new(Entities::new(ids).map_err(|e| Fault::internal(&e))?),
            entities: Arc::new(entities),
            by_uid,
            uids,
        })
    }
}

impl EntitySet {
    /// The uid of the entity in a row.
    #[must_use]
    pub fn uid(&self, row: usize) -> u64 {
        self.uids[row]
    }
}

fn all<T>(
    read: &Snapshot,
    table: &Table<Key, Stored<T>>,
    uid: u64,
    control: &dyn Control,
) -> Result<ById<T>, Fault>
where
    Stored<T>: Record,
{
    let mut found = BTreeMap::new();
    for record in attended(read.scan(table, &(uid,)), control) {
        let ((_, id), version) = record?.map_err(|e| store_fault(&e))?;
        found.insert(id, Arc::new(version.value));
    }
    Ok(Arc::new(found))
}

/// The records brought forward, and the last revision that wrote one of them; `None` where the
/// store does not remember.
fn changed<T>(
    read: &Snapshot,
    table: &Table<Key, Stored<T>>,
    (uid, since): (u64, Revision),
    old: &ById<T>,
    control: &dyn Control,
) -> Result<Option<Forward<T>>, Fault>
where
    Stored<T>: Record,
{
    let changes = read.changed_keys(table, &(uid,), since);
    let Some(changes) = changes.map_err(|e| store_fault(&e))? else {
        return Ok(None);
    };
    if changes.keys.is_empty() {
        return Ok(Some((Arc::clone(old), None)));
    }
    let old = attended(old.iter(), control).map(|record| {
        let (id, stored) = record?;
        Ok((id.clone(), Arc::clone(stored)))
    });
    let mut next: BTreeMap<_, _> = old.collect::<Result<_, Fault>>()?;
    for key in attended(changes.keys, control) {
        let key = key?;
        match read.get(table, &key).map_err(|e| store_fault(&e))? {
            Some(found) => next.insert(key.1, Arc::new(found.value)),
            None => next.remove(&key.1),
        };
    }
    Ok(Some((Arc::new(next), changes.newest)))
}
