//! Digests over a canonical form: the same content gives the same digest on any machine.
//!
//! The canonical form is a sequence of tagged items, hashed with BLAKE3:
//!
//! | item | bytes |
//! |---|---|
//! | text | `t`, length as u64 little-endian, UTF-8 bytes |
//! | unsigned | `u`, u64 little-endian |
//! | signed | `i`, i64 little-endian |
//! | number | `f`, IEEE 754 binary64 little-endian; -0 is written as +0 |
//! | flag | `b`, 0 or 1 |
//! | absent | `n` |
//! | sequence | `[`, number of items as u64 little-endian, then the items |
//!
//! Every variable-length item carries its length, so no two different contents share a form.

/// Bytes that are hashed at once: BLAKE3 hashes several of its chunks side by side, which is many
/// times as fast as item by item.
const BLOCK: usize = 32 << 10;

/// Writes the canonical form of a value into a BLAKE3 hasher.
#[derive(Debug, Clone)]
pub struct Canonical {
    hasher: blake3::Hasher,
    /// What is not hashed yet.
    pending: Vec<u8>,
}

impl Canonical {
    /// Starts a form; `domain` separates kinds of content (`almanac.ranking.edition.input/1`).
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut form = Self {
            hasher: blake3::Hasher::new(),
            pending: Vec::new(),
        };
        form.text(domain);
        form
    }

    /// A string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.tagged(b't', &(value.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(value.as_bytes());
        self
    }

    /// A count or an identifier.
    pub fn unsigned(&mut self, value: u64) -> &mut Self {
        self.tagged(b'u', &value.to_le_bytes())
    }

    /// A signed integer.
    pub fn signed(&mut self, value: i64) -> &mut Self {
        self.tagged(b'i', &value.to_le_bytes())
    }

    /// A finite number, bit for bit; the two zeros are one value.
    pub fn number(&mut self, value: f64) -> &mut Self {
        // Adding +0 turns -0 into +0 and changes nothing else.
        self.tagged(b'f', &(value + 0.0).to_bits().to_le_bytes())
    }

    /// A number that may be missing.
    pub fn optional_number(&mut self, value: Option<f64>) -> &mut Self {
        match value {
            Some(number) => self.number(number),
            None => self.absent(),
        }
    }

    /// A yes or no.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.tagged(b'b', &[u8::from(value)])
    }

    /// Something that could be here and is not.
    pub fn absent(&mut self) -> &mut Self {
        self.tagged(b'n', &[])
    }

    /// Opens a sequence of `length` items, which follow.
    pub fn sequence(&mut self, length: usize) -> &mut Self {
        self.tagged(b'[', &(length as u64).to_le_bytes())
    }

    /// The digest in lower-case hexadecimal, prefixed by its algorithm: `blake3:…`.
    #[must_use]
    pub fn finish(&self) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.pending);
        format!("blake3:{}", hasher.finalize().to_hex())
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        if self.pending.len() >= BLOCK {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
        self.pending.push(tag);
        self.pending.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(write: impl Fn(&mut Canonical)) -> String {
        let mut form = Canonical::new("test/1");
        write(&mut form);
        form.finish()
    }

    #[test]
    fn zeros_are_one_value() {
        assert_eq!(
            digest(|f| {
                f.number(0.0);
            }),
            digest(|f| {
                f.number(-0.0);
            })
        );
    }

    #[test]
    fn boundaries_between_items_count() {
        assert_ne!(
            digest(|f| {
                f.text("ab").text("c");
            }),
            digest(|f| {
                f.text("a").text("bc");
            })
        );
        assert_ne!(
            digest(|f| {
                f.sequence(0).sequence(1);
            }),
            digest(|f| {
                f.sequence(1).sequence(0);
            })
        );
        assert_ne!(
            digest(|f| {
                f.absent();
            }),
            digest(|_| {})
        );
    }

    #[test]
    fn a_long_form_is_hashed_whole() {
        let mut bytes = b"t\x06\0\0\0\0\0\0\0test/1".to_vec();
        let count = 2 * BLOCK as u64 / 9 + 7;
        for number in 0..count {
            bytes.push(b'u');
            bytes.extend(number.to_le_bytes());
        }
        let written = digest(|form| {
            for number in 0..count {
                form.unsigned(number);
            }
        });
        assert_eq!(written, format!("blake3:{}", blake3::hash(&bytes).to_hex()));
    }

    #[test]
    fn the_form_does_not_change_between_releases() {
        let digest = digest(|f| {
            f.text("x")
                .unsigned(7)
                .signed(-7)
                .number(1.5)
                .flag(true)
                .absent();
        });
        assert_eq!(
            digest,
            "blake3:f82c8c8537bfec37901bcfbd00f09db47ccc727aca054891cbb408fd0f15fe3e"
        );
    }
}
