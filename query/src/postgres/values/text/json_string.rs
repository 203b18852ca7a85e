//! Strings of JSON.

use bytes::{BufMut, BytesMut};

use super::put::HEXADECIMAL;

/// A field's name as a JSON key, with quotes and colon.
pub(in crate::postgres::values) fn json_key(name: &str) -> String {
    let mut key = BytesMut::new();
    put_string(name.as_bytes(), &mut key);
    key.put_u8(b':');
    String::from_utf8_lossy(&key).into_owned()
}

/// Appends a text as a JSON string.
pub(super) fn put_string(text: &[u8], out: &mut BytesMut) {
    out.put_u8(b'"');
    let mut written = 0;
    for (index, &byte) in text.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&text[written..index]);
        written = index + 1;
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            8 => out.put_slice(b"\\b"),
            12 => out.put_slice(b"\\f"),
            _ => {
                out.put_slice(b"\\u00");
                out.put_u8(HEXADECIMAL[usize::from(byte >> 4)]);
                out.put_u8(HEXADECIMAL[usize::from(byte & 15)]);
            }
        }
    }
    out.put_slice(&text[written..]);
    out.put_u8(b'"');
}
