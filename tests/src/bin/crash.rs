//! Kills the services under acknowledged writes and says what was lost.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use almanac_tests::{
    Outcome,
    crash::{Datasets, Markets, Plan, Sabotage, Subject, Tally, run},
    flags::Flags,
    service::Kind as _,
    spawned::binary,
};
use tempfile::TempDir;

const USAGE: &str = "usage: crash [--rounds N] [--exactly-once REQUESTS]
             [--service ranking|forecast|both] [--seed S] [--dir DIR]
             [--break forget|cut]

  --rounds N               how often each service is killed under writes (10)
  --exactly-once REQUESTS  also send so many requests three times each, with kills in between (0)
  --service WHICH          which service (both)
  --seed S                 of every choice (1)
  --dir DIR                an empty directory for the stores, kept afterwards; else a temporary one
  --break HOW              shows that a run can fail: after each kill of the rounds, of which there
                           must be two, the store is put back to what it was after the kill before
                           (forget), or the end of its log is cut off (cut)";

/// What the command line says.
struct Arguments {
    rounds: u64,
    exactly_once: u64,
    service: String,
    seed: u64,
    dir: Option<PathBuf>,
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let told = arguments().and_then(|arguments| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(crash(&arguments))
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told where standard error is closed.
            drop(writeln!(io::stderr(), "crash: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Outcome<Arguments> {
    let flags = Flags::read(USAGE)?;
    let service = flags.get("--service")?.unwrap_or_else(|| "both".to_owned());
    if !["ranking", "forecast", "both"].contains(&service.as_str()) {
        return Err(USAGE.into());
    }
    Ok(Arguments {
        rounds: flags.get("--rounds")?.unwrap_or(10),
        exactly_once: flags.get("--exactly-once")?.unwrap_or(0),
        service,
        seed: flags.get("--seed")?.unwrap_or(1),
        dir: flags.get("--dir")?,
        sabotage: flags.get("--break")?,
    })
}

/// Whether nothing bad was found.
async fn crash(arguments: &Arguments) -> Outcome<bool> {
    let temporary = TempDir::new()?;
    let dir = arguments.dir.as_deref().unwrap_or(temporary.path());
    let mut clean = true;
    if arguments.service != "forecast" {
        clean &= one(Datasets, arguments, dir).await?;
    }
    if arguments.service != "ranking" {
        clean &= one(Markets, arguments, dir).await?;
    }
    Ok(clean)
}

async fn one<S: Subject>(subject: S, arguments: &Arguments, dir: &Path) -> Outcome<bool> {
    let name = S::Service::PROGRAM.name;
    let plan = Plan {
        binary: binary::<S::Service>()?,
        dir: dir.join(name),
        seed: arguments.seed,
        rounds: arguments.rounds,
        exactly_once: arguments.exactly_once,
        sabotage: arguments.sabotage,
    };
    let mut tally = Tally::default();
    let ran = run(subject, &plan, &mut tally).await;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{name}, seed {}, {} rounds, {} requests three times each",
        plan.seed, plan.rounds, plan.exactly_once
    )?;
    writeln!(out, "{tally}")?;
    ran?;
    Ok(tally.clean())
}
