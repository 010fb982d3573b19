//! Scans: pages out of the index, merged with what a transaction has written and not committed.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::entry;
use super::error::StoreError;
use super::key::{AsKey, Key};
use super::read::Versioned;
use super::shared::{RawError, RawVersion, Shared};
use super::table::{Record, Table};
use super::time::{CommitTime, Revision};

/// Items of the first page; each following one holds twice as many.
const FIRST_PAGE: usize = 16;
/// Items of the largest page.
const LARGEST_PAGE: usize = 1024;
/// Bytes after which a page is full, whatever its items.
const PAGE_BYTES: usize = 1 << 20;

/// Versions that are not in the index yet, by table id and key bytes.
pub(super) type Layer = BTreeMap<Vec<u8>, RawVersion>;

/// What a group has committed and the index does not hold yet.
#[derive(Debug, Default)]
pub(super) struct GroupLayer {
    pub(super) newest: Layer,
    /// Versions that a later transaction of the group replaced, oldest first.
    pub(super) replaced: BTreeMap<Vec<u8>, Vec<RawVersion>>,
}

impl GroupLayer {
    pub(super) fn absorb(&mut self, layer: Layer) {
        for (key, version) in layer {
            if let Some(older) = self.newest.insert(key.clone(), version) {
                self.replaced.entry(key).or_default().push(older);
            }
        }
    }
}

/// The first index key behind all versions of a key, as bytes that also order behind the key
/// itself and before every other one.
pub(super) fn behind(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 9);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&[0xFF; 8]);
    bytes.push(0);
    bytes
}

/// The first bytes behind everything with a prefix.
fn behind_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_owned();
    // The table id comes first and is below 255, so this ends at it at the latest.
    while let Some(last) = bytes.pop() {
        if last < 0xFF {
            bytes.push(last + 1);
            break;
        }
    }
    bytes
}

/// Records of a table in key order, each in the newest version that the reader sees.
///
/// Made by [`super::Read::scan`]. Nothing is read before the first item. The first error ends
/// the scan: what comes before it is right, and whoever sees no error has seen everything.
#[must_use = "a scan reads nothing until it is iterated"]
pub struct Scan<'a, K, V> {
    table: Table<K, V>,
    raw: RawScan<'a>,
    ended: bool,
}

impl<'a, K: Key, V: Record> Scan<'a, K, V> {
    pub(super) fn new(
        table: Table<K, V>,
        prefix: &[u8],
        shared: &Arc<Shared>,
        at: Revision,
        layers: Vec<&'a Layer>,
    ) -> Self {
        let raw = RawScan {
            shared: Arc::clone(shared),
            at,
            from: prefix.to_owned(),
            to: behind_prefix(prefix),
            page: Page::default(),
            limit: FIRST_PAGE,
            exhausted: false,
            layers,
            ranges: None,
        };
        Self {
            table,
            raw,
            ended: false,
        }
    }

    /// Leaves out everything up to and including `key`: the next page after it.
    pub fn after<Q: AsKey<K> + ?Sized>(mut self, key: &Q) -> Self {
        let bound = behind(&self.table.key_bytes(key));
        self.raw.from = bound.max(self.raw.from);
        self
    }

    /// Leaves out everything before `key`.
    pub fn starting_at<Q: AsKey<K> + ?Sized>(mut self, key: &Q) -> Self {
        let bound = self.table.key_bytes(key);
        self.raw.from = bound.max(self.raw.from);
        self
    }

    /// Leaves out `key` and everything after it.
    pub fn before<Q: AsKey<K> + ?Sized>(mut self, key: &Q) -> Self {
        let bound = self.table.key_bytes(key);
        self.raw.to = bound.min(self.raw.to);
        self
    }

    fn decode(
        table: &Table<K, V>,
        key: &[u8],
        found: &Found<'_>,
    ) -> Result<(K, Versioned<V>), StoreError> {
        let value = table.decode_value(key, found.version, found.payload)?;
        let versioned = Versioned {
            value,
            revision: found.revision,
            time: found.time,
        };
        Ok((table.decode_key(key)?, versioned))
    }
}

impl<K: Key, V: Record> Iterator for Scan<'_, K, V> {
    type Item = Result<(K, Versioned<V>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let table = self.table;
        let item = match self
            .raw
            .next(|key, found| Self::decode(&table, key, &found))
        {
            Ok(None) => None,
            Ok(Some(decoded)) => Some(decoded),
            Err(error) => Some(Err(table.raw_error(error))),
        };
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// A stored value that a scan came upon.
struct Found<'p> {
    revision: Revision,
    time: CommitTime,
    version: u16,
    payload: &'p [u8],
}

/// What is left of a layer.
type OpenLayer<'a> = Peekable<Range<'a, Vec<u8>, RawVersion>>;

struct RawScan<'a> {
    shared: Arc<Shared>,
    at: Revision,
    from: Vec<u8>,
    to: Vec<u8>,
    page: Page,
    limit: usize,
    /// Whether the index has nothing after the page.
    exhausted: bool,
    /// What is newer than the index: the newest layer first.
    layers: Vec<&'a Layer>,
    ranges: Option<Vec<OpenLayer<'a>>>,
}

impl<'a> RawScan<'a> {
    /// Decodes the next record with `decode`; `None` at the end.
    fn next<T>(
        &mut self,
        decode: impl FnOnce(&[u8], Found<'_>) -> T,
    ) -> Result<Option<T>, RawError> {
        if self.from >= self.to {
            return Ok(None);
        }
        let mut ranges = self.ranges.take().unwrap_or_else(|| self.open_layers());
        let found = self.merge(&mut ranges, decode);
        self.ranges = Some(ranges);
        found
    }

    fn open_layers(&self) -> Vec<OpenLayer<'a>> {
        let open = |layer: &&'a Layer| {
            let layer: &'a Layer = layer;
            layer
                .range::<[u8], _>((
                    std::ops::Bound::Included(&self.from[..]),
                    std::ops::Bound::Excluded(&self.to[..]),
                ))
                .peekable()
        };
        self.layers.iter().map(open).collect()
    }

    fn merge<T>(
        &mut self,
        ranges: &mut [OpenLayer<'a>],
        decode: impl FnOnce(&[u8], Found<'_>) -> T,
    ) -> Result<Option<T>, RawError> {
        loop {
            self.fill()?;
            let newest = ranges
                .iter_mut()
                .filter_map(|range| range.peek().copied())
                // Of equal keys, the first layer's: it is the newest.
                .min_by(|a, b| a.0.cmp(b.0));
            let Some((key, version)) = newest else {
                return Ok(self.page.pop().map(|(key, found)| decode(key, found)));
            };
            if self.page.key().is_some_and(|stored| stored < &key[..]) {
                return Ok(self.page.pop().map(|(key, found)| decode(key, found)));
            }
            if self.page.key() == Some(&key[..]) {
                self.page.at += 1;
            }
            for range in ranges.iter_mut() {
                range.next_if(|(other, _)| *other == key);
            }
            if let Some(value) = &version.value {
                let found = Found {
                    revision: version.revision,
                    time: version.time,
                    version: value.version,
                    payload: &value.payload,
                };
                return Ok(Some(decode(key, found)));
            }
        }
    }

    /// Reads the next page if this one is used up.
    fn fill(&mut self) -> Result<(), RawError> {
        while self.page.key().is_none() && !self.exhausted {
            self.page.clear();
            let (page, at, limit) = (&mut self.page, self.at, self.limit);
            self.shared
                .engine(|engine| {
                    engine.visit(&self.from, &self.to, &mut |key, value| {
                        page.push(key, value, at, limit)
                    })
                })
                .map_err(RawError::Store)?;
            if let Some(broken) = self.page.broken.take() {
                return Err(broken);
            }
            match self.page.full {
                true => self.from = behind(&self.page.last),
                false => self.exhausted = true,
            }
            self.limit = (self.limit * 2).min(LARGEST_PAGE);
        }
        Ok(())
    }
}

/// Records out of the index, their bytes in one buffer.
#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    items: Vec<Item>,
    at: usize,
    /// The key whose newest visible version has been met.
    last: Vec<u8>,
    /// Whether the page ended before the range did.
    full: bool,
    broken: Option<RawError>,
}

struct Item {
    start: usize,
    key_end: usize,
    end: usize,
    revision: Revision,
    time: CommitTime,
    version: u16,
}

impl Page {
    fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.at = 0;
        self.last.clear();
        self.full = false;
    }

    fn key(&self) -> Option<&[u8]> {
        let item = self.items.get(self.at)?;
        Some(&self.bytes[item.start..item.key_end])
    }

    fn pop(&mut self) -> Option<(&[u8], Found<'_>)> {
        let item = self.items.get(self.at)?;
        self.at += 1;
        let found = Found {
            revision: item.revision,
            time: item.time,
            version: item.version,
            payload: &self.bytes[item.key_end..item.end],
        };
        Some((&self.bytes[item.start..item.key_end], found))
    }

    /// Takes a pair of the index if it is the newest visible version of a record.
    fn push(&mut self, stored: &[u8], value: &[u8], at: Revision, limit: usize) -> ControlFlow<()> {
        let Some((key, revision)) = entry::split_version_key(stored) else {
            self.broken = Some(RawError::Value(stored.to_owned(), "the key is too short"));
            return ControlFlow::Break(());
        };
        if revision > at || key == self.last {
            return ControlFlow::Continue(());
        }
        if self.items.len() >= limit || self.bytes.len() >= PAGE_BYTES {
            self.full = true;
            return ControlFlow::Break(());
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        match entry::parse_version(stored, value) {
            Ok(parsed) => {
                if let Some((version, payload)) = parsed.value {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(key);
                    self.bytes.extend_from_slice(payload);
                    self.items.push(Item {
                        start,
                        key_end: start + key.len(),
                        end: self.bytes.len(),
                        revision,
                        time: parsed.time,
                        version,
                    });
                }
                ControlFlow::Continue(())
            }
            Err(detail) => {
                self.broken = Some(RawError::Value(key.to_owned(), detail));
                ControlFlow::Break(())
            }
        }
    }
}
