//! Targets that read texts and tokens of callers.

use almanac_service_kit::{
    fault::Fault,
    filter::{Fields, Filter, MAX_FILTER_BYTES},
    fuzz, name,
    page::Page,
    plain::period::{Frequency, Period},
    resource::FILTER_FIELDS,
};
use forecast_service::domain::published::PrintedNumber;

use super::memory::bounded;

/// What a decoder of text gets: bytes that are no UTF-8 never reach one.
fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// A refusal says where: its one violation has a field and its text is not endless.
fn told(fault: &Fault, field: &str) {
    let status = fault.clone().into_status("fuzz.almanac");
    let details = tonic_types::StatusExt::get_error_details(&status);
    let violations = details.bad_request().map(|bad| &bad.field_violations[..]);
    let violations = violations.unwrap_or_default();
    assert!(
        violations.iter().any(|violation| violation.field == field),
        "{field} is not named: {fault:?}"
    );
    assert!(status.message().len() < 2048, "an endless message");
}

struct Item(&'static str);

impl Fields for Item {
    fn field(&self, path: &str) -> Option<&str> {
        matches!(path, "id" | "labels.region").then_some(self.0)
    }
}

/// Filters: what is understood prints as text that is understood the same, and passes the same.
pub(super) fn filter(input: &[u8]) -> bool {
    let text = text(input);
    let parsed = bounded(input, 16 << 10, 256, || {
        Filter::parse("filter", &text, FILTER_FIELDS)
    });
    let filter = match parsed {
        Ok(filter) => filter,
        Err(fault) => {
            told(&fault, "filter");
            return false;
        }
    };
    let printed = filter.to_string();
    let passes = |filter: &Filter| ["asia", ""].map(|value| filter.matches(&Item(value)));
    let before = passes(&filter);
    if printed.len() <= MAX_FILTER_BYTES {
        let again = Filter::parse("filter", &printed, FILTER_FIELDS);
        assert_eq!(again.as_ref(), Ok(&filter), "{printed}");
        assert_eq!(again.map(|again| passes(&again)), Ok(before));
    }
    true
}

/// Periods: what is read prints as what was read, and its ordinal stands for it.
pub(super) fn period(input: &[u8]) -> bool {
    let text = text(input);
    let Ok(period) = text.parse::<Period>() else {
        for frequency in Frequency::ALL {
            assert!(Period::parse_as(frequency, &text).is_err(), "{text}");
        }
        return false;
    };
    assert_eq!(period.to_string(), text);
    let frequency = period.frequency();
    assert_eq!(Period::parse_as(frequency, &text), Ok(period));
    assert_eq!(
        Period::from_ordinal(frequency, period.ordinal()),
        Some(period)
    );
    if let Some(next) = period.offset(1) {
        assert!(next > period && next.first_date() >= period.first_date());
        assert_eq!(next.periods_since(period), Some(1));
        assert_eq!(next.to_string().parse(), Ok(next));
    }
    true
}

/// Ordinals and distances, from eight bytes each.
pub(super) fn ordinal(input: &[u8]) -> bool {
    let Some((frequency, rest)) = input.split_first() else {
        return false;
    };
    let (longs, _) = rest.as_chunks::<8>();
    let [ordinal, distance, ..] = longs else {
        return false;
    };
    let frequency = Frequency::ALL[usize::from(*frequency) % Frequency::ALL.len()];
    let distance = i64::from_le_bytes(*distance);
    let Some(period) = Period::from_ordinal(frequency, i64::from_le_bytes(*ordinal)) else {
        return false;
    };
    assert_eq!(period.to_string().parse(), Ok(period));
    if let Some(other) = period.offset(distance) {
        assert_eq!(other.periods_since(period), Some(distance));
        assert_eq!(
            distance.checked_neg().and_then(|back| other.offset(back)),
            Some(period)
        );
    }
    true
}

/// Printed decimals: the digits' number lies within what they stand for.
pub(super) fn printed(input: &[u8]) -> bool {
    let (half_width, digits) = match input.split_first_chunk::<8>() {
        Some((half_width, rest)) if input.len() % 2 == 1 => {
            (Some(f64::from_le_bytes(*half_width)), rest)
        }
        _ => (None, input),
    };
    let decimal = text(digits);
    let number = PrintedNumber {
        decimal: decimal.clone(),
        half_width,
    };
    let range = match number.range() {
        Ok(range) => range,
        Err(fault) => {
            assert!(fault.to_string().len() < 512, "an endless message");
            return false;
        }
    };
    assert!(
        range.lower <= range.middle && range.middle <= range.upper,
        "{decimal:?} ± {half_width:?}: {range:?}"
    );
    assert!(range.middle.is_finite(), "{decimal:?}");
    assert_eq!(
        decimal
            .parse::<f64>()
            .map(f64::to_bits)
            .map(|bits| bits << 1),
        Ok(range.middle.to_bits() << 1),
        "{decimal:?}"
    );
    true
}

/// Page tokens: as they come, and with their check put right.
pub(super) fn page_token(input: &[u8]) -> bool {
    let text = text(input);
    let arguments = "arguments".to_owned();
    let open = |token: &str| Page::open("List", &arguments, 0, token);
    match open(&text) {
        Err(fault) => told(&fault, "page_token"),
        Ok(page) => {
            let known = [page.after.is_some(), page.revision.is_some()];
            assert_eq!(known, [!text.is_empty(); 2]);
        }
    }
    // A place with any text in it comes back as it was, and cuts a list somewhere.
    let first = open("").unwrap_or_else(|fault| unreachable!("no token: {fault:?}"));
    let page = open(&first.next("revision", &text));
    let page = page.unwrap_or_else(|fault| unreachable!("its own token: {fault:?}"));
    assert_eq!(page.after.as_deref(), Some(&text[..]));
    let (items, _) = page.cut("revision", vec![0; 100]);
    assert!(items.len() <= page.size);
    [false, true].into_iter().any(|mend| {
        let again = bounded(input, 64 << 10, 64, || fuzz::again_page_token(input, mend));
        if let Ok(again) = &again {
            assert_eq!(fuzz::again_page_token(again, mend).as_ref(), Ok(again));
        }
        again.is_ok()
    })
}

/// Tokens of revisions.
pub(super) fn revision_token(input: &[u8]) -> bool {
    let text = text(input);
    if let Some((number, _)) = input.split_first_chunk::<8>() {
        let token = fuzz::revision_token(u64::from_le_bytes(*number));
        assert_eq!(fuzz::again_token(&token), Ok(token.into_bytes()));
    }
    let again = fuzz::again_token(&text);
    if let Ok(again) = &again {
        assert_eq!(again, text.as_bytes());
    }
    again.is_ok()
}

/// Resource names, full and relative.
pub(super) fn resource_name(input: &[u8]) -> bool {
    const ENTITY: [&str; 2] = ["datasets", "entities"];
    let text = text(input);
    let relative = name::relative(&text, &ENTITY, &["d"]);
    match name::parse("name", &text, ENTITY) {
        Ok([dataset, entity]) => {
            let joined = name::join(&[("datasets", &dataset), ("entities", &entity)]);
            assert_eq!(joined, text);
            assert_eq!(relative.is_ok(), dataset == "d", "{text}");
            true
        }
        Err(fault) => {
            told(&fault, "name");
            relative.is_ok_and(|id| id == text)
        }
    }
}
