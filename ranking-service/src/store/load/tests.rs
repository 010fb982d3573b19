//! What is kept in memory is what the store holds, at every revision.

mod looks;

use almanac_service_kit::{
    plain::{
        control::Unlimited,
        period::{Frequency, Period},
    },
    resource::Stored,
    store::{Store, StoreError, StoreOptions},
};
use proptest::prelude::*;

use super::*;
use crate::{
    compute::{Computed, compute, compute_knowing},
    domain::{
        direction::Direction,
        methodology::{ConstantColumn, Methodology},
        selection::{Absence, CellState, LookBack, PeriodCell, Selection},
    },
    store::{CellTold, ENTITIES, Entity, EntityFilter, INDICATORS, Indicator, OBSERVATIONS, Plan},
};

const DATASET: u64 = 1;
const INDICATORS_HELD: [u64; 2] = [10, 11];

/// One write.
#[derive(Debug, Clone)]
enum Write {
    Observation(u64, u64, i64, Option<(CellState, String)>),
    Entity(u64, Option<String>),
    Unit(u64, String),
}

fn stored<T>(uid: u64, label: &str, body: T) -> Stored<T> {
    Stored {
        uid,
        create_time: 0,
        display_name: format!("number {uid}"),
        labels: [("group".to_owned(), label.to_owned())].into(),
        body,
    }
}

fn indicator(unit: &str) -> Indicator {
    Indicator {
        description: String::new(),
        unit: unit.to_owned(),
        direction: Direction::HigherIsBetter,
        frequency: Frequency::Yearly,
        source: "default".to_owned(),
        license: String::new(),
        denominator: String::new(),
        goalposts: None,
        target: None,
    }
}

fn observation(state: CellState, text: &str) -> Observation {
    Observation {
        state,
        missing_reason: i32::from(state == CellState::Missing),
        state_note: text.to_owned(),
        source: text.to_owned(),
        note: "not read".to_owned(),
        status: 1,
        release_time: None,
    }
}

fn entity_key(uid: u64) -> (u64, String) {
    (DATASET, format!("e{}", 99 - uid))
}

/// Commits writes.
fn write(store: &Store, writes: Vec<Write>) -> Snapshot {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    let done = store.transact(move |tx| {
        for write in writes {
            match write {
                Write::Observation(indicator, entity, ordinal, Some((state, text))) => {
                    let key = (indicator, entity, ordinal);
                    tx.put(&OBSERVATIONS, &key, &observation(state, &text))?;
                }
                Write::Observation(indicator, entity, ordinal, None) => {
                    tx.delete(&OBSERVATIONS, &(indicator, entity, ordinal))?;
                }
                Write::Entity(uid, Some(label)) => {
                    let description = String::new();
                    let entity = stored(uid, &label, Entity { description });
                    tx.put(&ENTITIES, &entity_key(uid), &entity)?;
                }
                Write::Entity(uid, None) => tx.delete(&ENTITIES, &entity_key(uid))?,
                Write::Unit(uid, unit) => {
                    let key = (DATASET, format!("i{uid}"));
                    tx.put(&INDICATORS, &key, &stored(uid, "", indicator(&unit)))?;
                }
            }
        }
        Ok::<_, StoreError>(())
    });
    runtime.block_on(done).unwrap();
    store.latest()
}

fn node(id: &str, parent: Option<&str>, indicator: Option<u64>) -> Node {
    Node {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        weight: 1.0,
        indicator: indicator.map(|uid| format!("i{uid}")),
        display_name: String::new(),
    }
}

fn index(filter: &str, max_age: Option<u32>) -> Index {
    let mut methodology = Methodology::default();
    methodology.normalization.constant_column = ConstantColumn::Value(50.0);
    let period = "2020".parse::<Period>().unwrap();
    let older = "2019".parse::<Period>().unwrap();
    let at = |period| PeriodSelection { period, max_age };
    Index {
        description: String::new(),
        nodes: vec![
            node("all", None, None),
            node("a", Some("all"), Some(10)),
            node("b", Some("all"), Some(11)),
            node("c", Some("all"), Some(10)),
        ],
        plan: Plan {
            methodology,
            periods: at(period),
            node_periods: vec![("c".to_owned(), at(older))],
        },
        entities: (!filter.is_empty()).then(|| EntityFilter {
            filter: filter.to_owned(),
            entities: Vec::new(),
        }),
    }
}

/// The cell of an entity as its observations in the store say, one by one.
fn expected(
    read: &Snapshot,
    indicator: u64,
    entity: u64,
    selection: PeriodSelection,
    tried: Option<&TriedCells>,
) -> EditionCell {
    let mut own = TriedCells::new();
    for row in read.scan(&OBSERVATIONS, &(indicator, entity)) {
        let ((.., ordinal), found) = row.unwrap();
        own.insert(ordinal, found.value);
    }
    own.extend(tried.cloned().unwrap_or_default());
    let cells = own.iter().map(|(ordinal, one)| PeriodCell {
        ordinal: *ordinal,
        state: one.state,
    });
    let (figure, at) =
        match LookBack::new(selection.period.ordinal(), selection.max_age).select(cells) {
            Selection::Found(figure) => (Some((figure.value, figure.ordinal)), figure.ordinal),
            Selection::NotFound(Absence::KnownMissing { ordinal }) => (None, ordinal),
            Selection::NotFound(_) => return EditionCell::default(),
        };
    let at = &own[&at];
    EditionCell {
        figure,
        told: Arc::new(CellTold {
            source: at.source.clone(),
            status: at.status,
            missing: figure
                .is_none()
                .then(|| (at.missing_reason, at.state_note.clone())),
        }),
    }
}

fn state() -> impl Strategy<Value = CellState> {
    prop_oneof![
        4 => (-5..5_i32).prop_map(|value| CellState::Value(value.into())),
        1 => Just(CellState::Missing),
        1 => Just(CellState::Retracted),
    ]
}

fn any_write() -> impl Strategy<Value = Write> {
    let cell = (state(), "[a-b]?");
    prop_oneof![
        8 => (10..12_u64, 20..26_u64, 2017..2022_i64, proptest::option::weighted(0.9, cell))
            .prop_map(|(i, e, at, cell)| Write::Observation(i, e, at, cell)),
        2 => (20..26_u64, proptest::option::weighted(0.8, "[x-y]"))
            .prop_map(|(uid, label)| Write::Entity(uid, label)),
        1 => (10..12_u64, "[a-c]").prop_map(|(uid, unit)| Write::Unit(uid, unit)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn brought_forward_is_as_read_anew_at_every_revision(
        commits in proptest::collection::vec(proptest::collection::vec(any_write(), 1..6), 1..16),
        tried in proptest::collection::vec((10..12_u64, 20..26_u64, 2017..2022_i64, state()), 0..3),
        max_age in proptest::option::of(0..3_u32),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let mut start: Vec<Write> =
            INDICATORS_HELD.map(|uid| Write::Unit(uid, "unit".to_owned())).into();
        start.extend((20..24).map(|uid| Write::Entity(uid, Some("x".to_owned()))));
        let mut tried_cells = Tried::new();
        for (indicator, entity, ordinal, state) in tried {
            let key = (format!("i{indicator}"), entity_key(entity).1);
            tried_cells.entry(key).or_default().insert(ordinal, observation(state, "tried"));
        }
        let kept = Decoded::new(1 << 20);
        let mut known = None;
        let mut reads = vec![write(&store, start)];
        for commit in commits {
            reads.push(write(&store, commit));
            let older = &reads[reads.len() / 2];
            for read in [reads.last().unwrap(), older] {
                for index in [index("", max_age), index("labels.group = x", max_age)] {
                    for tried in [&Tried::new(), &tried_cells] {
                        check(&kept, read, &index, tried, &mut known)?;
                    }
                }
            }
        }
    }
}

/// Compares what is kept with what is read anew, and both with the records one by one.
fn check(
    kept: &Decoded,
    read: &Snapshot,
    index: &Index,
    tried: &Tried,
    known: &mut Option<Arc<Ranking>>,
) -> Result<(), TestCaseError> {
    let found = kept.live(read, DATASET, index, tried, &Unlimited).unwrap();
    // Without memory of its own it reads everything from the store.
    let anew = Decoded::new(0)
        .live(read, DATASET, index, tried, &Unlimited)
        .unwrap();
    prop_assert_eq!(&found, &anew);
    // Ranked with what another ranking knows, and without.
    let told = |done: &Computed| (done.input_digest.clone(), done.result_digest.clone());
    let ranked = compute_knowing(&found, known.as_deref(), &Unlimited);
    let ranked_anew = compute(&anew, &Unlimited);
    prop_assert_eq!(ranked.as_ref().map(told), ranked_anew.as_ref().map(told));
    if let (Ok(ranked), Ok(anew)) = (ranked, ranked_anew) {
        prop_assert_eq!(&ranked.ranking, &anew.ranking);
        *known = Some(ranked.ranking);
    }
    for (position, cells) in &found.leaves {
        let node = &index.nodes[*position];
        let selection = index.plan.selection(&node.id);
        let id = node.indicator.clone().unwrap();
        let indicator = id[1..].parse().unwrap();
        for (row, entity) in found.fixed.entities.iter().enumerate() {
            let uid = 99 - entity.id[1..].parse::<u64>().unwrap();
            let tried = tried.get(&(id.clone(), entity.id.clone()));
            let expected = expected(read, indicator, uid, selection, tried);
            prop_assert_eq!(&cells.cells[row], &expected);
        }
    }
    Ok(())
}
