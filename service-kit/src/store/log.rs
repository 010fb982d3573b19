//! Reading the chain of frames: strictly up to the high-water mark, leniently after it.

use std::fs;
use std::path::Path;

use super::disk;
use super::error::StoreError;
use super::frame::{self, Frame};
use super::high::High;
use super::segment::{self, HEADER, Position, Segment};
use super::time::Revision;
use super::tip::Tip;

/// The log of one store, for reading.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) dir: &'a Path,
    pub(super) incarnation: [u8; 16],
}

/// What lies after the high-water mark.
#[derive(Debug)]
pub(super) struct Tail {
    /// Whole frames that follow the chain, one after the other: for each segment that has some,
    /// where they begin, and their bytes.
    pub(super) frames: Vec<(Position, Vec<u8>)>,
    /// The chain's end after them, and where that is.
    pub(super) end: High,
    /// Why what follows them is no frame; `None` when nothing follows.
    pub(super) garbage: Option<&'static str>,
}

/// Called with each frame and the number of its segment.
type OnFrame<'a> = dyn FnMut(&Frame<'_>) -> Result<(), StoreError> + 'a;

impl Log<'_> {
    /// Walks all frames up to `end`, from the segment that holds `from` on, and makes sure that
    /// the chain is whole.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with segment, offset and revision of what is damaged.
    pub(super) fn walk(
        &self,
        from: Revision,
        end: (&Tip, Position),
        on_frame: &mut OnFrame<'_>,
    ) -> Result<(), StoreError> {
        let (end_tip, end) = end;
        let segments = segment::list(self.dir)?;
        if (segments.len() as u64) < end.segment {
            return Err(StoreError::corrupt(
                disk::name(&segment::path(self.dir, end.segment)),
                "the segment is missing",
            ));
        }
        let mut tip: Option<Tip> = None;
        for part in self.from(segments, from)? {
            if part.number > end.segment {
                break;
            }
            let bytes = read(&part)?;
            let start = self.header(&part, &bytes)?;
            if tip.is_some_and(|tip| tip != start) {
                return Err(damaged(&part, 0, start.revision, "the chain is broken"));
            }
            let bytes = if part.number == end.segment {
                let cut = usize::try_from(end.offset).unwrap_or(usize::MAX);
                bytes.get(..cut).ok_or_else(|| {
                    let at = bytes.len();
                    damaged(
                        &part,
                        at,
                        end_tip.revision,
                        "acknowledged commits are cut off",
                    )
                })?
            } else {
                &bytes
            };
            tip = Some(Self::walk_segment(&part, bytes, start, on_frame)?);
        }
        if tip == Some(*end_tip) {
            return Ok(());
        }
        Err(StoreError::corrupt(
            "log",
            format!(
                "the chain does not lead to the high-water mark, revision {}",
                end_tip.revision
            ),
        ))
    }

    /// The chain's end before a segment.
    fn header(&self, part: &Segment, bytes: &[u8]) -> Result<Tip, StoreError> {
        let tip =
            segment::parse_header(bytes, &self.incarnation, part.number).map_err(|detail| {
                StoreError::corrupt(format!("log segment {}", part.number), detail)
            })?;
        if part.number == 1 && tip != Tip::genesis(&self.incarnation) {
            return Err(damaged(
                part,
                0,
                tip.revision,
                "the first segment is not the first",
            ));
        }
        Ok(tip)
    }

    /// Drops the segments that end before `from`.
    fn from(&self, mut segments: Vec<Segment>, from: Revision) -> Result<Vec<Segment>, StoreError> {
        let mut first = 0;
        if from > Revision::ZERO {
            for (index, part) in segments.iter().enumerate().skip(1) {
                let start = match read_header(part)? {
                    // The last segment may be one that a crash kept from being begun.
                    None => break,
                    Some(bytes) => match self.header(part, &bytes) {
                        Ok(tip) => tip,
                        Err(_) => break,
                    },
                };
                if start.revision >= from {
                    break;
                }
                first = index;
            }
        }
        Ok(segments.split_off(first))
    }

    fn walk_segment(
        part: &Segment,
        bytes: &[u8],
        mut tip: Tip,
        on_frame: &mut OnFrame<'_>,
    ) -> Result<Tip, StoreError> {
        let mut offset = HEADER;
        while offset < bytes.len() {
            let frame = frame::parse(&bytes[offset..], &tip)
                .map_err(|error| damaged(part, offset, tip.revision.next(), error.text()))?;
            on_frame(&frame)?;
            offset += frame.bytes.len();
            tip = frame.tip;
        }
        Ok(tip)
    }

    /// Reads what follows the high-water mark: commits that were under way, or acknowledged so
    /// short a time ago that the mark was not yet synced.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a frame is broken that had been durable, because a frame of
    /// a later group stands behind it.
    pub(super) fn tail(&self, high: &High) -> Result<Tail, StoreError> {
        let mut tail = Tail {
            frames: Vec::new(),
            end: *high,
            garbage: None,
        };
        for part in segment::list(self.dir)? {
            if part.number < high.position.segment {
                continue;
            }
            let bytes = read(&part)?;
            let mut offset = HEADER;
            if part.number == high.position.segment {
                offset = usize::try_from(high.position.offset).unwrap_or(usize::MAX);
            } else {
                match segment::parse_header(&bytes, &self.incarnation, part.number) {
                    Ok(start) if start == tail.end.tip => {}
                    // A segment is begun when all before it is durable.
                    Ok(start) if start.revision > tail.end.tip.revision => {
                        let broken = tail.end.tip.revision.next();
                        return Err(damaged(&part, 0, broken, NOT_TORN));
                    }
                    Ok(_) => tail.garbage = Some("a segment begins elsewhere"),
                    Err(detail) => tail.garbage = Some(detail),
                }
            }
            let begin = Position {
                segment: part.number,
                offset: offset as u64,
            };
            let mut frames = Vec::new();
            while tail.garbage.is_none() && bytes[offset..].iter().any(|byte| *byte != 0) {
                match frame::parse(&bytes[offset..], &tail.end.tip) {
                    Ok(frame) => {
                        frames.extend_from_slice(frame.bytes);
                        offset += frame.bytes.len();
                        tail.end = High {
                            tip: frame.tip,
                            position: Position {
                                segment: part.number,
                                offset: offset as u64,
                            },
                        };
                    }
                    Err(error) => {
                        let broken = tail.end.tip.revision.next();
                        if frame::later_group(&bytes[offset..], &tail.end.tip) {
                            return Err(damaged(&part, offset, broken, NOT_TORN));
                        }
                        tail.garbage = Some(error.text());
                    }
                }
            }
            if !frames.is_empty() {
                tail.frames.push((begin, frames));
            }
        }
        Ok(tail)
    }
}

const NOT_TORN: &str = "the frame is damaged, and commits made after it are there";

fn read(part: &Segment) -> Result<Vec<u8>, StoreError> {
    fs::read(&part.path)
        .map_err(|error| StoreError::io(format!("read log segment {}", part.number), error))
}

fn read_header(part: &Segment) -> Result<Option<[u8; HEADER]>, StoreError> {
    use std::io::Read;
    let mut bytes = [0; HEADER];
    match fs::File::open(&part.path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(StoreError::io(
            format!("read log segment {}", part.number),
            error,
        )),
    }
}

fn damaged(part: &Segment, offset: usize, revision: Revision, detail: &str) -> StoreError {
    StoreError::corrupt(
        format!(
            "log segment {}, offset {offset}, revision {revision}",
            part.number
        ),
        detail,
    )
}
