//! How a record writes a value, and how messages show it.

/// How a record writes a value, for messages and for what a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Text that says nothing of its type: a CSV field, a key, a header, a database's text.
    Text,
    /// A text column of a Parquet file.
    TextColumn,
    /// A JSON string.
    JsonString,
    /// A JSON number.
    JsonNumber,
    /// `true` or `false` of JSON.
    JsonBool,
    /// A JSON object.
    JsonObject,
    /// A JSON array.
    JsonArray,
}

impl Written {
    /// What a JSON value is.
    pub(crate) fn of_json(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => Self::JsonString,
            Some(b'{') => Self::JsonObject,
            Some(b'[') => Self::JsonArray,
            Some(b't' | b'f') => Self::JsonBool,
            Some(_) | None => Self::JsonNumber,
        }
    }

    /// Before the value, in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::TextColumn => "the text ",
            Self::JsonString => "the JSON string ",
            Self::JsonNumber => "the JSON number ",
            Self::JsonBool => "the JSON value ",
            Self::JsonObject => "the JSON object ",
            Self::JsonArray => "the JSON array ",
        }
    }
}

/// A value as a message shows it: quoted, cut when long.
pub(crate) fn shown(text: &str) -> String {
    if text.chars().count() > 80 {
        let head: String = text.chars().take(80).collect();
        format!("{head:?}…")
    } else {
        format!("{text:?}")
    }
}
