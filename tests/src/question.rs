//! A question about published figures of any size: small ones are answered at once, large ones
//! take seconds.

use almanac_proto::forecast::v1::{self as pb, solve_published_figures_request::Structure};

use crate::wire;

/// What is known of `regions` regions: their sum in two years and the growth of each. 300 figures
/// are the most that one question may have.
#[must_use]
pub fn question(regions: usize) -> pb::SolvePublishedFiguresRequest {
    let ids: Vec<String> = (0..regions).map(|number| format!("r{number}")).collect();
    let mut members = vec![wire::member("world", "", "World")];
    members.extend(ids.iter().map(|id| wire::member(id, "world", id)));
    let span = ("2023", "2028");
    let mut figures = vec![
        wire::value_figure("base", "world", span.0, wire::exact("1000")),
        wire::value_figure("end", "world", span.1, wire::exact("2000")),
    ];
    figures.extend(ids.iter().enumerate().map(|(number, id)| {
        let percent = (20 + 7 * number % 400).to_string();
        wire::growth_figure(id, id, span, wire::exact(&percent))
    }));
    let dimensions = wire::market("", "", members).dimensions;
    pb::SolvePublishedFiguresRequest {
        structure: Some(Structure::Dimensions(pb::Dimensions { dimensions })),
        figures,
        nonnegative: Some(true),
        ..Default::default()
    }
}
