//! What the tests of the domain share: reference tables, small builders, a golden counter.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(unreachable_pub, reason = "shared by test binaries, exported by none")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ranking_service::domain::column::Column;
use ranking_service::domain::direction::Direction;
use ranking_service::domain::entities::Entities;
use ranking_service::domain::framework::{Framework, Node};
use ranking_service::domain::methodology::{
    ConstantColumn, Methodology, Normalization, NormalizationMethod,
};

/// The folder of reference answers, or why the test cannot run.
pub fn reference(folder: &str) -> Result<PathBuf, String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("ALMANAC_SHARED").map_or_else(beside, PathBuf::from);
    let path = shared.join("reference/ranking").join(folder);
    if path.is_dir() {
        Ok(path)
    } else {
        let path = path.display();
        Err(format!(
            "skipped: no reference answers at {path} (ALMANAC_SHARED names the folder)"
        ))
    }
}

/// A CSV file: text cells by column name.
pub struct Table {
    columns: BTreeMap<String, Vec<String>>,
    header: Vec<String>,
}

impl Table {
    pub fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let header: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in reader.records() {
            for (name, cell) in header.iter().zip(&record.unwrap()) {
                columns
                    .entry(name.clone())
                    .or_default()
                    .push(cell.to_owned());
            }
        }
        Self { columns, header }
    }

    pub fn header(&self) -> &[String] {
        &self.header
    }

    pub fn text(&self, column: &str) -> &[String] {
        self.columns
            .get(column)
            .unwrap_or_else(|| panic!("no column {column}"))
    }

    pub fn numbers(&self, column: &str) -> Vec<Option<f64>> {
        self.text(column).iter().map(|cell| number(cell)).collect()
    }

    /// The rows of a column in the order of ids.
    pub fn numbers_by(&self, key: &str, ids: &[String], column: &str) -> Vec<Option<f64>> {
        let cells = self.numbers(column);
        let place: BTreeMap<&str, usize> = self
            .text(key)
            .iter()
            .enumerate()
            .map(|(row, id)| (id.as_str(), row))
            .collect();
        ids.iter().map(|id| cells[place[id.as_str()]]).collect()
    }
}

pub fn number(cell: &str) -> Option<f64> {
    match cell {
        "" | "NA" | "nan" => None,
        text => Some(
            text.parse()
                .unwrap_or_else(|_| panic!("'{text}' is no number")),
        ),
    }
}

/// Counts cells that agree with a reference and remembers those that do not.
#[derive(Default)]
pub struct Golden {
    pub checked: usize,
    faults: Vec<String>,
}

impl Golden {
    /// |ours - reference| <= 1e-9 max(|reference|, s), s the largest |reference| of the column.
    pub fn scores(&mut self, what: &str, ours: &[Option<f64>], reference: &[Option<f64>]) {
        assert_eq!(ours.len(), reference.len(), "{what}");
        let scale = reference
            .iter()
            .flatten()
            .fold(0.0_f64, |scale, cell| scale.max(cell.abs()));
        for (row, (ours, reference)) in ours.iter().zip(reference).enumerate() {
            let agree = match (ours, reference) {
                (Some(ours), Some(reference)) => (ours - reference).abs() <= 1e-9 * scale,
                (None, None) => true,
                _ => false,
            };
            self.count(agree, || {
                format!("{what}, row {row}: {ours:?}, not {reference:?}")
            });
        }
    }

    pub fn ranks(&mut self, what: &str, ours: &[Option<i32>], reference: &[Option<f64>]) {
        assert_eq!(ours.len(), reference.len(), "{what}");
        for (row, (ours, reference)) in ours.iter().zip(reference).enumerate() {
            let agree = ours.map(f64::from) == *reference;
            self.count(agree, || {
                format!("{what}, row {row}: {ours:?}, not {reference:?}")
            });
        }
    }

    fn count(&mut self, agree: bool, fault: impl FnOnce() -> String) {
        self.checked += 1;
        if !agree {
            self.faults.push(fault());
        }
    }

    /// Fails with the first disagreements, if there are any.
    pub fn settle(self, name: &str) -> usize {
        let shown: Vec<_> = self.faults.iter().take(10).collect();
        assert!(
            self.faults.is_empty(),
            "{name}: {} of {} cells differ: {shown:#?}",
            self.faults.len(),
            self.checked
        );
        self.checked
    }
}

/// Reference ranks without the ties that rounding noise broke: entities of one group whose reference
/// scores differ by less than 1e-12 max(1, |score|) take the better rank. Without it 5.1 and
/// 5.1000000000000005 (TolMin of BGR, CZE, GRC) would have to rank apart.
pub fn tied(ranks: &[Option<f64>], scores: &[Option<f64>], groups: &[u32]) -> Vec<Option<f64>> {
    let rows = || 0..ranks.len();
    let best = |row: usize| {
        let score = scores[row]?;
        let same = rows().filter(|&other| groups[other] == groups[row]);
        let near = same.filter(|&other| {
            let distance = scores[other].map(|other| (other - score).abs());
            distance.is_some_and(|distance| distance < 1e-12 * score.abs().max(1.0))
        });
        near.filter_map(|other| ranks[other]).reduce(f64::min)
    };
    rows().map(best).collect()
}

pub fn node(id: &str, parent: Option<&str>, weight: f64, indicator: Option<&str>) -> Node {
    Node {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        weight,
        indicator: indicator.map(str::to_owned),
        display_name: id.to_owned(),
    }
}

pub fn normalization(method: NormalizationMethod) -> Normalization {
    Normalization {
        method,
        constant_column: ConstantColumn::Error,
    }
}

pub fn methodology(method: NormalizationMethod) -> Methodology {
    Methodology {
        normalization: normalization(method),
        ..Methodology::default()
    }
}

pub fn column(cells: &[Option<f64>]) -> Column {
    Column::from_options(cells).unwrap()
}

pub fn entities(ids: &[String]) -> Entities {
    Entities::new(ids.to_vec()).unwrap()
}

/// The ASEM index: its tree, directions and units, as the reference files have them.
pub struct Asem {
    folder: PathBuf,
    pub nodes: Vec<Node>,
    pub directions: BTreeMap<String, Direction>,
    pub levels: BTreeMap<String, String>,
    pub units: Vec<String>,
}

impl Asem {
    pub fn load(folder: PathBuf) -> Self {
        let meta = Table::read(&folder.join("meta.csv"));
        let mut asem = Self {
            nodes: Vec::new(),
            directions: BTreeMap::new(),
            levels: BTreeMap::new(),
            units: Table::read(&folder.join("normalised.csv"))
                .text("uCode")
                .to_vec(),
            folder,
        };
        for row in 0..meta.text("iCode").len() {
            let cell = |column: &str| meta.text(column)[row].as_str();
            let (id, parent, kind) = (cell("iCode"), cell("Parent"), cell("Type"));
            if kind != "Indicator" && kind != "Aggregate" {
                continue;
            }
            let parent = Some(parent).filter(|parent| !parent.is_empty());
            let indicator = (kind == "Indicator").then_some(id);
            asem.nodes
                .push(node(id, parent, number(cell("Weight")).unwrap(), indicator));
            asem.levels.insert(id.to_owned(), cell("Level").to_owned());
            let direction = match cell("Direction") {
                "-1" => Direction::LowerIsBetter,
                _ => Direction::HigherIsBetter,
            };
            asem.directions.insert(id.to_owned(), direction);
        }
        asem
    }

    pub fn table(&self, name: &str) -> Table {
        Table::read(&self.folder.join(name))
    }

    pub fn framework(&self) -> Framework {
        Framework::new(self.nodes.clone()).unwrap()
    }

    /// The columns of a file by indicator, rows in the order of the units.
    pub fn columns(&self, name: &str) -> BTreeMap<String, Column> {
        let table = self.table(name);
        let indicators = self.nodes.iter().filter_map(|node| node.indicator.clone());
        indicators
            .map(|id| {
                let cells = table.numbers_by("uCode", &self.units, &id);
                (id, column(&cells))
            })
            .collect()
    }
}
