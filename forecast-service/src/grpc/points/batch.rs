//! The rows of a batch or of a chunk of an import: checked against the market, then written.

use std::collections::BTreeMap;

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::{
    fault::{Fault, Violations},
    import::Written,
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
pub(super) fn check(
    read: &impl Read,
    market: &str,
    wire: Vec<pb::Point>,
) -> Result<Checked, Fault> {
    let market = MarketView::load(read, market)?;
    let rows = parse(&wire, &market);
    let market = market.revision;
    Ok(Checked { wire, market, rows })
}

fn parse(points: &[pb::Point], market: &MarketView) -> Rows {
    let mut first: BTreeMap<PointKey, usize> = BTreeMap::new();
    let mut rows = Rows::default();
    for (row, point) in points.iter().enumerate() {
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
    rows
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
    let now = MarketView::load(tx, market)?;
    let rows = if now.revision == checked.market {
        checked.rows
    } else {
        parse(&checked.wire, &now)
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
