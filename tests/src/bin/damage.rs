//! Damages stores at rest and says what became of each. See `almanac_tests::damage` for what is
//! tried, and how.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write as _},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use almanac_tests::{
    Outcome,
    damage::{End, Harm, Size, Specimen, Trial, Way},
    dice::Dice,
    flags::Flags,
    process::binary,
    service::{Kind as _, Ranking},
};
use tempfile::TempDir;

const USAGE: &str = "usage: damage [--flips N] [--cuts N] [--removals N] [--large PERCENT]
              [--ask N] [--seed S] [--break content]

  --flips N          how often one random bit of one file is flipped (1000)
  --cuts N           how often one file is cut short at a random byte (100)
  --removals N       how often one file is removed (50)
  --large PERCENT    how many of them are done to the large store (30)
  --ask N            in each how-manyth the service's own `verify` is asked as well (20; 0 for none)
  --seed S           of every choice (1)
  --break content    expect what was never written: every right answer has to be counted as wrong

Ends with 1 where a store that verified gave a wrong or shortened answer, a panic escaped, an error
did not name the damage, the backup did not bring back what it held, or the service's `verify` said
otherwise.";

#[tokio::main]
async fn main() -> ExitCode {
    match damage().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told where standard error is closed.
            drop(writeln!(io::stderr(), "damage: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Panics, contained ones as well.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Whether there was no fault.
async fn damage() -> Outcome<bool> {
    let flags = Flags::read(USAGE)?;
    let count = |flag, otherwise: u64| Outcome::Ok(flags.get(flag)?.unwrap_or(otherwise));
    let (large, ask) = (count("--large", 30)?, count("--ask", 20)?);
    let mistaken = flags.get::<String>("--break")?.is_some();
    let seed = count("--seed", 1)?;
    let name = Ranking::PROGRAM.name;
    let service = binary(&env::current_exe()?, name).ok_or_else(|| {
        format!("{name} is not built; this builds it: cargo build --release -p {name}")
    })?;
    // Thousands of contained panics of sled would drown what this says.
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));

    let root = TempDir::new()?;
    let mut sizes = Vec::new();
    for size in [Size::Small, Size::Large] {
        let dir = root.path().join(format!("{size:?}"));
        let mut specimens = Specimen::all(size, &dir).await?;
        if mistaken {
            for specimen in &mut specimens {
                specimen.content = specimen.content.clone().mistaken();
            }
        }
        sizes.push(specimens);
    }
    let ways = [
        (Way::Flip, count("--flips", 1000)?),
        (Way::Cut, count("--cuts", 100)?),
        (Way::Removal, count("--removals", 50)?),
    ];
    let mut dice = Dice::new(seed, 0);
    let mut tally = Tally::default();
    for (way, times) in ways {
        for time in 0..times {
            let specimens = &sizes[usize::from(dice.percent(large))];
            let specimen = &specimens[dice.place(specimens.len())];
            let harm = Harm::any(&specimen.dir, way, &mut dice)?;
            let asked = ask > 0 && time % ask == 0;
            let trial = Trial {
                specimen,
                harm: &harm,
                service: asked.then_some(&*service),
            };
            let scratch = TempDir::new()?;
            tally.add(&trial, &trial.run(scratch.path())?);
        }
    }
    tally.print(seed)
}

/// Ends by way, specimen and part, in columns.
#[derive(Debug, Default)]
struct Tally {
    rows: BTreeMap<String, [u64; 5]>,
    sums: BTreeMap<Way, [u64; 5]>,
    asked: u64,
    faults: Vec<String>,
}

const COLUMNS: [&str; 5] = ["right", "refused", "verify", "torn", "FAULT"];

impl Tally {
    fn add(&mut self, trial: &Trial<'_>, end: &End) {
        let Trial { specimen, harm, .. } = trial;
        let column = match end {
            End::Right => 0,
            End::Refused => 1,
            End::Found => 2,
            End::Torn(_) => 3,
            _ => 4,
        };
        let row = format!(
            "{:<8} {specimen:<14} {:?}",
            format!("{:?}", harm.way),
            harm.part
        );
        self.rows.entry(row).or_default()[column] += 1;
        self.sums.entry(harm.way).or_default()[column] += 1;
        self.asked += u64::from(trial.service.is_some());
        if end.is_fault() {
            self.faults.push(format!("{specimen}: {harm:?}: {end:?}"));
        }
    }

    fn print(&self, seed: u64) -> Outcome<bool> {
        let mut out = io::stdout().lock();
        let mut line = |name: &str, cells: [String; 5]| {
            let cells = cells.map(|cell| format!("{cell:>8}")).concat();
            writeln!(out, "{name:<40}{cells}")
        };
        line("", COLUMNS.map(str::to_owned))?;
        for (name, counts) in &self.rows {
            line(name, counts.map(|count| count.to_string()))?;
        }
        for (way, counts) in &self.sums {
            line(
                &format!("{way:?}, all"),
                counts.map(|count| count.to_string()),
            )?;
        }
        for fault in &self.faults {
            writeln!(out, "{fault}")?;
        }
        writeln!(
            out,
            "seed {seed}: {} faults; {} panics contained; the service's verify was asked {} times",
            self.faults.len(),
            PANICS.load(Ordering::Relaxed),
            self.asked
        )?;
        Ok(self.faults.is_empty())
    }
}
