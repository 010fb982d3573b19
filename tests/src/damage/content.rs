//! What the stores hold: the same for the same numbers, so that every answer can be compared.

use std::collections::BTreeMap;

use almanac_service_kit::store::{Read as _, Revision, Store, StoreError, Table, Transaction};

use crate::Outcome;

/// Records by group and number.
const RECORDS: Table<(u64, u64), String> = Table::new(3, "records");
/// Groups: a commit writes to one of them.
const GROUPS: u64 = 7;
/// Bytes of a value that the index keeps in a file of its own.
const LARGE: usize = 256 << 10;

type Records = BTreeMap<(u64, u64), String>;

/// What a store has to answer, by revision.
#[derive(Debug, Clone, Default)]
pub struct Content {
    states: BTreeMap<Revision, Records>,
    newest: Records,
    /// The first revision that it may end with.
    floor: Revision,
}

/// Key and new value, or none to delete, of a write.
type Write = ((u64, u64), Option<String>);

/// Commit `number` writes so many records; it changes and deletes some of the commit before the
/// last in its group.
fn writes(number: u64, width: u64, large: bool) -> Vec<Write> {
    let group = number % GROUPS;
    let key = |commit: u64, part: u64| (group, commit * width + part);
    let value = |commit, part| format!("{commit}/{part} in commit {number}");
    let mut writes: Vec<Write> = (0..width)
        .map(|part| (key(number, part), Some(value(number, part))))
        .collect();
    if let Some(before) = number.checked_sub(GROUPS) {
        let changed = (0..width).step_by(3);
        writes.extend(changed.map(|part| (key(before, part), Some(value(before, part)))));
        writes.push((key(before, width - 1), None));
    }
    if large {
        writes.push(((GROUPS, number), Some("large ".repeat(LARGE / 6))));
    }
    writes
}

impl Content {
    /// Commits once, and knows from there on what is there.
    ///
    /// # Errors
    /// What the store said.
    pub(super) async fn commit(
        &mut self,
        store: &Store,
        number: u64,
        width: u64,
        large: bool,
    ) -> Outcome<()> {
        let writes = writes(number, width, large);
        for (key, value) in writes.clone() {
            match value {
                Some(value) => self.newest.insert(key, value),
                None => self.newest.remove(&key),
            };
        }
        let write = move |tx: &mut Transaction<'_>| {
            writes.iter().try_for_each(|(key, value)| match value {
                Some(value) => tx.put(&RECORDS, key, value),
                None => tx.delete(&RECORDS, key),
            })
        };
        store.transact(write).await?;
        Ok(())
    }

    /// Keeps what the store has to answer at its newest revision.
    pub(super) fn keep(&mut self, store: &Store) {
        self.floor = store.latest().revision();
        self.states.insert(self.floor, self.newest.clone());
    }

    /// Lets a store be right that ends where `earlier` does.
    pub(super) fn or_ending_with(mut self, earlier: &Self) -> Self {
        self.floor = earlier.floor;
        self
    }

    /// Expects of every revision a record that is not there.
    #[must_use]
    pub fn mistaken(mut self) -> Self {
        for records in self.states.values_mut() {
            records.insert((GROUPS + 1, 0), String::new());
        }
        self
    }

    /// Compares what a store answers, at its newest revision and the first that was kept, and says
    /// how many commits are missing at the end.
    ///
    /// # Errors
    /// In words what is wrong.
    pub(super) fn compare(&self, store: &Store) -> Result<usize, String> {
        let newest = store.latest().revision();
        let may_end = self.states.range(self.floor..);
        if may_end.clone().all(|(revision, _)| *revision != newest) {
            return Err(format!("it ends with revision {newest}"));
        }
        let first = self.states.keys().next().copied();
        for revision in [Some(newest), first].into_iter().flatten() {
            if let Some(records) = self.states.get(&revision) {
                compare(store, revision, records)
                    .map_err(|wrong| format!("at revision {revision}: {wrong}"))?;
            }
        }
        Ok(may_end.filter(|(revision, _)| **revision > newest).count())
    }
}

fn compare(store: &Store, revision: Revision, records: &Records) -> Result<(), String> {
    let text = |error: StoreError| error.to_string();
    let snapshot = store.at(revision).map_err(text)?;
    let mut expected = records.iter();
    for record in snapshot.scan(&RECORDS, &()) {
        let (key, found) = record.map_err(text)?;
        if expected.next() != Some((&key, &found.value)) {
            return Err(format!("{key:?} is there or has another value"));
        }
    }
    if let Some((key, _)) = expected.next() {
        return Err(format!("{key:?} is missing"));
    }
    let (group, number) = records.keys().next_back().copied().unwrap_or_default();
    let found = snapshot.get(&RECORDS, &(group, number)).map_err(text)?;
    match found.map(|found| found.value).as_ref() == records.get(&(group, number)) {
        true => Ok(()),
        false => Err(format!("{:?} is not found by its key", (group, number))),
    }
}
