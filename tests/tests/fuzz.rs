//! Every fuzz target, over its kept corpus and a few thousand changes of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::sync::{Mutex, PoisonError};

use almanac_tests::fuzz::{TARGETS, corpus, memory};
use peak_alloc::PeakAlloc;

/// Counts what the targets bound.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is allocated is counted for the whole process, so one test works at a time.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn the_corpus_and_changes_of_it_pass() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(memory::counts());
    for target in TARGETS {
        let kept = corpus::read(&target).unwrap();
        let mut understood = 0;
        for (name, input) in &kept {
            match target.attempt(input) {
                Ok(good) => understood += usize::from(good),
                Err(failure) => panic!("{} at {name}: {}", target.name, failure.text),
            }
        }
        assert!(understood > 0, "{}: nothing kept is valid", target.name);
        let inputs = kept.into_iter().map(|(_, input)| input).collect();
        let tally = target.fuzz(inputs, 3000 / target.weight, 7);
        let tally = tally.unwrap_or_else(|failure| {
            let input = failure.input.escape_ascii();
            panic!("{}: {} at b\"{input}\"", target.name, failure.text)
        });
        // Changes that never get past the first check would look at little.
        assert!(tally.understood > 0, "{}: {tally:?}", target.name);
    }
}
