//! The values of a market's points, decoded for computing.

use std::{collections::BTreeMap, sync::Arc};

use almanac_proto::common::v1::ErrorReason;
use almanac_service_kit::{
    columns::{Advance, Columns, Decoded},
    fault::Fault,
    memory::Blocks,
    plain::control::{Control, attended},
    store::{Read as _, Revision, Snapshot},
};

use super::{POINTS, PointKey};
use crate::error::OrFault as _;

/// Most values of a market that is computed from.
pub const MAX_VALUES: usize = 5_000_000;
/// Bytes of a value.
const VALUE_BYTES: usize = size_of::<(i64, f64)>();
/// Bytes of a series beside its values and the text of its coordinate, roughly.
const SERIES_BYTES: usize = 160;

/// Markets as computations read them, shared by all calls and jobs.
pub type PointColumns = Arc<Columns<MarketPoints>>;

/// The values of one series, by ordinal of the period.
pub type Values = Vec<(i64, f64)>;

/// The values of all points of a market, published figures of aggregates included; points that are
/// missing or retracted are absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MarketPoints {
    /// By [`super::coordinate`].
    series: BTreeMap<String, Arc<Values>>,
}

impl MarketPoints {
    /// Each series that has values, by [`super::coordinate`], with its values in order.
    pub fn series(&self) -> impl Iterator<Item = (&str, &[(i64, f64)])> {
        let series = self.series.iter();
        series.map(|(coordinate, values)| (coordinate.as_str(), values.as_slice()))
    }

    fn set(&mut self, (_, coordinate, ordinal): PointKey, value: Option<f64>) {
        let values = Arc::make_mut(self.series.entry(coordinate).or_default());
        match (values.binary_search_by_key(&ordinal, |(at, _)| *at), value) {
            (Ok(at), Some(value)) => values[at].1 = value,
            (Ok(at), None) => drop(values.remove(at)),
            (Err(at), Some(value)) => values.insert(at, (ordinal, value)),
            (Err(_), None) => {}
        }
    }

    fn len(&self) -> usize {
        self.series.values().map(|values| values.len()).sum()
    }
}

impl Decoded for MarketPoints {
    fn load(read: &Snapshot, uid: u64, control: &dyn Control) -> Result<Self, Fault> {
        let mut points = Self::default();
        let mut current: Option<(String, Values)> = None;
        let mut total = 0;
        // How many there are is known when they are read.
        let mut blocks = Blocks::new(control);
        for item in attended(read.scan(&POINTS, &(uid,)), control) {
            let ((_, coordinate, ordinal), version) = item?.or_fault()?;
            let Some(value) = version.value.value() else {
                continue;
            };
            blocks.claim(VALUE_BYTES)?;
            total += 1;
            if total > MAX_VALUES {
                return Err(too_many());
            }
            match &mut current {
                Some((of, values)) if *of == coordinate => values.push((ordinal, value)),
                _ => {
                    blocks.claim(SERIES_BYTES + coordinate.len())?;
                    let next = (coordinate, vec![(ordinal, value)]);
                    points.keep(current.replace(next));
                }
            }
        }
        points.keep(current);
        Ok(points)
    }

    fn unchanged_since(read: &Snapshot, uid: u64) -> Revision {
        read.unchanged_since(&POINTS, &(uid,))
    }

    fn advance(
        &self,
        read: &Snapshot,
        uid: u64,
        since: Revision,
        control: &dyn Control,
    ) -> Result<Advance<Self>, Fault> {
        let changes = read.changed_keys(&POINTS, &(uid,), since).or_fault()?;
        let Some(changes) = changes else {
            return Ok(Advance::Unknown);
        };
        let Some(newest) = changes.newest else {
            return Ok(Advance::Same);
        };
        // Reading a record by its key costs about twice as much as in a scan.
        if changes.keys.len() > self.len() / 2 + 1 {
            return Ok(Advance::Unknown);
        }
        let mut next = self.clone();
        for key in attended(changes.keys, control) {
            let key = key?;
            let found = read.get(&POINTS, &key).or_fault()?;
            next.set(key, found.and_then(|found| found.value.value()));
        }
        next.series.retain(|_, values| !values.is_empty());
        Ok(Advance::Changed(next, newest))
    }

    fn bytes(&self) -> usize {
        let values = self.len() * VALUE_BYTES;
        let names: usize = self
            .series
            .keys()
            .map(|name| name.len() + SERIES_BYTES)
            .sum();
        values + names
    }
}

fn too_many() -> Fault {
    let text = format!("the market holds more than {MAX_VALUES} points");
    Fault::field("parent", ErrorReason::TooManyItems, text)
}

impl MarketPoints {
    fn keep(&mut self, series: Option<(String, Values)>) {
        if let Some((coordinate, mut values)) = series {
            values.shrink_to_fit();
            self.series.insert(coordinate, Arc::new(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use almanac_service_kit::{
        plain::control::{LOOK_EVERY, StopsAt, Unlimited},
        store::{Store, StoreError, StoreOptions},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Point, PointState, PointStatus};

    fn point(value: Option<f64>) -> Point {
        Point {
            state: match value {
                Some(value) => PointState::Value(value),
                None => PointState::Missing {
                    reason: 1,
                    note: String::new(),
                },
            },
            status: PointStatus::Actual,
            source: String::new(),
            note: String::new(),
            bounds: None,
            release_time: None,
        }
    }

    /// Market, series, ordinal, and a figure, that it is missing, or nothing any more.
    type Change = (u64, u8, i64, Option<Option<f64>>);

    fn change() -> impl Strategy<Value = Change> {
        let state = proptest::option::weighted(0.9, proptest::option::weighted(0.8, 0.0..9.0));
        (1..3_u64, 0..4_u8, 2000..2008_i64, state)
    }

    async fn write(store: &Store, changes: Vec<Change>) -> Snapshot {
        let write = store.transact(move |tx| {
            for (market, series, ordinal, state) in &changes {
                let key = (*market, format!("r{series}"), *ordinal);
                match state {
                    Some(value) => tx.put(&POINTS, &key, &point(*value))?,
                    None => tx.delete(&POINTS, &key)?,
                }
            }
            Ok::<_, StoreError>(())
        });
        write.await.unwrap();
        store.latest()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn brought_forward_is_as_read_anew_at_every_revision(
            commits in proptest::collection::vec(proptest::collection::vec(change(), 1..8), 1..16),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
            let columns = Columns::<MarketPoints>::new(1 << 20);
            let mut seen = Vec::new();
            for changes in commits {
                let read = runtime.block_on(write(&store, changes));
                for market in 1..3 {
                    let kept = columns.at(&read, market, &Unlimited).unwrap();
                    let anew = MarketPoints::load(&read, market, &Unlimited).unwrap();
                    prop_assert_eq!(&*kept, &anew);
                    seen.push((read.clone(), market, anew));
                }
            }
            for (read, market, anew) in seen {
                prop_assert_eq!(&*columns.at(&read, market, &Unlimited).unwrap(), &anew);
            }
            store.close().unwrap();
        }
    }

    #[tokio::test]
    async fn a_market_is_loaded_and_brought_forward_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let columns = Columns::<MarketPoints>::new(1 << 20);
        let count = 2 * LOOK_EVERY as i64 + 5;
        for (count, value) in [(count, 1.0), (count / 2, 2.0)] {
            let change = |at: i64| (1, u8::try_from(at % 3).unwrap(), at, Some(Some(value)));
            let read = write(&store, (0..count).map(change).collect()).await;
            let anew = MarketPoints::load(&read, 1, &Unlimited).unwrap();
            for look in 0.. {
                let control = StopsAt::look(look);
                let end = columns.at(&read, 1, &control);
                if !control.has_stopped() {
                    assert_eq!(*end.unwrap(), anew);
                    let looks = usize::try_from(count).unwrap().div_ceil(LOOK_EVERY);
                    assert!(look >= looks, "{look}");
                    break;
                }
                assert_eq!(end.unwrap_err().reason(), "COMPUTATION_STOPPED");
            }
        }
        store.close().unwrap();
    }
}
