//! docs/limits.md tells every limit that can be set, and only reasons that there are.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{collections::BTreeSet, fs, path::Path};

use almanac_service_kit::run::Config;

/// Settings that limit nothing.
const NO_LIMITS: [&str; 4] = ["listen", "data-dir", "log-format", "log-filter"];
/// Capitals with underscores that are no reasons: codes.
const CODES: [&str; 4] = [
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "RESOURCE_EXHAUSTED",
];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn every_setting_that_limits_something_is_told_with_its_default() {
    let told = read("docs/limits.md");
    for setting in Config::settings(&ranking_service::PROGRAM) {
        if NO_LIMITS.contains(&setting.key) {
            continue;
        }
        let key = format!("`{}`", setting.key);
        let row = told.lines().find(|line| line.contains(&key));
        let row = row.unwrap_or_else(|| unreachable!("{key} is not told"));
        let default = setting.default.unwrap();
        let plain = row.replace(',', "");
        // 0 means that the machine says.
        assert!(
            default == "0" || plain.contains(&format!(" {default}")),
            "{row}"
        );
    }
}

#[test]
fn every_reason_is_one_and_every_exhaustion_is_told() {
    let told = read("docs/limits.md");
    let mut reasons = BTreeSet::new();
    for package in ["common", "ranking", "forecast"] {
        let proto = read(&format!("proto/almanac/{package}/v1/error_reason.proto"));
        let mut exhausted = false;
        for line in proto.lines() {
            exhausted |= line.trim_start().starts_with("// RESOURCE_EXHAUSTED");
            let Some((name, _)) = line
                .trim()
                .strip_prefix("ERROR_REASON_")
                .and_then(|rest| rest.split_once(" = "))
            else {
                continue;
            };
            assert!(!exhausted || told.contains(name), "{name} is not told");
            exhausted = false;
            reasons.insert(name.to_owned());
        }
    }
    let words = told.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    for word in words.filter(|word| word.len() > 2 && word.contains('_')) {
        assert!(reasons.contains(word) || CODES.contains(&word), "{word}");
    }
}
