//! Loads the services for as long as it is told and says whether they do what they should.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use almanac_tests::{
    Outcome,
    flags::Flags,
    soak::{CHECKS, Finding, Plan, run},
};
use tempfile::TempDir;

const USAGE: &str = "usage: soak [overload] [cancel] [deadline] [term] [writers]
            [--seconds N] [--calls N] [--deadlines N] [--times N] [--size N] [--seed S]

  without a name all of them, in this order:
  overload     three times as many computing calls as can be answered
  cancel       callers that leave in the middle of a computation
  deadline     deadlines shorter than what is asked for
  term         SIGTERM under load
  writers      64 callers who write at once

  --seconds N  how long overload and writers take (60)
  --calls N    calls that are cancelled (1000)
  --deadlines N  calls that run into their deadlines (500)
  --times N    how often each service is told to stop (50)
  --size N     entities and series that are computed with, at most 19,999 (15000)
  --seed S     of every choice (1)";

fn main() -> ExitCode {
    let told = TempDir::new().map_err(Into::into).and_then(|dir| {
        let (checks, plan) = arguments(dir.path())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(soak(&checks, &plan))
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told where standard error is closed.
            drop(writeln!(io::stderr(), "soak: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments(dir: &Path) -> Outcome<(Vec<String>, Plan)> {
    let (names, flags): (Vec<_>, Vec<_>) = {
        let mut given = env::args().skip(1).peekable();
        let names = std::iter::from_fn(|| given.next_if(|word| !word.starts_with("--")));
        (names.collect(), given.collect())
    };
    if names.iter().any(|name| !CHECKS.contains(&name.as_str())) {
        return Err(USAGE.into());
    }
    let flags = Flags::of(USAGE, flags)?;
    let plan = Plan {
        dir: dir.to_owned(),
        time: Duration::from_secs(flags.get("--seconds")?.unwrap_or(60)),
        calls: flags.get("--calls")?.unwrap_or(1000),
        deadlines: flags.get("--deadlines")?.unwrap_or(500),
        times: flags.get("--times")?.unwrap_or(50),
        size: flags.get("--size")?.unwrap_or(15_000),
        seed: flags.get("--seed")?.unwrap_or(1),
    };
    if names.is_empty() {
        return Ok((CHECKS.map(str::to_owned).to_vec(), plan));
    }
    Ok((names, plan))
}

/// Whether every goal is met.
async fn soak(checks: &[String], plan: &Plan) -> Outcome<bool> {
    let mut met = true;
    for check in checks {
        let mut tell = |finding: Finding| {
            met &= !finding.missed();
            // The exit code tells it too where nobody reads.
            drop(writeln!(io::stdout(), "{check:<9}{finding}"));
        };
        run(check, plan, &mut tell).await?;
    }
    Ok(met)
}
