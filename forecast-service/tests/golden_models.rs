//! The simple models against R's forecast 8.20 and statsforecast 2.1.1 on 100 series of M3.
//!
//! The values are described in `reference/forecast/README.md` of the shared data; tolerance 1e-8
//! as given there. statsforecast's `Drift` divides by another count and is no target.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking and says what it skipped, in its helpers too"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use forecast_service::domain::bottom_up::{Question, forecast_one};
use forecast_service::domain::models::Model;

const TOLERANCE: f64 = 1e-8;

fn shared() -> PathBuf {
    std::env::var_os("ALMANAC_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    )
}

/// A series' season length and its training values.
type Series = (usize, Vec<Option<f64>>);

fn m3(shared: &Path) -> Option<BTreeMap<String, Series>> {
    let file = shared.join("data/m3/m3.csv.gz");
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output().ok()?;
    let mut rows = csv::Reader::from_reader(unpacked.stdout.as_slice());
    let headers = rows.headers().ok()?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let (id, season) = (column("unique_id")?, column("m")?);
    let (split, y) = (column("split")?, column("y")?);
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    for row in rows.records() {
        let row = row.ok()?;
        if row[split].eq_ignore_ascii_case("train") {
            let season = row[season].parse().ok()?;
            let entry = series
                .entry(row[id].to_owned())
                .or_insert((season, Vec::new()));
            entry.1.push(Some(row[y].parse().ok()?));
        }
    }
    (!series.is_empty()).then_some(series)
}

/// Our model for one of a reference file, if it is a target.
fn model(file: &str, name: &str, season_length: usize) -> Option<Model> {
    match (file, name) {
        ("R_forecasts.csv", "naive") => Some(Model::Naive),
        ("R_forecasts.csv", "rwf_drift") => Some(Model::Drift),
        ("R_forecasts.csv", "snaive") | ("sf_forecasts.csv", "SeasonalNaive") => {
            Some(Model::SeasonalNaive { season_length })
        }
        _ => None,
    }
}

/// Tells that a golden case ran, also to the file that counts them: cargo shows nothing of what a
/// passing test prints.
fn tell(name: &str, told: &str) {
    println!("golden: {name}: {told}");
    if let Some(path) = std::env::var_os("ALMANAC_GOLDEN_LOG") {
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        std::io::Write::write_all(&mut log, format!("golden: {name}\n").as_bytes()).unwrap();
    }
}

#[test]
fn simple_models() {
    let shared = shared();
    let reference = shared.join("reference/forecast");
    if !reference.is_dir() {
        println!("skipped: no reference values at {}", reference.display());
        return;
    }
    let Some(series) = m3(&shared) else {
        println!("skipped: no M3 data, or no gzip to unpack it");
        return;
    };
    let mut checked = BTreeMap::new();
    for file in ["R_forecasts.csv", "sf_forecasts.csv"] {
        let path = reference.join(file);
        let rows = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path);
        for row in rows.unwrap().records() {
            let row = row.unwrap();
            let (season, values) = &series[&row[0]];
            let Some(model) = model(file, &row[1], *season) else {
                continue;
            };
            let horizon: usize = row[2].parse().unwrap();
            let question = Question {
                model,
                horizon,
                levels: &[0.8, 0.95],
                nonnegative: false,
            };
            let outlook = forecast_one(values, &question).unwrap();
            let at = |steps: &[f64]| steps[horizon - 1];
            let mut ours = vec![at(&outlook.means)];
            for limits in &outlook.intervals {
                ours.extend([at(&limits.lower), at(&limits.upper)]);
            }
            assert_eq!(ours.len(), 5);
            for (column, ours) in ours.iter().enumerate() {
                let theirs: f64 = row[3 + column].parse().unwrap();
                let size = theirs.abs().max(at(&outlook.means).abs());
                assert!((ours - theirs).abs() <= TOLERANCE * size, "{row:?}: {ours}");
            }
            *checked.entry(row[1].to_owned()).or_insert(0) += ours.len();
        }
    }
    assert_eq!(checked.len(), 4, "{checked:?}");
    let total: usize = checked.values().sum();
    tell(
        "simple models",
        &format!("{total} values checked {checked:?}"),
    );
}
