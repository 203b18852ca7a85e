//! `'\x00ff'::bytea`: bytes that are written as text, which DataFusion takes for the text's own.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::build::{call, text};

pub(super) fn is_bytea(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_lowercase();
    name.strip_prefix("pg_catalog.").unwrap_or(&name) == "bytea"
}

/// The bytes that a text means.
pub(super) fn bytes(written: &str) -> Expr {
    match read(written) {
        Some(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Expr::Value(Value::HexStringLiteral(digits).with_empty_span())
        }
        // It says what is wrong with the text.
        None => call("decode", vec![text(written), text("hex")]),
    }
}

/// `\x` and digits, or text in which a backslash stands before another or three octal digits.
fn read(written: &str) -> Option<Vec<u8>> {
    if let Some(digits) = written.strip_prefix("\\x") {
        let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        let pair = |[high, low]: &[u8; 2]| {
            let digit = |of: &u8| char::from(*of).to_digit(16);
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        };
        return if rest.is_empty() { pairs.iter().map(pair).collect() } else { None };
    }
    let mut bytes = Vec::with_capacity(written.len());
    let mut left = written.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        match (first, rest) {
            (b'\\', [b'\\', rest @ ..]) => {
                bytes.push(b'\\');
                left = rest;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                left = rest;
            }
            (b'\\', _) => return None,
            (other, _) => bytes.push(*other),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_both_forms() {
        for (written, expected) in [
            ("", Some(&b""[..])),
            ("\\x", Some(b"")),
            ("\\x00fF 10", Some(b"\x00\xff\x10")),
            ("\\x0", None),
            ("\\x0g", None),
            ("abc", Some(b"abc")),
            ("a\\\\b\\000\\377", Some(b"a\\b\x00\xff")),
            ("\\400", None),
            ("a\\", None),
            ("é", Some("é".as_bytes())),
        ] {
            assert_eq!(read(written).as_deref(), expected, "{written}");
        }
    }
}
