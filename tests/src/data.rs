//! The demo's data, as shipped in `data/`.

use crate::Outcome;

/// An indicator of the world-cities data set, with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// Its ID.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The pillar that it belongs to.
    pub pillar: String,
    /// Unit of its values.
    pub unit: String,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// ID of the source.
    pub source: String,
    /// License of its values.
    pub license: String,
    /// The attribution that the license asks for.
    pub attribution: String,
}

/// A city.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct City {
    /// Its ID.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Name of its country.
    pub country: String,
    /// Its country by ISO 3166-1 alpha-3.
    pub iso3: String,
    /// Continent.
    pub region: String,
    /// Market region.
    pub subregion: String,
}

/// A cell of the world-cities data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// ID of the city.
    pub city: String,
    /// ID of the indicator.
    pub indicator: String,
    /// The year.
    pub period: String,
    /// The value; none where missing.
    pub value: Option<f64>,
    /// ID of the source.
    pub source: String,
}

/// The world-cities data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Cities {
    /// 14 indicators.
    pub indicators: Vec<Indicator>,
    /// 74 cities.
    pub cities: Vec<City>,
    /// A cell for each city and indicator.
    pub cells: Vec<Cell>,
}

/// A country of the GDP data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 alpha-3, in lower case.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// ID of its region.
    pub region: String,
}

/// GDP of a country in a year.
#[derive(Debug, Clone, PartialEq)]
pub struct Gdp {
    /// ID of the country.
    pub country: String,
    /// The year.
    pub period: String,
    /// In US dollars.
    pub dollars: f64,
}

const INDICATORS: [&str; 2] = [
    include_str!("../data/cities/indicators.csv"),
    include_str!("../data/cities/odbl/indicators.csv"),
];
const OBSERVATIONS: [&str; 2] = [
    include_str!("../data/cities/observations.csv"),
    include_str!("../data/cities/odbl/observations.csv"),
];
const CITIES: &str = include_str!("../data/cities/cities.csv");
const REGIONS: &str = include_str!("../data/gdp/regions.csv");
const GDP: &str = include_str!("../data/gdp/gdp_worldbank.csv");

/// The three subregions that are the market region Asia.
pub const ASIA: [&str; 3] = [
    "Far East & China",
    "Indian Subcontinent",
    "Rest of Asia Pacific",
];

/// The world-cities data set: the openly licensed indicators and the ODbL ones.
///
/// # Errors
/// If a file is not as its README says.
pub fn cities() -> Outcome<Cities> {
    let mut data = Cities {
        indicators: Vec::new(),
        cities: Vec::new(),
        cells: Vec::new(),
    };
    for file in INDICATORS {
        data.indicators.extend(rows(file, |row| {
            Ok(Indicator {
                id: row.text("id")?,
                name: row.text("name")?,
                pillar: row.text("pillar")?,
                unit: row.text("unit")?,
                higher_is_better: row.text("direction")? == "1",
                source: row.text("source")?,
                license: row.text("license")?,
                attribution: row.text("attribution")?,
            })
        })?);
    }
    data.cities = rows(CITIES, |row| {
        Ok(City {
            id: row.text("id")?,
            name: row.text("name")?,
            country: row.text("country")?,
            iso3: row.text("iso3")?,
            region: row.text("region")?,
            subregion: row.text("subregion")?,
        })
    })?;
    for file in OBSERVATIONS {
        data.cells.extend(rows(file, |row| {
            let value = row.text("value")?;
            Ok(Cell {
                city: row.text("city")?,
                indicator: row.text("indicator")?,
                period: row.text("period")?,
                value: if value.is_empty() {
                    None
                } else {
                    Some(value.parse()?)
                },
                source: row.text("source")?,
            })
        })?);
    }
    Ok(data)
}

/// The countries of the GDP data set, by region.
///
/// # Errors
/// If the file is not as its README says.
pub fn countries() -> Outcome<Vec<Country>> {
    rows(REGIONS, |row| {
        Ok(Country {
            id: row.text("country_code")?.to_lowercase(),
            name: row.text("country_name")?,
            region: row.text("region")?,
        })
    })
}

/// GDP by country and year.
///
/// # Errors
/// If the file is not as its README says.
pub fn gdp() -> Outcome<Vec<Gdp>> {
    rows(GDP, |row| {
        Ok(Gdp {
            country: row.text("Country Code")?.to_lowercase(),
            period: row.text("Year")?,
            dollars: row.text("Value")?.parse()?,
        })
    })
}

/// A name as an ID or a label's value: `Far East & China` gives `far-east-china`.
#[must_use]
pub fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

/// A line of a file, by the names of its columns.
struct Row<'a> {
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn text(&self, column: &str) -> Outcome<String> {
        let place = self.header.iter().position(|name| name == column);
        let cell = place.and_then(|place| self.record.get(place));
        Ok(cell
            .ok_or_else(|| format!("no column {column}"))?
            .to_owned())
    }
}

fn rows<T>(file: &str, read: impl Fn(&Row<'_>) -> Outcome<T>) -> Outcome<Vec<T>> {
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let header = reader.headers()?.clone();
    let mut found = Vec::new();
    for record in reader.records() {
        found.push(read(&Row {
            header: &header,
            record: &record?,
        })?);
    }
    Ok(found)
}
