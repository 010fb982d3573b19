//! A ranking can be stopped at any look at its control, and what is kept stays right.

use almanac_service_kit::plain::control::{LOOK_EVERY, StopsAt};

use super::*;
use crate::{
    compute::group_ranks,
    domain::scorecard::{ScorecardOptions, scorecard},
    error,
    store::EditionResult,
};

/// Entities: some more than are looked at between two looks.
const MANY: u64 = 2 * LOOK_EVERY as u64 + 9;

/// Writes all figures of 2020, or of 2019, which are `value` apart.
fn figures(store: &Store, year: &str, entities: u64, value: f64) -> Snapshot {
    let ordinal = year.parse::<Period>().unwrap().ordinal();
    let done = store.transact(move |tx| {
        for uid in INDICATORS_HELD {
            tx.put(
                &INDICATORS,
                &(DATASET, format!("i{uid}")),
                &stored(uid, "", indicator("m")),
            )?;
            for entity in 0..entities {
                let key = (DATASET, format!("e{entity}"));
                let description = String::new();
                tx.put(
                    &ENTITIES,
                    &key,
                    &stored(100 + entity, "x", Entity { description }),
                )?;
                let figure = CellState::Value(value * (entity * uid % 97) as f64);
                tx.put(
                    &OBSERVATIONS,
                    &(uid, 100 + entity, ordinal),
                    &observation(figure, ""),
                )?;
            }
        }
        Ok::<_, StoreError>(())
    });
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(done).unwrap();
    store.latest()
}

/// Everything that is told of a ranking.
type Told = (
    String,
    String,
    Vec<EditionResult>,
    Option<i32>,
    Vec<Option<i32>>,
);

fn told(kept: &Decoded, read: &Snapshot, control: &dyn Control) -> Result<Told, Fault> {
    let inputs = kept.live(read, DATASET, &index("", Some(2)), &Tried::new(), control)?;
    let done = compute(&inputs, control)?;
    let results = done.results(control)?;
    let card = scorecard(
        &done.framework,
        &done.entities,
        &done.ranking,
        7,
        ScorecardOptions::default(),
        &|_| None,
        control,
    );
    let rank = card.map_err(|e| error::scorecard(&e))?.rank;
    let groups: Vec<_> = (0..inputs.ids.len())
        .map(|row| Some(u32::from(row > 9)))
        .collect();
    let options = &inputs.fixed.plan.methodology.rank;
    let grouped = group_ranks(&results[0].scores, &groups, options, control)?;
    Ok((
        done.input_digest,
        done.result_digest,
        results,
        rank,
        grouped,
    ))
}

/// Stops at every look, until none is left; what it came to, and the number of looks.
fn stopped_at_every_look(work: impl Fn(&dyn Control) -> Result<Told, Fault>) -> (Told, usize) {
    let mut look = 0;
    loop {
        let control = StopsAt::look(look);
        let end = work(&control);
        if !control.has_stopped() {
            return (end.unwrap(), look);
        }
        assert_eq!(
            end.unwrap_err().reason(),
            "COMPUTATION_STOPPED",
            "look {look}"
        );
        look += 1;
    }
}

#[test]
fn a_ranking_stops_at_every_look_and_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let read = figures(&store, "2020", MANY, 1.0);
    let kept = Decoded::new(1 << 24);
    let whole = told(&kept, &read, &Unlimited).unwrap();
    let anew = |control: &dyn Control| told(&Decoded::new(1 << 24), &read, control);
    let (found, looks) = stopped_at_every_look(anew);
    assert!(found == whole);
    // Three looks for each of: the entities loaded and selected, two columns loaded, three selected,
    // seven written into digests twice, four ranked, four summed up.
    assert!(looks > 3 * 31, "{looks}");

    // Brought forward: some hundreds of changes in each column, and in the entities.
    let read = figures(&store, "2020", MANY / 2, 3.0);
    let whole = told(&Decoded::new(0), &read, &Unlimited).unwrap();
    let (found, _) = stopped_at_every_look(|control| told(&kept, &read, control));
    assert!(found == whole);
    assert!(told(&kept, &read, &Unlimited).unwrap() == whole);
}
