//! Indicators.

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
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
    store::{INDICATORS, INDICES, Indicator, OBSERVATIONS, SOURCES},
};

/// Indicators.
#[derive(Debug)]
pub struct Indicators;

impl Kind for Indicators {
    type Proto = pb::Indicator;
    type Body = Indicator;
    const TABLE: Table<Key, Stored<Indicator>> = INDICATORS;
    const COLLECTIONS: &'static [&'static str] = &convert::INDICATOR;

    fn render(head: Head, stored: &Stored<Indicator>, parents: &[String]) -> pb::Indicator {
        let dataset = parents.first().map(String::as_str).unwrap_or_default();
        convert::indicator::render(head, stored, dataset)
    }

    fn scope(read: &impl Read, parents: &[String]) -> Result<u64, Fault> {
        datasets::scope(read, parents)
    }
}

impl Resource for Indicators {
    const FIELD: &'static str = "indicator";

    fn identity(proto: &pb::Indicator) -> (&str, &str) {
        (&proto.name, &proto.etag)
    }

    fn parse(
        proto: &pb::Indicator,
        at: &str,
        parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Indicator>> {
        Some(convert::indicator::parse(
            proto,
            at,
            parents.first()?,
            violations,
        ))
    }

    fn merge(
        old: &mut pb::Indicator,
        new: &pb::Indicator,
        paths: Option<&[String]>,
    ) -> Result<(), String> {
        merge_fields!(
            old,
            new,
            paths,
            [
                display_name,
                labels,
                description,
                unit,
                direction,
                frequency,
                source,
                license,
                denominator,
                goalposts,
                target
            ]
        )
    }

    fn check(
        tx: &Transaction<'_>,
        scope: u64,
        at: &str,
        draft: &mut Draft<Indicator>,
        old: Option<&Stored<Indicator>>,
        violations: &mut Violations,
    ) -> Result<(), Fault> {
        let body = &draft.body;
        if !body.source.is_empty() {
            let source = tx.get(&SOURCES, &(scope, body.source.clone()));
            if source.map_err(|e| store_fault(&e))?.is_none() {
                let text = format!("source {:?} does not exist in the dataset", body.source);
                violations.push(format!("{at}.source"), ErrorReason::SourceUnknown, text);
            }
        }
        if !body.denominator.is_empty() {
            let denominator = tx.get(&INDICATORS, &(scope, body.denominator.clone()));
            if denominator.map_err(|e| store_fault(&e))?.is_none() {
                let text = format!(
                    "indicator {:?} does not exist in the dataset",
                    body.denominator
                );
                violations.push(
                    format!("{at}.denominator"),
                    ErrorReason::IndicatorUnknown,
                    text,
                );
            }
        }
        let Some(old) = old.filter(|old| old.body.frequency != body.frequency) else {
            return Ok(());
        };
        if tx.scan(&OBSERVATIONS, &(old.uid,)).next().is_some() {
            let text = format!(
                "the indicator holds {} observations; its frequency cannot change",
                old.body.frequency
            );
            violations.push(format!("{at}.frequency"), Common::FieldImmutable, text);
        }
        Ok(())
    }

    fn check_unused(
        tx: &Transaction<'_>,
        key: &Key,
        stored: &Stored<Indicator>,
        name: &str,
    ) -> Result<(), Fault> {
        if tx.scan(&OBSERVATIONS, &(stored.uid,)).next().is_some() {
            return Err(Fault::in_use(name, "observations"));
        }
        for index in tx.scan(&INDICES, &(key.0,)) {
            let ((_, id), version) = index.map_err(|e| store_fault(&e))?;
            let mut nodes = version.value.body.nodes.iter();
            if nodes.any(|node| node.indicator.as_ref() == Some(&key.1)) {
                return Err(Fault::in_use(name, &format!("index {id}")));
            }
        }
        for indicator in tx.scan(&INDICATORS, &(key.0,)) {
            let ((_, id), version) = indicator.map_err(|e| store_fault(&e))?;
            if version.value.body.denominator == key.1 {
                return Err(Fault::in_use(
                    name,
                    &format!("indicator {id} as its denominator"),
                ));
            }
        }
        Ok(())
    }
}

standard_methods!(
    Indicators: Indicator, indicator, indicator_id, indicators, [parent],
    CreateIndicatorRequest, GetIndicatorRequest, ListIndicatorsRequest -> ListIndicatorsResponse,
    UpdateIndicatorRequest, DeleteIndicatorRequest
);
batch_methods!(
    Indicators: indicator, indicator_id, indicators,
    BatchCreateIndicatorsRequest -> BatchCreateIndicatorsResponse,
    BatchGetIndicatorsRequest -> BatchGetIndicatorsResponse
);
