//! Pages of lists: sizes and opaque tokens.
//!
//! A token carries the store revision of the first page, a fingerprint of the request's other
//! arguments and the place where the page before ended, closed by a check value. So pages of one
//! list agree with each other, and a token of another query is refused.

use almanac_proto::common::v1::ErrorReason;
use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::{fault::Fault, sizes::Sizes};

/// Size of a page where the request says 0.
pub const DEFAULT_PAGE_SIZE: usize = 50;

/// Most bytes of the items of a page, as encoded; larger items make shorter pages. Clients read no
/// messages over 4 MiB unless they are told to.
pub const MAX_PAGE_BYTES: usize = 3 << 20;

const FINGERPRINT_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;

/// One page as a request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items.
    pub size: usize,
    /// The key after which the page begins; none for the first page.
    pub after: Option<String>,
    /// The store revision (as a token) that the first page was read at; none for the first page.
    pub revision: Option<String>,
    fingerprint: [u8; FINGERPRINT_BYTES],
}

#[derive(Serialize, Deserialize)]
struct Token {
    fingerprint: [u8; FINGERPRINT_BYTES],
    revision: String,
    after: String,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request to `method` whose other arguments are
    /// `arguments` (the request with those two fields cleared).
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a negative size, or a token that is damaged or of another query.
    pub fn open(
        method: &str,
        arguments: &impl Message,
        page_size: i32,
        page_token: &str,
    ) -> Result<Self, Fault> {
        let most = Sizes::current().page;
        let size = match usize::try_from(page_size) {
            Ok(0) => DEFAULT_PAGE_SIZE.min(most),
            Ok(size) => size.min(most),
            Err(_) => {
                let text = format!("{page_size} is negative; 0 means {DEFAULT_PAGE_SIZE}");
                return Err(Fault::field("page_size", ErrorReason::FieldInvalid, text));
            }
        };
        let fingerprint = fingerprint(method, arguments);
        let mut page = Self {
            size,
            after: None,
            revision: None,
            fingerprint,
        };
        if !page_token.is_empty() {
            let token = unseal(page_token).ok_or_else(|| {
                let text = "is not a token of this service; start without one";
                Fault::field("page_token", ErrorReason::PageTokenInvalid, text)
            })?;
            if token.fingerprint != fingerprint {
                let text = "belongs to a request with other arguments; repeat those of the first \
                            page or start without a token";
                return Err(Fault::field(
                    "page_token",
                    ErrorReason::PageTokenMismatch,
                    text,
                ));
            }
            page.after = Some(token.after);
            page.revision = Some(token.revision);
        }
        Ok(page)
    }

    /// The token of the page that begins after `after`, read at `revision`.
    #[must_use]
    pub fn next(&self, revision: &str, after: &str) -> String {
        seal(&Token {
            fingerprint: self.fingerprint,
            revision: revision.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Cuts a list that is at hand as a whole: the items of this page and the next page's token.
    ///
    /// Positions stand for keys, since the list is the same at the same revision.
    #[must_use]
    pub fn cut<T>(&self, revision: &str, items: Vec<T>) -> (Vec<T>, String) {
        let start = self
            .after
            .as_deref()
            .and_then(|after| after.parse().ok())
            .unwrap_or(0);
        let total = items.len();
        let page: Vec<T> = items.into_iter().skip(start).take(self.size).collect();
        let end = start.saturating_add(page.len());
        let token = if end < total {
            self.next(revision, &end.to_string())
        } else {
            String::new()
        };
        (page, token)
    }
}

/// How many of the items fit into a page: at least one.
pub fn fitting<M: Message>(items: &[M]) -> usize {
    let mut bytes = 0;
    let fits = items.iter().take_while(|item| {
        bytes += item.encoded_len();
        bytes <= MAX_PAGE_BYTES
    });
    fits.count().max(1).min(items.len())
}

fn fingerprint(method: &str, arguments: &impl Message) -> [u8; FINGERPRINT_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(method.as_bytes())
        .update(&[0])
        .update(&arguments.encode_to_vec());
    let mut fingerprint = [0; FINGERPRINT_BYTES];
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

fn seal(token: &Token) -> String {
    // A token is three short fields in memory; postcard fails only on types it does not know.
    let mut bytes = postcard::to_stdvec(token).unwrap_or_default();
    let check = blake3::hash(&bytes);
    bytes.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
    BASE64URL_NOPAD.encode(&bytes)
}

fn unseal(text: &str) -> Option<Token> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    let intact = blake3::hash(body).as_bytes()[..CHECK_BYTES] == check[..];
    intact.then(|| postcard::from_bytes(body).ok()).flatten()
}

/// For fuzzing: a token read and written again; with `mend`, the bytes of a token without the check.
#[cfg(feature = "fuzz")]
pub fn again(bytes: &[u8], mend: bool) -> crate::fuzz::Again {
    let read = if mend {
        postcard::from_bytes(bytes).ok()
    } else {
        std::str::from_utf8(bytes).ok().and_then(unseal)
    };
    let token = read.ok_or("no token")?;
    if mend {
        return postcard::to_stdvec(&token).map_err(|error| error.to_string());
    }
    Ok(seal(&token).into_bytes())
}

/// For fuzzing: a token of the same list at another place.
#[cfg(feature = "fuzz")]
pub fn with_place(token: &str, after: &str) -> Option<String> {
    let after = after.to_owned();
    unseal(token).map(|token| seal(&Token { after, ..token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(argument: &str, size: i32, token: &str) -> Result<Page, Fault> {
        Page::open("List", &argument.to_owned(), size, token)
    }

    #[test]
    fn sizes() {
        assert_eq!(open("", 0, "").unwrap().size, 50);
        assert_eq!(open("", 7, "").unwrap().size, 7);
        assert_eq!(open("", i32::MAX, "").unwrap().size, 1000);
        assert_eq!(open("", -1, "").unwrap_err().reason(), "FIELD_INVALID");
    }

    #[test]
    fn a_token_continues_its_own_query_only() {
        let token = open("a", 2, "").unwrap().next("r1", "key");
        let page = open("a", 5, &token).unwrap();
        assert_eq!(page.after.as_deref(), Some("key"));
        assert_eq!(page.revision.as_deref(), Some("r1"));
        assert_eq!(
            open("b", 5, &token).unwrap_err().reason(),
            "PAGE_TOKEN_MISMATCH"
        );
    }

    #[test]
    fn large_items_make_short_pages() {
        let item = |mib: usize| "x".repeat(mib << 20);
        assert_eq!(fitting(&[item(1), item(1), item(1)]), 2);
        assert_eq!(fitting(&[item(5), item(1)]), 1);
        assert_eq!(fitting::<String>(&[]), 0);
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = open("a", 2, "").unwrap().next("r1", "key");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            if unseal(&changed).is_some() {
                // The last character may hold bits that decode to nothing.
                panic!("position {at} changed without notice");
            }
        }
        assert_eq!(
            open("a", 2, "?").unwrap_err().reason(),
            "PAGE_TOKEN_INVALID"
        );
    }

    #[test]
    fn cutting_walks_the_whole_list_once() {
        let items: Vec<u32> = (0..7).collect();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = open("a", 3, &token).unwrap();
            let (part, next) = page.cut("r", items.clone());
            seen.extend(part);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, items);
    }
}
