//! Loses power at random points of recorded runs and looks for what had been acknowledged. See
//! `almanac_tests::powerloss` for what is simulated, and how.

use std::{
    env, fmt, fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, ExitCode},
};

use almanac_tests::{
    Outcome,
    dice::Dice,
    flags::Flags,
    powerloss::{
        Acknowledged, Disbelief, Harm, Recording, Shim,
        worker::{self, Session},
    },
};
use tempfile::TempDir;

const USAGE: &str = "usage: powerloss [--points N] [--seed S] [--break log|directories]

  --points N     how often power is lost (200)
  --seed S       of every choice (1)
  --break WHICH  take syncs of the log, or of directories, for none: losses have to be found

Ends with 1 where anything acknowledged is lost or half there or a store does not come up, with 2
where there is no C compiler (cc) to record with.";

/// Of how many losses there is a recording of their own; each but the first begins with what a loss
/// left of the one before.
const SHARE: u64 = 40;
/// What is done in each after some sessions that are killed while the store is created or recovers:
/// commits of each writer, and whether the store is closed then.
const SESSIONS: [(u64, bool); 5] = [(60, false), (40, true), (1, false), (50, false), (25, true)];
/// After how many records at most those are killed.
const EARLY: [u64; 4] = [8, 8, 30, 80];
/// The root of a worker; set, the program is one.
const ROOT: &str = "ALMANAC_SHIM_ROOT";

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match env::var(ROOT) {
        Ok(root) => work(Path::new(&root)).await,
        Err(_) => lose().await,
    };
    ended.unwrap_or_else(|error| {
        // Nobody is left to be told where standard error is closed.
        drop(writeln!(io::stderr(), "powerloss: {error}"));
        ExitCode::FAILURE
    })
}

/// What the command line of a worker says.
const WORKER: &str = "usage: --commits N --close true|false";

async fn work(root: &Path) -> Outcome<ExitCode> {
    let flags = Flags::read(WORKER)?;
    let session = Session {
        commits: flags.get("--commits")?.ok_or(WORKER)?,
        close: flags.get("--close")?.ok_or(WORKER)?,
    };
    worker::work(root, session).await?;
    Ok(ExitCode::SUCCESS)
}

async fn lose() -> Outcome<ExitCode> {
    let flags = Flags::read(USAGE)?;
    let points: u64 = flags.get("--points")?.unwrap_or(200);
    let seed = flags.get("--seed")?.unwrap_or(1);
    let scratch = TempDir::new()?;
    let dir = scratch.path().canonicalize()?;
    let mut out = io::stdout().lock();
    let Some(shim) = Shim::build(&dir)? else {
        writeln!(out, "recording needs a C compiler, and there is no cc here")?;
        return Ok(ExitCode::from(2));
    };
    // sled panics on what it does not understand, and the store contains that.
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally {
        disbelief: flags.get("--break")?,
        dice: Dice::new(seed, 0),
        ..Tally::default()
    };
    let recordings = points.div_ceil(SHARE).max(2);
    let mut before = Acknowledged::default();
    let mut root = dir.join("root-0");
    fs::create_dir(&root)?;
    for number in 0..recordings {
        let log = dir.join(format!("recording-{number}"));
        let recording = record(&shim, &root, &log, &mut tally.dice)?;
        let share = points * (number + 1) / recordings - points * number / recordings;
        for _ in 0..share {
            tally.point(&recording, &before).await?;
        }
        root = dir.join(format!("root-{}", number + 1));
        before = tally.next(&recording, &before, &root)?;
    }
    for fault in &tally.faults {
        writeln!(out, "{fault}")?;
    }
    writeln!(
        out,
        "power lost at {points} points of {recordings} recordings, seed {seed}: {tally}"
    )?;
    Ok(match tally.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What is done, and what was counted.
#[derive(Debug)]
struct Tally {
    disbelief: Option<Disbelief>,
    dice: Dice,
    commits: u64,
    copies: usize,
    lost: u64,
    refused: u64,
    faults: Vec<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            disbelief: None,
            dice: Dice::new(0, 0),
            commits: 0,
            copies: 0,
            lost: 0,
            refused: 0,
            faults: Vec::new(),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            commits,
            copies,
            lost,
            refused,
            ..
        } = self;
        write!(
            f,
            "{commits} acknowledged commits and {copies} copies looked for, {lost} lost; \
             {refused} stores refused or half there"
        )
    }
}

impl Tally {
    /// Loses power at a point and looks.
    async fn point(&mut self, recording: &Recording, before: &Acknowledged) -> Outcome<()> {
        let (steps, harm) = (choose(recording, &mut self.dice), Harm::any(&mut self.dice));
        let acknowledged = until(recording, before, steps)?;
        let left = TempDir::new()?;
        recording.image(steps, harm, self.disbelief, &mut self.dice, left.path())?;
        self.commits += acknowledged.commits();
        self.copies += acknowledged.copies();
        let told = match worker::check(left.path(), &acknowledged).await {
            Ok(0) => return Ok(()),
            Ok(lost) => {
                self.lost += lost;
                format!("{lost} lost")
            }
            Err(error) => {
                self.refused += 1;
                error.to_string()
            }
        };
        self.faults.push(format!("step {steps}, {harm:?}: {told}"));
        Ok(())
    }

    /// Leaves in `root` what a loss of power leaves, and answers what had been acknowledged.
    fn next(
        &mut self,
        recording: &Recording,
        before: &Acknowledged,
        root: &Path,
    ) -> Outcome<Acknowledged> {
        let (steps, harm) = (choose(recording, &mut self.dice), Harm::any(&mut self.dice));
        fs::create_dir(root)?;
        recording.image(steps, harm, None, &mut self.dice, root)?;
        until(recording, before, steps)
    }
}

/// Any step; or just behind an acknowledgement, or around a change of a name or a length.
fn choose(recording: &Recording, dice: &mut Dice) -> usize {
    let (lines, turns) = (recording.acknowledged(), recording.turns());
    match dice.below(3) {
        0 if !lines.is_empty() => lines[dice.place(lines.len())].0,
        1 if !turns.is_empty() => {
            let step = turns[dice.place(turns.len())] + dice.place(4);
            step.min(recording.steps())
        }
        _ => dice.place(recording.steps() + 1),
    }
}

/// What had been acknowledged before a step.
fn until(recording: &Recording, before: &Acknowledged, steps: usize) -> Outcome<Acknowledged> {
    let mut acknowledged = before.clone();
    for (given, line) in recording.acknowledged() {
        if given <= steps {
            acknowledged.add(&line)?;
        }
    }
    Ok(acknowledged)
}

/// Runs the sessions, one process each, on one directory and into one recording.
fn record(shim: &Shim, root: &Path, log: &Path, dice: &mut Dice) -> Outcome<Recording> {
    let mut recording = Recording::begin(root)?;
    let session = |(commits, close): (u64, bool), kill: Option<u64>| {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--commits", &commits.to_string()]);
        command.args(["--close", &close.to_string()]);
        shim.record(&mut command, root, log, kill)
    };
    for most in EARLY {
        session((1, true), Some(1 + dice.below(most)))?;
    }
    for plan in SESSIONS {
        session(plan, None)?;
        if dice.percent(50) {
            session(plan, Some(1 + dice.below(EARLY[3])))?;
        }
    }
    recording.read(log)?;
    recording.compare(root)?;
    Ok(recording)
}
