//! Tests of [`super`].

use super::*;

fn proto() -> pb::Forecast {
    pb::Forecast {
        method: Some(pb::ForecastMethod {
            method: Some(pb::forecast_method::Method::Drift(pb::Drift {})),
        }),
        reconciliation: Some(pb::ReconciliationMethod {
            method: Some(pb::reconciliation_method::Method::BottomUp(pb::BottomUp {})),
        }),
        horizon: 5,
        ..Default::default()
    }
}

fn told(change: impl FnOnce(&mut pb::Forecast)) -> (&'static str, String) {
    let mut proto = proto();
    change(&mut proto);
    let mut violations = Violations::new();
    parse(Some(&proto), "forecast", Frequency::Yearly, &mut violations);
    let fault = violations.finish().unwrap_err();
    (
        fault.reason(),
        fault.message().split(": ").next().unwrap().to_owned(),
    )
}

#[test]
fn a_plan_goes_there_and_back() {
    let mut violations = Violations::new();
    let draft = parse(
        Some(&proto()),
        "forecast",
        Frequency::Yearly,
        &mut violations,
    )
    .unwrap();
    violations.finish().unwrap();
    let mut rendered = pb::Forecast::default();
    render_plan(&draft.body.0, &mut rendered);
    assert_eq!(rendered.method, proto().method);
    assert_eq!(rendered.reconciliation, proto().reconciliation);
    assert_eq!(rendered.levels, DEFAULT_LEVELS);
}

#[test]
fn what_is_wrong_has_its_path_and_reason() {
    let expect = |change: fn(&mut pb::Forecast), reason: &str, path: &str| {
        let (found, at) = told(change);
        assert_eq!((found, at.as_str()), (reason, path));
    };
    expect(|f| f.method = None, "ONEOF_UNSET", "forecast.method.method");
    expect(
        |f| f.reconciliation = None,
        "ONEOF_UNSET",
        "forecast.reconciliation.method",
    );
    expect(|f| f.horizon = 0, "HORIZON_INVALID", "forecast.horizon");
    expect(|f| f.horizon = 1001, "HORIZON_INVALID", "forecast.horizon");
    expect(
        |f| f.levels = vec![0.5, 1.0],
        "LEVEL_INVALID",
        "forecast.levels[1]",
    );
    expect(
        |f| f.levels = vec![0.5, 0.5],
        "LEVEL_INVALID",
        "forecast.levels[1]",
    );
    expect(
        |f| f.levels = vec![f64::NAN],
        "LEVEL_INVALID",
        "forecast.levels[0]",
    );
    expect(
        |f| f.levels = vec![0.5; 11],
        "TOO_MANY_ITEMS",
        "forecast.levels",
    );
    let monthly = |f: &mut pb::Forecast| f.last_period = "2023-01".to_owned();
    expect(monthly, "PERIOD_FREQUENCY_MISMATCH", "forecast.last_period");
}

#[test]
fn periods_end_with_the_calendar() {
    let last: Period = "9998".parse().unwrap();
    assert_eq!(periods(last, 3), ["9999"]);
    assert_eq!(periods("2023".parse().unwrap(), 2), ["2024", "2025"]);
}
