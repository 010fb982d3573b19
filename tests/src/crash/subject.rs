//! The writes, and what a service has to offer to be tried.

use std::ops::Range;

use tonic::{Status, transport::Channel};

use crate::{Outcome, dice::Dice, service::Kind as Service};

/// What kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One figure, as a new version of a cell that has others.
    Figure,
    /// A batch of figures in cells of their own, all or none.
    Figures,
    /// An import of figures in cells of their own, in chunks that are each all or none.
    Import,
    /// One resource.
    Resource,
    /// Several resources, all or none, where the service can create several at once.
    Resources,
    /// An edition or a forecast.
    Publication,
}

/// Number of figures or resources in a batch.
pub(super) const BATCH: u64 = 20;
/// Number of chunks of an import, and of figures in each.
pub(super) const CHUNKS: u64 = 3;
const CHUNK: u64 = 10;
/// Number of cells that belong to a write.
const CELLS: u64 = CHUNKS * CHUNK;

/// A write; its kind and its serial number say all that its request holds.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    /// The seed of the run.
    pub seed: u64,
    /// Unique in the run, from 1.
    pub serial: u64,
    /// What kind.
    pub kind: Kind,
}

impl Write {
    /// The write of this number.
    pub(crate) fn new(seed: u64, serial: u64) -> Self {
        let kind = match Dice::new(seed, serial).below(100) {
            0..40 => Kind::Figure,
            40..55 => Kind::Figures,
            55..65 => Kind::Import,
            65..82 => Kind::Resource,
            82..94 => Kind::Resources,
            _ => Kind::Publication,
        };
        Self { seed, serial, kind }
    }

    /// The request ID: the same one whenever it is sent.
    #[must_use]
    pub fn request_id(&self) -> String {
        let low = self.serial & 0xffff_ffff_ffff;
        format!("{:08x}-0000-4000-8000-{low:012x}", self.seed & 0xffff_ffff)
    }

    /// The value that its figures have and no other write's.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.serial as f64 + 0.25
    }

    /// ID of a resource that it creates.
    #[must_use]
    pub fn id(&self, part: u64) -> String {
        format!("w{}-{part}", self.serial)
    }

    /// Columns and years of the figures of its batch, where no other write has one.
    pub(super) fn batch(&self, columns: u64) -> impl Iterator<Item = (u64, String)> {
        self.cells(0..BATCH, columns)
    }

    /// The same of a chunk of its import.
    pub(super) fn chunk(&self, chunk: u64, columns: u64) -> impl Iterator<Item = (u64, String)> {
        self.cells(chunk * CHUNK..(chunk + 1) * CHUNK, columns)
    }

    fn cells(&self, of: Range<u64>, columns: u64) -> impl Iterator<Item = (u64, String)> {
        let first = self.serial * CELLS;
        of.map(move |cell| {
            let index = first + cell;
            (index % columns, (FIRST_YEAR + index / columns).to_string())
        })
    }
}

/// The year of the figures that publications are computed from, and the first that batches use.
pub(super) const FIRST_YEAR: u64 = 2023;

/// Number of figures that a write has that only makes the store larger.
pub(super) const BULK: u64 = 2048;

/// Column and year of each of them.
pub(super) fn bulk(number: u64, columns: u64) -> impl Iterator<Item = (u64, String)> {
    let cells = number * BULK..(number + 1) * BULK;
    cells.map(move |index| {
        let year = BULK_YEAR + index / columns % BULK_YEARS;
        (index % columns, year.to_string())
    })
}

/// The years of those.
const BULK_YEAR: u64 = 1000;
const BULK_YEARS: u64 = 8000;

/// What a service holds of one write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its parts in order, each of which is there as a whole or not at all: an import has one for
    /// each chunk, any other write one.
    pub parts: Vec<Part>,
    /// Number of effects beyond one each.
    pub extra: usize,
    /// The edition or forecast that it created was seen being computed after the restart.
    pub resumed: bool,
    /// How that ended.
    pub publication: Option<Publication>,
}

/// What a service holds of a part of a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Number of its figures or resources that should be there.
    pub whole: usize,
    /// Number of them that are.
    pub present: usize,
}

/// How a publication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// Published, and its replay matches.
    Verified,
    /// Published, and its replay differs, or it never ended.
    Unverified,
    /// Failed, with an error of its own.
    Failed,
}

impl Found {
    /// Adds a part of figures or resources, of each of which the service holds so many.
    pub(super) fn part(&mut self, counts: &[usize]) {
        self.extra += counts
            .iter()
            .map(|count| count.saturating_sub(1))
            .sum::<usize>();
        self.parts.push(Part {
            whole: counts.len(),
            present: counts.iter().filter(|count| **count > 0).count(),
        });
    }
}

/// More parts than a write has.
pub(crate) const ALL: usize = usize::MAX;

/// Why a write was not acknowledged.
#[derive(Debug)]
pub struct Cut {
    /// What it was told.
    pub status: Status,
    /// Number of its parts that were acknowledged all the same.
    pub parts: usize,
}

impl From<Status> for Cut {
    fn from(status: Status) -> Self {
        Self { status, parts: 0 }
    }
}

/// A service and how it is written to and asked.
pub trait Subject: Copy + Send + Sync + 'static {
    /// The service.
    type Service: Service;

    /// Creates what the writes need.
    fn prepare(self, channel: Channel) -> impl Future<Output = Result<(), Status>> + Send;

    /// Sends a write. The receipt is the same for every effect that is the same: the revision of
    /// the commit, or the UIDs of what was created.
    fn send(
        self,
        channel: Channel,
        write: Write,
    ) -> impl Future<Output = Result<String, Cut>> + Send;

    /// Writes [`BULK`] figures at once that nobody asks for, to make the store larger.
    fn bulk(self, channel: Channel, number: u64)
    -> impl Future<Output = Result<(), Status>> + Send;

    /// Asks what there is of a write, and waits until a publication has ended.
    fn found(self, channel: Channel, write: Write) -> impl Future<Output = Outcome<Found>> + Send;
}

/// A read that may find nothing.
pub(super) fn absent<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}
