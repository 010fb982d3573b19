//! Indices.

use almanac_proto::ranking::v1::{self as pb, ErrorReason};
use almanac_service_kit::{
    fault::{Fault, Violations},
    merge_fields,
    resource::{Draft, Head, Key, Kind, Resource, Stored},
    store::{Read, Table, Transaction},
    write::store_fault,
};

use super::{datasets, standard::standard_methods};
use crate::{
    convert::{self, period::check_frequency},
    store::{EDITIONS, ENTITIES, INDICATORS, INDICES, Index},
};

/// Indices.
#[derive(Debug)]
pub struct Indices;

impl Kind for Indices {
    type Proto = pb::Index;
    type Body = Index;
    const TABLE: Table<Key, Stored<Index>> = INDICES;
    const COLLECTIONS: &'static [&'static str] = &convert::INDEX;

    fn render(head: Head, stored: &Stored<Index>, parents: &[String]) -> pb::Index {
        let dataset = parents.first().map(String::as_str).unwrap_or_default();
        convert::index::render(head, stored, dataset)
    }

    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
        datasets::scope(read, parents)
    }
}

impl Resource for Indices {
    const FIELD: &'static str = "index";

    fn identity(proto: &pb::Index) -> (&str, &str) {
        (&proto.name, &proto.etag)
    }

    fn parse(
        proto: &pb::Index,
        at: &str,
        parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Index>> {
        convert::index::parse(proto, at, parents.first()?, violations)
    }

    fn merge(old: &mut pb::Index, new: &pb::Index, paths: Option<&[String]>) -> Result<(), String> {
        merge_fields!(
            old,
            new,
            paths,
            [
                display_name,
                labels,
                description,
                nodes,
                methodology,
                entities
            ]
        )
    }

    fn check(
        tx: &Transaction<'_>,
        scope: u64,
        at: &str,
        draft: &mut Draft<Index>,
        _old: Option<&Stored<Index>>,
        violations: &mut Violations,
    ) -> Result<(), Fault> {
        check_references(tx, scope, &Paths::under(at), &draft.body, violations)
    }

    fn check_unused(
        tx: &Transaction<'_>,
        _key: &Key,
        stored: &Stored<Index>,
        name: &str,
    ) -> Result<(), Fault> {
        match tx.scan(&EDITIONS, &(stored.uid,)).next() {
            None => Ok(()),
            Some(Err(error)) => Err(store_fault(&error)),
            Some(Ok(((_, id), _))) => Err(Fault::in_use(name, &format!("{name}/editions/{id}"))),
        }
    }
}

/// Where in a request the parts of an index stand.
#[derive(Debug)]
pub struct Paths {
    /// Path to the nodes.
    pub nodes: String,
    /// Path to the methodology.
    pub methodology: String,
    /// Path to the entity filter.
    pub entities: String,
}

impl Paths {
    /// Of an index that stands at `at` as a whole.
    #[must_use]
    pub fn under(at: &str) -> Self {
        Self {
            nodes: format!("{at}.nodes"),
            methodology: format!("{at}.methodology"),
            entities: format!("{at}.entities"),
        }
    }
}

/// Checks that the indicators and entities of an index exist, and that the periods have their
/// indicators' frequencies.
///
/// # Errors
/// A fault of the store; violations are pushed.
pub fn check_references(
    read: &impl Read,
    dataset: u64,
    at: &Paths,
    index: &Index,
    violations: &mut Violations,
) -> Result<(), Fault> {
    for (row, node) in index.nodes.iter().enumerate() {
        let Some(id) = &node.indicator else { continue };
        let indicator = read.get(&INDICATORS, &(dataset, id.clone()));
        let Some(indicator) = indicator.map_err(|e| store_fault(&e))? else {
            let text = format!("indicator {id:?} does not exist in the dataset");
            let field = format!("{}[{row}].indicator", at.nodes);
            violations.push(field, ErrorReason::IndicatorUnknown, text);
            continue;
        };
        let period = index.plan.selection(&node.id).period;
        let frequency = indicator.value.body.frequency;
        let field = format!("{}.periods.period", at.methodology);
        check_frequency(&field, period, frequency, id, violations);
    }
    let entities = index.entities.iter().flat_map(|filter| &filter.entities);
    for (row, id) in entities.enumerate() {
        let entity = read.get(&ENTITIES, &(dataset, id.clone()));
        if entity.map_err(|e| store_fault(&e))?.is_none() {
            let text = format!("entity {id:?} does not exist in the dataset");
            let field = format!("{}.entities[{row}]", at.entities);
            violations.push(field, ErrorReason::EntityUnknown, text);
        }
    }
    Ok(())
}

standard_methods!(
    Indices: Index, index, index_id, indices, [parent],
    CreateIndexRequest, GetIndexRequest, ListIndicesRequest -> ListIndicesResponse,
    UpdateIndexRequest, DeleteIndexRequest
);
