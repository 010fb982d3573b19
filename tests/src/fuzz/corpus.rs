//! The kept inputs: a folder for each target, a file for each input.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use almanac_service_kit::{fuzz, page::Page};

use super::{Target, stored::Records, world::World};

/// Where the inputs of a target are kept.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

/// The kept inputs of a target, by file name.
///
/// # Errors
/// If the folder cannot be read.
pub fn read(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Keeps an input under a name of its kind and content; says where.
///
/// # Errors
/// If it cannot be written.
pub fn keep(target: &Target, kind: &str, input: &[u8]) -> io::Result<PathBuf> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    let hash = blake3::hash(input).to_hex();
    let path = folder.join(format!("{kind}-{}", &hash[..12]));
    fs::write(&path, input)?;
    Ok(path)
}

/// Valid inputs of a target, with a name for each: made from requests that a service took, and from
/// what it then kept.
#[must_use]
pub fn samples(target: &Target) -> Vec<(String, Vec<u8>)> {
    let texts = |texts: &[&str]| -> Vec<(String, Vec<u8>)> {
        let numbered = texts.iter().zip(1..);
        numbered
            .map(|(text, number)| (format!("sample-{number}"), text.as_bytes().to_vec()))
            .collect()
    };
    match target.name {
        "store-file" => numbered(fuzz::samples().into_iter().map(|(name, bytes)| {
            let head = format!("{name}\n").into_bytes();
            [head, bytes].concat()
        })),
        "store-key" => numbered(
            records()
                .into_iter()
                .flat_map(|records| records.keys.clone()),
        ),
        "store-value" => numbered(
            records()
                .into_iter()
                .flat_map(|records| records.values.clone()),
        ),
        "filter" => texts(&[
            "",
            "id = new-york",
            "labels.region = \"asia\" AND (id = a OR display_name:\"yo\\\"rk\")",
            "NOT labels:country OR -id != 'x' AND id >= a AND id < o AND display_name:*",
        ]),
        "name" => texts(&["datasets/d/entities/e", "datasets/other/entities/e-1", "e"]),
        "ordinal" => numbered((0..7_u8).map(|frequency| {
            let (ordinal, distance) = (2023_i64.to_le_bytes(), (-7_i64).to_le_bytes());
            [&[frequency][..], &ordinal, &distance].concat()
        })),
        "page-token" => {
            let page = Page::open("List", &"arguments".to_owned(), 0, "");
            let token = page.map(|page| page.next("revision", "entity-1"));
            texts(&["", "17", &token.unwrap_or_default()])
        }
        "period" => texts(&[
            "2023",
            "2023-S1",
            "2023-Q2",
            "2023-07",
            "2020-W53",
            "2024-02-29",
            "9999-12-31T23",
        ]),
        "printed-decimal" => texts(&["42", "-3.5", "0.10", "+120", "12345678901234567890.5"]),
        "revision-token" => [1_u64, 6, u64::MAX]
            .map(|revision| {
                (
                    format!("sample-{revision}"),
                    fuzz::revision_token(revision).into(),
                )
            })
            .into(),
        _ => target
            .world
            .map(|world| requests(world()))
            .unwrap_or_default(),
    }
}

fn numbered(inputs: impl Iterator<Item = Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let named = inputs.zip(1..).map(|(input, number)| {
        let first = input
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let first = std::str::from_utf8(first)
            .unwrap_or_default()
            .replace('/', "-");
        let plain = !first.is_empty()
            && first
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let name = if plain { first } else { "sample".to_owned() };
        (format!("{name}-{number}"), input)
    });
    named.collect()
}

fn records() -> [&'static Records; 2] {
    [
        &super::calls::ranking_world().records,
        &super::calls::forecast_world().records,
    ]
}

fn requests(world: &World) -> Vec<(String, Vec<u8>)> {
    numbered(
        world
            .samples
            .iter()
            .map(|(method, request)| [format!("{method}\n").as_bytes(), &request[..]].concat()),
    )
}
