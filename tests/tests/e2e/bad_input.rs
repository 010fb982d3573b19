//! Bad observations and messages: each fault with its code, reason and field path.

use almanac_proto::ranking::v1 as pb;
use almanac_tests::{refusal::Refusal, wire};
use tonic::Code;

use crate::support::{DATASET, invalid, ranking, refused, small, write};

/// A fault of an observation: what makes it wrong, the reason, and the field.
type Case = (fn(&mut pb::Observation), &'static str, &'static str);

const OBSERVATIONS: &[Case] = &[
    (
        |o| o.indicator = String::new(),
        "FIELD_REQUIRED",
        "indicator",
    ),
    (
        |o| o.indicator = "datasets/d".to_owned(),
        "NAME_INVALID",
        "indicator",
    ),
    (
        |o| o.indicator = "datasets/other/indicators/air".to_owned(),
        "NAME_INVALID",
        "indicator",
    ),
    (
        |o| o.indicator = "nothing".to_owned(),
        "INDICATOR_UNKNOWN",
        "indicator",
    ),
    (|o| o.entity = String::new(), "FIELD_REQUIRED", "entity"),
    (
        |o| o.entity = "atlantis".to_owned(),
        "ENTITY_UNKNOWN",
        "entity",
    ),
    (
        |o| o.source = "nowhere".to_owned(),
        "SOURCE_UNKNOWN",
        "source",
    ),
    (|o| o.period = String::new(), "FIELD_REQUIRED", "period"),
    (|o| o.period = "23".to_owned(), "PERIOD_INVALID", "period"),
    (
        |o| o.period = "2023-Q5".to_owned(),
        "PERIOD_INVALID",
        "period",
    ),
    (
        |o| o.period = "2023-Q2".to_owned(),
        "PERIOD_FREQUENCY_MISMATCH",
        "period",
    ),
    (|o| o.state = None, "ONEOF_UNSET", "state"),
    (|o| o.state = value(f64::NAN), "VALUE_NOT_FINITE", "value"),
    (
        |o| o.state = value(f64::INFINITY),
        "VALUE_NOT_FINITE",
        "value",
    ),
    (
        |o| o.state = value(f64::NEG_INFINITY),
        "VALUE_NOT_FINITE",
        "value",
    ),
    (|o| o.note = "x".repeat(1025), "TEXT_TOO_LONG", "note"),
    (|o| o.status = 99, "FIELD_INVALID", "status"),
];

fn value(value: f64) -> Option<pb::observation::State> {
    Some(pb::observation::State::Value(value))
}

fn good(city: &str) -> pb::Observation {
    wire::observation("air", city, "2022", 5.0)
}

#[tokio::test]
async fn every_fault_of_an_observation_is_told_where_it_is() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    for (spoil, reason, field) in OBSERVATIONS {
        let mut batch = vec![good("oslo"), good("lima")];
        spoil(&mut batch[1]);
        let answer = client.write_observations(write(batch)).await;
        invalid(answer, reason, &format!("observations[1].{field}"));
    }
    let twice = vec![good("oslo"), good("lima"), good("oslo")];
    let answer = client.write_observations(write(twice)).await;
    invalid(answer, "DUPLICATE_KEY", "observations[2]");
    let none = client.write_observations(write(Vec::new())).await;
    invalid(none, "FIELD_REQUIRED", "observations");
    let many = vec![good("oslo"); 10_001];
    invalid(
        client.write_observations(write(many)).await,
        "TOO_MANY_ITEMS",
        "observations",
    );
    // Nothing of all this was written.
    let request = pb::ListObservationsRequest {
        parent: DATASET.to_owned(),
        filter: "period = \"2022\"".to_owned(),
        ..Default::default()
    };
    let listed = client
        .list_observations(request)
        .await
        .unwrap()
        .into_inner();
    assert!(listed.observations.is_empty(), "{listed:?}");
    fresh.stop().await;
}

#[tokio::test]
async fn ten_thousand_violations_fit_into_one_answer() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let bad = pb::Observation {
        state: value(f64::NAN),
        ..good("oslo")
    };
    let answer = client.write_observations(write(vec![bad; 10_000])).await;
    let status = answer.unwrap_err();
    assert!(
        status.details().len() < 6 * 1024,
        "{}",
        status.details().len()
    );
    let refusal = Refusal::from(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::InvalidArgument, "VALUE_NOT_FINITE")
    );
    assert_eq!(refusal.metadata["violations_total"], "10000");
    assert!(
        (10..=50).contains(&refusal.fields.len()),
        "{}",
        refusal.fields.len()
    );
    assert!(refusal.names("observations[0].value", "VALUE_NOT_FINITE"));
    fresh.stop().await;
}

#[tokio::test]
async fn a_message_of_5_mib_is_refused_with_the_limit() {
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    let big = pb::Observation {
        note: "x".repeat(5 << 20),
        ..good("oslo")
    };
    let answer = client.write_observations(write(vec![big])).await;
    let refusal = refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "");
    assert_eq!(refusal.metadata["limit_bytes"], (4 << 20).to_string());
    assert!(refusal.message.contains("4194304"), "{refusal}");
    // The connection is good for further calls.
    client
        .write_observations(write(vec![good("oslo")]))
        .await
        .unwrap();
    fresh.stop().await;
}
