//! Points keep every version; growth between them; forecasts of one series.

use almanac_proto::forecast::v1::{self as pb, point::State};
use almanac_tests::wire;
use tonic::Code;

use crate::{
    bad_market::{MARKET, market_request, members, points_request},
    support::{forecast, refused},
};

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
