//! Plans as they are told, without what only DataFusion needs to know.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use crate::catalog::postgres::HIDDEN;

/// How metadata of a literal and of a cast's type begins and ends in a plan's text.
const METADATA: [(&str, &str); 2] = [(" FieldMetadata { inner: {", "} }"), ("<{\"", "}>")];

/// The rows of a plan that is told, each text without its metadata.
pub(super) fn explained(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let told = stream.map(|batch| batch.and_then(|batch| told(&batch)));
    Box::pin(RecordBatchStreamAdapter::new(schema, told))
}

fn told(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| {
        let texts = cast(column, &DataType::Utf8)?;
        let texts: StringArray =
            texts.as_string::<i32>().iter().map(|text| text.map(bare)).collect();
        let texts: ArrayRef = Arc::new(texts);
        Ok(cast(&texts, column.data_type())?)
    });
    Ok(RecordBatch::try_new(batch.schema(), columns.collect::<Result<_>>()?)?)
}

/// A text without metadata, in which columns have the names that the client knows.
fn bare(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, end)) = METADATA.iter().filter_map(|form| found(rest, *form)).min() {
        told.push_str(&rest[..at]);
        rest = &rest[end..];
    }
    told.push_str(rest);
    without_endings(&told)
}

/// A text in which names of columns have no ending that only keeps them apart.
fn without_endings(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == HIDDEN {
            while characters.next_if(char::is_ascii_digit).is_some() {}
        } else {
            told.push(character);
        }
    }
    told
}

/// Where metadata of a form begins and ends, beyond quoted texts in it.
fn found(text: &str, (begin, end): (&str, &str)) -> Option<(usize, usize)> {
    let at = text.find(begin)?;
    // The first character in the braces may be a quote already.
    let inside = at + begin.trim_end_matches('"').len();
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in text.get(inside..)?.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        let here = inside + index;
        if !quoted && text[here..].starts_with(end) {
            return Some((at, here + end.len()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_that_only_datafusion_needs() {
        for (text, expected) in [
            (
                "Projection: Int64(1) FieldMetadata { inner: {\"a\": \"b\"} } AS x",
                "Projection: Int64(1) AS x",
            ),
            ("CAST(a AS Int32<{\"postgres.type\": \"int4\"}>) + 1", "CAST(a AS Int32) + 1"),
            ("a<{\"x\": \"}> \\\" \"}> b FieldMetadata { inner: {} } c", "a b c"),
            ("a < {b} and c > d", "a < {b} and c > d"),
            ("a FieldMetadata { inner: {\"cut", "a FieldMetadata { inner: {\"cut"),
            ("n.oid, n.oid\u{1}1, ä\u{1}22b", "n.oid, n.oid, äb"),
            ("", ""),
        ] {
            assert_eq!(bare(text), expected, "{text}");
        }
    }
}
