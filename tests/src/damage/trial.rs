//! One damaged copy, and what becomes of it.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};

use almanac_service_kit::store::{CopyReport, Store, StoreError, check, restore};

use super::{
    Harm, Specimen, Way,
    specimen::{copy_all, options},
};
use crate::{Outcome, process::run};

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Every answer is right.
    Right,
    /// Refused by the open, with the place named.
    Refused,
    /// Refused by `verify`, with the place named.
    Found,
    /// So many commits after the mark were taken for a torn end; everything else is right.
    Torn(usize),
    /// Refused with an error that does not say where.
    Unnamed(String),
    /// Verified, and an answer is wrong or missing.
    Wrong(String),
    /// A panic escaped.
    Panicked,
    /// The backup did not bring it back.
    Unrestored(String),
    /// The service's own `verify` says otherwise.
    Contradicted(String),
}

impl End {
    /// Whether it must not happen.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Right | Self::Refused | Self::Found | Self::Torn(_)
        )
    }
}

/// Damage to a specimen.
#[derive(Debug)]
pub struct Trial<'a> {
    /// What is damaged.
    pub specimen: &'a Specimen,
    /// How.
    pub harm: &'a Harm,
    /// A service whose `verify` is asked, too.
    pub service: Option<&'a Path>,
}

/// What was refused, and by what.
enum Refusal {
    Open(StoreError),
    Verify(StoreError),
}

impl Trial<'_> {
    /// Damages a copy below `scratch`, an empty directory, and looks.
    ///
    /// # Errors
    /// What kept it from being tried.
    pub fn run(&self, scratch: &Path) -> Outcome<End> {
        let dir = scratch.join("store");
        copy_all(&self.specimen.dir, &dir)?;
        self.harm.apply(&dir)?;
        let asked = self.service.map(|service| ask(service, &dir, scratch));
        let asked = asked.transpose()?;
        let looked = catch_unwind(AssertUnwindSafe(|| match self.specimen.state.is_backup() {
            true => self.look_at_backup(&dir, scratch),
            false => self.look_at_store(&dir),
        }));
        let Ok(looked) = looked else {
            return Ok(End::Panicked);
        };
        if let Some(said) = asked
            && let Some(contradiction) = contradiction(&looked, &said)
        {
            return Ok(End::Contradicted(contradiction));
        }
        let (end, error) = match looked {
            Ok(Ok(0)) => return Ok(End::Right),
            // A flipped bit leaves whole commits behind it, unless it is in the last.
            Ok(Ok(torn)) if torn > 1 && self.harm.way == Way::Flip => {
                return Ok(End::Wrong(format!("the last {torn} commits are missing")));
            }
            Ok(Ok(torn)) => return Ok(End::Torn(torn)),
            Ok(Err(wrong)) => return Ok(End::Wrong(wrong)),
            Err(Refusal::Open(error)) => (End::Refused, error.to_string()),
            Err(Refusal::Verify(error)) => (End::Found, error.to_string()),
        };
        if !self.harm.part.is_named(&self.harm.name, &error) {
            return Ok(End::Unnamed(error));
        }
        if !self.specimen.state.is_backup()
            && let Err(why) = self.bring_back(&dir)
        {
            return Ok(End::Unrestored(why.to_string()));
        }
        Ok(end)
    }

    /// Opens, verifies, reads, closes; and again, since what was mended has to stay so.
    fn look_at_store(&self, dir: &Path) -> Result<Result<usize, String>, Refusal> {
        let mut missing = Ok(0);
        for _ in 0..2 {
            let store = Store::open(dir, options(self.specimen.size)).map_err(Refusal::Open)?;
            store.verify().map_err(Refusal::Verify)?;
            missing = self.specimen.content.compare(&store);
            store.close().map_err(Refusal::Verify)?;
        }
        missing.map(Ok).or_else(|wrong| Ok(Err(wrong)))
    }

    /// A backup is checked, and has to restore if it is whole and only then.
    fn look_at_backup(&self, dir: &Path, scratch: &Path) -> Result<Result<usize, String>, Refusal> {
        let to = scratch.join("restored");
        let checked = check(dir);
        match (checked, restore(dir, &to)) {
            (Err(error), Err(_)) => Err(Refusal::Open(error)),
            (Err(error), Ok(_)) => Ok(Err(format!("restored in spite of: {error}"))),
            (Ok(_), Err(error)) => Ok(Err(format!("checked, but: {error}"))),
            (Ok(_), Ok(CopyReport { .. })) => {
                let store = Store::open(&to, options(self.specimen.size)).map_err(Refusal::Open)?;
                store.verify().map_err(Refusal::Verify)?;
                let compared = self.specimen.content.compare(&store);
                store.close().map_err(Refusal::Verify)?;
                Ok(compared)
            }
        }
    }

    /// Restores the backup in the place of the damaged store.
    fn bring_back(&self, dir: &Path) -> Outcome<()> {
        fs::remove_dir_all(dir)?;
        restore(&self.specimen.backup, dir)?;
        let store = Store::open(dir, options(self.specimen.size))?;
        store.verify()?;
        self.specimen.kept.compare(&store)?;
        Ok(store.close()?)
    }
}

/// Exit code and output of the service's `verify`, of a copy of its own.
fn ask(service: &Path, dir: &Path, scratch: &Path) -> Outcome<(Option<i32>, String)> {
    let copy = scratch.join("asked");
    copy_all(dir, &copy)?;
    let mut command = Command::new(service);
    let (status, said) = run(command.arg("verify").arg("--data-dir").arg(&copy))?;
    fs::remove_dir_all(copy)?;
    Ok((status.code(), said))
}

/// How the two differ, if they do.
fn contradiction(
    looked: &Result<Result<usize, String>, Refusal>,
    (code, said): &(Option<i32>, String),
) -> Option<String> {
    let agree = match looked {
        Ok(_) => *code == Some(0) && said.contains("verified"),
        Err(Refusal::Open(error) | Refusal::Verify(error)) => {
            let expected = match error {
                StoreError::Corrupt { .. } | StoreError::CorruptValue { .. } => 65,
                _ => 1,
            };
            *code == Some(expected) && said.contains(&error.to_string())
        }
    };
    (!agree).then(|| format!("exit code {code:?}: {said}"))
}
