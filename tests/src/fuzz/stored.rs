//! Targets that read what the stores hold: files, keys and values.

use std::fmt::Debug;

use almanac_service_kit::{
    fuzz::{self, Again},
    store::{Key, Read as _, Record, Snapshot, Table},
};
use forecast_service::store as forecast;
use ranking_service::store as ranking;

use super::memory::bounded;

/// Bytes that decoding may take whatever comes: lists are made room for before they are read, up to
/// a megabyte each.
const ROOM: usize = 4 << 20;

/// Files of a store: as the bytes are, and with their checksum put right.
pub(super) fn file(input: &[u8]) -> bool {
    let Some((name, bytes)) = named(input) else {
        return false;
    };
    let Some(format) = fuzz::FORMATS.iter().find(|format| format.name == name) else {
        return false;
    };
    let mut mended = bytes.to_vec();
    (format.mend)(&mut mended);
    [bytes, &mended].into_iter().any(|bytes| {
        let again = bounded(input, ROOM, 64, || (format.again)(bytes));
        if let Ok(again) = &again {
            assert!(!format.canonical || again == bytes, "{name} changed");
            assert_eq!((format.again)(again).as_ref(), Ok(again), "{name}");
        }
        again.is_ok()
    })
}

/// Keys and values as bytes.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A table: its keys and values.
struct Stored {
    name: &'static str,
    key: fn(&[u8], &[u8]) -> bool,
    value: fn(u16, &[u8]) -> Again,
    samples: fn(&Snapshot) -> Pairs,
}

macro_rules! tables {
    ($($name:literal: $table:expr;)+) => {
        [$(Stored {
            name: $name,
            key: |one, two| keys(&$table, one, two),
            value: |version, bytes| fuzz::value(&$table, version, bytes),
            samples: |read| samples(&$table, read),
        }),+]
    };
}

const TABLES: [Stored; 19] = tables! {
    "ranking/datasets": ranking::DATASETS;
    "ranking/sources": ranking::SOURCES;
    "ranking/indicators": ranking::INDICATORS;
    "ranking/entities": ranking::ENTITIES;
    "ranking/indices": ranking::INDICES;
    "ranking/observations": ranking::OBSERVATIONS;
    "ranking/observed": ranking::OBSERVED;
    "ranking/editions": ranking::EDITIONS;
    "ranking/edition-inputs": ranking::EDITION_INPUTS;
    "ranking/edition-cells": ranking::EDITION_CELLS;
    "ranking/edition-results": ranking::EDITION_RESULTS;
    "ranking/sources-used": ranking::SOURCES_USED;
    "forecast/markets": forecast::MARKETS;
    "forecast/points": forecast::POINTS;
    "forecast/forecasts": forecast::forecasts::FORECASTS;
    "forecast/unfinished": forecast::forecasts::UNFINISHED;
    "forecast/inputs": forecast::forecasts::INPUTS;
    "forecast/histories": forecast::forecasts::HISTORIES;
    "forecast/values": forecast::forecasts::VALUES;
};

/// Values of tables: the table's name, the version, the bytes.
pub(super) fn value(input: &[u8]) -> bool {
    let Some((name, bytes)) = named(input) else {
        return false;
    };
    let Some((version, bytes)) = bytes.split_first() else {
        return false;
    };
    let decode: &dyn Fn(&[u8]) -> Again = match name {
        "kit/requests" => &|bytes| fuzz::again_request(u16::from(*version), bytes),
        "kit/imports" => &|bytes| fuzz::again_import(u16::from(*version), bytes),
        _ => match TABLES.iter().find(|table| table.name == name) {
            Some(table) => &|bytes| (table.value)(u16::from(*version), bytes),
            None => return false,
        },
    };
    let again = bounded(input, ROOM, 256, || decode(bytes));
    if let Ok(again) = &again {
        // Numbers may have been written with more bytes than they need.
        assert!(again.len() <= bytes.len(), "{name} grew");
        assert_eq!(decode(again).as_ref(), Ok(again), "{name}");
    }
    again.is_ok()
}

/// Keys of tables: the table's name, the length of the first key, two keys.
pub(super) fn key(input: &[u8]) -> bool {
    let Some((name, bytes)) = named(input) else {
        return false;
    };
    let table = TABLES.iter().find(|table| table.name == name);
    let parts = bytes.split_first().and_then(|(length, rest)| {
        let at = usize::from(*length).min(rest.len());
        Some(rest.split_at(at)).zip(table)
    });
    parts.is_some_and(|((one, two), table)| (table.key)(one, two))
}

/// Whether one of them is a key; a key is its bytes, and keys order as their bytes do.
fn keys<K: Key + Ord, V: Record>(_: &Table<K, V>, one: &[u8], two: &[u8]) -> bool {
    let decoded = [one, two].map(|bytes| {
        let found = fuzz::key::<K>(bytes);
        if let Ok((key, again)) = &found {
            assert_eq!(again, bytes, "{key:?} has other bytes");
        }
        found.ok().map(|(key, _)| key)
    });
    if let [Some(a), Some(b)] = &decoded {
        assert_eq!(a.cmp(b), one.cmp(two), "{a:?} and {b:?}");
    }
    decoded.iter().any(Option::is_some)
}

/// Up to three records of a table, encoded.
fn samples<K: Key + Debug, V: Record>(table: &Table<K, V>, read: &Snapshot) -> Pairs {
    let rows = read.scan(table, &()).take(3);
    let pairs = rows.filter_map(|row| row.ok().map(|(key, found)| (key, found.value)));
    pairs
        .filter_map(|(key, value)| fuzz::pair(table, &key, &value).ok())
        .collect()
}

/// Inputs of [`value`] and [`key`] out of a service's store.
pub(super) fn records(service: &str, read: &Snapshot) -> Records {
    let mut records = Records::default();
    for table in TABLES
        .iter()
        .filter(|table| table.name.starts_with(service))
    {
        let (mut keys, name) = (vec![0], format!("{}\n", table.name).into_bytes());
        for (key, value) in (table.samples)(read) {
            records.values.push([&name[..], &[1], &value].concat());
            keys[0] = u8::try_from(key.len()).unwrap_or_default();
            keys.extend(key);
        }
        records.keys.push([name, keys].concat());
    }
    records
}

/// What a store holds, as inputs.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) values: Vec<Vec<u8>>,
}

/// The first line of an input, which names what the rest is.
pub(super) fn named(input: &[u8]) -> Option<(&str, &[u8])> {
    let at = input.iter().position(|byte| *byte == b'\n')?;
    let name = std::str::from_utf8(&input[..at]).ok()?;
    Some((name, &input[at + 1..]))
}
