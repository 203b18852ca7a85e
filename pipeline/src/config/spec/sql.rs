//! An SQL expression of the file, with its place.

use crate::config::span::{Span, Spanned};

/// An SQL expression as written, to be compiled by DataFusion once the schema is known.
#[derive(Debug, Clone)]
pub struct Sql {
    /// The expression, and the place of the whole TOML string.
    pub text: Spanned<String>,
    /// Offset of the expression's first byte in its origin, where the TOML string has no escapes,
    /// so that a place within the expression can be pointed at.
    pub verbatim_at: Option<u32>,
}

impl Sql {
    /// The expression.
    pub fn as_str(&self) -> &str {
        &self.text.value
    }

    /// The place of the whole expression.
    pub fn span(&self) -> Span {
        self.text.span
    }

    /// The place of `range` (bytes of the expression); the whole expression where the TOML string
    /// has escapes.
    pub fn span_within(&self, range: std::ops::Range<usize>) -> Span {
        match self.verbatim_at {
            Some(at) if range.end <= self.text.value.len() => {
                Span::new(self.text.span.origin, at as usize + range.start..at as usize + range.end)
            }
            _ => self.text.span,
        }
    }
}
