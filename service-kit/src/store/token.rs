//! Revisions as opaque tokens.
//!
//! base64url of: 1, revision (u64 BE), 12 bytes of BLAKE3 over the name of the store that made the
//! commit and these nine. A token of another store, or from after a backup, does not check.

use std::cell::RefCell;
use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;

use super::error::StoreError;
use super::lineage::Lineage;
use super::time::Revision;

const VERSION: u8 = 1;
const BODY: usize = 9;
const CHECK: usize = 12;

pub(super) fn encode(revision: Revision, lineage: &Lineage) -> String {
    let mut bytes = [0; BODY + CHECK];
    bytes[0] = VERSION;
    bytes[1..BODY].copy_from_slice(&revision.get().to_be_bytes());
    let check = check(&bytes[..BODY], lineage.of(revision));
    bytes[BODY..].copy_from_slice(&check);
    BASE64URL_NOPAD.encode(&bytes)
}

/// # Errors
/// [`StoreError::RevisionUnknown`] for whatever is not a token of this store.
pub(super) fn decode(token: &str, lineage: &Lineage) -> Result<Revision, StoreError> {
    let unknown = || StoreError::RevisionUnknown;
    let bytes = BASE64URL_NOPAD
        .decode(token.as_bytes())
        .map_err(|_| unknown())?;
    let bytes: [u8; BODY + CHECK] = bytes.try_into().map_err(|_| unknown())?;
    let (body, found) = bytes.split_at(BODY);
    let mut revision = [0; 8];
    revision.copy_from_slice(&body[1..]);
    let revision = Revision::new(u64::from_be_bytes(revision));
    if body[0] != VERSION || check(body, lineage.of(revision))[..] != *found {
        return Err(unknown());
    }
    Ok(revision)
}

/// The check of nine bytes and the name of a store. Most answers carry the newest revision, so the
/// last one that a thread made is kept.
fn check(body: &[u8], store: &[u8; 16]) -> [u8; CHECK] {
    thread_local! {
        static LAST: RefCell<Option<Made>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some(made) if made.body == *body && made.store == *store => made.check,
        _ => {
            let check = hash(body, store);
            *last = body.try_into().ok().map(|body| Made {
                body,
                store: *store,
                check,
            });
            check
        }
    })
}

struct Made {
    body: [u8; BODY],
    store: [u8; 16],
    check: [u8; CHECK],
}

fn hash(body: &[u8], store: &[u8; 16]) -> [u8; CHECK] {
    // Deriving the key costs as much as using it.
    static KEYED: LazyLock<blake3::Hasher> = LazyLock::new(|| {
        blake3::Hasher::new_derive_key("almanac-service-kit store revision token 1")
    });
    let mut hasher = KEYED.clone();
    hasher.update(store);
    hasher.update(body);
    let mut check = [0; CHECK];
    hasher.finalize_xof().fill(&mut check);
    check
}
