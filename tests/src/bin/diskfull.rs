//! Lets the disks of the services become full and says what was lost.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use almanac_tests::{
    Outcome,
    crash::{Datasets, Markets, Subject},
    diskfull::{MountError, Plan, Report, SmallDisk, run},
    flags::Flags,
    process::binary,
    service::Kind as _,
};
use tempfile::TempDir;

const USAGE: &str = "usage: diskfull [--points N] [--service ranking|forecast|both] [--seed S]

  --points N        how often the disk of each service becomes full (10)
  --service WHICH   which service (both)
  --seed S          of every choice (1)

Mounts a tmpfs in the directory for temporary files, and ends with code 2 where it may not.";

/// Exit code where no disk can be mounted.
const EXIT_FORBIDDEN: u8 = 2;

/// Size of the disk: room for a few segments of the log, and for their index to be rebuilt, which
/// makes it several times as large as the log.
const DISK_MIB: u64 = 2048;

/// One in so many points has a `min-free-mib`; the others meet a disk that is truly full.
const GUARDED: u64 = 4;
const MIN_FREE_MIB: u64 = 16;

/// What the command line says.
struct Arguments {
    points: u64,
    service: String,
    seed: u64,
}

fn main() -> ExitCode {
    let told = arguments().and_then(|arguments| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(diskfull(&arguments))
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told where standard error is closed.
            drop(writeln!(io::stderr(), "diskfull: {error}"));
            if error.is::<MountError>() {
                ExitCode::from(EXIT_FORBIDDEN)
            } else {
                ExitCode::FAILURE
            }
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
        points: flags.get("--points")?.unwrap_or(10),
        service,
        seed: flags.get("--seed")?.unwrap_or(1),
    })
}

/// Whether nothing bad was found.
async fn diskfull(arguments: &Arguments) -> Outcome<bool> {
    let mut clean = true;
    if arguments.service != "forecast" {
        clean &= one(Datasets, arguments).await?;
    }
    if arguments.service != "ranking" {
        clean &= one(Markets, arguments).await?;
    }
    Ok(clean)
}

async fn one<S: Subject>(subject: S, arguments: &Arguments) -> Outcome<bool> {
    let name = S::Service::PROGRAM.name;
    let binary = binary(&env::current_exe()?, name).ok_or_else(|| {
        format!(
            "{name} is not built; this builds it: \
             cargo build --release -p ranking-service -p forecast-service"
        )
    })?;
    let mut report = Report::default();
    let mut ran = Ok(());
    let guarded = arguments.points / GUARDED;
    for (points, min_free_mib) in [(arguments.points - guarded, 0), (guarded, MIN_FREE_MIB)] {
        let plan = Plan {
            binary: binary.clone(),
            seed: arguments.seed,
            points,
            min_free_mib,
        };
        let dir = TempDir::new()?;
        let disk = SmallDisk::mount(dir.path(), DISK_MIB)?;
        ran = run(subject, &plan, &disk, &mut report).await;
        if ran.is_err() {
            break;
        }
    }
    let mut out = io::stdout().lock();
    write!(out, "{name}, seed {}: {report}", arguments.seed)?;
    ran?;
    Ok(report.clean())
}
