//! Datasets, and the sources in them.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    fault::{Fault, Violations},
    merge_fields,
    resource::{Draft, Head, Key, Kind, Resource, Stored, uid},
    store::{Read, Table, Transaction},
    write::store_fault,
};

use super::standard::standard_methods;
use crate::{
    convert,
    store::{DATASETS, Dataset, ENTITIES, INDICATORS, INDICES, SOURCES},
};

/// Datasets.
#[derive(Debug)]
pub struct Datasets;

impl Kind for Datasets {
    type Proto = pb::Dataset;
    type Body = Dataset;
    const TABLE: Table<Key, Stored<Dataset>> = DATASETS;
    const COLLECTIONS: &'static [&'static str] = &["datasets"];

    fn render(head: Head, stored: &Stored<Dataset>, _parents: &[String]) -> pb::Dataset {
        convert::dataset::render(head, stored)
    }

    fn scope(_read: &impl Read, _parents: &[String]) -> Result<u64, Fault> {
        Ok(0)
    }
}

impl Resource for Datasets {
    const FIELD: &'static str = "dataset";

    fn identity(proto: &pb::Dataset) -> (&str, &str) {
        (&proto.name, &proto.etag)
    }

    fn parse(
        proto: &pb::Dataset,
        at: &str,
        _parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Dataset>> {
        Some(convert::dataset::parse(proto, at, violations))
    }

    fn merge(
        old: &mut pb::Dataset,
        new: &pb::Dataset,
        paths: Option<&[String]>,
    ) -> Result<(), String> {
        merge_fields!(old, new, paths, [display_name, labels, description])
    }

    fn check(
        _tx: &Transaction<'_>,
        _scope: u64,
        _at: &str,
        _draft: &mut Draft<Dataset>,
        _old: Option<&Stored<Dataset>>,
        _violations: &mut Violations,
    ) -> Result<(), Fault> {
        Ok(())
    }

    fn check_unused(
        tx: &Transaction<'_>,
        _key: &Key,
        stored: &Stored<Dataset>,
        name: &str,
    ) -> Result<(), Fault> {
        let uid = stored.uid;
        refuse_if_any(tx.scan(&INDICES, &(uid,)), name, "indices")?;
        refuse_if_any(tx.scan(&INDICATORS, &(uid,)), name, "indicators")?;
        refuse_if_any(tx.scan(&ENTITIES, &(uid,)), name, "entities")?;
        refuse_if_any(tx.scan(&SOURCES, &(uid,)), name, "sources")
    }
}

/// # Errors
/// FAILED_PRECONDITION (RESOURCE_IN_USE) with the first user, if there is one.
fn refuse_if_any<V>(
    mut users: impl Iterator<Item = Result<(Key, V), almanac_service_kit::store::StoreError>>,
    name: &str,
    collection: &str,
) -> Result<(), Fault> {
    match users.next() {
        None => Ok(()),
        Some(Err(error)) => Err(store_fault(&error)),
        Some(Ok(((_, id), _))) => Err(Fault::in_use(name, &format!("{name}/{collection}/{id}"))),
    }
}

/// The uid of a dataset.
///
/// # Errors
/// NOT_FOUND if it does not exist at the revision read.
pub fn dataset_uid(read: &impl Read, dataset: &str) -> Result<u64, Fault> {
    uid::<Datasets>(read, &[], dataset)
}

/// As [`dataset_uid`], for the parents of what is in a dataset.
///
/// # Errors
/// NOT_FOUND.
pub fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
    dataset_uid(
        read,
        parents.first().map(String::as_str).unwrap_or_default(),
    )
}

standard_methods!(
    Datasets: Dataset, dataset, dataset_id, datasets, [],
    CreateDatasetRequest, GetDatasetRequest, ListDatasetsRequest -> ListDatasetsResponse,
    UpdateDatasetRequest, DeleteDatasetRequest
);

/// Sources of figures.
pub mod sources {
    use almanac_proto::ranking::v1 as pb;
    use almanac_service_kit::{
        fault::{Fault, Violations},
        merge_fields,
        resource::{Draft, Head, Key, Kind, Resource, Stored},
        store::{Read, Table, Transaction},
        write::store_fault,
    };

    use crate::{
        convert,
        grpc::standard::standard_methods,
        store::{INDICATORS, SOURCES, SOURCES_USED, Source},
    };

    /// Sources.
    #[derive(Debug)]
    pub struct Sources;

    impl Kind for Sources {
        type Proto = pb::Source;
        type Body = Source;
        const TABLE: Table<Key, Stored<Source>> = SOURCES;
        const COLLECTIONS: &'static [&'static str] = &convert::SOURCE;

        fn render(head: Head, stored: &Stored<Source>, _parents: &[String]) -> pb::Source {
            convert::dataset::render_source(head, stored)
        }

        fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
            super::scope(read, parents)
        }
    }

    impl Resource for Sources {
        const FIELD: &'static str = "source";

        fn identity(proto: &pb::Source) -> (&str, &str) {
            (&proto.name, &proto.etag)
        }

        fn parse(
            proto: &pb::Source,
            at: &str,
            _parents: &[String],
            violations: &mut Violations,
        ) -> Option<Draft<Source>> {
            Some(convert::dataset::parse_source(proto, at, violations))
        }

        fn merge(
            old: &mut pb::Source,
            new: &pb::Source,
            paths: Option<&[String]>,
        ) -> Result<(), String> {
            merge_fields!(
                old,
                new,
                paths,
                [display_name, labels, citation, url, license, attribution]
            )
        }

        fn check(
            _tx: &Transaction<'_>,
            _scope: u64,
            _at: &str,
            _draft: &mut Draft<Source>,
            _old: Option<&Stored<Source>>,
            _violations: &mut Violations,
        ) -> Result<(), Fault> {
            Ok(())
        }

        fn check_unused(
            tx: &Transaction<'_>,
            key: &Key,
            stored: &Stored<Source>,
            name: &str,
        ) -> Result<(), Fault> {
            for indicator in tx.scan(&INDICATORS, &(key.0,)) {
                let ((_, id), version) = indicator.map_err(|e| store_fault(&e))?;
                if version.value.body.source == key.1 {
                    return Err(Fault::in_use(name, &format!("indicator {id}")));
                }
            }
            let used = tx
                .get(&SOURCES_USED, &stored.uid)
                .map_err(|e| store_fault(&e))?;
            if used.is_some() {
                Err(Fault::in_use(name, "observations"))
            } else {
                Ok(())
            }
        }
    }

    standard_methods!(
        Sources: Source, source, source_id, sources, [parent],
        CreateSourceRequest, GetSourceRequest, ListSourcesRequest -> ListSourcesResponse,
        UpdateSourceRequest, DeleteSourceRequest
    );
}
