//! Observations: written in batches, listed, and with every earlier version.

use std::collections::BTreeMap;

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    compute::{Caller, compute},
    consistency,
    fault::{Fault, Violations},
    filter::{Fields, Filter},
    name,
    page::Page,
    plain::control::Control as _,
    plain::period::{Frequency, Period},
    resource::{find, full_name},
    store::{Read, Revision, Snapshot, Store, Transaction, Versioned},
    write::{Intent, store_fault, write as commit},
};
use tonic::Code;

use super::{App, datasets::dataset_uid, entities::Entities, indicators::Indicators};
use crate::{
    convert::{
        ENTITY, INDICATOR,
        observation::{Place, Written, parse, render},
        period, reference,
    },
    store::{ENTITIES, INDICATORS, OBSERVATIONS, OBSERVED, Observation, SOURCES, SOURCES_USED},
};

/// Most observations of one batch.
pub const MAX_BATCH: usize = 10_000;

/// Writes a batch, all or nothing.
///
/// # Errors
/// INVALID_ARGUMENT with every violation, NOT_FOUND for the dataset, ABORTED
/// (CHANGED_SINCE_REVISION) under `if_revision`.
pub async fn write(
    app: &App,
    request: pb::WriteObservationsRequest,
) -> Result<pb::WriteObservationsResponse, Fault> {
    let store = app.store()?;
    let [dataset] = name::parse("parent", &request.parent, ["datasets"])?;
    let mut violations = Violations::new();
    let intent = Intent::new(
        "WriteObservations",
        &request,
        &request.request_id,
        request.validate_only,
        &mut violations,
    );
    let if_revision = request.if_revision.as_ref().map(|token| {
        store.parse_token(token).unwrap_or_else(|_| {
            let text = "is not a revision of this store";
            violations.push("if_revision", Common::RevisionUnknown, text);
            Revision::ZERO
        })
    });
    let rows = batch(&request.observations, &dataset, &mut violations);
    violations.finish()?;
    let tokens = store.clone();
    commit(store, intent, move |tx| {
        let mut batch = Batch::new(dataset_uid(tx, &dataset)?, if_revision);
        for (row, written) in rows.into_iter().enumerate() {
            batch.write(tx, row, written)?;
        }
        batch.finish(tx, &tokens)
    })
    .await
}

fn batch(protos: &[pb::Observation], dataset: &str, violations: &mut Violations) -> Vec<Written> {
    if !violations.count("observations", protos.len(), MAX_BATCH) {
        return Vec::new();
    }
    let mut first = BTreeMap::new();
    let mut rows = Vec::with_capacity(protos.len());
    for (row, proto) in protos.iter().enumerate() {
        let at = format!("observations[{row}]");
        let Some(written) = parse(proto, &at, dataset, violations) else {
            continue;
        };
        let cell = (
            written.indicator.clone(),
            written.entity.clone(),
            written.period,
        );
        if let Some(first) = first.insert(cell, row) {
            let text = format!("is the same cell as observations[{first}]");
            violations.push(at, Common::DuplicateKey, text);
        }
        rows.push(written);
    }
    rows
}

/// One batch within its transaction. What rows refer to is looked up once.
struct Batch {
    dataset: u64,
    if_revision: Option<Revision>,
    indicators: BTreeMap<String, Option<(u64, Frequency)>>,
    entities: BTreeMap<String, Option<u64>>,
    sources: BTreeMap<String, Option<u64>>,
    violations: Violations,
    written: i32,
}

impl Batch {
    fn new(dataset: u64, if_revision: Option<Revision>) -> Self {
        Self {
            dataset,
            if_revision,
            indicators: BTreeMap::new(),
            entities: BTreeMap::new(),
            sources: BTreeMap::new(),
            violations: Violations::new(),
            written: 0,
        }
    }

    fn write(
        &mut self,
        tx: &mut Transaction<'_>,
        row: usize,
        written: Written,
    ) -> Result<(), Fault> {
        let at = |field: &str| format!("observations[{row}].{field}");
        let Written {
            indicator,
            entity,
            period,
            observation,
        } = written;
        let found_indicator = self.indicator(tx, &indicator)?;
        let found_entity = self.entity(tx, &entity)?;
        if found_indicator.is_none() {
            let text = format!("indicator {indicator:?} does not exist in the dataset");
            self.violations
                .push(at("indicator"), ErrorReason::IndicatorUnknown, text);
        }
        if found_entity.is_none() {
            let text = format!("entity {entity:?} does not exist in the dataset");
            self.violations
                .push(at("entity"), ErrorReason::EntityUnknown, text);
        }
        self.source(tx, &observation.source, &at("source"))?;
        let (Some((indicator_uid, frequency)), Some(entity_uid)) = (found_indicator, found_entity)
        else {
            return Ok(());
        };
        let field = at("period");
        if !period::check_frequency(&field, period, frequency, &indicator, &mut self.violations) {
            return Ok(());
        }
        let key = (indicator_uid, entity_uid, period.ordinal());
        self.check_unchanged(tx, &key, row)?;
        if self.violations.is_empty() {
            tx.put(&OBSERVATIONS, &key, &observation)
                .map_err(|e| store_fault(&e))?;
            let observed = (entity_uid, indicator_uid);
            if tx
                .get(&OBSERVED, &observed)
                .map_err(|e| store_fault(&e))?
                .is_none()
            {
                tx.put(&OBSERVED, &observed, &())
                    .map_err(|e| store_fault(&e))?;
            }
            self.written += 1;
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
        let found = tx.get(&INDICATORS, &(self.dataset, id.to_owned()));
        let found = found.map_err(|e| store_fault(&e))?;
        let found = found.map(|found| (found.value.uid, found.value.body.frequency));
        self.indicators.insert(id.to_owned(), found);
        Ok(found)
    }

    fn entity(&mut self, tx: &Transaction<'_>, id: &str) -> Result<Option<u64>, Fault> {
        if let Some(found) = self.entities.get(id) {
            return Ok(*found);
        }
        let found = tx.get(&ENTITIES, &(self.dataset, id.to_owned()));
        let found = found
            .map_err(|e| store_fault(&e))?
            .map(|found| found.value.uid);
        self.entities.insert(id.to_owned(), found);
        Ok(found)
    }

    fn source(&mut self, tx: &Transaction<'_>, id: &str, field: &str) -> Result<(), Fault> {
        if id.is_empty() {
            return Ok(());
        }
        if !self.sources.contains_key(id) {
            let found = tx.get(&SOURCES, &(self.dataset, id.to_owned()));
            let found = found
                .map_err(|e| store_fault(&e))?
                .map(|found| found.value.uid);
            self.sources.insert(id.to_owned(), found);
        }
        if self.sources.get(id).copied().flatten().is_none() {
            let text = format!("source {id:?} does not exist in the dataset");
            self.violations
                .push(field, ErrorReason::SourceUnknown, text);
        }
        Ok(())
    }

    fn check_unchanged(
        &self,
        tx: &Transaction<'_>,
        key: &(u64, u64, i64),
        row: usize,
    ) -> Result<(), Fault> {
        let Some(since) = self.if_revision else {
            return Ok(());
        };
        let current = tx.get(&OBSERVATIONS, key).map_err(|e| store_fault(&e))?;
        if current.is_none_or(|current| current.revision <= since) {
            return Ok(());
        }
        let text = format!("observations[{row}] changed after if_revision; read it again");
        Err(
            Fault::new(Code::Aborted, Common::ChangedSinceRevision, text)
                .with("field", format!("observations[{row}]")),
        )
    }

    fn finish(
        self,
        tx: &mut Transaction<'_>,
        store: &Store,
    ) -> Result<pb::WriteObservationsResponse, Fault> {
        self.violations.finish()?;
        for uid in self.sources.into_values().flatten() {
            if tx
                .get(&SOURCES_USED, &uid)
                .map_err(|e| store_fault(&e))?
                .is_none()
            {
                tx.put(&SOURCES_USED, &uid, &())
                    .map_err(|e| store_fault(&e))?;
            }
        }
        Ok(pb::WriteObservationsResponse {
            revision: store.token(tx.revision()),
            written_count: self.written,
        })
    }
}

/// What a filter may ask about an observation.
struct Row<'a> {
    indicator: &'a str,
    entity: &'a str,
    period: String,
    source: &'a str,
}

impl Fields for Row<'_> {
    fn field(&self, path: &str) -> Option<&str> {
        match path {
            "indicator" => Some(self.indicator),
            "entity" => Some(self.entity),
            "period" => Some(&self.period),
            "source" => Some(self.source),
            _ => None,
        }
    }
}

/// Lists the newest version of each cell, by indicator, entity and period.
///
/// # Errors
/// INVALID_ARGUMENT for a filter or token that cannot be read, NOT_FOUND for the dataset.
pub async fn list(
    app: &App,
    mut request: pb::ListObservationsRequest,
) -> Result<pb::ListObservationsResponse, Fault> {
    let store = app.store()?.clone();
    let [dataset] = name::parse("parent", &request.parent, ["datasets"])?;
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListObservations", &request, size, &token)?;
    let fields = ["indicator", "entity", "period", "source"];
    let filter = Filter::parse("filter", &request.filter, &fields)?;
    let read = consistency::page_snapshot(&store, &page, request.consistency.as_ref()).await?;
    compute(move |caller| {
        let listing = Listing {
            caller,
            store: &store,
            read: &read,
            dataset: &dataset,
            filter,
            page,
        };
        listing.run()
    })
    .await
}

/// Entity ID, ordinal of the period, and the newest version.
type Cell<'n> = (&'n str, i64, Versioned<Observation>);

struct Listing<'a> {
    caller: &'a Caller,
    store: &'a Store,
    read: &'a Snapshot,
    dataset: &'a str,
    filter: Filter,
    page: Page,
}

/// Where a page ended: as much of the order as is needed to go on.
fn position(indicator: &str, entity: &str, ordinal: i64) -> String {
    format!("{indicator}/{entity}/{ordinal}")
}

fn parse_position(text: &str) -> Option<(String, String, i64)> {
    let mut parts = text.split('/');
    let (indicator, entity) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some((indicator, entity, parts.next()?.parse().ok()?))
}

impl Listing<'_> {
    fn run(&self) -> Result<pb::ListObservationsResponse, Fault> {
        let dataset = dataset_uid(self.read, self.dataset)?;
        let mut names = BTreeMap::new();
        for entity in self.read.scan(&ENTITIES, &(dataset,)) {
            self.caller.check()?;
            let ((_, id), version) = entity.map_err(|e| store_fault(&e))?;
            names.insert(version.value.uid, id);
        }
        let after = self.page.after.as_deref().and_then(parse_position);
        let mut found = Vec::new();
        let mut last = None;
        for indicator in self.read.scan(&INDICATORS, &(dataset,)) {
            let ((_, id), version) = indicator.map_err(|e| store_fault(&e))?;
            if after
                .as_ref()
                .is_some_and(|(indicator, ..)| id < *indicator)
            {
                continue;
            }
            let frequency = version.value.body.frequency;
            for cell in self.column(version.value.uid, &names)? {
                self.caller.check()?;
                let (entity, ordinal, version) = cell;
                let here = (id.clone(), entity.to_owned(), ordinal);
                if after.as_ref().is_some_and(|after| here <= *after) {
                    continue;
                }
                let Some(proto) = self.render(&id, entity, frequency, ordinal, &version) else {
                    continue;
                };
                if found.len() == self.page.size {
                    return Ok(self.answer(found, last));
                }
                found.push(proto);
                last = Some(position(&id, entity, ordinal));
            }
        }
        Ok(self.answer(found, None))
    }

    /// The cells of an indicator by entity ID and period.
    fn column<'n>(
        &self,
        indicator: u64,
        names: &'n BTreeMap<u64, String>,
    ) -> Result<Vec<Cell<'n>>, Fault> {
        let mut cells = Vec::new();
        for observation in self.read.scan(&OBSERVATIONS, &(indicator,)) {
            self.caller.check()?;
            let ((_, entity, ordinal), version) = observation.map_err(|e| store_fault(&e))?;
            if let Some(name) = names.get(&entity) {
                cells.push((name.as_str(), ordinal, version));
            }
        }
        cells.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        Ok(cells)
    }

    /// The cell on the wire, if it passes the filter.
    fn render(
        &self,
        indicator: &str,
        entity: &str,
        frequency: Frequency,
        ordinal: i64,
        version: &Versioned<Observation>,
    ) -> Option<pb::Observation> {
        let period = Period::from_ordinal(frequency, ordinal)?;
        let source = version.value.source.as_str();
        let row = Row {
            indicator,
            entity,
            period: period.to_string(),
            source,
        };
        let written = (version.revision, version.time);
        let place = Place {
            store: self.store,
            dataset: self.dataset,
            indicator,
            entity,
            period,
            written,
        };
        self.filter
            .matches(&row)
            .then(|| render(place, &version.value))
    }

    fn answer(
        &self,
        observations: Vec<pb::Observation>,
        after: Option<String>,
    ) -> pb::ListObservationsResponse {
        let revision = self.store.token(self.read.revision());
        let next_page_token = after
            .map(|after| self.page.next(&revision, &after))
            .unwrap_or_default();
        pb::ListObservationsResponse {
            observations,
            next_page_token,
            revision,
        }
    }
}

/// Lists every version of one cell, newest first.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for indicator, entity, or a cell that was
/// never written.
pub async fn list_versions(
    app: &App,
    mut request: pb::ListObservationVersionsRequest,
) -> Result<pb::ListObservationVersionsResponse, Fault> {
    let store = app.store()?;
    let [dataset] = name::parse("parent", &request.parent, ["datasets"])?;
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListObservationVersions", &request, size, &token)?;
    let mut violations = Violations::new();
    let indicator = reference(
        "indicator",
        &request.indicator,
        &INDICATOR,
        &dataset,
        &mut violations,
    );
    let entity = reference(
        "entity",
        &request.entity,
        &ENTITY,
        &dataset,
        &mut violations,
    );
    let period = period::period("period", &request.period, &mut violations);
    violations.finish()?;
    let Some(period) = period else {
        return Err(Fault::internal(&"a period without violation"));
    };
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let parents = [dataset.clone()];
    let found_indicator = find::<Indicators>(&read, &parents, &indicator)?.value;
    let found_entity = find::<Entities>(&read, &parents, &entity)?.value;
    let frequency = found_indicator.body.frequency;
    let mut violations = Violations::new();
    period::check_frequency("period", period, frequency, &indicator, &mut violations);
    violations.finish()?;
    let key = (found_indicator.uid, found_entity.uid, period.ordinal());
    let history = read
        .history(&OBSERVATIONS, &key)
        .map_err(|e| store_fault(&e))?;
    if history.is_empty() {
        let of = full_name::<Indicators>(&parents, &indicator);
        return Err(Fault::not_found(&format!(
            "the observation of {of}, {entity}, {period}"
        )));
    }
    let versions = history.into_iter().filter_map(|version| {
        let written = (version.revision, version.time);
        let (indicator, entity) = (indicator.as_str(), entity.as_str());
        let place = Place {
            store,
            dataset: &dataset,
            indicator,
            entity,
            period,
            written,
        };
        Some(render(place, &version.value?))
    });
    let revision = store.token(read.revision());
    let (versions, next_page_token) = page.cut(&revision, versions.collect());
    Ok(pb::ListObservationVersionsResponse {
        versions,
        next_page_token,
        revision,
    })
}
