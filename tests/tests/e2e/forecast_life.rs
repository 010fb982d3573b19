//! A forecast adds up, never changes, and can be replayed.

use almanac_proto::forecast::v1::{self as pb, forecast_service_client::ForecastServiceClient};
use almanac_tests::{data, wire};
use pb::verify_forecast_response::Outcome;
use tonic::{Code, transport::Channel};

use crate::{
    bad_market::{MARKET, market_request, points_request},
    support::{forecast, refused},
};

type Client = ForecastServiceClient<Channel>;

const FIRST: &str = "markets/gdp/forecasts/first";

fn forecast_request(id: &str) -> pb::CreateForecastRequest {
    pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: id.to_owned(),
        forecast: Some(wire::drift(5)),
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
