//! Requests of the forecast service.

use almanac_proto::{
    common::v1::{ImportFinish, ImportStart, Missing, OnError},
    forecast::v1::{
        self as pb, forecast_method::Method, import_points_request::Frame, point::State,
        published_figure::Figure, solve_published_figures_request::Structure,
    },
};
use prost_types::{Duration, FieldMask};

use super::{Samples, add, add_stream, request_id, standard};
use crate::wire::{exact, growth_figure, market, member, point, region, rounded, value_figure};

const MARKET: &str = "markets/spend";
const FORECAST: &str = "markets/spend/forecasts/next";
const REGIONS: [&str; 3] = ["far-east", "south", "rest"];

/// Requests of the forecast service, in an order in which each is possible.
pub(in crate::fuzz) fn forecast() -> Samples {
    let mut samples = Samples::new();
    markets(&mut samples);
    points(&mut samples);
    forecasts(&mut samples);
    figures(&mut samples);
    lists(&mut samples);
    endings(&mut samples);
    standard::forecast(&mut samples);
    samples
}

fn regions() -> Vec<pb::Member> {
    let mut members = vec![member("asia", "", "Asia")];
    members.extend(REGIONS.map(|id| member(id, "asia", "A region")));
    members
}

fn markets(samples: &mut Samples) {
    let mut spend = market("Spend", "bn USD", regions());
    let kinds = vec![
        member("all", "", ""),
        member("hardware", "all", ""),
        member("software", "all", ""),
    ];
    spend.dimensions.push(pb::Dimension {
        id: "component".to_owned(),
        members: kinds,
        ..Default::default()
    });
    spend.measurement_basis = Some(pb::MeasurementBasis {
        currency: "USD".to_owned(),
        taxonomy_version: "3".to_owned(),
        exchange_rates: Some(pb::measurement_basis::ExchangeRates::ConstantExchangeRates(
            pb::ConstantExchangeRates {
                period: "2023".to_owned(),
            },
        )),
        price_basis: Some(pb::measurement_basis::PriceBasis::RealPrices(
            pb::RealPrices { base_year: 2020 },
        )),
        measure_kind: pb::MeasureKind::Flow.into(),
    });
    let create = pb::CreateMarketRequest {
        market_id: "spend".to_owned(),
        market: Some(spend),
        request_id: request_id(1),
        ..Default::default()
    };
    add(samples, "CreateMarket", &create);
    let create = pb::CreateMarketRequest {
        market_id: "small".to_owned(),
        market: Some(market("Small", "units", regions())),
        ..Default::default()
    };
    add(samples, "CreateMarket", &create);
    let update = pb::UpdateMarketRequest {
        market: Some(pb::Market {
            name: MARKET.to_owned(),
            description: "Smart-city spend.".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["description".to_owned()],
        }),
        ..Default::default()
    };
    add(samples, "UpdateMarket", &update);
}

fn series(region: &str, component: &str) -> Option<pb::SeriesKey> {
    let members = [("region", region), ("component", component)];
    Some(pb::SeriesKey {
        members: members
            .map(|(dimension, member)| (dimension.to_owned(), member.to_owned()))
            .into(),
    })
}

fn points(samples: &mut Samples) {
    let mut rows = Vec::new();
    for (step, region) in (1_u8..).zip(REGIONS) {
        for component in ["hardware", "software"] {
            for year in 0..6_u8 {
                let value = f64::from(step) * 1.5 + f64::from(year) * 0.25;
                rows.push(pb::Point {
                    series: series(region, component),
                    ..point("", &(2018 + u32::from(year)).to_string(), value)
                });
            }
        }
    }
    rows[0].bounds = Some(pb::Bounds {
        meaning: Some(pb::bounds::Meaning::ProbabilityInterval(
            pb::ProbabilityInterval { level: 0.9 },
        )),
        lower: Some(1.0),
        upper: Some(2.0),
    });
    rows[1].status = pb::PointStatus::Published.into();
    rows[1].source = "press release".to_owned();
    let write = pb::WritePointsRequest {
        parent: MARKET.to_owned(),
        points: rows,
        request_id: request_id(2),
        ..Default::default()
    };
    add(samples, "WritePoints", &write);
    let frame = |frame| pb::ImportPointsRequest { frame: Some(frame) };
    let mut missing = point("south", "2021", 0.0);
    missing.state = Some(State::Missing(Missing::default()));
    let stream = [
        frame(Frame::Start(ImportStart {
            parent: "markets/small".to_owned(),
            import_id: request_id(3),
            on_error: OnError::RejectRow.into(),
            ..Default::default()
        })),
        frame(Frame::Chunk(pb::ImportChunk {
            sequence: 1,
            points: vec![
                point("south", "2020", 4.0),
                missing,
                point("nowhere", "2020", 1.0),
            ],
        })),
        frame(Frame::Finish(ImportFinish { total_chunks: 1 })),
    ];
    add_stream(samples, "ImportPoints", &stream);
}

fn seasonal() -> Option<pb::ForecastMethod> {
    let method = pb::SeasonalNaive {
        season_length: Some(4),
    };
    Some(pb::ForecastMethod {
        method: Some(Method::SeasonalNaive(method)),
    })
}

fn forecasts(samples: &mut Samples) {
    let one = pb::ForecastSeriesRequest {
        series: Some(pb::InputSeries {
            values: vec![1.0, 2.0, 3.0, 4.5, 0.0, 2.0, 3.5, 4.0, 1.0],
            missing: vec![4],
            first_period: "2021-Q3".to_owned(),
            ..Default::default()
        }),
        method: seasonal(),
        horizon: 5,
        levels: vec![0.5, 0.95],
    };
    add(samples, "ForecastSeries", &one);
    let create = pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: "next".to_owned(),
        forecast: Some(pb::Forecast {
            method: Some(pb::ForecastMethod {
                method: Some(Method::Drift(pb::Drift {})),
            }),
            reconciliation: Some(pb::ReconciliationMethod {
                method: Some(pb::reconciliation_method::Method::BottomUp(pb::BottomUp {})),
            }),
            horizon: 3,
            last_period: "2023".to_owned(),
            levels: vec![0.8],
            notes: "First.".to_owned(),
            ..Default::default()
        }),
        wait: Some(Duration {
            seconds: 30,
            nanos: 0,
        }),
        ..Default::default()
    };
    add(samples, "CreateForecast", &create);
    let get = pb::GetForecastRequest {
        name: FORECAST.to_owned(),
        ..Default::default()
    };
    add(samples, "GetForecast", &get);
    let verify = pb::VerifyForecastRequest {
        name: FORECAST.to_owned(),
    };
    add(samples, "VerifyForecast", &verify);
    let values = pb::ListForecastValuesRequest {
        parent: FORECAST.to_owned(),
        filter: "members.region:asia AND members.component = all".to_owned(),
        ..Default::default()
    };
    add(samples, "ListForecastValues", &values);
    let cancel = pb::CancelForecastRequest {
        name: FORECAST.to_owned(),
        ..Default::default()
    };
    add(samples, "CancelForecast", &cancel);
}

fn figures(samples: &mut Samples) {
    let span = ("2023", "2028");
    let mut figures = vec![
        value_figure("base", "asia", "2023", rounded("19")),
        value_figure("end", "asia", "2028", exact("42")),
        growth_figure("far-east", "far-east", span, rounded("76")),
        growth_figure("south", "south", span, rounded("231")),
        growth_figure("rest", "rest", span, rounded("303")),
    ];
    let node = |id: &str, period: &str| pb::NodePeriod {
        node: region(id),
        period: period.to_owned(),
    };
    let more = [
        Figure::Share(pb::NodeShare {
            node: region("far-east"),
            whole: region("asia"),
            period: "2023".to_owned(),
            percent: rounded("75"),
        }),
        Figure::Bound(pb::NodeBound {
            node: region("rest"),
            period: "2028".to_owned(),
            at_least: rounded("1"),
            at_most: None,
        }),
        Figure::Sum(pb::NodeSum {
            terms: vec![node("south", "2023"), node("rest", "2023")],
            value: rounded("4.6"),
        }),
        Figure::Comparison(pb::NodeComparison {
            left: Some(node("asia", "2028")),
            right: Some(node("asia", "2023")),
            relation: Some(pb::node_comparison::Relation::AtLeastTimes(
                pb::PrintedNumber {
                    decimal: "2".to_owned(),
                    half_width: Some(0.5),
                },
            )),
        }),
    ];
    figures.extend(more.into_iter().zip(1..).map(|(figure, number)| {
        let figure = Some(figure);
        let id = format!("more-{number}");
        pb::PublishedFigure { id, figure }
    }));
    let ask = pb::SolvePublishedFiguresRequest {
        structure: Some(Structure::Dimensions(pb::Dimensions {
            dimensions: market("", "", regions()).dimensions,
        })),
        figures,
        nonnegative: Some(true),
        prior_weights: vec![pb::PriorWeight {
            node: region("south"),
            period: "2023".to_owned(),
            weight: 2.0,
        }],
        growth_pairs: vec![pb::GrowthPair {
            node: region("asia"),
            from_period: "2023".to_owned(),
            to_period: "2028".to_owned(),
        }],
        ..Default::default()
    };
    add(samples, "SolvePublishedFigures", &ask);
    let conflict = pb::SolvePublishedFiguresRequest {
        structure: Some(Structure::Market("markets/small".to_owned())),
        figures: vec![
            value_figure("all", "asia", "2023", exact("10")),
            value_figure("part", "south", "2023", exact("11")),
        ],
        ..Default::default()
    };
    add(samples, "SolvePublishedFigures", &conflict);
}

fn lists(samples: &mut Samples) {
    let list = pb::ListMarketsRequest {
        filter: "display_name:spend".to_owned(),
        ..Default::default()
    };
    add(samples, "ListMarkets", &list);
    let list = pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        filter: "members.region:asia AND status = ACTUAL".to_owned(),
        from_period: "2019".to_owned(),
        to_period: "2021".to_owned(),
        include_aggregates: true,
        ..Default::default()
    };
    add(samples, "ListPoints", &list);
    let list = pb::ListPointVersionsRequest {
        parent: MARKET.to_owned(),
        series: series("south", "software"),
        period: "2020".to_owned(),
        ..Default::default()
    };
    add(samples, "ListPointVersions", &list);
    let list = pb::ListForecastsRequest {
        parent: MARKET.to_owned(),
        filter: "state = PUBLISHED".to_owned(),
        ..Default::default()
    };
    add(samples, "ListForecasts", &list);
    for source in [
        pb::summarize_growth_request::Source::Market(MARKET.to_owned()),
        pb::summarize_growth_request::Source::Forecast(FORECAST.to_owned()),
    ] {
        let growth = pb::SummarizeGrowthRequest {
            source: Some(source),
            from_period: "2020".to_owned(),
            to_period: "2023".to_owned(),
            series: series("south", "all").into_iter().collect(),
            ..Default::default()
        };
        add(samples, "SummarizeGrowth", &growth);
    }
}

fn endings(samples: &mut Samples) {
    let delete = pb::DeleteMarketRequest {
        name: "markets/other".to_owned(),
        allow_missing: true,
        ..Default::default()
    };
    add(samples, "DeleteMarket", &delete);
    let withdraw = pb::WithdrawForecastRequest {
        name: FORECAST.to_owned(),
        reason: "Superseded.".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    add(samples, "WithdrawForecast", &withdraw);
}
