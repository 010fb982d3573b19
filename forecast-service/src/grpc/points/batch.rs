//! The rows of a batch or of a chunk of an import: checked against the market, then written.

use std::collections::BTreeMap;

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::{
    fault::{Fault, Violations},
    import::Written,
    plain::control::{Control, Stopped, Unlimited, attended},
    store::{Read, Revision, Transaction},
};
use tonic::Code;

use crate::{
    convert,
    error::OrFault as _,
    store::{MarketView, POINTS, Point, PointKey},
};

/// Rows that were checked against a state of their market.
#[derive(Debug)]
pub struct Checked {
    /// The rows as they came, should the market have changed since.
    wire: Vec<pb::Point>,
    /// The revision that last changed the market.
    market: Revision,
    rows: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    /// The good ones by their place.
    good: Vec<(usize, PointKey, Point)>,
    /// What is wrong with the others.
    rejected: Vec<(usize, Violations)>,
}

impl Checked {
    /// The bad rows, which are then gone from it.
    pub(super) fn take_rejected(&mut self) -> Vec<(usize, Violations)> {
        std::mem::take(&mut self.rows.rejected)
    }
}

/// Checks rows against their market.
///
/// # Errors
/// [`Stopped`] once nobody waits.
pub(super) fn check(
    market: &MarketView,
    wire: Vec<pb::Point>,
    control: &dyn Control,
) -> Result<Checked, Stopped> {
    let rows = parse(&wire, market, control)?;
    let market = market.revision;
    Ok(Checked { wire, market, rows })
}

fn parse(
    points: &[pb::Point],
    market: &MarketView,
    control: &dyn Control,
) -> Result<Rows, Stopped> {
    let mut first: BTreeMap<PointKey, usize> = BTreeMap::new();
    let mut rows = Rows::default();
    for row in attended(points.iter().enumerate(), control) {
        let (row, point) = row?;
        let at = at(row);
        let mut violations = Violations::new();
        let parsed = convert::point::parse(point, &at, market, &mut violations);
        if let Some((key, _)) = &parsed {
            let earlier = *first.entry(key.clone()).or_insert(row);
            if earlier != row {
                let text = format!("the series and period also stand in points[{earlier}]");
                violations.push(at, Common::DuplicateKey, text);
            }
        }
        match parsed {
            Some((key, point)) if violations.is_empty() => rows.good.push((row, key, point)),
            _ => rows.rejected.push((row, violations)),
        }
    }
    Ok(rows)
}

fn at(row: usize) -> String {
    format!("points[{row}]")
}

/// Writes the good rows, after checking them again if the market has changed. Refused as a whole
/// (ABORTED) if one of them changed after `since`.
pub(super) fn write(
    tx: &mut Transaction<'_>,
    market: &str,
    checked: Checked,
    since: Option<Revision>,
) -> Result<Written, Fault> {
    let now = MarketView::written_at(tx, market)?;
    let rows = if now == checked.market {
        checked.rows
    } else {
        // A transaction goes to its end.
        let market = MarketView::load(tx, market, &Unlimited)?;
        parse(&checked.wire, &market, &Unlimited)?
    };
    check_unchanged(tx, &rows.good, since)?;
    for (_, key, point) in &rows.good {
        tx.put(&POINTS, key, point).or_fault()?;
    }
    Ok(Written {
        count: rows.good.len(),
        rejected: rows.rejected,
    })
}

fn check_unchanged(
    tx: &Transaction<'_>,
    rows: &[(usize, PointKey, Point)],
    since: Option<Revision>,
) -> Result<(), Fault> {
    let Some(since) = since else { return Ok(()) };
    for (row, key, _) in rows {
        let found = tx.get(&POINTS, key).or_fault()?;
        if found.is_some_and(|found| found.revision > since) {
            let text = format!(
                "{} changed after if_revision; read again and repeat",
                at(*row)
            );
            let fault = Fault::new(Code::Aborted, Common::ChangedSinceRevision, text);
            return Err(fault.with("field", at(*row)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use almanac_service_kit::{
        plain::period::Frequency,
        resource::Stored,
        store::{Read as _, Store, StoreOptions},
    };

    use super::*;
    use crate::{
        domain::hierarchy,
        store::{Dimension, MARKETS, Market},
    };

    fn market(nonnegative: bool) -> Stored<Market> {
        let member = hierarchy::Member {
            id: "world".to_owned(),
            parent: None,
            display_name: String::new(),
        };
        let region = Dimension {
            declared: hierarchy::Dimension {
                id: "region".to_owned(),
                members: vec![member],
            },
            display_name: String::new(),
            labels: BTreeMap::new(),
        };
        Stored {
            uid: 7,
            create_time: 0,
            display_name: String::new(),
            labels: BTreeMap::new(),
            body: Market {
                description: String::new(),
                unit: String::new(),
                basis: None,
                frequency: Frequency::Yearly,
                nonnegative,
                dimensions: vec![region],
            },
        }
    }

    fn point(period: &str, value: f64) -> pb::Point {
        pb::Point {
            series: Some(pb::SeriesKey::default()),
            period: period.to_owned(),
            state: Some(pb::point::State::Value(value)),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn rows_are_checked_again_where_the_market_changed_before_their_commit() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        for (nonnegative, bad) in [(false, vec![]), (true, vec![1])] {
            let put = |market: Stored<Market>| {
                store.transact(move |tx| tx.put(&MARKETS, &(0, "m"), &market))
            };
            put(market(false)).await.unwrap();
            let seen = MarketView::load(&store.latest(), "m", &Unlimited).unwrap();
            let rows = vec![point("2023", 1.0), point("2024", -1.0)];
            let checked = check(&seen, rows, &Unlimited).unwrap();
            assert!(checked.rows.rejected.is_empty());
            if nonnegative {
                put(market(true)).await.unwrap();
            }
            let clear = store.transact(|tx| {
                tx.delete(&POINTS, &(7, "world", 2023))?;
                tx.delete(&POINTS, &(7, "world", 2024))
            });
            clear.await.unwrap();
            let written = store.transact(move |tx| write(tx, "m", checked, None));
            let written = written.await.unwrap().value;
            let rejected: Vec<usize> = written.rejected.iter().map(|(row, _)| *row).collect();
            assert_eq!(rejected, bad);
            let read = store.latest();
            let there = |year: i64| read.get(&POINTS, &(7, "world", year)).unwrap().is_some();
            assert_eq!((there(2023), there(2024)), (true, !nonnegative));
        }
        let gone = store.transact(|tx| tx.delete(&MARKETS, &(0, "m")));
        let seen = MarketView::load(&store.latest(), "m", &Unlimited).unwrap();
        gone.await.unwrap();
        let checked = check(&seen, vec![point("2025", 1.0)], &Unlimited).unwrap();
        let written = store
            .transact(move |tx| write(tx, "m", checked, None))
            .await;
        assert!(written.is_err());
        store.close().unwrap();
    }
}
