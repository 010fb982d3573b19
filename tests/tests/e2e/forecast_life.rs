//! Points keep every version; a forecast adds up, never changes, and can be replayed.

use almanac_proto::forecast::v1::{
    self as pb, forecast_service_client::ForecastServiceClient, point::State,
};
use almanac_tests::{data, wire};
use pb::verify_forecast_response::Outcome;
use tonic::{Code, transport::Channel};

use crate::{
    bad_market::{MARKET, market_request, members, points_request},
    support::{forecast, refused},
};

type Client = ForecastServiceClient<Channel>;

const FIRST: &str = "markets/gdp/forecasts/first";

/// A forecast by drift, bottom-up.
pub(crate) fn drift(horizon: i32) -> pb::Forecast {
    pb::Forecast {
        method: Some(pb::ForecastMethod {
            method: Some(pb::forecast_method::Method::Drift(pb::Drift {})),
        }),
        reconciliation: Some(pb::ReconciliationMethod {
            method: Some(pb::reconciliation_method::Method::BottomUp(pb::BottomUp {})),
        }),
        horizon,
        ..Default::default()
    }
}

fn forecast_request(id: &str) -> pb::CreateForecastRequest {
    pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: id.to_owned(),
        forecast: Some(drift(5)),
        ..Default::default()
    }
}

async fn values(client: &mut Client, parent: &str) -> Vec<pb::ForecastValue> {
    let request = pb::ListForecastValuesRequest {
        parent: parent.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    client
        .list_forecast_values(request)
        .await
        .unwrap()
        .into_inner()
        .values
}

async fn verified(client: &mut Client, name: &str) {
    let request = pb::VerifyForecastRequest {
        name: name.to_owned(),
    };
    let replay = client.verify_forecast(request).await.unwrap().into_inner();
    assert_eq!(replay.outcome(), Outcome::Match, "{replay:?}");
    assert_eq!(replay.recorded_result_digest, replay.replayed_result_digest);
}

fn of<'a>(values: &'a [pb::ForecastValue], region: &str) -> &'a pb::SeriesForecast {
    let found = values
        .iter()
        .find(|value| wire::region_of(value.series.as_ref()) == region);
    found.unwrap().forecast.as_ref().unwrap()
}

#[tokio::test]
async fn gdp_of_asia_adds_up_and_stays() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let countries = data::countries().unwrap();
    let regions = [
        "far-east-china",
        "indian-subcontinent",
        "rest-of-asia-pacific",
    ];
    let mut tree = vec![wire::member("asia", "", "Asia")];
    tree.extend(
        regions
            .iter()
            .map(|region| wire::member(region, "asia", region)),
    );
    tree.extend(
        countries
            .iter()
            .map(|of| wire::member(&of.id, &of.region, &of.name)),
    );
    client
        .create_market(market_request("gdp", tree))
        .await
        .unwrap();
    let gdp = data::gdp().unwrap();
    let points = gdp
        .iter()
        .map(|of| wire::point(&of.country, &of.period, of.dollars / 1e9));
    let written = client
        .write_points(points_request(points.collect()))
        .await
        .unwrap();
    assert_eq!(written.into_inner().written_count, 36 * 34);
    let made = client
        .create_forecast(forecast_request("first"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.state(), pb::forecast::State::Published);
    assert_eq!(
        (made.series_count, made.leaf_count, made.point_count),
        (40, 36, 36 * 34)
    );
    assert_eq!(made.last_period, "2023");

    let published = values(&mut client, FIRST).await;
    assert_eq!(published.len(), 40);
    let asia = of(&published, "asia");
    assert_eq!(asia.periods, ["2024", "2025", "2026", "2027", "2028"]);
    let levels: Vec<f64> = asia
        .intervals
        .iter()
        .map(|interval| interval.level)
        .collect();
    assert_eq!(levels, [0.8, 0.95]);
    for step in 0..5 {
        let parts: f64 = countries
            .iter()
            .map(|c| of(&published, &c.id).means[step])
            .sum();
        assert!((parts - asia.means[step]).abs() < 1e-9 * parts);
        let (narrow, wide) = (&asia.intervals[0], &asia.intervals[1]);
        assert!(wide.lower[step] < narrow.lower[step] && narrow.upper[step] < wide.upper[step]);
        // Intervals of sums are not sums of bounds: errors of countries offset each other.
        let bounds: f64 = countries
            .iter()
            .map(|c| of(&published, &c.id).intervals[1].upper[step])
            .sum();
        assert!(
            wide.upper[step] < bounds,
            "{} is not below {bounds}",
            wide.upper[step]
        );
    }
    // Drift by hand.
    let series = |country: &str, period: &str| {
        gdp.iter()
            .find(|of| of.country == country && of.period == period)
            .unwrap()
            .dollars
            / 1e9
    };
    let (first, last) = (series("jpn", "1990"), series("jpn", "2023"));
    let expected = last + 3.0 * (last - first) / 33.0;
    assert!((of(&published, "jpn").means[2] - expected).abs() < 1e-9 * expected);

    // New figures show in the market and leave the forecast as it was.
    let changed = vec![wire::point("jpn", "2023", 1.0)];
    client.write_points(points_request(changed)).await.unwrap();
    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    assert_eq!(values(&mut client, FIRST).await, published);
    verified(&mut client, FIRST).await;
    let second = client
        .create_forecast(forecast_request("second"))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(second.result_digest, made.result_digest);
    let back = vec![wire::point("jpn", "2023", last)];
    client.write_points(points_request(back)).await.unwrap();
    let third = client
        .create_forecast(forecast_request("third"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        third.result_digest, made.result_digest,
        "the same request gives the same digest"
    );
    let again = client.create_forecast(forecast_request("third")).await;
    refused(again, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS", "");
    let late = pb::CreateForecastRequest {
        expected_result_digest: second.result_digest,
        ..forecast_request("fourth")
    };
    let late = client.create_forecast(late).await;
    refused(late, Code::Aborted, "RESULT_DIGEST_MISMATCH", "");
    let request = pb::WithdrawForecastRequest {
        name: FIRST.to_owned(),
        reason: "superseded".to_owned(),
        ..Default::default()
    };
    let withdrawn = client
        .withdraw_forecast(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(withdrawn.state(), pb::forecast::State::Withdrawn);
    verified(&mut client, FIRST).await;
    fresh.stop().await;
}

#[tokio::test]
async fn growth_by_region() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap();
    let points = [
        ("east", "2023", 10.0),
        ("east", "2028", 15.0),
        ("south", "2023", 10.0),
        ("south", "2028", 30.0),
    ];
    let points = points.map(|(region, period, value)| wire::point(region, period, value));
    client
        .write_points(points_request(points.to_vec()))
        .await
        .unwrap();
    let request = pb::SummarizeGrowthRequest {
        source: Some(pb::summarize_growth_request::Source::Market(
            MARKET.to_owned(),
        )),
        from_period: "2023".to_owned(),
        to_period: "2028".to_owned(),
        ..Default::default()
    };
    let summarized = client.summarize_growth(request).await.unwrap().into_inner();
    assert_eq!(summarized.total_size, 3);
    let found: Vec<_> = summarized
        .summaries
        .iter()
        .map(|summary| {
            let (growth, share) = (summary.growth.unwrap(), summary.share_of_total.unwrap());
            let region = wire::region_of(summary.series.as_ref());
            let percent = growth.growth_percent.unwrap();
            let points = summary.contribution_percentage_points.unwrap();
            (
                region,
                percent.round(),
                share.end_percent.unwrap().round(),
                points.round(),
                summary.growth_rank,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("asia", 125.0, 100.0, 125.0, Some(2)),
            ("east", 50.0, 33.0, 25.0, Some(3)),
            ("south", 200.0, 67.0, 100.0, Some(1)),
        ]
    );
    let asia = summarized.summaries[0]
        .growth
        .unwrap()
        .cagr_percent
        .unwrap();
    assert!(
        (asia - (libm::pow(2.25, 0.2) - 1.0) * 100.0).abs() < 1e-9,
        "{asia}"
    );
    fresh.stop().await;
}

#[tokio::test]
async fn points_keep_every_version() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap();
    for value in [1.0, 2.0, 3.0] {
        let points = vec![
            wire::point("east", "2023", value),
            wire::point("south", "2023", 5.0),
        ];
        client.write_points(points_request(points)).await.unwrap();
    }
    let published = pb::Point {
        status: pb::PointStatus::Published.into(),
        ..wire::point("asia", "2023", 8.5)
    };
    client
        .write_points(points_request(vec![published]))
        .await
        .unwrap();
    let fresh = fresh.restart().await;
    let mut client = fresh.service.client();
    let request = pb::ListPointVersionsRequest {
        parent: MARKET.to_owned(),
        series: wire::region("east"),
        period: "2023".to_owned(),
        ..Default::default()
    };
    let versions = client
        .list_point_versions(request)
        .await
        .unwrap()
        .into_inner()
        .versions;
    let figures: Vec<_> = versions
        .iter()
        .filter_map(|version| version.state.clone())
        .collect();
    assert_eq!(figures, [3.0, 2.0, 1.0].map(State::Value));
    let request = pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        include_aggregates: true,
        ..Default::default()
    };
    let points = client
        .list_points(request)
        .await
        .unwrap()
        .into_inner()
        .points;
    let asia: Vec<_> = points
        .iter()
        .filter(|point| wire::region_of(point.series.as_ref()) == "asia")
        .map(|point| (point.derived, point.state.clone()))
        .collect();
    // The published figure stands beside the sum.
    assert_eq!(asia.len(), 2, "{points:?}");
    assert!(asia.contains(&(true, Some(State::Value(8.0)))), "{asia:?}");
    assert!(asia.contains(&(false, Some(State::Value(8.5)))), "{asia:?}");
    let delete = pb::DeleteMarketRequest {
        name: MARKET.to_owned(),
        ..Default::default()
    };
    let answer = client.delete_market(delete).await;
    refused(answer, Code::FailedPrecondition, "RESOURCE_IN_USE", "");
    fresh.stop().await;
}

#[tokio::test]
async fn one_series_in_a_forecast_out() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let mut ask = async |method, first_period: &str| {
        let series = pb::InputSeries {
            values: vec![1.0, 3.0, 2.0, 6.0, 5.0, 8.0],
            first_period: first_period.to_owned(),
            ..Default::default()
        };
        let request = pb::ForecastSeriesRequest {
            series: Some(series),
            method: Some(pb::ForecastMethod {
                method: Some(method),
            }),
            horizon: 3,
            ..Default::default()
        };
        client
            .forecast_series(request)
            .await
            .unwrap()
            .into_inner()
            .forecast
            .unwrap()
    };
    use pb::forecast_method::Method;
    let naive = ask(Method::Naive(pb::Naive {}), "2020").await;
    assert_eq!(
        (naive.means, naive.periods),
        (
            vec![8.0; 3],
            vec!["2026".to_owned(), "2027".to_owned(), "2028".to_owned()]
        )
    );
    let seasonal = Method::SeasonalNaive(pb::SeasonalNaive {
        season_length: Some(2),
    });
    let seasonal = ask(seasonal, "").await;
    assert_eq!(
        (seasonal.means, seasonal.periods.len()),
        (vec![5.0, 8.0, 5.0], 0)
    );
    let drift = ask(Method::Drift(pb::Drift {}), "2020-Q1").await;
    let expected = [1.0, 2.0, 3.0].map(|step| 8.0 + step * 7.0 / 5.0);
    for (mean, expected) in drift.means.iter().zip(expected) {
        assert!((mean - expected).abs() < 1e-12, "{mean}, not {expected}");
    }
    assert_eq!(drift.periods, ["2021-Q3", "2021-Q4", "2022-Q1"]);
    assert!(!drift.model.unwrap().reasons.is_empty());
    fresh.stop().await;
}
