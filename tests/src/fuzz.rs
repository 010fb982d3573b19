//! Fuzzing: everything that reads bytes or texts from callers or from the disk, given bad ones.
//!
//! A target is a plain function of bytes that panics if what it looks at does something wrong. The
//! same functions are run by a test (the corpus and a few thousand changes of it), by the program
//! `fuzz` (as many as one likes, on stable) and by libFuzzer (`tests/fuzz`, which sees coverage).
//! `tests/corpus` keeps, by target, valid inputs and every input that ever failed.

use std::panic::{AssertUnwindSafe, catch_unwind};

mod calls;
pub mod corpus;
pub mod memory;
mod mutate;
mod samples;
mod schema;
pub mod sizes;
mod stored;
mod texts;
mod wire;
mod world;

use mutate::Dictionary;
use stored::named;
use world::World;

use crate::dice::Dice;

/// Something that reads bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called; its corpus is in a folder of this name.
    pub name: &'static str,
    /// Reads an input, and says whether it was one that is understood.
    ///
    /// # Panics
    /// If something is wrong with what it looks at.
    pub run: fn(&[u8]) -> bool,
    /// The service whose requests the inputs are.
    world: Option<fn() -> &'static World>,
    /// How much it does at a time, against the others: how many runs of them one of its is worth.
    pub weight: u64,
}

const fn bytes(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target {
        name,
        run,
        world: None,
        weight: 1,
    }
}

const fn calls(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    world: fn() -> &'static World,
) -> Target {
    Target {
        name,
        run,
        world: Some(world),
        weight: 3,
    }
}

/// Every target.
pub const TARGETS: [Target; 12] = [
    bytes("store-file", stored::file),
    bytes("store-key", stored::key),
    bytes("store-value", stored::value),
    bytes("filter", texts::filter),
    bytes("name", texts::resource_name),
    bytes("ordinal", texts::ordinal),
    bytes("page-token", texts::page_token),
    bytes("period", texts::period),
    bytes("printed-decimal", texts::printed),
    bytes("revision-token", texts::revision_token),
    calls("ranking-calls", calls::ranking, calls::ranking_world),
    calls("forecast-calls", calls::forecast, calls::forecast_world),
];

/// Runs an input of the target that is called so.
///
/// # Panics
/// If something is wrong with what the target looks at, or there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|target| target.name == name);
    let Some(target) = found else {
        unreachable!("no target {name}");
    };
    (target.run)(input);
}

/// What came of many runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were.
    pub runs: u64,
    /// How many inputs were understood.
    pub understood: u64,
}

/// An input that a target panicked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said.
    pub text: String,
}

impl Target {
    /// Runs one input.
    ///
    /// # Errors
    /// What the target panicked with.
    pub fn attempt(&self, input: &[u8]) -> Result<bool, Failure> {
        catch_unwind(AssertUnwindSafe(|| (self.run)(input))).map_err(|panic| Failure {
            input: input.to_vec(),
            text: panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a text")
                .to_owned(),
        })
    }

    /// Runs `runs` changes of `corpus`, the same ones for the same seed.
    ///
    /// # Errors
    /// The first input that the target panicked at.
    pub fn fuzz(&self, corpus: Vec<Vec<u8>>, runs: u64, seed: u64) -> Result<Tally, Failure> {
        let dictionary = self.dictionary(corpus);
        let mut tally = Tally::default();
        for run in 0..runs {
            let mut dice = Dice::new(seed, run);
            let input = self.next(&dictionary, &mut dice);
            tally.runs += 1;
            tally.understood += u64::from(self.attempt(&input)?);
        }
        Ok(tally)
    }

    fn dictionary(&self, corpus: Vec<Vec<u8>>) -> Dictionary {
        let mut dictionary = Dictionary::of(corpus);
        if let Some(world) = self.world {
            let schema = &world().schema;
            for input in dictionary.inputs.clone() {
                let (method, request) = named(&input).unwrap_or_default();
                if let Some(shape) = schema.methods.get(method).filter(|shape| !shape.streams) {
                    dictionary.learn(schema, &shape.input, request);
                }
            }
        }
        dictionary
    }

    /// An input of the corpus, changed a few times.
    fn next(&self, dictionary: &Dictionary, dice: &mut Dice) -> Vec<u8> {
        let count = dictionary.inputs.len().max(1) as u64;
        let row = usize::try_from(dice.below(count)).unwrap_or_default();
        let mut input = dictionary.inputs.get(row).cloned().unwrap_or_default();
        let changes = 1 + dice.below(6);
        let schema = self.world.map(|world| &world().schema);
        let shape = schema.and_then(|schema| {
            let (method, request) = named(&input)?;
            let shape = schema.methods.get(method)?;
            let head = input.len() - request.len();
            Some((schema, shape, head))
        });
        let Some((schema, shape, head)) = shape.filter(|_| dice.below(8) > 0) else {
            for _ in 0..changes {
                mutate::bytes(&mut input, dictionary, dice);
            }
            return input;
        };
        let mut request = input.split_off(head);
        for _ in 0..changes {
            if shape.streams {
                mutate::stream(&mut request, schema, &shape.input, dictionary, dice);
            } else {
                mutate::message(&mut request, schema, &shape.input, dictionary, dice);
            }
        }
        input.extend(request);
        input
    }
}
