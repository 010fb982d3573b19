//! Bad input of the forecast service: each fault with its code, reason and field path.

use almanac_proto::forecast::v1 as pb;
use almanac_tests::wire;
use tonic::Code;

use crate::support::{forecast, invalid, refused};

pub(crate) const MARKET: &str = "markets/gdp";

pub(crate) fn members() -> Vec<pb::Member> {
    vec![
        wire::member("asia", "", "Asia"),
        wire::member("east", "asia", "East"),
        wire::member("south", "asia", "South"),
    ]
}

pub(crate) fn market_request(id: &str, members: Vec<pb::Member>) -> pb::CreateMarketRequest {
    pb::CreateMarketRequest {
        market_id: id.to_owned(),
        market: Some(wire::market("GDP", "billion USD", members)),
        ..Default::default()
    }
}

pub(crate) fn points_request(points: Vec<pb::Point>) -> pb::WritePointsRequest {
    pb::WritePointsRequest {
        parent: MARKET.to_owned(),
        points,
        ..Default::default()
    }
}

/// A fault of a market: what makes it wrong, the reason, and the field.
type MarketCase = (fn(&mut pb::Market), &'static str, &'static str);

const MARKETS: &[MarketCase] = &[
    (
        |m| m.dimensions.clear(),
        "FIELD_REQUIRED",
        "market.dimensions",
    ),
    (|m| m.frequency = 0, "FIELD_REQUIRED", "market.frequency"),
    (
        |m| member(m, 1).id = "East".to_owned(),
        "ID_INVALID",
        "market.dimensions[0].members[1].id",
    ),
    (
        |m| member(m, 2).id = "east".to_owned(),
        "DUPLICATE_KEY",
        "market.dimensions[0].members[2].id",
    ),
    (
        |m| member(m, 2).parent = "mars".to_owned(),
        "PARENT_UNKNOWN",
        "market.dimensions[0].members[2].parent",
    ),
    (
        |m| {
            m.dimensions[0]
                .members
                .extend([wire::member("a", "b", ""), wire::member("b", "a", "")]);
        },
        "DIMENSION_CYCLE",
        "market.dimensions[0].members[3].parent",
    ),
];

fn member(market: &mut pb::Market, row: usize) -> &mut pb::Member {
    &mut market.dimensions[0].members[row]
}

/// A fault of a point: what makes it wrong, the reason, and the field.
type PointCase = (fn(&mut pb::Point), &'static str, &'static str);

const POINTS: &[PointCase] = &[
    (|p| p.series = None, "FIELD_REQUIRED", "series"),
    (
        |p| p.series = wire::region("mars"),
        "MEMBER_UNKNOWN",
        "series.members",
    ),
    (|p| p.series = wire::region("asia"), "NOT_A_LEAF", "series"),
    (
        |p| p.period = "2023-07".to_owned(),
        "PERIOD_FREQUENCY_MISMATCH",
        "period",
    ),
    (|p| p.period = "23".to_owned(), "PERIOD_INVALID", "period"),
    (|p| p.state = None, "ONEOF_UNSET", "state"),
    (|p| p.state = value(f64::NAN), "VALUE_NOT_FINITE", "value"),
    (
        |p| p.state = value(f64::INFINITY),
        "VALUE_NOT_FINITE",
        "value",
    ),
    (|p| p.state = value(-1.0), "NEGATIVE_VALUE", "value"),
    (
        |p| p.bounds = Some(pb::Bounds::default()),
        "ONEOF_UNSET",
        "bounds.meaning",
    ),
];

fn value(value: f64) -> Option<pb::point::State> {
    Some(pb::point::State::Value(value))
}

#[tokio::test]
async fn every_fault_of_markets_and_points_is_told_where_it_is() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    for (spoil, reason, field) in MARKETS {
        let mut request = market_request("gdp", members());
        spoil(request.market.as_mut().unwrap());
        invalid(client.create_market(request).await, reason, field);
    }
    client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap();
    for (spoil, reason, field) in POINTS {
        let mut points = vec![
            wire::point("south", "2023", 1.0),
            wire::point("east", "2023", 2.0),
        ];
        spoil(&mut points[1]);
        let answer = client.write_points(points_request(points)).await;
        invalid(answer, reason, &format!("points[1].{field}"));
    }
    let twice = vec![wire::point("east", "2023", 1.0); 2];
    let answer = client.write_points(points_request(twice)).await;
    invalid(answer, "DUPLICATE_KEY", "points[1]");
    let nowhere = pb::WritePointsRequest {
        parent: "markets/none".to_owned(),
        ..points_request(vec![wire::point("east", "2023", 1.0)])
    };
    refused(
        client.write_points(nowhere).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
        "",
    );
    let bad = pb::Point {
        state: value(f64::NAN),
        ..wire::point("east", "2023", 0.0)
    };
    let answer = client.write_points(points_request(vec![bad; 10_000])).await;
    let refusal = invalid(answer, "VALUE_NOT_FINITE", "points[0].value");
    assert_eq!(refusal.metadata["violations_total"], "10000", "{refusal}");
    let big = pb::Point {
        note: "x".repeat(5 << 20),
        ..wire::point("east", "2023", 0.0)
    };
    let answer = client.write_points(points_request(vec![big])).await;
    refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "");
    fresh.stop().await;
}

#[tokio::test]
async fn a_series_the_model_cannot_fit_is_named_and_the_id_stays_free() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap();
    let years = |region: &'static str, years: &[i32]| -> Vec<pb::Point> {
        let point = |year: &i32| wire::point(region, &year.to_string(), f64::from(*year));
        years.iter().map(point).collect()
    };
    let create = pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: "first".to_owned(),
        forecast: Some(wire::drift(5)),
        ..Default::default()
    };
    // Drift needs three periods; one leaf has two.
    let points = [
        years("east", &[2021, 2022, 2023]),
        years("south", &[2022, 2023]),
    ]
    .concat();
    client.write_points(points_request(points)).await.unwrap();
    let answer = client.create_forecast(create.clone()).await;
    let refusal = refused(answer, Code::FailedPrecondition, "SERIES_TOO_SHORT", "");
    assert_eq!(refusal.metadata["series"], "South", "{refusal}");
    assert_eq!(refusal.metadata["found"], "2", "{refusal}");
    assert_eq!(refusal.metadata["needed"], "3", "{refusal}");
    // Long enough, but only one change between neighboring years is known.
    let points = years("south", &[2019]);
    client.write_points(points_request(points)).await.unwrap();
    let answer = client.create_forecast(create.clone()).await;
    let refusal = refused(answer, Code::FailedPrecondition, "SERIES_GAPS", "");
    assert_eq!(refusal.metadata["series"], "South", "{refusal}");
    // Nothing was left behind: the ID is free once the series has what the model needs.
    let points = years("south", &[2021]);
    client.write_points(points_request(points)).await.unwrap();
    let made = client.create_forecast(create).await.unwrap().into_inner();
    assert_eq!(made.state(), pb::forecast::State::Published);
    fresh.stop().await;
}

#[tokio::test]
async fn bad_forecasts_are_told_where_they_are() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap();
    let mut make = async |forecast: pb::Forecast| {
        let request = pb::CreateForecastRequest {
            parent: MARKET.to_owned(),
            forecast_id: "first".to_owned(),
            forecast: Some(forecast),
            ..Default::default()
        };
        client.create_forecast(request).await
    };
    let good = wire::drift(5);
    let none = pb::Forecast {
        method: None,
        ..good.clone()
    };
    invalid(make(none).await, "ONEOF_UNSET", "forecast.method.method");
    let unset = pb::Forecast {
        method: Some(pb::ForecastMethod::default()),
        ..good.clone()
    };
    invalid(make(unset).await, "ONEOF_UNSET", "forecast.method.method");
    let method = Some(pb::ReconciliationMethod::default());
    let unset = pb::Forecast {
        reconciliation: method,
        ..good.clone()
    };
    invalid(
        make(unset).await,
        "ONEOF_UNSET",
        "forecast.reconciliation.method",
    );
    let none = pb::Forecast {
        horizon: 0,
        ..good.clone()
    };
    invalid(make(none).await, "HORIZON_INVALID", "forecast.horizon");
    let twice = pb::Forecast {
        levels: vec![0.9, 0.9],
        ..good.clone()
    };
    invalid(make(twice).await, "LEVEL_INVALID", "forecast.levels[1]");
    let sure = pb::Forecast {
        levels: vec![1.0],
        ..good.clone()
    };
    invalid(make(sure).await, "LEVEL_INVALID", "forecast.levels[0]");
    refused(make(good).await, Code::FailedPrecondition, "NO_POINTS", "");

    let series = pb::InputSeries {
        values: vec![1.0, f64::NAN],
        ..Default::default()
    };
    let method = wire::drift(1).method;
    let request = pb::ForecastSeriesRequest {
        series: Some(series),
        method,
        horizon: 3,
        ..Default::default()
    };
    let answer = client.forecast_series(request).await;
    invalid(answer, "VALUE_NOT_FINITE", "series.values[1]");
    let unset = pb::SummarizeGrowthRequest {
        from_period: "2023".to_owned(),
        to_period: "2028".to_owned(),
        ..Default::default()
    };
    invalid(
        client.summarize_growth(unset).await,
        "ONEOF_UNSET",
        "source",
    );
    fresh.stop().await;
}
