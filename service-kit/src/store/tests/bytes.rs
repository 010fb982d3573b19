//! The bytes on the disk. A change here is a new format version, not a new expectation.

use super::support::CITIES;
use crate::store::entry::{self, Head, SetHash, Write};
use crate::store::high::{self, High, HighWriter};
use crate::store::lineage::Lineage;
use crate::store::segment::{self, Position};
use crate::store::table::hex;
use crate::store::time::{CommitTime, Revision};
use crate::store::tip::Tip;
use crate::store::{disk, frame, seal, token};

const INCARNATION: [u8; 16] = *b"0123456789abcdef";

fn head() -> Head {
    Head {
        revision: Revision::new(1),
        time: CommitTime::from_nanoseconds(0x0102_0304_0506_0708),
        group: 0,
    }
}

fn written() -> (Vec<entry::Pair>, Vec<u8>, Tip) {
    let key = CITIES.key_bytes(&(7, "a\0b"));
    let gone = CITIES.key_bytes(&(8, ""));
    let payload = CITIES.encode_value(&"Shanghai".to_owned()).unwrap();
    let writes = [
        Write {
            key: &key,
            value: Some((1, &payload)),
        },
        Write {
            key: &gone,
            value: None,
        },
    ];
    let genesis = Tip::genesis(&INCARNATION);
    let (mut pairs, mut set) = (Vec::new(), SetHash::default());
    entry::pairs(&head(), writes.into_iter(), &mut set, &mut pairs);
    let next = Tip {
        revision: head().revision,
        time: head().time,
        next_uid: 5,
        pairs: pairs.len() as u64,
        set,
        ..genesis
    };
    let mut bytes = Vec::new();
    let tip = frame::encode(
        &head(),
        writes.into_iter(),
        next,
        &genesis.digest,
        &mut bytes,
    );
    (pairs, bytes, tip)
}

#[test]
fn pairs_of_the_index() {
    let (pairs, _, _) = written();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{} = {}", hex(key), hex(value)))
        .collect();
    assert_eq!(pairs, PAIRS);
}

#[test]
fn frames_of_the_log() {
    let (_, bytes, tip) = written();
    assert_eq!(hex(&bytes), FRAME);
    let frame = frame::parse(&bytes, &Tip::genesis(&INCARNATION)).unwrap();
    assert_eq!((frame.tip, frame.head()), (tip, head()));
    let writes = frame.writes().unwrap();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].key, CITIES.key_bytes(&(7, "a\0b")));
    assert_eq!(writes[1].value, None);
}

#[test]
fn the_header_of_a_segment() {
    let (_, _, tip) = written();
    let header = segment::header(&INCARNATION, 2, &tip);
    assert_eq!(blake3::hash(&header).to_hex().as_str(), HEADER);
    assert_eq!(segment::parse_header(&header, &INCARNATION, 2), Ok(tip));
    assert!(segment::parse_header(&header, &INCARNATION, 3).is_err());
    assert!(segment::parse_header(&header, b"another store...", 2).is_err());
}

#[test]
fn the_high_water_mark() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("HIGH");
    let (_, _, tip) = written();
    let position = Position {
        segment: 1,
        offset: 345,
    };
    let mark = High { tip, position };
    HighWriter::open(&path, INCARNATION, &disk::SystemDisk, &mark, false).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), HIGH);
    let found = high::read(&path, &INCARNATION).unwrap();
    assert_eq!((found.high, found.damaged), (mark, false));
}

#[test]
fn tokens() {
    assert_eq!(
        token::encode(Revision::new(1), &Lineage::new(INCARNATION)),
        TOKEN
    );
}

#[test]
fn the_seal_of_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    std::fs::create_dir_all(index.join("blobs")).unwrap();
    std::fs::write(index.join("db"), "abc").unwrap();
    std::fs::write(index.join("blobs/7"), "").unwrap();
    let path = dir.path().join("index.sum");
    seal::write(&path, &index, Revision::new(42), &[7; 32]).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), SEAL);
    let seal = seal::Seal::read(&path).unwrap().unwrap();
    assert!(seal.matches(&index).unwrap());
    std::fs::write(index.join("more"), "").unwrap();
    assert!(!seal.matches(&index).unwrap());
}

const PAIRS: [&str; 3] = [
    "0300000000000000076100ff620000fffffffffffffffe = \
     0101020304050607080001085368616e67686169551a179433658aef",
    "0300000000000000080000fffffffffffffffe = 00010203040506070885b828affbd51872",
    "0063fffffffffffffffe = 0102030405060708bbb1080240b8b7dc",
];
const FRAME: &str = "414c4d46a30000000100000000000000080706050403020105000000000000000200000000000000\
     0300000000000000958448456ff35a3ec023b4e23325ff1f276ea9ac4fac4cc9cb230dbc7a2ce6b0\
     010f0000000300000000000000076100ff620000010009000000085368616e67686169\
     000b0000000300000000000000080000\
     541e5243952311ef926f1ecafc32c3adcff62065049c94bac0740db09e8b67a7";
const HEADER: &str = "d54975cb0889be32cb463f7fa5afeda0353ce1ae9bb5124425af0485616f97b0";
const HIGH: &str = "58fb08f351d11743e591c937ebe17aea4bb746999711695c70d608336ed0a5f9";
const TOKEN: &str = "AQAAAAAAAAABeKdlUJ6h4Bj_YVrW";
const SEAL: &str = "almanac-index 1
tip 42 0707070707070707070707070707070707070707070707070707070707070707
file af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 0 blobs/7
file 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85 3 db
check b18482f719b51386354540f03d7367f0df5aeff1ea42b682f6db6a67ff31ef4f
";
