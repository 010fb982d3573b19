//! Forecasts and summaries can be stopped at any look at their control.

use almanac_service_kit::plain::{
    control::{LOOK_EVERY, StopsAt, Unlimited},
    period::Period,
};

use super::*;
use crate::{
    domain::hierarchy::{Dimension, Member},
    store::forecasts::{FixedInputs, History},
};

const REGIONS: usize = 12;

fn dimension() -> Dimension {
    let member = |id: String, parent: Option<&str>| Member {
        id,
        parent: parent.map(str::to_owned),
        display_name: String::new(),
    };
    let mut members = vec![member("world".to_owned(), None)];
    members.extend((0..REGIONS).map(|region| member(format!("r{region}"), Some("world"))));
    let id = "region".to_owned();
    Dimension { id, members }
}

fn inputs() -> Inputs {
    let last_period: Period = "2023".parse().unwrap();
    let dimensions = vec![dimension()];
    let histories = (0..REGIONS).map(|region| {
        // One of them is long.
        let count = if region == 5 { 3 * LOOK_EVERY } else { 6 };
        let value = |at: usize| Some(((at * 31 + region * 7) % 13) as f64);
        History {
            first: last_period.ordinal() - count as i64 + 1,
            values: (0..count).map(value).collect(),
        }
    });
    Inputs {
        hierarchy: Hierarchy::try_from(dimensions.clone()).unwrap(),
        histories: histories.collect(),
        fixed: FixedInputs {
            dimensions,
            plan: Plan {
                method: Method::Drift,
                reconciliation: Reconciliation::BottomUp,
                horizon: 5,
                last_period: Some(last_period),
                levels: vec![0.8, 0.95],
            },
            last_period,
            nonnegative: true,
        },
    }
}

/// Stops at every look, until none is left; what it came to, and the number of looks.
fn stopped_at_every_look<T>(work: impl Fn(&dyn Control) -> Result<T, Fault>) -> (T, usize) {
    let mut look = 0;
    loop {
        let control = StopsAt::look(look);
        let end = work(&control).map_err(|fault| fault.reason());
        match (control.has_stopped(), end) {
            (false, Ok(end)) => return (end, look),
            (true, Err("COMPUTATION_STOPPED")) => look += 1,
            (stopped, end) => panic!("look {look}, {stopped}: {:?}", end.err()),
        }
    }
}

#[test]
fn a_forecast_stops_at_every_look() {
    let inputs = inputs();
    let whole = Outlook::compute(&inputs, &Unlimited).unwrap();
    let (found, looks) = stopped_at_every_look(|control| Outlook::compute(&inputs, control));
    assert_eq!(found.series, whole.series);
    assert_eq!(found.input_digest, whole.input_digest);
    assert_eq!(found.result_digest, whole.result_digest);
    // Each leaf when it is forecast, summed up and digested, and the long one once for each stretch.
    assert!(looks > 3 * REGIONS + 3, "{looks}");
    let ((), looks) = stopped_at_every_look(|control| check_leaves(&inputs, control));
    assert_eq!(looks, REGIONS);
}

#[test]
fn a_summary_stops_at_every_look() {
    let Inputs { hierarchy, .. } = inputs();
    let series: Vec<Series> = hierarchy.all_series().collect();
    let span = Span {
        hierarchy,
        from: "2020".parse().unwrap(),
        to: "2023".parse().unwrap(),
        start: (0..REGIONS)
            .map(|region| Some(1.0 + region as f64))
            .collect(),
        end: (0..REGIONS)
            .map(|region| Some(3.0 * region as f64))
            .collect(),
    };
    let whole = summarize(&span, &series, &Unlimited).unwrap();
    let (found, looks) = stopped_at_every_look(|control| summarize(&span, &series, control));
    assert_eq!(format!("{found:?}"), format!("{whole:?}"));
    assert!(looks > 3 * series.len(), "{looks}");
}
