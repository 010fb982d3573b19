//! Entities.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    fault::{Fault, Violations},
    merge_fields,
    resource::{Draft, Head, Key, Kind, Resource, Stored},
    store::{Read, Table, Transaction},
    write::store_fault,
};

use super::{
    datasets,
    standard::{batch_methods, standard_methods},
};
use crate::{
    convert,
    store::{ENTITIES, Entity, INDICES, OBSERVED},
};

/// Entities.
#[derive(Debug)]
pub struct Entities;

impl Kind for Entities {
    type Proto = pb::Entity;
    type Body = Entity;
    const TABLE: Table<Key, Stored<Entity>> = ENTITIES;
    const COLLECTIONS: &'static [&'static str] = &convert::ENTITY;

    fn render(head: Head, stored: &Stored<Entity>, _parents: &[String]) -> pb::Entity {
        convert::entity::render(head, stored)
    }

    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
        datasets::scope(read, parents)
    }
}

impl Resource for Entities {
    const FIELD: &'static str = "entity";

    fn identity(proto: &pb::Entity) -> (&str, &str) {
        (&proto.name, &proto.etag)
    }

    fn parse(
        proto: &pb::Entity,
        at: &str,
        _parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Entity>> {
        Some(convert::entity::parse(proto, at, violations))
    }

    fn merge(
        old: &mut pb::Entity,
        new: &pb::Entity,
        paths: Option<&[String]>,
    ) -> Result<(), String> {
        merge_fields!(old, new, paths, [display_name, labels, description])
    }

    fn check(
        _tx: &Transaction<'_>,
        _scope: u64,
        _at: &str,
        _draft: &mut Draft<Entity>,
        _old: Option<&Stored<Entity>>,
        _violations: &mut Violations,
    ) -> Result<(), Fault> {
        Ok(())
    }

    fn check_unused(
        tx: &Transaction<'_>,
        key: &Key,
        stored: &Stored<Entity>,
        name: &str,
    ) -> Result<(), Fault> {
        if tx.scan(&OBSERVED, &(stored.uid,)).next().is_some() {
            return Err(Fault::in_use(name, "observations"));
        }
        for index in tx.scan(&INDICES, &(key.0,)) {
            let ((_, id), version) = index.map_err(|e| store_fault(&e))?;
            let entities = version.value.body.entities;
            if entities.is_some_and(|filter| filter.entities.contains(&key.1)) {
                return Err(Fault::in_use(name, &format!("index {id}")));
            }
        }
        Ok(())
    }
}

standard_methods!(
    Entities: Entity, entity, entity_id, entities, [parent],
    CreateEntityRequest, GetEntityRequest, ListEntitiesRequest -> ListEntitiesResponse,
    UpdateEntityRequest, DeleteEntityRequest
);
batch_methods!(
    Entities: entity, entity_id, entities,
    BatchCreateEntitiesRequest -> BatchCreateEntitiesResponse,
    BatchGetEntitiesRequest -> BatchGetEntitiesResponse
);
