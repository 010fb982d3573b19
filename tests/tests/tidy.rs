//! Who may use whom, and what no source file may hold.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A source file: its path below the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// It holds tests only.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Lines of code with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(row, line)| {
            let code = line.split("//").next().unwrap_or_default();
            (row + 1, code)
        })
    }

    /// Paths (`a::b`) that begin with the crate or module `name`, also inside of `use` groups.
    fn uses(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (row, code) in self.code() {
            for (at, _) in code.match_indices(name) {
                let before = code[..at].chars().next_back();
                let after = &code[at + name.len()..];
                let starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
                let ends = after.starts_with("::") || after.starts_with(';');
                if starts && ends {
                    found.push(format!("{}:{row}: {}", self.path, code.trim()));
                }
            }
        }
        found
    }
}

fn walk(dir: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.push(Source { path, text });
        }
    }
}

fn sources(below: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    assert!(!found.is_empty(), "{below} holds no source");
    found
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

const SERVICES: [&str; 2] = ["ranking-service", "forecast-service"];

/// The part of the kit that a `use` line or path names: `use almanac_service_kit::plain::…`, or
/// each line of a group.
fn beyond_plain(source: &Source) -> Vec<String> {
    let flat: String = source
        .code()
        .map(|(_, code)| code)
        .collect::<Vec<_>>()
        .join(" ");
    let mut found = Vec::new();
    for (at, name) in flat.match_indices("almanac_service_kit") {
        let rest = flat[at + name.len()..].trim_start();
        let rest = rest.strip_prefix("::").unwrap_or(rest).trim_start();
        if !rest.starts_with("plain::") && !rest.starts_with("plain;") {
            let shown: String = rest.chars().take(60).collect();
            found.push(format!("{}: almanac_service_kit::{shown}", source.path));
        }
    }
    found
}

#[test]
fn the_domain_is_plain() {
    const FORBIDDEN: [&str; 10] = [
        "tonic",
        "prost",
        "prost_types",
        "sled",
        "tokio",
        "almanac_proto",
        "std::time",
        "std::env",
        "tracing",
        "tonic_types",
    ];
    let mut found = Vec::new();
    for service in SERVICES {
        for source in sources(&format!("{service}/src/domain")) {
            // A test may take its time and its seed from outside; a result may not.
            let clocks = ["std::time", "std::env"];
            for name in FORBIDDEN {
                if !(source.is_test() && clocks.contains(&name)) {
                    found.extend(source.uses(name));
                }
            }
            found.extend(beyond_plain(&source));
            for outer in ["grpc", "convert", "store", "error", "compute"] {
                found.extend(source.uses(&format!("crate::{outer}")));
            }
            for (row, code) in source.code() {
                let grouped = code.contains("use std::{") || code.contains("use std::{self");
                let named = ["time::", "env::", "SystemTime", "Instant"];
                if grouped && named.iter().any(|name| code.contains(name)) {
                    found.push(format!("{}:{row}: {}", source.path, code.trim()));
                }
            }
        }
    }
    for source in sources("service-kit/src/plain") {
        for name in FORBIDDEN {
            found.extend(source.uses(name));
        }
        found.extend(source.uses("crate::store"));
    }
    none(
        "domains know no transport, store, clock, environment or log",
        &found,
    );
}

#[test]
fn only_the_store_names_the_engine() {
    let mut found = Vec::new();
    for below in [
        "proto",
        "service-kit",
        "ranking-service",
        "forecast-service",
        "tests/src",
    ] {
        for source in sources(below) {
            if !source.path.starts_with("service-kit/src/store/") {
                found.extend(source.uses("sled"));
            }
        }
    }
    none("only service-kit/src/store names sled", &found);
    for service in SERVICES.into_iter().chain(["proto", "tests"]) {
        let manifest = std::fs::read_to_string(root().join(service).join("Cargo.toml")).unwrap();
        assert!(
            !manifest.lines().any(|line| line.starts_with("sled")),
            "{service} depends on sled"
        );
    }
}

#[test]
fn services_and_kit_keep_apart() {
    let mut found = Vec::new();
    for (service, other) in [SERVICES, [SERVICES[1], SERVICES[0]]].map(|pair| (pair[0], pair[1])) {
        let (other_crate, package) = (
            other.replace('-', "_"),
            other.split('-').next().unwrap().to_owned(),
        );
        for source in sources(service) {
            found.extend(source.uses(&other_crate));
            found.extend(source.uses(&format!("almanac_proto::{package}")));
        }
        let manifest = std::fs::read_to_string(root().join(service).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains(other), "{service} depends on {other}");
    }
    for source in sources("service-kit") {
        for service in SERVICES {
            found.extend(source.uses(&service.replace('-', "_")));
        }
        let flat: String = source
            .code()
            .map(|(_, code)| code.trim())
            .collect::<Vec<_>>()
            .join(" ");
        for (at, name) in flat.match_indices("almanac_proto::") {
            let rest = flat[at + name.len()..].trim_start();
            let allowed = [
                "common::", "Reason", "{Reason", "{ Reason", "{common", "{ common",
            ];
            let shown: String = rest.chars().take(60).collect();
            if !allowed.iter().any(|allowed| rest.starts_with(allowed))
                || shown.contains("ranking::")
                || shown.contains("forecast::")
            {
                found.push(format!("{}: almanac_proto::{shown}", source.path));
            }
        }
    }
    none(
        "services do not know each other, the kit knows neither",
        &found,
    );
}

/// Generated types stop at `convert` and `grpc`.
#[test]
fn the_domain_is_reached_from_above_only() {
    let mut found = Vec::new();
    for service in SERVICES {
        for source in sources(&format!("{service}/src")) {
            if source.path.contains("/src/store") || source.path.contains("/src/convert") {
                found.extend(source.uses("crate::grpc"));
            }
        }
    }
    none("store and convert do not know grpc", &found);
}

#[test]
fn every_file_says_what_it_is_and_is_finished() {
    // Put together here, so that this file does not find itself.
    let unfinished = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut found = Vec::new();
    for below in [
        "proto",
        "service-kit",
        "ranking-service",
        "forecast-service",
        "tests",
    ] {
        for source in sources(below) {
            let begins = source.text.lines().find(|line| !line.trim().is_empty());
            if !begins.is_some_and(|line| line.starts_with("//!")) {
                found.push(format!(
                    "{}: no module documentation at its beginning",
                    source.path
                ));
            }
            for (row, code) in source.code() {
                let ours = source.path.starts_with("tests/");
                let idle = code.contains("#[ignore") || code.contains("sleep(");
                if unfinished.iter().any(|name| code.contains(name.as_str())) || ours && idle {
                    found.push(format!("{}:{row}: {}", source.path, code.trim()));
                }
            }
        }
    }
    found.retain(|line| !line.starts_with("tests/tests/tidy.rs:"));
    none(
        "every file has documentation and nothing unfinished",
        &found,
    );
}
