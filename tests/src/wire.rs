//! Short ways to say what requests say.

use almanac_proto::{
    common::v1::Frequency,
    forecast::v1::{self as forecast, published_figure::Figure},
    ranking::v1::{self as ranking, ranking_source::Source},
};

/// A yearly indicator where more is better.
#[must_use]
pub fn indicator(display_name: &str) -> ranking::Indicator {
    ranking::Indicator {
        display_name: display_name.to_owned(),
        direction: ranking::Direction::HigherIsBetter.into(),
        frequency: Frequency::Yearly.into(),
        ..Default::default()
    }
}

/// An inner node; the root where `parent` is empty.
#[must_use]
pub fn inner(id: &str, parent: &str) -> ranking::Node {
    ranking::Node {
        id: id.to_owned(),
        parent: parent.to_owned(),
        ..Default::default()
    }
}

/// A leaf that is called like its indicator.
#[must_use]
pub fn leaf(id: &str, parent: &str) -> ranking::Node {
    ranking::Node {
        indicator: id.to_owned(),
        ..inner(id, parent)
    }
}

/// The latest figure of at most `max_age` years before `year`, normalized so, weighted arithmetic
/// means.
#[must_use]
pub fn methodology(
    method: ranking::normalization::Method,
    year: &str,
    max_age: i32,
) -> ranking::Methodology {
    let mean = ranking::WeightedArithmeticMean {};
    ranking::Methodology {
        periods: Some(ranking::PeriodSelection {
            period: year.to_owned(),
            max_age: Some(max_age),
        }),
        normalization: Some(ranking::Normalization {
            method: Some(method),
            constant_column: None,
        }),
        aggregation: Some(ranking::Aggregation {
            method: Some(ranking::aggregation::Method::ArithmeticMean(mean)),
            minimum_availability: None,
        }),
        ..Default::default()
    }
}

/// Onto 0 to 100.
#[must_use]
pub fn min_max() -> ranking::normalization::Method {
    ranking::normalization::Method::MinMax(ranking::MinMax::default())
}

/// The figures as they are.
#[must_use]
pub fn identity() -> ranking::normalization::Method {
    ranking::normalization::Method::Identity(ranking::Identity {})
}

/// A figure.
#[must_use]
pub fn observation(
    indicator: &str,
    entity: &str,
    period: &str,
    value: f64,
) -> ranking::Observation {
    ranking::Observation {
        indicator: indicator.to_owned(),
        entity: entity.to_owned(),
        period: period.to_owned(),
        state: Some(ranking::observation::State::Value(value)),
        ..Default::default()
    }
}

/// The index over the data as they are.
#[must_use]
pub fn live(index: &str) -> Option<ranking::RankingSource> {
    let live = ranking::LiveRanking {
        index: index.to_owned(),
        ..Default::default()
    };
    Some(ranking::RankingSource {
        source: Some(Source::Live(live)),
    })
}

/// A published edition.
#[must_use]
pub fn edition(name: &str) -> Option<ranking::RankingSource> {
    Some(ranking::RankingSource {
        source: Some(Source::Edition(name.to_owned())),
    })
}

/// A member of a dimension; the root where `parent` is empty.
#[must_use]
pub fn member(id: &str, parent: &str, display_name: &str) -> forecast::Member {
    forecast::Member {
        id: id.to_owned(),
        parent: parent.to_owned(),
        display_name: display_name.to_owned(),
        ..Default::default()
    }
}

/// A yearly market over regions whose values cannot be negative.
#[must_use]
pub fn market(display_name: &str, unit: &str, regions: Vec<forecast::Member>) -> forecast::Market {
    let region = forecast::Dimension {
        id: "region".to_owned(),
        display_name: "Region".to_owned(),
        members: regions,
    };
    forecast::Market {
        display_name: display_name.to_owned(),
        unit: unit.to_owned(),
        frequency: Frequency::Yearly.into(),
        nonnegative: true,
        dimensions: vec![region],
        ..Default::default()
    }
}

/// The series of a region.
#[must_use]
pub fn region(id: &str) -> Option<forecast::SeriesKey> {
    let members = [("region".to_owned(), id.to_owned())];
    Some(forecast::SeriesKey {
        members: members.into(),
    })
}

/// The region that a series is of; empty where it names none.
#[must_use]
pub fn region_of(series: Option<&forecast::SeriesKey>) -> &str {
    series
        .and_then(|series| series.members.get("region"))
        .map_or("", String::as_str)
}

/// A figure of a region.
#[must_use]
pub fn point(of: &str, period: &str, value: f64) -> forecast::Point {
    forecast::Point {
        series: region(of),
        period: period.to_owned(),
        state: Some(forecast::point::State::Value(value)),
        ..Default::default()
    }
}

/// A number as it was printed: its digits say the rounding.
#[must_use]
pub fn rounded(decimal: &str) -> Option<forecast::PrintedNumber> {
    Some(forecast::PrintedNumber {
        decimal: decimal.to_owned(),
        half_width: None,
    })
}

/// A number that is meant exactly.
#[must_use]
pub fn exact(decimal: &str) -> Option<forecast::PrintedNumber> {
    Some(forecast::PrintedNumber {
        decimal: decimal.to_owned(),
        half_width: Some(0.0),
    })
}

/// A published value of a region.
#[must_use]
pub fn value_figure(
    id: &str,
    of: &str,
    period: &str,
    value: Option<forecast::PrintedNumber>,
) -> forecast::PublishedFigure {
    let value = forecast::NodeValue {
        node: region(of),
        period: period.to_owned(),
        value,
    };
    forecast::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Figure::Value(value)),
    }
}

/// A published growth of a region.
#[must_use]
pub fn growth_figure(
    id: &str,
    of: &str,
    (from, to): (&str, &str),
    percent: Option<forecast::PrintedNumber>,
) -> forecast::PublishedFigure {
    let growth = forecast::NodeGrowth {
        node: region(of),
        from_period: from.to_owned(),
        to_period: to.to_owned(),
        percent,
    };
    forecast::PublishedFigure {
        id: id.to_owned(),
        figure: Some(Figure::Growth(growth)),
    }
}

/// A forecast by drift over so many periods, bottom-up.
#[must_use]
pub fn drift(horizon: i32) -> forecast::Forecast {
    use forecast::{forecast_method::Method, reconciliation_method::Method as Reconciliation};

    forecast::Forecast {
        method: Some(forecast::ForecastMethod {
            method: Some(Method::Drift(forecast::Drift {})),
        }),
        reconciliation: Some(forecast::ReconciliationMethod {
            method: Some(Reconciliation::BottomUp(forecast::BottomUp {})),
        }),
        horizon,
        ..Default::default()
    }
}
