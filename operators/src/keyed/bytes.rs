//! What is kept of a key as bytes: numbers of seven bits a byte, and bytes with their length before
//! them.

/// Adds a number.
pub(crate) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Adds bytes.
pub(crate) fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    push_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Takes a number from the front; none where there is none.
#[inline]
pub(crate) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0u32);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
}

/// Takes bytes from the front; none where there are fewer than it says.
pub(crate) fn bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

/// A small number, whatever the sign, as a small one without.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The number that [`zigzag`] was given.
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_taken_in_order_and_nothing_else() {
        let numbers = [i64::MIN, -1, 0, 1, 63, 64, 127, 128, 1 << 40, i64::MAX];
        let mut all = Vec::new();
        for number in numbers {
            push_number(zigzag(number), &mut all);
            push_bytes(&number.to_be_bytes(), &mut all);
        }
        let mut rest = all.as_slice();
        for expected in numbers {
            assert_eq!(number(&mut rest).map(unzigzag), Some(expected));
            assert_eq!(bytes(&mut rest), Some(&expected.to_be_bytes()[..]));
        }
        assert!(rest.is_empty() && number(&mut rest).is_none());
        assert_eq!(bytes(&mut &[9u8, 1][..]), None, "fewer than it says");
        assert_eq!(number(&mut &[0x80u8; 60][..]), None, "no number is that long");
    }
}
