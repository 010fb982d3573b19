//! Tests of [`super`].

use almanac_service_kit::{plain::period::Frequency, store::Revision};

use super::{super::series::tests::asia, *};
use crate::store::Market;

fn market() -> MarketView {
    let body = Market {
        description: String::new(),
        unit: String::new(),
        basis: None,
        frequency: Frequency::Yearly,
        nonnegative: true,
        dimensions: Vec::new(),
    };
    let revision = Revision::ZERO;
    MarketView {
        id: "m".to_owned(),
        uid: 7,
        revision,
        body,
        hierarchy: asia(),
    }
}

fn china() -> pb::Point {
    let members = [("region".to_owned(), "china".to_owned())].into();
    pb::Point {
        series: Some(pb::SeriesKey { members }),
        period: "2023".to_owned(),
        state: Some(pb::point::State::Value(19.0)),
        ..Default::default()
    }
}

fn refusal(change: impl FnOnce(&mut pb::Point)) -> (&'static str, String) {
    let mut point = china();
    change(&mut point);
    let mut violations = Violations::new();
    parse(&point, "points[17]", &market(), &mut violations);
    let fault = violations.finish().unwrap_err();
    (
        fault.reason(),
        fault.message().split(": ").next().unwrap().to_owned(),
    )
}

#[test]
fn a_point_goes_there_and_back() {
    let mut violations = Violations::new();
    let (key, point) = parse(&china(), "points[0]", &market(), &mut violations).unwrap();
    violations.finish().unwrap();
    assert_eq!(key, (7, "all/china".to_owned(), 2023));
    let rendered = render(SeriesKey::default(), "2023".to_owned(), &point);
    assert_eq!(rendered.state, china().state);
    assert_eq!(rendered.status, i32::from(pb::PointStatus::Actual));
}

#[test]
fn what_is_wrong_has_its_path_and_reason() {
    use pb::point::State;
    let told = |change: fn(&mut pb::Point), reason: &str, path: &str| {
        let (found, at) = refusal(change);
        assert_eq!((found, at.as_str()), (reason, path));
    };
    told(|p| p.state = None, "ONEOF_UNSET", "points[17].state");
    let value = "points[17].value";
    told(
        |p| p.state = Some(State::Value(f64::NAN)),
        "VALUE_NOT_FINITE",
        value,
    );
    told(
        |p| p.state = Some(State::Value(f64::INFINITY)),
        "VALUE_NOT_FINITE",
        value,
    );
    told(
        |p| p.state = Some(State::Value(-1.0)),
        "NEGATIVE_VALUE",
        value,
    );
    told(|p| p.series = None, "FIELD_REQUIRED", "points[17].series");
    let whole = |p: &mut pb::Point| p.series = Some(pb::SeriesKey::default());
    told(whole, "NOT_A_LEAF", "points[17].series");
    told(|p| p.status = 9, "FIELD_INVALID", "points[17].status");
    told(
        |p| p.note = "x".repeat(1025),
        "TEXT_TOO_LONG",
        "points[17].note",
    );
    let monthly = |p: &mut pb::Point| p.period = "2023-01".to_owned();
    told(monthly, "PERIOD_FREQUENCY_MISMATCH", "points[17].period");
}

#[test]
fn limits_must_make_sense() {
    use pb::bounds::Meaning;
    let with = |lower, upper, meaning| {
        refusal(move |p| {
            p.bounds = Some(pb::Bounds {
                lower,
                upper,
                meaning,
            });
        })
    };
    let rounding = || Some(Meaning::Rounding(pb::Rounding {}));
    assert_eq!(with(Some(1.0), None, None).0, "ONEOF_UNSET");
    for (lower, upper) in [(None, None), (Some(20.0), None), (Some(2.0), Some(1.0))] {
        let (reason, at) = with(lower, upper, rounding());
        assert_eq!(
            (reason, at.as_str()),
            ("BOUNDS_INVALID", "points[17].bounds")
        );
    }
    let nan = with(Some(f64::NAN), None, rounding());
    assert_eq!(
        nan,
        ("VALUE_NOT_FINITE", "points[17].bounds.lower".to_owned())
    );
    let interval = pb::ProbabilityInterval { level: 1.0 };
    let level = with(
        Some(1.0),
        None,
        Some(Meaning::ProbabilityInterval(interval)),
    );
    assert_eq!(level.0, "LEVEL_INVALID");
}
