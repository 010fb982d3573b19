//! The life of a service's process, the same for both: read the configuration, then serve, print
//! it, or ask a running service for its health.

use std::{
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use tokio::net::TcpListener;

use crate::{
    config::{self, Action, EXIT_USAGE, Early, Setting, Values, within},
    files,
    limits::Limits,
    pool::PoolSettings,
    server::{ServeError, signals},
    store::{Keep, StoreOptions},
    telemetry::{self, LogFormat},
    upkeep,
};

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// What a service is called and how it listens unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Name of the binary.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Full name of the gRPC service.
    pub service: &'static str,
    /// Default of `listen`.
    pub listen: &'static str,
    /// Default of `data-dir`.
    pub data_dir: &'static str,
    /// Which versions in the service's own tables compaction keeps, by the table's number.
    pub keep: fn(u8) -> Keep,
}

/// The configuration of a service, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the store is.
    pub data_dir: PathBuf,
    /// Most memory of the store's cache, in bytes.
    pub cache_bytes: u64,
    /// Free space of the disk below which writes are refused, in bytes; 0 for none.
    pub min_free_bytes: u64,
    /// Most memory of what is decoded for computing, in bytes.
    pub snapshot_bytes: usize,
    /// How long calls in flight may take once the service is told to stop.
    pub drain: Duration,
    /// How long versions of what is configured are kept.
    pub keep_versions: Duration,
    /// The threads that computations share.
    pub compute: PoolSettings,
    /// What callers may ask for at most.
    pub limits: Limits,
    /// How logs look.
    pub log_format: LogFormat,
    /// Which events are logged.
    pub log_filter: String,
}

impl Config {
    /// A configuration for tests and demos: this directory, a free loopback port, quiet.
    #[must_use]
    pub fn local(data_dir: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir,
            cache_bytes: 64 << 20,
            min_free_bytes: 0,
            snapshot_bytes: 64 << 20,
            drain: Duration::from_secs(10),
            keep_versions: Duration::from_hours(720),
            compute: PoolSettings {
                threads: 2,
                queue: 64,
                memory_bytes: 1 << 30,
            },
            limits: Limits::default(),
            log_format: LogFormat::Pretty,
            log_filter: "warn".to_owned(),
        }
    }

    /// The settings of a service, with its defaults.
    #[must_use]
    pub fn settings(program: &Program) -> Vec<Setting> {
        let mut settings = vec![
            Setting::new("listen", program.listen, "IP:PORT to listen on"),
            Setting::new("data-dir", program.data_dir, "directory of the store"),
            Setting::new(
                "cache-mib",
                "256",
                "most memory of the store's cache, in MiB, 16 to 65536",
            ),
            Setting::new(
                "min-free-mib",
                "256",
                "free space of the store's disk, in MiB, below which writes are refused and reads \
                 go on, 0 (write until the disk is full) to 1048576",
            ),
            Setting::new(
                "snapshot-mib",
                "512",
                "most memory of data decoded for computing, in MiB, 0 to 65536; what does not fit \
                 is read from the store each time",
            ),
            Setting::new(
                "drain-seconds",
                "20",
                "time for calls in flight at the end, 0 to 3600",
            ),
            Setting::new(
                "keep-versions-hours",
                "720",
                "compact: how long versions of what is configured can be read after they were \
                 replaced, 0 to 876000; observations and points keep all theirs",
            ),
            Setting::new(
                "compute-threads",
                "0",
                "computations of calls that run at a time, 0 (one each processor) to 1024",
            ),
            Setting::new(
                "compute-queue",
                "64",
                "computations of calls that wait for a thread, 0 to 100000",
            ),
            Setting::new(
                "compute-memory-mib",
                "1024",
                "most memory that all computations that run are estimated to take together, in \
                 MiB, 16 to 1048576; what finds no room is refused, jobs wait",
            ),
            Setting::new("log-format", "pretty", "pretty or json"),
            Setting::new(
                "log-filter",
                "info",
                "which events are logged: info, warn, debug",
            ),
        ];
        settings.extend(Limits::settings());
        settings
    }

    fn from_values(values: &mut Values) -> Result<Self, Early> {
        let listen = values.take_if::<SocketAddr>("listen", |_| Ok(()));
        let data_dir = values.take_if::<PathBuf>("data-dir", |path| {
            if path.as_os_str().is_empty() {
                Err("must not be empty".to_owned())
            } else {
                Ok(())
            }
        });
        let cache = values.take_if("cache-mib", within(16, 65_536));
        let min_free = values.take_if("min-free-mib", within(0, 1_048_576));
        let snapshot = values.take_if("snapshot-mib", within(0, 65_536));
        let drain = values.take_if("drain-seconds", within(0, 3600));
        let keep_versions = values.take_if("keep-versions-hours", within(0, 876_000));
        let threads = values.take_if("compute-threads", within(0, 1024));
        let queue = values.take_if("compute-queue", within(0, 100_000));
        let memory = values.take_if::<u64>("compute-memory-mib", within(16, 1_048_576));
        let limits = Limits::take(values);
        let log_format = values.take("log-format");
        let log_filter =
            values.take_if::<String>("log-filter", |text| telemetry::check_filter(text));
        values.finish()?;
        let missing = || Early::Faults(vec!["a setting without a default is missing".to_owned()]);
        Ok(Self {
            listen: listen.ok_or_else(missing)?,
            data_dir: data_dir.ok_or_else(missing)?,
            cache_bytes: cache.ok_or_else(missing)? << 20,
            min_free_bytes: min_free.ok_or_else(missing)? << 20,
            snapshot_bytes: usize::try_from(snapshot.ok_or_else(missing)? << 20)
                .unwrap_or(usize::MAX),
            drain: Duration::from_secs(drain.ok_or_else(missing)?),
            keep_versions: Duration::from_hours(keep_versions.ok_or_else(missing)?),
            compute: PoolSettings {
                threads: threads.ok_or_else(missing)?,
                queue: queue.ok_or_else(missing)?,
                memory_bytes: memory.ok_or_else(missing)? << 20,
            },
            limits: limits.ok_or_else(missing)?,
            log_format,
            log_filter: log_filter.ok_or_else(missing)?,
        })
    }

    /// How the store of the service of this name is opened.
    #[must_use]
    pub fn store(&self, owner: &'static str) -> StoreOptions {
        StoreOptions {
            owner,
            cache_bytes: self.cache_bytes,
            min_free_bytes: self.min_free_bytes,
            ..StoreOptions::default()
        }
    }
}

/// Runs the process: everything that `main` does.
///
/// `serve` serves on a listener until the signal to stop; it is called with the checked
/// configuration.
pub fn run<F>(program: &Program, serve: impl FnOnce(Config, TcpListener, Shutdown) -> F) -> ExitCode
where
    F: Future<Output = Result<(), ServeError>>,
{
    let arguments: Vec<String> = std::env::args().collect();
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let settings = Config::settings(program);
    let read = |path: &std::path::Path| std::fs::read_to_string(path);
    let gathered = config::gather(
        program.name,
        program.version,
        &settings,
        &arguments,
        &environment,
        read,
    );
    let checked = gathered.and_then(|(action, mut values)| {
        let config = Config::from_values(&mut values)?;
        Ok((action, values, config))
    });
    let (action, values, mut config) = match checked {
        Ok(checked) => checked,
        Err(Early::Print(text)) => return say(&text, ExitCode::SUCCESS),
        Err(Early::Faults(faults)) => {
            for fault in faults {
                complain(program.name, &fault);
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if action != Action::Serve {
        for warning in &values.warnings {
            complain(program.name, warning);
        }
    }
    if action == Action::PrintConfig {
        return say(&values.print(), ExitCode::SUCCESS);
    }
    if let Some(kept) = upkeep::run(&action, program, &config) {
        return match kept {
            Ok(text) => say(&text, ExitCode::SUCCESS),
            Err(error) => {
                complain(program.name, &error);
                ExitCode::from(upkeep::exit_code(&error))
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(program.name, &error),
    };
    if action == Action::Healthcheck {
        return match runtime.block_on(healthcheck(config.listen, program.service)) {
            Ok(()) => say("SERVING\n", ExitCode::SUCCESS),
            Err(text) => complain(program.name, &text),
        };
    }
    telemetry::start(config.log_format, &config.log_filter);
    for warning in &values.warnings {
        tracing::warn!("{warning}");
    }
    config.limits.max_connections = files::make_room(config.limits.max_connections);
    match runtime.block_on(listen_and_serve(config, serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(program.name, &error);
            match &error {
                ServeError::Store(error) => ExitCode::from(upkeep::exit_code(error)),
                ServeError::Resume(fault) if fault.is(ErrorReason::StoreCorrupt) => {
                    ExitCode::from(upkeep::EXIT_DAMAGED)
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// The signal to stop.
pub type Shutdown = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn listen_and_serve<F>(
    config: Config,
    serve: impl FnOnce(Config, TcpListener, Shutdown) -> F,
) -> Result<(), ServeError>
where
    F: Future<Output = Result<(), ServeError>>,
{
    let shutdown = Box::pin(signals()?);
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        ServeError::Start(format!("cannot listen on {}: {error}", config.listen))
    })?;
    tracing::info!(address = %listener.local_addr()?, data_dir = %config.data_dir.display(), "listening");
    serve(config, listener, shutdown).await
}

/// # Errors
/// Why the service is not SERVING.
async fn healthcheck(listen: SocketAddr, service: &str) -> Result<(), String> {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    let address = SocketAddr::from((reachable(listen.ip()), listen.port()));
    let ask = async {
        let endpoint = tonic::transport::Endpoint::from_str(&format!("http://{address}"))?;
        let mut client = HealthClient::new(endpoint.connect().await?);
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = client.check(request).await?.into_inner();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.status())
    };
    match tokio::time::timeout(HEALTH_TIMEOUT, ask).await {
        Ok(Ok(ServingStatus::Serving)) => Ok(()),
        Ok(Ok(status)) => Err(format!("{address} is {}", status.as_str_name())),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address} does not answer")),
    }
}

/// Where a service that listens on any address can be reached from its own machine.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[expect(clippy::print_stdout, reason = "what the user asked to see")]
fn say(text: &str, code: ExitCode) -> ExitCode {
    print!("{text}");
    code
}

#[expect(clippy::print_stderr, reason = "said before or after there are logs")]
fn complain(name: &str, fault: &dyn Display) -> ExitCode {
    eprintln!("{name}: {fault}");
    ExitCode::FAILURE
}
