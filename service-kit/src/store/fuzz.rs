//! The decoders of stored bytes, for fuzzing: each says what it decoded by encoding it again.
//!
//! Most stored bytes carry a checksum, which random bytes never have. `mend` gives them the right
//! one, so that what is behind it is reached.

use super::directory;
use super::entry::{self, Head};
use super::frame;
use super::high;
use super::key::{AsKey, Key, decode_whole};
use super::lineage::Lineage;
use super::seal::Seal;
use super::segment;
use super::table::{Record, Table, hex};
use super::time::{CommitTime, Revision};
use super::tip::Tip;
use super::token;

/// What was decoded, encoded again; or why the bytes do not decode.
pub type Again = Result<Vec<u8>, String>;

/// The incarnation of the store that bytes are read as part of.
const INCARNATION: [u8; 16] = [7; 16];

/// A format of stored bytes.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// Whether equal content has equal bytes.
    pub canonical: bool,
    /// Decodes and encodes again.
    pub again: fn(&[u8]) -> Again,
    /// Puts the checksum right.
    pub mend: fn(&mut [u8]),
}

/// The formats of the store's files.
pub const FORMATS: [Format; 6] = [
    Format {
        name: "frame",
        canonical: true,
        again: again_frame,
        mend: mend_frame,
    },
    Format {
        name: "entry",
        canonical: true,
        again: again_entry,
        mend: mend_entry,
    },
    Format {
        name: "high",
        canonical: true,
        again: again_high,
        mend: |bytes| mend_hash(bytes, high::SLOT),
    },
    Format {
        name: "segment",
        canonical: true,
        again: again_segment,
        mend: |bytes| mend_hash(bytes, segment::HEADER),
    },
    Format {
        name: "format",
        canonical: true,
        again: again_format,
        mend: |bytes| mend_text(bytes, 16),
    },
    Format {
        name: "seal",
        // A revision may have leading zeros.
        canonical: false,
        again: again_seal,
        mend: |bytes| mend_text(bytes, 64),
    },
];

/// A frame as the first of a store.
fn again_frame(bytes: &[u8]) -> Again {
    let before = Tip::genesis(&INCARNATION);
    // What stands behind a damaged frame is looked at in any bytes.
    frame::later_group(bytes, &before);
    let found = frame::parse(bytes, &before).map_err(|error| error.text().to_owned())?;
    let writes = found.writes().map_err(|error| error.text().to_owned())?;
    let mut again = Vec::new();
    let tip = frame::encode(
        &found.head(),
        writes.into_iter(),
        found.tip,
        &before.digest,
        &mut again,
    );
    assert_eq!(tip, found.tip, "the tip changed");
    assert_eq!(again, found.bytes, "the frame changed");
    // What follows a frame is no part of it.
    again.extend_from_slice(&bytes[found.bytes.len()..]);
    Ok(again)
}

fn mend_frame(bytes: &mut [u8]) {
    let before = Tip::genesis(&INCARNATION);
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok());
    let Some(length) = length.map(|length| u32::from_le_bytes(length) as usize) else {
        return;
    };
    let Some((body, digest)) = bytes
        .get_mut(..length)
        .and_then(|frame| frame.split_last_chunk_mut::<32>())
    else {
        return;
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.digest);
    hasher.update(body);
    *digest = *hasher.finalize().as_bytes();
}

/// A pair of the index: the length of its key (one byte), key, value.
fn split_pair(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn again_entry(bytes: &[u8]) -> Again {
    let (key, value) = split_pair(bytes).ok_or("cut off")?;
    let found = entry::parse_version(key, value)?;
    let Some((record, revision)) = entry::split_version_key(key) else {
        return Err("no version key".to_owned());
    };
    let head = Head {
        revision,
        time: found.time,
        group: 1,
    };
    let write = entry::Write {
        key: record,
        value: found.value,
    };
    let mut pairs = Vec::new();
    let mut set = entry::SetHash::default();
    entry::pairs(&head, [write].into_iter(), &mut set, &mut pairs);
    let mut again = vec![bytes[0]];
    for (key, value) in pairs {
        again.extend_from_slice(&key);
        again.extend_from_slice(&value);
    }
    Ok(again)
}

fn mend_entry(bytes: &mut [u8]) {
    let Some((key, value)) = split_pair(bytes) else {
        return;
    };
    let Some((body, _)) = value.split_last_chunk::<{ entry::CHECK }>() else {
        return;
    };
    let mut sealed = body.to_vec();
    entry::seal(key, &mut sealed);
    let at = bytes.len() - sealed.len();
    bytes[at..].copy_from_slice(&sealed);
}

fn again_high(bytes: &[u8]) -> Again {
    let slot = bytes.try_into().map_err(|_| "another length")?;
    let high = high::parse(slot, &INCARNATION).ok_or("damaged")?;
    Ok(high::encode(&high, &INCARNATION).to_vec())
}

fn again_segment(bytes: &[u8]) -> Again {
    let tip = segment::parse_header(bytes, &INCARNATION, 1)?;
    let mut again = segment::header(&INCARNATION, 1, &tip).to_vec();
    again.extend_from_slice(&bytes[segment::HEADER..]);
    Ok(again)
}

/// Ends the first `length` bytes with the BLAKE3 hash of those before.
fn mend_hash(bytes: &mut [u8], length: usize) {
    let ends = bytes.get_mut(..length);
    if let Some((body, hash)) = ends.and_then(|bytes| bytes.split_last_chunk_mut::<32>()) {
        *hash = *blake3::hash(body).as_bytes();
    }
}

fn again_format(bytes: &[u8]) -> Again {
    let lineage = directory::parse(bytes).map_err(|error| error.to_string())?;
    Ok(directory::render(&lineage).into_bytes())
}

fn again_seal(bytes: &[u8]) -> Again {
    let seal = Seal::parse(bytes).ok_or("damaged")?;
    Ok(seal.render().into_bytes())
}

/// Puts `digits` digits of the BLAKE3 hash of a text after its last `check `.
fn mend_text(bytes: &mut [u8], digits: usize) {
    const CHECK: &[u8] = b"check ";
    let Some(at) = bytes.windows(CHECK.len()).rposition(|part| part == CHECK) else {
        return;
    };
    let (body, check) = bytes.split_at_mut(at);
    let hash = hex(blake3::hash(body).as_bytes());
    if let Some(check) = check.get_mut(CHECK.len()..CHECK.len() + digits) {
        check.copy_from_slice(&hash.as_bytes()[..digits]);
    }
}

/// The token of a revision, of a store that was restored once.
///
/// # Errors
/// Why the text is none.
pub fn again_token(text: &str) -> Again {
    let lineage = Lineage::new(INCARNATION).restored_at(Revision::new(5), [8; 16]);
    let revision = token::decode(text, &lineage).map_err(|error| error.to_string())?;
    Ok(token::encode(revision, &lineage).into_bytes())
}

/// The token of a revision that is there.
#[must_use]
pub fn revision_token(revision: u64) -> String {
    let lineage = Lineage::new(INCARNATION).restored_at(Revision::new(5), [8; 16]);
    token::encode(Revision::new(revision), &lineage)
}

/// A key of type `K`.
///
/// # Errors
/// Why the bytes are none.
pub fn key<K: Key>(bytes: &[u8]) -> Result<(K, Vec<u8>), String> {
    let key: K = decode_whole(bytes).map_err(|error| error.to_string())?;
    let mut again = Vec::new();
    key.encode(&mut again);
    Ok((key, again))
}

/// A value of a table, under its version.
///
/// # Errors
/// Why the bytes are none.
pub fn value<K: Key, V: Record>(table: &Table<K, V>, version: u16, bytes: &[u8]) -> Again {
    let value = table
        .decode_value(&[table.id()], version, bytes)
        .map_err(|error| error.to_string())?;
    table.encode_value(&value).map_err(|e| e.to_string())
}

/// Key and value as a table encodes them.
///
/// # Errors
/// Why the value cannot be encoded.
pub fn pair<K: Key, V: Record>(
    table: &Table<K, V>,
    key: &impl AsKey<K>,
    value: &V,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let key = table.key_bytes(key).split_off(1);
    let value = table.encode_value(value).map_err(|e| e.to_string())?;
    Ok((key, value))
}

/// Valid bytes of every format, by its name.
#[must_use]
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let before = Tip::genesis(&INCARNATION);
    let head = Head {
        revision: Revision::new(1),
        time: CommitTime::from_nanoseconds(1_700_000_000_000_000_000),
        group: 0,
    };
    let writes = [
        entry::Write {
            key: b"\x03name\x00\x00",
            value: Some((1, b"value")),
        },
        entry::Write {
            key: b"\x03gone\x00\x00",
            value: None,
        },
    ];
    let mut pairs = Vec::new();
    let mut set = entry::SetHash::default();
    entry::pairs(&head, writes.into_iter(), &mut set, &mut pairs);
    let mut frame = Vec::new();
    let next = Tip {
        revision: head.revision,
        time: head.time,
        next_uid: 9,
        pairs: 3,
        set,
        ..before
    };
    let tip = frame::encode(&head, writes.into_iter(), next, &before.digest, &mut frame);
    let high = high::High {
        tip,
        position: segment::Position {
            segment: 1,
            offset: (segment::HEADER + frame.len()) as u64,
        },
    };
    let lineage = Lineage::new(INCARNATION).restored_at(Revision::new(5), [8; 16]);
    let mut seal = format!(
        "almanac-index 1\ntip 1 {}\nfile {} 524288 db\ncheck {}\n",
        hex(&tip.digest),
        hex(&[5; 32]),
        "0".repeat(64)
    )
    .into_bytes();
    mend_text(&mut seal, 64);
    let mut samples = vec![
        ("frame", frame),
        ("high", high::encode(&high, &INCARNATION).to_vec()),
        (
            "segment",
            segment::header(&INCARNATION, 1, &before).to_vec(),
        ),
        ("format", directory::render(&lineage).into_bytes()),
        ("seal", seal),
    ];
    samples.extend(pairs.into_iter().take(2).map(|(key, value)| {
        // Keys here are far shorter than 256 bytes.
        let length = u8::try_from(key.len()).unwrap_or(0);
        ("entry", [&[length][..], &key, &value].concat())
    }));
    samples
}
