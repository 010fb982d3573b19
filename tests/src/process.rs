//! A program as a process of its own, with its output line by line.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::Outcome;

/// How long a process may take to say or do what is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Every line read so far.
    pub seen: Vec<String>,
}

impl Process {
    /// Starts a program; what it writes to either output can be read.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn spawn(command: &mut Command) -> Outcome<Self> {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (sender, lines) = channel();
        let errors = child.stderr.take().ok_or("no standard error")?;
        let output: ChildStdout = child.stdout.take().ok_or("no standard output")?;
        let streams: [Box<dyn std::io::Read + Send>; 2] = [Box::new(output), Box::new(errors)];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads on until a line contains `text`.
    ///
    /// # Errors
    /// What was said instead, when the program ends or takes too long.
    pub fn until(&mut self, text: &str) -> Outcome<String> {
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            let found = line.contains(text);
            self.seen.push(line.clone());
            if found {
                return Ok(line);
            }
        }
        Err(format!("no line with {text:?} in:\n{}", self.seen.join("\n")).into())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn signal(&self, signal: Signal) -> Outcome<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Reads to the end and waits for the program.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn wait(&mut self) -> Outcome<ExitStatus> {
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        if Instant::now() >= end {
            return Err(format!("it does not end; it said:\n{}", self.seen.join("\n")).into());
        }
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to kill or to wait for.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The address in a service's JSON line that says where it listens.
#[must_use]
pub fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = line.split("\"address\":\"").nth(1)?;
    rest.split('"').next()?.parse().ok()
}

/// The memory of a process in MiB, as the system calls it: VmRSS now, VmHWM at its peak.
///
/// # Errors
/// If the process is gone, or the system does not tell it.
pub fn memory(process: u32, what: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let told = status
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kibibytes = told.and_then(|told| told.split_whitespace().next());
    let kibibytes = kibibytes.ok_or_else(|| format!("no {what}"))?;
    Ok(kibibytes.parse::<f64>()? / 1024.0)
}

/// The binary of another package of the workspace, beside `sibling`; none where it is not built
/// (`cargo test --workspace` builds them).
#[must_use]
pub fn binary(sibling: &Path, name: &str) -> Option<PathBuf> {
    Some(sibling.with_file_name(name)).filter(|path| path.is_file())
}

/// Runs a program to its end and gives its exit code and what it said.
///
/// # Errors
/// If it cannot be started.
pub fn run(command: &mut Command) -> Outcome<(ExitStatus, String)> {
    let mut process = Process::spawn(command)?;
    let status = process.wait()?;
    Ok((status, process.seen.join("\n")))
}
