//! ListObservations.

use std::collections::BTreeMap;

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    compute::{Caller, compute},
    consistency,
    fault::Fault,
    filter::{Fields, Filter},
    memory::Blocks,
    name,
    page::Page,
    plain::{
        control::{Control as _, sort_unstable_by},
        period::{Frequency, Period},
    },
    store::{Read, Snapshot, Store, Versioned},
    write::store_fault,
};

use crate::{
    convert::observation::{Place, render},
    grpc::{App, datasets::dataset_uid},
    store::{ENTITIES, INDICATORS, OBSERVATIONS, Observation},
};

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

/// Bytes of an entity's name by its uid, beside the name.
const NAME_BYTES: usize = 96;

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
        let mut blocks = Blocks::new(self.caller);
        for entity in self.read.scan(&ENTITIES, &(dataset,)) {
            self.caller.check()?;
            let ((_, id), version) = entity.map_err(|e| store_fault(&e))?;
            blocks.claim(NAME_BYTES + id.len())?;
            names.insert(version.value.uid, id);
        }
        // A column is gone before the next one is read.
        let mut blocks = Blocks::new(self.caller);
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
            blocks.freed();
            for cell in self.column(version.value.uid, &names, &mut blocks)? {
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
        blocks: &mut Blocks<'_>,
    ) -> Result<Vec<Cell<'n>>, Fault> {
        let mut cells = Vec::new();
        for observation in self.read.scan(&OBSERVATIONS, &(indicator,)) {
            self.caller.check()?;
            let ((_, entity, ordinal), version) = observation.map_err(|e| store_fault(&e))?;
            if let Some(name) = names.get(&entity) {
                let told = &version.value;
                let texts = told.source.len() + told.note.len() + told.state_note.len();
                // A list that grows has room for twice as many.
                blocks.claim(2 * size_of::<Cell<'_>>() + texts)?;
                cells.push((name.as_str(), ordinal, version));
            }
        }
        sort_unstable_by(&mut cells, self.caller, |a, b| (a.0, a.1).cmp(&(b.0, b.1)))?;
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
