//! Tests of periods.

use proptest::prelude::*;

use super::*;

fn any_period() -> impl Strategy<Value = Period> {
    (0..7_usize, any::<prop::sample::Index>()).prop_map(|(which, index)| {
        let frequency = Frequency::ALL[which];
        let range = frequency.ordinals();
        let count = usize::try_from(range.end() - range.start() + 1).unwrap();
        let step = i64::try_from(index.index(count)).unwrap();
        Period::from_ordinal(frequency, range.start() + step).unwrap()
    })
}

fn parse(text: &str) -> Period {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

proptest! {
    #[test]
    fn text_round_trips(period in any_period()) {
        prop_assert_eq!(parse(&period.to_string()), period);
    }

    #[test]
    fn order_is_chronological(a in any_period(), b in any_period()) {
        if a.frequency == b.frequency {
            let by_time = (a.first_date(), a.ordinal).cmp(&(b.first_date(), b.ordinal));
            prop_assert_eq!(a.cmp(&b), by_time);
            // Years have four digits and parts are padded: text sorts by time as well.
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }
    }

    #[test]
    fn offset_is_undone_and_measured(period in any_period(), n in -100_000_i64..100_000) {
        if let Some(moved) = period.offset(n) {
            prop_assert_eq!(moved.periods_since(period), Some(n));
            prop_assert_eq!(moved.offset(-n), Some(period));
        }
    }

    #[test]
    fn stored_form_round_trips(period in any_period()) {
        let bytes = postcard::to_allocvec(&period).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Period>(&bytes).unwrap(), period);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,16}") {
        if let Ok(period) = text.parse::<Period>() {
            prop_assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn near_misses_never_parse_to_another_text(text in "[0-9SQWT-]{4,13}") {
        if let Ok(period) = text.parse::<Period>() {
            prop_assert_eq!(period.to_string(), text);
        }
    }
}

#[test]
fn neighbors_across_the_year() {
    for (period, next) in [
        ("2023", "2024"),
        ("2023-S2", "2024-S1"),
        ("2023-Q4", "2024-Q1"),
        ("2023-12", "2024-01"),
        ("2020-W53", "2021-W01"),
        ("2021-W52", "2022-W01"),
        ("2024-02-28", "2024-02-29"),
        ("1900-02-28", "1900-03-01"),
        ("2023-12-31T23", "2024-01-01T00"),
    ] {
        assert_eq!(parse(period).offset(1), Some(parse(next)));
        assert!(parse(period) < parse(next));
    }
}

#[test]
fn the_calendar_ends_at_both_sides() {
    for (first, last) in [
        ("0001", "9999"),
        ("0001-S1", "9999-S2"),
        ("0001-Q1", "9999-Q4"),
        ("0001-01", "9999-12"),
        ("0001-W01", "9999-W52"),
        ("0001-01-01", "9999-12-31"),
        ("0001-01-01T00", "9999-12-31T23"),
    ] {
        assert_eq!(parse(first).offset(-1), None);
        assert_eq!(parse(last).offset(1), None);
        let frequency = parse(first).frequency();
        assert_eq!(parse(first).ordinal(), *frequency.ordinals().start());
        assert_eq!(parse(last).ordinal(), *frequency.ordinals().end());
    }
    assert_eq!(parse("2023").offset(i64::MAX), None);
    assert_eq!(parse("2023").offset(i64::MIN), None);
}

#[test]
fn long_years_are_those_of_iso_8601() {
    let long: Vec<i32> = (2000..2030)
        .filter(|year| format!("{year}-W53").parse::<Period>().is_ok())
        .collect();
    assert_eq!(long, [2004, 2009, 2015, 2020, 2026]);
    assert_eq!(parse("2020-W53").first_date(), Date::constant(2020, 12, 28));
    assert_eq!(parse("2021-W01").first_date(), Date::constant(2021, 1, 4));
}

#[test]
fn known_distances() {
    let since = |late: &str, early: &str| parse(late).periods_since(parse(early));
    assert_eq!(since("2028", "2023"), Some(5));
    assert_eq!(since("2023-Q2", "2022-Q3"), Some(3));
    assert_eq!(since("1970-01-01", "0001-01-01"), Some(719_162));
    assert_eq!(since("2024-03-01T00", "2024-02-28T23"), Some(25));
    assert_eq!(since("2023-07", "2023"), None);
}

#[test]
fn other_spellings_are_refused() {
    for text in [
        "",
        "202",
        "20233",
        "-2023",
        "+2023",
        " 2023",
        "2023 ",
        "2023-",
        "2023-7",
        "2023-007",
        "2023-S",
        "2023-S11",
        "2023-s1",
        "2023-H1",
        "2023S1",
        "2023-q2",
        "2023Q2",
        "2023-Q",
        "2023-w31",
        "2023-W1",
        "2023W31",
        "2023-W031",
        "2023-W31-1",
        "2023/07",
        "202307",
        "2023-07-1",
        "2023-7-14",
        "20230714",
        "2023-07-14T",
        "2023-07-14T5",
        "2023-07-14t05",
        "2023-07-14 05",
        "2023-07-14T05:00",
        "2023-07-14T05Z",
        "２０２３",
        "2023-M07",
        "20x3",
        "2023-0x",
        "2023-07-14T0x",
    ] {
        let error = text.parse::<Period>().unwrap_err();
        assert!(
            matches!(error, PeriodError::NotCanonical { .. }),
            "{text}: {error}"
        );
        assert!(error.to_string().contains("2023-W31"), "{error}");
    }
    let long = "9".repeat(1_000_000).parse::<Period>().unwrap_err();
    assert!(long.to_string().len() < 300);
}

#[test]
fn periods_the_calendar_lacks_are_refused() {
    for (text, hint) in [
        ("0000", "0001 to 9999"),
        ("0000-12-31", "0001 to 9999"),
        ("2023-S0", "S1 and S2"),
        ("2023-S3", "S1 and S2"),
        ("2023-Q0", "Q1 to Q4"),
        ("2023-Q5", "Q1 to Q4"),
        ("2023-00", "01 to 12"),
        ("2023-13", "01 to 12"),
        ("2023-W00", "W53"),
        ("2023-W53", "W53"),
        ("2020-W54", "W53"),
        ("2023-02-29", "no such day"),
        ("2023-04-31", "no such day"),
        ("2023-01-00", "no such day"),
        ("2023-07-14T24", "00 to 23"),
        ("2023-02-30T01", "no such day"),
    ] {
        let error = text.parse::<Period>().unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn a_declared_frequency_is_held() {
    assert!(Period::parse_as(Frequency::Monthly, "2023-07").is_ok());
    let error = Period::parse_as(Frequency::Quarterly, "2023-07").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"2023-07\" is a monthly period where a quarterly one is expected, such as 2023-Q2"
    );
    for frequency in Frequency::ALL {
        assert!(Period::parse_as(frequency, frequency.example()).is_ok());
    }
}

#[test]
fn the_stored_form_does_not_change_between_releases() {
    let bytes = postcard::to_allocvec(&parse("2023-Q2")).unwrap();
    assert_eq!(bytes, [2, 186, 126]);
    // An ordinal no calendar has.
    assert!(postcard::from_bytes::<Period>(&[0, 0]).is_err());
}
