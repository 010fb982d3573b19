//! A forecast of GDP by region, summed from 36 countries.

use almanac_proto::forecast::v1 as pb;
use almanac_tests::{Outcome, data, loader::Loader, wire};
use pb::verify_forecast_response::Outcome as Replay;
use tonic::Code;

use crate::{
    During as _,
    spend::{Client, REGIONS, members},
    table::{Table, heading, number, paragraph, step},
};

const MARKET: &str = "markets/asia-gdp";
const FORECAST: &str = "markets/asia-gdp/forecasts/demo-2028";
const BILLION: f64 = 1e9;

/// Loads the history, publishes the forecast and prints it.
pub(crate) async fn forecast(client: &mut Client) -> Outcome<()> {
    heading("GDP of Asia by region: a forecast that adds up (US$ bn, nominal)")?;
    load(client).await?;
    publish(client).await?;
    print(client).await
}

async fn load(client: &mut Client) -> Outcome<()> {
    let countries = data::countries()?;
    let mut members = members();
    members.extend(
        countries
            .iter()
            .map(|of| wire::member(&of.id, &of.region, &of.name)),
    );
    let market = pb::Market {
        name: MARKET.to_owned(),
        description: "World Bank national accounts (ODC-PDDL-1.0). Which country belongs to which \
                      region was decided for this demonstration."
            .to_owned(),
        measurement_basis: Some(pb::MeasurementBasis {
            currency: "USD".to_owned(),
            exchange_rates: Some(pb::measurement_basis::ExchangeRates::CurrentExchangeRates(
                pb::CurrentExchangeRates {},
            )),
            price_basis: Some(pb::measurement_basis::PriceBasis::NominalPrices(
                pb::NominalPrices {},
            )),
            measure_kind: pb::MeasureKind::Flow.into(),
            ..Default::default()
        }),
        ..wire::market("GDP of Asia", "billion USD", members)
    };
    let request = pb::UpdateMarketRequest {
        market: Some(market),
        allow_missing: true,
        ..Default::default()
    };
    client
        .update_market(request)
        .await
        .during("setting up the GDP market")?;
    let figures = data::gdp()?;
    let list = pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let there = client
        .list_points(list)
        .await
        .during("looking for points")?;
    if !there.points.is_empty() {
        return Ok(step("the history was loaded by an earlier run")?);
    }
    let points = figures.iter().map(|of| pb::Point {
        source: "World Bank national accounts".to_owned(),
        ..wire::point(&of.country, &of.period, of.dollars / BILLION)
    });
    let points: Vec<pb::Point> = points.collect();
    // One chunk, so that it is there as a whole or not at all.
    let loaded = Loader::new(MARKET, &points).load(client, |_| ()).await;
    let written = loaded.during("importing GDP")?.summary.written_count;
    Ok(step(&format!(
        "{written} points of {} countries, 1990 to 2023",
        countries.len()
    ))?)
}

async fn publish(client: &mut Client) -> Outcome<()> {
    let get = pb::GetForecastRequest {
        name: FORECAST.to_owned(),
        consistency: None,
    };
    let forecast = match client.get_forecast(get).await {
        Err(status) if status.code() == Code::NotFound => create(client).await?,
        found => {
            step("forecast demo-2028 was published by an earlier run; it has not changed")?;
            found.during("reading the forecast")?
        }
    };
    if forecast.state() != pb::forecast::State::Published {
        return Err(format!("the forecast is {}", forecast.state().as_str_name()).into());
    }
    step(&format!(
        "forecast demo-2028 is PUBLISHED: {} series from {} leaves, cut off after {}",
        forecast.series_count, forecast.leaf_count, forecast.last_period
    ))?;
    let request = pb::VerifyForecastRequest {
        name: FORECAST.to_owned(),
    };
    let replay = client
        .verify_forecast(request)
        .await
        .during("verifying the forecast")?;
    let outcome = replay
        .outcome()
        .as_str_name()
        .trim_start_matches("OUTCOME_");
    step(&format!(
        "VerifyForecast, replayed from its stored inputs: {outcome}"
    ))?;
    step(&format!("result digest {}", replay.replayed_result_digest))?;
    match replay.outcome() {
        Replay::Match => Ok(()),
        other => Err(format!("the forecast's replay is {}", other.as_str_name()).into()),
    }
}

async fn create(client: &mut Client) -> Outcome<pb::Forecast> {
    let forecast = pb::Forecast {
        display_name: "GDP of Asia to 2028".to_owned(),
        method: Some(pb::ForecastMethod {
            method: Some(pb::forecast_method::Method::Drift(pb::Drift {})),
        }),
        reconciliation: Some(pb::ReconciliationMethod {
            method: Some(pb::reconciliation_method::Method::BottomUp(pb::BottomUp {})),
        }),
        horizon: 5,
        ..Default::default()
    };
    let request = pb::CreateForecastRequest {
        parent: MARKET.to_owned(),
        forecast_id: "demo-2028".to_owned(),
        forecast: Some(forecast),
        ..Default::default()
    };
    client
        .create_forecast(request)
        .await
        .during("publishing the forecast")
}

async fn print(client: &mut Client) -> Outcome<()> {
    let request = pb::ListForecastValuesRequest {
        parent: FORECAST.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let answer = client
        .list_forecast_values(request)
        .await
        .during("listing the forecast")?;
    let mut header = vec!["Region".to_owned()];
    let mut rows = Vec::new();
    for (of, name) in REGIONS {
        let mut values = answer.values.iter();
        let value = values.find(|value| wire::region_of(value.series.as_ref()) == of);
        let forecast = value.and_then(|value| value.forecast.as_ref());
        let forecast = forecast.ok_or_else(|| format!("the forecast does not have {of}"))?;
        if header.len() == 1 {
            header.extend(forecast.periods.iter().cloned());
            let last = forecast.periods.last().cloned().unwrap_or_default();
            let levels = forecast.intervals.iter();
            header.extend(levels.map(|of| format!("{:.0} % in {last}", of.level * 100.0)));
        }
        let means = forecast.means.iter().map(|mean| format!("{mean:.0}"));
        let mut row: Vec<String> = std::iter::once(name.to_owned()).chain(means).collect();
        for interval in &forecast.intervals {
            let (lower, upper) = (interval.lower.last(), interval.upper.last());
            let (lower, upper) = (number(lower.copied(), 0), number(upper.copied(), 0));
            row.push(format!("[{lower}, {upper}]"));
        }
        rows.push(row);
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(&header);
    for row in rows {
        table.row(row);
    }
    table.print()?;
    paragraph(
        "Each country goes on by its average change since 1990 (drift); regions are the sums of \
         their countries, and their intervals come from the summed errors of the past. Source: \
         World Bank national accounts [ODC-PDDL-1.0].",
    )?;
    Ok(())
}
