//! A service as a process of its own, and a connection to it.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use tonic::transport::Channel;

use crate::{
    Outcome,
    process::{self, Process, Signal, address_in},
    service::{Kind, connect, serving},
};

/// A service that serves. Killed when dropped.
#[derive(Debug)]
pub struct Spawned {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// A connection to it.
    pub channel: Channel,
}

/// How a service ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Its output line by line.
    pub said: Vec<String>,
}

impl Spawned {
    /// Starts a service's binary over the store in `dir`, on a free loopback port and with these
    /// settings, and waits until it is SERVING.
    ///
    /// # Errors
    /// What it said instead.
    pub async fn start<K: Kind>(binary: &Path, dir: &Path, settings: &[&str]) -> Outcome<Self> {
        match Self::try_start::<K>(binary, dir, settings).await? {
            Ok(service) => Ok(service),
            Err(Ended { status, said }) => {
                Err(format!("it ended with {status}:\n{}", said.join("\n")).into())
            }
        }
    }

    /// As [`Spawned::start`], for services that may end instead.
    ///
    /// # Errors
    /// If it can be neither started nor asked.
    pub async fn try_start<K: Kind>(
        binary: &Path,
        dir: &Path,
        settings: &[&str],
    ) -> Outcome<Result<Self, Ended>> {
        let mut command = Command::new(binary);
        command.arg("--data-dir").arg(dir);
        command.args(["--listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json", "--log-filter", "info"]);
        let mut process = Process::spawn(command.args(settings))?;
        let line = process.until("\"listening\"")?;
        let address = address_in(&line).ok_or_else(|| format!("no address in {line}"))?;
        let ready = async {
            let channel = connect(address).await?;
            serving(channel.clone(), K::PROGRAM.service).await?;
            Outcome::Ok(channel)
        };
        Ok(match ready.await {
            Ok(channel) => Ok(Self {
                process,
                address,
                channel,
            }),
            // Its own word is the better one, and it has one: its health is told until it ends.
            Err(_) => Err(Ended {
                status: process.wait()?,
                said: std::mem::take(&mut process.seen),
            }),
        })
    }

    /// Ends it with a signal.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(mut self, signal: Signal) -> Outcome<Ended> {
        self.process.signal(signal)?;
        Ok(Ended {
            status: self.process.wait()?,
            said: std::mem::take(&mut self.process.seen),
        })
    }
}

/// The binary of a service, which lies beside that of this program.
///
/// # Errors
/// How to build it, where it is not there.
pub fn binary<K: Kind>() -> Outcome<PathBuf> {
    let name = K::PROGRAM.name;
    process::binary(&env::current_exe()?, name).ok_or_else(|| {
        let text = format!(
            "{name} is not built; this builds it: \
             cargo build --release -p ranking-service -p forecast-service"
        );
        text.into()
    })
}
