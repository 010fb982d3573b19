//! What a user can call next.

use std::{io, net::SocketAddr};

use crate::table::{heading, paragraph, say};

const RANKING: &str = "almanac.ranking.v1.RankingService";
const FORECAST: &str = "almanac.forecast.v1.ForecastService";

/// Prints calls that work as they stand.
pub(crate) fn print(ranking: SocketAddr, forecast: SocketAddr) -> io::Result<()> {
    heading("Both services keep serving: what to call next")?;
    paragraph("Any gRPC client can ask what there is: both services have reflection.")?;
    call(
        "which methods there are",
        ranking,
        "",
        &format!("describe {RANKING}"),
    )?;
    call(
        "what if connectivity weighed three times as much?",
        ranking,
        r#"{"source":{"live":{"index":"datasets/world-cities/indices/smart-city","overrides":[{"nodeWeight":{"node":"urban-connectivity","weight":3}}]}},"top":5}"#,
        &format!("{RANKING}/ListRankingResults"),
    )?;
    call(
        "why does Shanghai stand where it does?",
        ranking,
        r#"{"source":{"edition":"datasets/world-cities/indices/smart-city/editions/demo-2026"},"entity":"shanghai"}"#,
        &format!("{RANKING}/GetScorecard"),
    )?;
    call(
        "replay the edition and compare the digests",
        ranking,
        r#"{"name":"datasets/world-cities/indices/smart-city/editions/demo-2026"}"#,
        &format!("{RANKING}/VerifyEdition"),
    )?;
    call(
        "how fast does each country's GDP grow?",
        forecast,
        r#"{"forecast":"markets/asia-gdp/forecasts/demo-2028","fromPeriod":"2023","toPeriod":"2028"}"#,
        &format!("{FORECAST}/SummarizeGrowth"),
    )?;
    call(
        "one series in, a forecast out",
        forecast,
        r#"{"series":{"values":[19,22,26,31,36,42],"firstPeriod":"2023"},"method":{"drift":{}},"horizon":3}"#,
        &format!("{FORECAST}/ForecastSeries"),
    )?;
    say("\n   # the same main job from Python")?;
    say("   python3 -m venv .venv && .venv/bin/pip install -r tests/python/requirements.txt")?;
    say(&format!(
        "   .venv/bin/python tests/python/almanac_demo.py --ranking {ranking} --forecast {forecast}"
    ))?;
    say("\n   ^C ends both.")
}

fn call(what: &str, address: SocketAddr, body: &str, method: &str) -> io::Result<()> {
    let data = if body.is_empty() {
        String::new()
    } else {
        format!("-d '{body}' ")
    };
    say(&format!("\n   # {what}"))?;
    say(&format!("   grpcurl -plaintext {data}{address} {method}"))
}
