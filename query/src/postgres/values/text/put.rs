//! The smallest parts of text: digits, bytes, and marks in front of some of them.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use crate::postgres::values::numeric::Number;

/// Appends a whole number.
pub(super) fn put_int(value: i64, out: &mut BytesMut) {
    if value < 0 {
        out.put_u8(b'-');
    }
    put_digits(value.unsigned_abs(), 1, out);
}

/// Appends the digits of a number, with leading zeros up to a width.
pub(super) fn put_digits(mut value: u64, width: usize, out: &mut BytesMut) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    while start > 0 && (value > 0 || DIGITS_MAX - start < width) {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
    out.put_slice(&digits[start..]);
}

/// Appends a decimal number with as many digits behind the point as its scale says.
pub(super) fn put_numeric(number: &Number, out: &mut BytesMut) {
    let digits = number.digits();
    let digits = digits.as_slice();
    if number.is_negative() && !digits.is_empty() {
        out.put_u8(b'-');
    }
    let put = |digits: &[u8], out: &mut BytesMut| {
        out.extend(digits.iter().map(|digit| b'0' + digit));
    };
    let scale = usize::from(number.scale().unsigned_abs().try_into().unwrap_or(u16::MAX));
    if number.scale() <= 0 {
        match digits {
            [] => out.put_u8(b'0'),
            _ => {
                put(digits, out);
                out.put_bytes(b'0', scale);
            }
        }
        return;
    }
    match digits.len().checked_sub(scale) {
        Some(whole) if whole > 0 => {
            put(&digits[..whole], out);
            out.put_u8(b'.');
            put(&digits[whole..], out);
        }
        _ => {
            out.put_slice(b"0.");
            out.put_bytes(b'0', scale - digits.len());
            put(digits, out);
        }
    }
}

/// The digits of bytes.
pub(super) const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits for each byte.
pub(super) fn put_hexadecimal(bytes: &[u8], out: &mut BytesMut) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.put_u8(HEXADECIMAL[usize::from(byte >> 4)]);
        out.put_u8(HEXADECIMAL[usize::from(byte & 15)]);
    }
}

/// Appends a `bytea`.
pub(super) fn put_bytea(bytes: &[u8], out: &mut BytesMut) {
    out.put_slice(b"\\x");
    put_hexadecimal(bytes, out);
}

/// Appends a UUID with its hyphens.
pub(super) fn put_uuid(bytes: &[u8], out: &mut BytesMut) {
    for (index, byte) in bytes.chunks(2).enumerate() {
        if (2..6).contains(&index) {
            out.put_u8(b'-');
        }
        put_hexadecimal(byte, out);
    }
}

/// Appends formatted text.
pub(super) fn put_display(value: std::fmt::Arguments<'_>, out: &mut BytesMut) {
    // Memory that grows takes any text.
    let written = out.write_fmt(value);
    debug_assert!(written.is_ok());
}

/// Puts a mark in front of some of the bytes behind a position, where they are.
///
/// `escaped` gives what stands behind the mark, nothing for a byte that needs none.
pub(in crate::postgres::values) fn escape(
    out: &mut BytesMut,
    start: usize,
    mark: u8,
    escaped: impl Fn(u8) -> Option<u8>,
) {
    let added = out[start..].iter().filter(|byte| escaped(**byte).is_some()).count();
    let mut from = out.len();
    out.put_bytes(0, added);
    let mut to = out.len();
    // From the end on, what is still to be moved is never overwritten.
    while from > start && to > from {
        from -= 1;
        to -= 1;
        match escaped(out[from]) {
            None => out[to] = out[from],
            Some(byte) => {
                out[to] = byte;
                to -= 1;
                out[to] = mark;
            }
        }
    }
}

/// Puts a quote around the bytes behind a position.
pub(in crate::postgres::values) fn enclose(out: &mut BytesMut, start: usize, quote: u8) {
    let end = out.len();
    out.put_u8(0);
    out.copy_within(start..end, start + 1);
    out[start] = quote;
    out.put_u8(quote);
}
