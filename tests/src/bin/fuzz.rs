//! Runs the fuzz targets on stable: changes of the kept corpus, the same ones for the same seed.

use std::{
    env,
    io::{self, Write as _},
    panic,
    process::ExitCode,
    time::Instant,
};

use almanac_tests::{
    Outcome,
    fuzz::{TARGETS, Target, corpus},
};
use peak_alloc::PeakAlloc;

/// Counts what the targets bound.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const USAGE: &str = "usage: fuzz [--runs N] [--target NAME] [--seed S] [--samples]

  --runs N       changed inputs for each target; a third for those that call methods (10000)
  --target NAME  only this one
  --seed S       of every choice (1)
  --samples      instead writes the valid inputs into the corpus anew

An input that fails is kept in the corpus, which the tests run.";

struct Arguments {
    runs: u64,
    target: Option<String>,
    seed: u64,
    samples: bool,
}

fn main() -> ExitCode {
    match arguments(env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told where standard error is closed.
            drop(writeln!(io::stderr(), "fuzz: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Outcome<Arguments> {
    let mut arguments = Arguments {
        runs: 10_000,
        target: None,
        seed: 1,
        samples: false,
    };
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--runs" => arguments.runs = value()?.parse()?,
            "--target" => arguments.target = Some(value()?),
            "--seed" => arguments.seed = value()?.parse()?,
            "--samples" => arguments.samples = true,
            _ => return Err(format!("{name}?\n{USAGE}").into()),
        }
    }
    Ok(arguments)
}

/// Whether nothing failed.
fn run(arguments: &Arguments) -> Outcome<bool> {
    let wanted = |target: &&Target| {
        let name = arguments.target.as_deref();
        name.is_none_or(|name| name == target.name)
    };
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        let names = TARGETS.map(|target| target.name).join(", ");
        return Err(format!("no such target; there are {names}").into());
    }
    if !arguments.samples {
        // What a target panics with is told with its input.
        panic::set_hook(Box::new(|_| {}));
    }
    let mut out = io::stdout().lock();
    let mut good = true;
    for target in targets {
        good &= if arguments.samples {
            write_samples(target, &mut out)?
        } else {
            fuzz(target, arguments, &mut out)?
        };
    }
    Ok(good)
}

fn write_samples(target: &Target, out: &mut impl io::Write) -> Outcome<bool> {
    let folder = corpus::folder(target);
    std::fs::create_dir_all(&folder)?;
    let samples = corpus::samples(target);
    for (name, input) in &samples {
        std::fs::write(folder.join(name), input)?;
    }
    writeln!(out, "{:16} {:>9} samples", target.name, samples.len())?;
    Ok(true)
}

fn fuzz(target: &Target, arguments: &Arguments, out: &mut impl io::Write) -> Outcome<bool> {
    let begin = Instant::now();
    let kept = corpus::read(target)?;
    for (name, input) in &kept {
        if let Err(failure) = target.attempt(input) {
            writeln!(out, "{:16} FAILED at {name}: {}", target.name, failure.text)?;
            return Ok(false);
        }
    }
    let inputs = kept.into_iter().map(|(_, input)| input).collect();
    let runs = arguments.runs / target.weight;
    match target.fuzz(inputs, runs, arguments.seed) {
        Ok(tally) => {
            let (name, seconds) = (target.name, begin.elapsed().as_secs_f64());
            let (runs, understood) = (tally.runs, tally.understood);
            writeln!(
                out,
                "{name:16} {runs:>9} runs {understood:>9} understood {seconds:>7.1} s"
            )?;
            Ok(true)
        }
        Err(failure) => {
            let path = corpus::keep(target, "failed", &failure.input)?;
            let (name, path) = (target.name, path.display());
            writeln!(out, "{name:16} FAILED at {path}: {}", failure.text)?;
            Ok(false)
        }
    }
}
