//! Numbers as hexadecimal digits, for what every answer carries: `format!` costs several times as
//! much, more than the rest of a small answer.

use data_encoding::HEXLOWER;

/// All sixteen digits.
pub(crate) fn padded(value: u64) -> String {
    HEXLOWER.encode(&value.to_be_bytes())
}

/// Appends the digits from the first that is not 0; `0` for none.
pub(crate) fn push(out: &mut String, value: u64) {
    let first = match value.leading_zeros() {
        64 => 15,
        zeros => zeros / 4,
    };
    for place in (0..16 - first).rev() {
        let digit = u32::try_from(value >> (4 * place) & 0xF).unwrap_or_default();
        out.extend(char::from_digit(digit, 16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_format() {
        let powers = (0..64).map(|bit| 1_u64 << bit);
        for value in powers.chain([0, 0xF, 0x10, 0xABC, 0x1234_5678_9ABC_DEF0, u64::MAX]) {
            let mut short = "x".to_owned();
            push(&mut short, value);
            assert_eq!(short, format!("x{value:x}"));
            assert_eq!(padded(value), format!("{value:016x}"));
        }
    }
}
