//! Nothing in a request may be of any size.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{collections::BTreeSet, fs, path::Path};

use almanac_tests::fuzz::sizes::{self, Tried};

/// Ends of paths that are not refused for their size, each for a reason.
const NOT_KEPT: [(&str, &str); 3] = [
    ("etag", "is compared with what is stored, and goes nowhere"),
    (
        "expected_result_digest",
        "is compared with the result, and goes nowhere",
    ),
    (
        "methodology.imputation.group_mean.label",
        "the step is refused as a whole: it is not built",
    ),
];

#[test]
fn every_text_list_and_map_of_the_ranking_service_has_a_limit() {
    nothing_is_of_any_size(&sizes::ranking(&output_only()).unwrap());
}

#[test]
fn every_text_list_and_map_of_the_forecast_service_has_a_limit() {
    nothing_is_of_any_size(&sizes::forecast(&output_only()).unwrap());
}

fn nothing_is_of_any_size(tried: &Tried) {
    let mut faults = Vec::new();
    for (what, fault) in tried {
        let excuse = NOT_KEPT.iter().find(|(end, _)| what.ends_with(end));
        match (fault, excuse) {
            (None, _) | (Some(_), Some(_)) => {}
            (Some(fault), None) => faults.push(format!("{what}: {fault}")),
        }
    }
    let (count, all) = (faults.len(), tried.len());
    assert!(
        faults.is_empty(),
        "{count} of {all}:\n{}",
        faults.join("\n")
    );
    // Fewer would be a walk that does not get anywhere.
    assert!(all > 200, "{all}");
}

/// The fields that are marked as answered only (`Market.uid`): requests may bring them, and they
/// are not read. The generated descriptors do not know that option, so the protos are read.
fn output_only() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for package in ["common", "ranking", "forecast"] {
        let folder = root.join(format!("proto/almanac/{package}/v1"));
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let code = text
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default());
            annotated(&code.collect::<Vec<_>>().join(" "), &mut found);
        }
    }
    found
}

fn annotated(code: &str, found: &mut BTreeSet<String>) {
    let mut blocks: Vec<Option<String>> = Vec::new();
    let mut statement = String::new();
    for character in code.chars() {
        match character {
            '{' => {
                let name = statement.trim().strip_prefix("message ").map(str::to_owned);
                blocks.push(name);
                statement.clear();
            }
            '}' => {
                blocks.pop();
                statement.clear();
            }
            ';' => {
                let head = statement.split('=').next().unwrap_or_default();
                let message = blocks.iter().rev().flatten().next();
                let ignored = ["= OUTPUT_ONLY]", "= IDENTIFIER]"];
                if let (Some(field), Some(message)) = (head.split_whitespace().last(), message)
                    && ignored.iter().any(|mark| statement.contains(mark))
                {
                    found.insert(format!("{message}.{field}"));
                }
                statement.clear();
            }
            other => statement.push(other),
        }
    }
}
