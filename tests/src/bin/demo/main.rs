//! `cargo demo`: both services on embedded stores, the whole main job through their own gRPC
//! interfaces, and then they keep serving.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use almanac_service_kit::{
    server::signals,
    telemetry::{self, LogFormat},
};
use almanac_tests::{
    Outcome,
    loader::Loaded,
    refusal::Refusal,
    service::{Forecast, Kind, Ranking, Running},
};
use tokio::net::TcpListener;
use tonic::Status;

mod cities;
mod edition;
mod figures;
mod gdp;
mod next;
mod spend;
mod table;

use table::{heading, say, step};

const USAGE: &str = "usage: cargo demo [-- [--exit] [--dir DIR]]

  --exit     end after the output instead of serving on
  --dir DIR  where the stores are kept; almanac-demo in the current directory unless told";

/// What the command line says.
struct Arguments {
    exit: bool,
    dir: PathBuf,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ended(say(USAGE).map_err(Into::into)),
        Err(fault) => return ended(Err(format!("{fault}\n\n{USAGE}").into())),
    };
    // Warnings of the services belong on standard error; the output is the demo's.
    telemetry::start(LogFormat::Pretty, "warn");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error.into())),
    };
    ended(runtime.block_on(demo(&arguments)))
}

#[expect(clippy::print_stderr, reason = "why the demo failed")]
fn ended(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// None where help is asked for.
fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments {
        exit: false,
        dir: PathBuf::from("almanac-demo"),
    };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            // `cargo demo -- --exit` and `cargo demo --exit` are the same.
            "--" => {}
            "--exit" => arguments.exit = true,
            "--dir" => arguments.dir = given.next().ok_or("--dir needs a directory")?.into(),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("{other:?} is not known")),
        }
    }
    Ok(Some(arguments))
}

async fn demo(arguments: &Arguments) -> Outcome<()> {
    let stop = signals()?;
    tokio::pin!(stop);
    heading("Almanac: rankings and forecasts that can be replayed")?;
    std::fs::create_dir_all(&arguments.dir)
        .map_err(|error| format!("cannot create {}: {error}", arguments.dir.display()))?;
    let dir = arguments.dir.canonicalize()?;
    step(&format!("stores in {}", dir.display()))?;
    let ranking = start::<Ranking>(&dir.join("ranking")).await?;
    let forecast = match start::<Forecast>(&dir.join("forecast")).await {
        Ok(forecast) => forecast,
        Err(error) => {
            ranking.stop().await?;
            return Err(error);
        }
    };
    let job = tokio::select! {
        done = job(&ranking, &forecast, arguments.exit) => done,
        () = &mut stop => {
            say("\n   stopped before the end")?;
            return end(ranking, forecast).await;
        }
    };
    if job.is_ok() && !arguments.exit {
        stop.await;
    }
    job.and(end(ranking, forecast).await)
}

async fn job(ranking: &Running<Ranking>, forecast: &Running<Forecast>, exit: bool) -> Outcome<()> {
    let mut cities = ranking.client();
    cities::load(&mut cities).await?;
    edition::publish(&mut cities).await?;
    edition::print(&mut cities).await?;
    let mut markets = forecast.client();
    spend::solve_and_publish(&mut markets).await?;
    gdp::forecast(&mut markets).await?;
    if exit {
        Ok(())
    } else {
        Ok(next::print(ranking.address(), forecast.address())?)
    }
}

async fn end(ranking: Running<Ranking>, forecast: Running<Forecast>) -> Outcome<()> {
    let (ranking, forecast) = tokio::join!(ranking.stop(), forecast.stop());
    ranking.and(forecast)?;
    Ok(say(
        "\n   both services drained and stopped; their stores are closed",
    )?)
}

/// Starts a service on its usual port if that is free, else on any.
async fn start<K: Kind>(dir: &Path) -> Outcome<Running<K>> {
    let usual: SocketAddr = K::PROGRAM.listen.parse()?;
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, usual.port())).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?
        }
        bound => bound?,
    };
    let running = Running::start_on(dir, listener)
        .await
        .map_err(|error| format!("cannot start {}: {error}", K::PROGRAM.name))?;
    step(&format!(
        "{} is SERVING on {}",
        K::PROGRAM.name,
        running.address()
    ))?;
    Ok(running)
}

/// Says what was being done when a call was refused.
trait During<T> {
    fn during(self, what: &str) -> Outcome<T>;
}

impl<T> During<T> for Result<tonic::Response<T>, Status> {
    fn during(self, what: &str) -> Outcome<T> {
        self.map(tonic::Response::into_inner)
            .map_err(|status| refused(what, &status))
    }
}

impl During<Loaded> for Result<Loaded, Status> {
    fn during(self, what: &str) -> Outcome<Loaded> {
        self.map_err(|status| refused(what, &status))
    }
}

fn refused(what: &str, status: &Status) -> Box<dyn Error + Send + Sync> {
    format!("{what}: {}", Refusal::from(status)).into()
}
