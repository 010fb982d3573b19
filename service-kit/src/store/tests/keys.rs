//! Keys: what goes in comes out, and the order of the bytes is the order of the keys.

use proptest::prelude::*;

use crate::store::key::{AsKey, Key, Prefix, decode_whole};

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

fn holds<K: Key + Ord + Clone>(a: &K, b: &K) {
    let (left, right) = (bytes(a), bytes(b));
    assert_eq!(&decode_whole::<K>(&left).unwrap(), a);
    assert_eq!(left.cmp(&right), a.cmp(b), "{a:?} {b:?}");
    assert!(a == b || !right.starts_with(&left), "{a:?} ends in {b:?}");
    // With a revision behind them, versions of two keys never mix.
    let (first, last) = (
        [&left[..], &[0; 8]].concat(),
        [&left[..], &[0xFF; 8]].concat(),
    );
    let other = [&right[..], &[0x55; 8]].concat();
    assert!(a == b || other < first || other > last, "{a:?} {b:?}");
    for end in 0..left.len() {
        assert!(decode_whole::<K>(&left[..end]).is_err());
    }
}

/// Text with many zeros and near neighbors of the escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(
            prop_oneof![Just('\0'), Just('\u{1}'), Just('\u{ff}'), Just('a')],
            0..6
        )
        .prop_map(|chars| chars.into_iter().collect()),
    ]
}

proptest! {
    #[test]
    fn unsigned(a: (u8, u16, u32, u64), b: (u8, u16, u32, u64)) {
        holds(&a.0, &b.0);
        holds(&a.1, &b.1);
        holds(&a.2, &b.2);
        holds(&a.3, &b.3);
    }

    #[test]
    fn signed(a: (i32, i64), b: (i32, i64)) {
        holds(&a.0, &b.0);
        holds(&a.1, &b.1);
    }

    #[test]
    fn flags_and_arrays(a: (bool, [u8; 3]), b: (bool, [u8; 3])) {
        holds(&a.0, &b.0);
        holds(&a.1, &b.1);
    }

    #[test]
    fn texts(a in text(), b in text()) {
        holds(&a, &b);
    }

    #[test]
    fn tuples(
        a in (text(), any::<u8>(), text(), any::<i64>(), any::<bool>()),
        b in (text(), any::<u8>(), text(), any::<i64>(), any::<bool>()),
    ) {
        holds(&a, &b);
        holds(&(a.0.clone(), a.1, a.2.clone(), a.3), &(b.0.clone(), b.1, b.2.clone(), b.3));
        holds(&(a.0.clone(), a.1, a.2.clone()), &(b.0.clone(), b.1, b.2.clone()));
        holds(&(a.0.clone(), a.2.clone()), &(b.0.clone(), b.2.clone()));
        holds(&((a.0.clone(), a.1), a.2), &((b.0.clone(), b.1), b.2));
        holds(&(a.0,), &(b.0,));
    }

    #[test]
    fn a_prefix_is_of_exactly_the_keys_that_begin_with_it(
        a in (text(), 0..3_u8, text()),
        b in (text(), 0..3_u8, text()),
    ) {
        let prefix = |prefix: &dyn Prefix<(String, u8, String)>| {
            let mut bytes = Vec::new();
            prefix.encode_prefix(&mut bytes);
            bytes
        };
        let key = bytes(&b);
        assert!(key.starts_with(&prefix(&())));
        assert_eq!(key.starts_with(&prefix(&(a.0.clone(),))), a.0 == b.0);
        let two = (&a.0[..], a.1);
        assert_eq!(key.starts_with(&prefix(&two)), (a.0 == b.0) && (a.1 == b.1));
    }

    #[test]
    fn borrowed_text_has_the_same_bytes(text in text(), number: u64) {
        let mut borrowed = Vec::new();
        AsKey::<(u64, String)>::encode(&(number, &text[..]), &mut borrowed);
        assert_eq!(borrowed, bytes(&(number, text)));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    assert!(decode_whole::<bool>(&[2]).is_err());
    assert!(decode_whole::<u8>(&[1, 2]).is_err());
    assert!(decode_whole::<String>(&[b'a', 0, 7]).is_err());
    assert!(decode_whole::<String>(&[0xC0, 0, 0]).is_err());
}
