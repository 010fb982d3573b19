//! One point at which the disk becomes full.

use std::process::ExitStatus;

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{Trial, writers::Writers};
use crate::{
    Outcome,
    crash::{Subject, life::Life},
    process::{self, Signal},
    service::Kind as Service,
    spawned::Ended,
};

const MIB: u64 = 1 << 20;
/// Beyond `min-free-mib`, at most so much is left when the clients begin.
const LEFT: u64 = MIB;
/// What is left is halved after so many acknowledgements.
const STEP: u64 = 15;
/// The disk counts as full after so many refusals.
const REFUSALS: u64 = 12;
/// The size from which a segment of the log is ended.
const SEGMENT: u64 = 64 * MIB;
/// Exit code of a service whose disk is full.
const EXIT_FULL: i32 = 74;

impl<S: Subject> Trial<'_, S> {
    /// Fills the disk, makes room, and settles every write.
    pub(super) async fn point(&mut self, number: u64, life: Life) -> Outcome<Life> {
        self.report.points += 1;
        let least = self.plan.min_free_mib * MIB;
        let mut left = self.dice.below(LEFT);
        // Now and then the next commit needs a new segment, and there is no room for its header.
        if number % 64 == 7 && least == 0 {
            self.fill_segment(&life).await?;
            left = 0;
        }
        self.disk.leave(least + left)?;
        let from = (self.plan.seed, self.serial);
        let writers = Writers::start(self.subject, &life, from, REFUSALS);
        let mut goal = STEP;
        while !writers.until(goal, REFUSALS).await {
            left /= 2;
            goal += STEP;
            self.disk.leave(least + left)?;
        }
        self.look(&life).await?;
        // Every fourth time it is killed on the full disk, and started on it.
        let killed = number % 4 == 3;
        let life = if killed {
            self.report.said(&life.kill()?);
            self.start_full().await?
        } else {
            Some(life)
        };
        self.disk.make_room()?;
        let sent = writers.end().await?;
        let mut life = self.after(life, killed).await?;
        for sent in sent {
            self.serial = self.serial.max(sent.write.serial);
            life = self.settled(life, &sent).await?;
        }
        Ok(life)
    }

    /// The service as it goes on once there is room: by itself unless it says NOT_SERVING.
    async fn after(&mut self, life: Option<Life>, killed: bool) -> Outcome<Life> {
        let Some(life) = life else {
            return self.start().await;
        };
        if self.look(&life).await? {
            self.report.recovered += u64::from(!killed);
            return Ok(life);
        }
        self.report.stopped += 1;
        self.restart(life).await
    }

    /// Ends a service that says NOT_SERVING and starts it again.
    pub(super) async fn restart(&mut self, life: Life) -> Outcome<Life> {
        let ended = life.end(Signal::TERM)?;
        self.report.said(&ended.said);
        self.start().await
    }

    /// Whether a service is SERVING; then it has to answer a read, full or not.
    async fn look(&mut self, life: &Life) -> Outcome<bool> {
        if !serving::<S>(life).await? {
            return Ok(false);
        }
        if let Some(write) = self.held.last()
            && let Err(error) = self.subject.found(life.channel.clone(), *write).await
        {
            // It may have failed just now, and has to say so.
            if serving::<S>(life).await? {
                self.report.unclear("a read failed while SERVING", &error);
            }
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) async fn start(&mut self) -> Outcome<Life> {
        match self.try_start().await? {
            Ok(life) => Ok(life),
            Err(Ended { status, said }) => {
                self.report.tally.failed_starts += 1;
                Err(format!("it ended with {status}:\n{}", said.join("\n")).into())
            }
        }
    }

    /// Starts it on a full disk; none where it says that it cannot be.
    async fn start_full(&mut self) -> Outcome<Option<Life>> {
        match self.try_start().await? {
            Ok(life) => {
                self.report.started_full += 1;
                Ok(Some(life))
            }
            Err(Ended { status, said }) if status.code() == Some(EXIT_FULL) => {
                self.report.refused_full += 1;
                self.report.said(&said);
                Ok(None)
            }
            Err(Ended { status, said }) => {
                let said = said.join("\n");
                self.report
                    .unclear(&format!("start on a full disk: {status}"), &said);
                Ok(None)
            }
        }
    }

    async fn try_start(&self) -> Outcome<Result<Life, Ended>> {
        let least = self.plan.min_free_mib.to_string();
        let settings = ["--min-free-mib", &least];
        Life::try_start::<S::Service>(&self.plan.binary, &self.disk.store(), &settings).await
    }

    /// Stops the service; it must close its store.
    pub(super) fn stop(&mut self, life: Life) -> Outcome<()> {
        let Ended { status, said } = life.end(Signal::TERM)?;
        self.report.said(&said);
        expect_success("the service", status, &said.join("\n"))
    }

    /// Has the store checked byte by byte.
    pub(super) fn verify(&mut self) -> Outcome<()> {
        let mut command = std::process::Command::new(&self.plan.binary);
        command
            .arg("verify")
            .arg("--data-dir")
            .arg(self.disk.store());
        let (status, said) = process::run(&mut command)?;
        expect_success("verify", status, &said)
    }

    /// Writes until the last segment of the log is to be ended by the next commit.
    async fn fill_segment(&mut self, life: &Life) -> Outcome<()> {
        self.disk.make_room()?;
        let log = self.disk.store().join("log");
        loop {
            let last = std::fs::read_dir(&log)?
                .filter_map(Result::ok)
                .max_by_key(std::fs::DirEntry::file_name)
                .ok_or("the log has no segment")?;
            // A multiple of what a segment is lengthened by: a longer one has frames beyond it.
            if last.metadata()?.len() > SEGMENT {
                return Ok(());
            }
            self.report.bulk += 1;
            let number = self.report.bulk;
            self.subject.bulk(life.channel.clone(), number).await?;
        }
    }
}

pub(super) async fn serving<S: Subject>(life: &Life) -> Outcome<bool> {
    let request = HealthCheckRequest {
        service: S::Service::PROGRAM.service.to_owned(),
    };
    let mut health = HealthClient::new(life.channel.clone());
    let answer = health.check(request).await?.into_inner();
    Ok(answer.status() == ServingStatus::Serving)
}

fn expect_success(what: &str, status: ExitStatus, said: &str) -> Outcome<()> {
    if status.success() {
        return Ok(());
    }
    Err(format!("{what} ended with {status}:\n{said}").into())
}
