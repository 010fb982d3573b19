//! What published figures of Asian smart-city spend imply, and the market's path between them.

use almanac_proto::forecast::v1::{
    self as pb, forecast_service_client::ForecastServiceClient, point::State,
    solve_published_figures_response::Outcome as Solved,
};
use almanac_tests::{Outcome, wire};
use tonic::transport::Channel;

use crate::{
    During as _,
    table::{Table, heading, number, paragraph, rank, say, signed, step},
};

pub(crate) type Client = ForecastServiceClient<Channel>;

/// The whole of both markets and its regions.
pub(crate) const REGIONS: [(&str, &str); 4] = [
    ("asia", "Asia"),
    ("far-east-china", "Far East & China"),
    ("indian-subcontinent", "Indian Subcontinent"),
    ("rest-of-asia-pacific", "Rest of Asia Pacific"),
];

const MARKET: &str = "markets/asia-smart-city-spend";
const FIRST: &str = "2023";
const LAST: &str = "2028";
const YEARS: [&str; 6] = [FIRST, "2024", "2025", "2026", "2027", LAST];
const SOURCE: &str = "The path that the published figures imply, computed by SolvePublishedFigures";

/// The members of the region dimension: Asia over its three regions.
pub(crate) fn members() -> Vec<pb::Member> {
    let members = REGIONS.iter().map(|(id, name)| {
        let parent = if *id == "asia" { "" } else { "asia" };
        wire::member(id, parent, name)
    });
    members.collect()
}

/// Solves the figures, publishes the path and prints both.
pub(crate) async fn solve_and_publish(client: &mut Client) -> Outcome<()> {
    heading("Asian smart-city spend: what the published figures imply (US$ bn)")?;
    let market = pb::Market {
        name: MARKET.to_owned(),
        description: "Hardware and software for smart cities in Asia.".to_owned(),
        measurement_basis: Some(pb::MeasurementBasis {
            currency: "USD".to_owned(),
            measure_kind: pb::MeasureKind::Flow.into(),
            ..Default::default()
        }),
        ..wire::market("Asian smart-city spend", "billion USD", members())
    };
    let request = pb::UpdateMarketRequest {
        market: Some(market),
        allow_missing: true,
        ..Default::default()
    };
    client
        .update_market(request)
        .await
        .during("setting up the spend market")?;
    let feasible = solve(client).await?;
    print_solution(&feasible)?;
    write_path(client, &feasible).await?;
    print_path(client).await?;
    print_growth(client).await
}

fn figures() -> Vec<pb::PublishedFigure> {
    let span = (FIRST, LAST);
    let growth = |id: &str, of: &str, percent: &str| {
        wire::growth_figure(id, of, span, wire::rounded(percent))
    };
    vec![
        wire::value_figure("Asia in 2023", "asia", FIRST, wire::rounded("19")),
        wire::value_figure("Asia in 2028", "asia", LAST, wire::rounded("42")),
        growth("growth of Asia", "asia", "120"),
        growth("growth of Far East & China", "far-east-china", "76"),
        growth(
            "growth of the Indian Subcontinent",
            "indian-subcontinent",
            "231",
        ),
        growth(
            "growth of Rest of Asia Pacific",
            "rest-of-asia-pacific",
            "303",
        ),
    ]
}

async fn solve(client: &mut Client) -> Outcome<pb::Feasible> {
    paragraph(
        "Published, each rounded as printed: 19 in 2023, 42 in 2028, +120 % in all, +76 % Far East \
         & China, +231 % Indian Subcontinent, +303 % Rest of Asia Pacific. How the regions share \
         the total was not said; these are the exact limits that the figures leave.",
    )?;
    say("")?;
    let pair = |(id, _): &(&str, &str)| pb::GrowthPair {
        node: wire::region(id),
        from_period: FIRST.to_owned(),
        to_period: LAST.to_owned(),
    };
    let request = pb::SolvePublishedFiguresRequest {
        structure: Some(pb::solve_published_figures_request::Structure::Market(
            MARKET.to_owned(),
        )),
        figures: figures(),
        growth_pairs: REGIONS.iter().map(pair).collect(),
        ..Default::default()
    };
    let answer = client.solve_published_figures(request).await;
    match answer.during("solving the published figures")?.outcome {
        Some(Solved::Feasible(feasible)) => Ok(feasible),
        Some(Solved::Conflict(conflict)) => Err(conflict.explanation.join(" ").into()),
        None => Err("the solver gave no outcome".into()),
    }
}

fn interval<'a>(
    feasible: &'a pb::Feasible,
    of: &str,
    period: &str,
) -> Outcome<&'a pb::FigureInterval> {
    let mut intervals = feasible.intervals.iter();
    let found = intervals
        .find(|found| wire::region_of(found.node.as_ref()) == of && found.period == period);
    found.ok_or_else(|| format!("the solver says nothing of {of} in {period}").into())
}

fn limits(lower: Option<f64>, upper: Option<f64>, decimals: usize) -> String {
    format!("[{}, {}]", number(lower, decimals), number(upper, decimals))
}

fn print_solution(feasible: &pb::Feasible) -> Outcome<()> {
    let mut table = Table::new(&[
        "Region",
        "2023 limits",
        "central",
        "2028 limits",
        "central",
        "Growth limits, %",
        "central",
    ]);
    for (of, name) in REGIONS {
        let mut row = vec![name.to_owned()];
        for period in [FIRST, LAST] {
            let found = interval(feasible, of, period)?;
            row.push(limits(found.lower, found.upper, 2));
            row.push(number(found.central, 2));
        }
        let mut growths = feasible.growth_intervals.iter();
        let growth = growths.find(|growth| wire::region_of(growth.node.as_ref()) == of);
        let growth = growth.ok_or("a growth that was asked for is absent")?;
        row.push(limits(growth.lower_percent, growth.upper_percent, 1));
        row.push(signed(growth.central_percent, 1));
        table.row(row);
    }
    Ok(table.print()?)
}

/// The central estimate at both ends with its exact limits, constant growth between them.
fn path(feasible: &pb::Feasible) -> Outcome<Vec<pb::Point>> {
    let mut points = Vec::new();
    for (of, _) in REGIONS.iter().filter(|(of, _)| *of != "asia") {
        let (first, last) = (
            interval(feasible, of, FIRST)?,
            interval(feasible, of, LAST)?,
        );
        let (Some(start), Some(end)) = (first.central, last.central) else {
            return Err(format!("there is no central estimate of {of}").into());
        };
        let steps = (YEARS.len() - 1) as f64;
        for (year, period) in YEARS.iter().enumerate() {
            let at_end = match *period {
                FIRST => Some(first),
                LAST => Some(last),
                _ => None,
            };
            let value = match at_end {
                Some(known) => known.central.unwrap_or(start),
                None => start * libm::pow(end / start, year as f64 / steps),
            };
            let bounds = at_end.map(|known| pb::Bounds {
                lower: known.lower,
                upper: known.upper,
                meaning: Some(pb::bounds::Meaning::HardLimits(pb::HardLimits {})),
            });
            points.push(pb::Point {
                status: pb::PointStatus::Estimate.into(),
                source: SOURCE.to_owned(),
                bounds,
                ..wire::point(of, period, value)
            });
        }
    }
    Ok(points)
}

async fn list(client: &mut Client, include_aggregates: bool) -> Outcome<Vec<pb::Point>> {
    let request = pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        page_size: 1000,
        include_aggregates,
        ..Default::default()
    };
    Ok(client
        .list_points(request)
        .await
        .during("listing the path")?
        .points)
}

async fn write_path(client: &mut Client, feasible: &pb::Feasible) -> Outcome<()> {
    let points = path(feasible)?;
    let said = |point: &pb::Point| {
        let of = wire::region_of(point.series.as_ref()).to_owned();
        (of, point.period.clone(), point.state.clone(), point.bounds)
    };
    let there: Vec<_> = list(client, false).await?.iter().map(said).collect();
    say("")?;
    if points.iter().all(|point| there.contains(&said(point))) {
        return Ok(step("the path was there already, with the same figures")?);
    }
    let request = pb::WritePointsRequest {
        parent: MARKET.to_owned(),
        points,
        ..Default::default()
    };
    let written = client
        .write_points(request)
        .await
        .during("writing the path")?
        .written_count;
    Ok(step(&format!(
        "{written} estimates written: the path of each region, with its limits"
    ))?)
}

async fn print_path(client: &mut Client) -> Outcome<()> {
    heading(
        "The path as stored (US$ bn, estimates with exact limits at both ends; Asia is summed)",
    )?;
    let points = list(client, true).await?;
    let mut header = vec!["Region"];
    header.extend(YEARS);
    header.extend(["Limits 2023", "Limits 2028"]);
    let mut table = Table::new(&header);
    for (of, name) in REGIONS {
        let found = |period: &str| {
            let mut found = points.iter().filter(|point| point.period == period);
            found.find(|point| wire::region_of(point.series.as_ref()) == of)
        };
        let mut row = vec![name.to_owned()];
        row.extend(YEARS.map(|period| {
            let value = found(period).and_then(|point| match point.state {
                Some(State::Value(value)) => Some(value),
                _ => None,
            });
            number(value, 2)
        }));
        row.extend([FIRST, LAST].map(|period| {
            let bounds = found(period).and_then(|point| point.bounds);
            bounds.map_or_else(
                || "–".to_owned(),
                |bounds| limits(bounds.lower, bounds.upper, 2),
            )
        }));
        table.row(row);
    }
    Ok(table.print()?)
}

async fn print_growth(client: &mut Client) -> Outcome<()> {
    heading("Growth 2023 to 2028 by region")?;
    let request = pb::SummarizeGrowthRequest {
        source: Some(pb::summarize_growth_request::Source::Market(
            MARKET.to_owned(),
        )),
        from_period: FIRST.to_owned(),
        to_period: LAST.to_owned(),
        ..Default::default()
    };
    let answer = client
        .summarize_growth(request)
        .await
        .during("summarizing growth")?;
    let mut table = Table::new(&[
        "Region",
        "Growth, %",
        "CAGR, %",
        "Share 2023, %",
        "Share 2028, %",
        "Contribution, pp",
        "Rank",
    ]);
    for summary in answer.summaries {
        let growth = summary.growth.unwrap_or_default();
        let share = summary.share_of_total.unwrap_or_default();
        table.row(vec![
            summary.display_name,
            signed(growth.growth_percent, 1),
            signed(growth.cagr_percent, 1),
            number(share.start_percent, 1),
            number(share.end_percent, 1),
            signed(summary.contribution_percentage_points, 1),
            rank(summary.growth_rank),
        ]);
    }
    Ok(table.print()?)
}
