//! Debezium's records into changes: whole (`before`, `after`, `source`, `op`), flattened by
//! `ExtractNewRecordState`, each with or without a schema around it.
//!
//! What they are is described, with the awkward cases, by Debezium's documentation of its
//! PostgreSQL connector; here:
//! - a deletion's `before` may be filled with defaults of the columns' types, so only the key is
//!   taken from it;
//! - a tombstone (no value) follows a deletion and says nothing new: it becomes no row;
//! - of a table without a key the row before and the row after are a deletion and a creation;
//! - the transaction's commit position is the first number of `source.sequence`, and the change's
//!   own position is `source.lsn` (for MySQL: the binlog file's number, and `source.pos` in it).

use super::value::{
    DecimalHandling, FieldType, TimePrecision, field_types, is_unavailable, push_value,
};
use super::{CHANGE_COLUMNS, Op};
use crate::decode::{Fault, RowSink, Written, reason, shown};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The connector's settings that its records do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DebeziumOptions {
    /// How it writes decimals.
    pub decimals: DecimalHandling,
    /// How it writes times without a zone.
    pub times: TimePrecision,
}

/// A record's key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MessageKey<'a> {
    /// The key is not known: the record was kept without it.
    Unknown,
    /// It has none: the table has none.
    Null,
    /// JSON.
    Json(&'a [u8]),
}

/// A record as a topic has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) key: MessageKey<'a>,
    /// None for a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// Its place in the source.
    pub(crate) offset: i64,
    /// What a dead letter keeps of it.
    pub(crate) record: &'a [u8],
    /// When the record was written, microseconds; for records that do not say when the change was
    /// made.
    pub(crate) written_at: Option<i64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<Origin<'a>>,
    #[serde(borrow, default)]
    op: Option<Cow<'a, str>>,
    #[serde(default)]
    ts_us: Option<i64>,
    #[serde(default)]
    ts_ms: Option<i64>,
    // Flattened records have the row's columns here, and with them:
    #[serde(borrow, rename = "__op", default)]
    flat_op: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "__deleted", default)]
    flat_deleted: Option<Cow<'a, str>>,
    #[serde(rename = "__source_lsn", default)]
    flat_lsn: Option<i64>,
    #[serde(rename = "__source_ts_us", default)]
    flat_ts_us: Option<i64>,
    #[serde(rename = "__source_ts_ms", default)]
    flat_ts_ms: Option<i64>,
    #[serde(borrow, rename = "__source_txId", default)]
    flat_transaction: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Origin<'a> {
    #[serde(default)]
    ts_us: Option<i64>,
    #[serde(default)]
    ts_ms: Option<i64>,
    #[serde(default)]
    lsn: Option<i64>,
    #[serde(borrow, default)]
    sequence: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "txId", default)]
    transaction: Option<&'a RawValue>,
    /// MySQL's.
    #[serde(borrow, default)]
    file: Option<Cow<'a, str>>,
    #[serde(default)]
    pos: Option<i64>,
    #[serde(borrow, default)]
    gtid: Option<Cow<'a, str>>,
}

/// What a record says besides the row.
struct About {
    op: Op,
    committed_at: Option<i64>,
    commit: Option<i64>,
    position: Option<i64>,
    transaction: Option<String>,
}

/// Which of an object's fields are taken.
#[derive(Clone, Copy)]
enum Take<'a> {
    All,
    Named(&'a [String]),
    Nothing,
}

fn malformed(detail: impl Into<String>) -> Fault {
    Fault::new(reason::MALFORMED, detail)
}

/// Pushes a line of a file: a record's value, or a whole record as consumers write it (an object
/// with `topic`, `key`, and `value` or `payload`, both texts).
pub(crate) fn push_recorded(
    line: &[u8],
    offset: i64,
    options: DebeziumOptions,
    sink: &mut RowSink,
) {
    #[derive(Deserialize)]
    struct Recorded<'a> {
        #[serde(borrow)]
        topic: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        key: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        value: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        payload: Option<Cow<'a, str>>,
        #[serde(default)]
        partition: Option<i64>,
    }
    let message = |key, value| Message { key, value, offset, record: line, written_at: None };
    match serde_json::from_slice::<Recorded<'_>>(line) {
        Ok(recorded) if recorded.topic.is_some() && recorded.partition.is_some() => {
            let key = recorded
                .key
                .as_ref()
                .map_or(MessageKey::Null, |key| MessageKey::Json(key.as_bytes()));
            let value = recorded.value.as_ref().or(recorded.payload.as_ref());
            push_change(&message(key, value.map(|v| v.as_bytes())), options, sink);
        }
        _ => push_change(&message(MessageKey::Unknown, Some(line)), options, sink),
    }
}

/// Pushes a record: it becomes one row, two (a row of a table without a key that was changed), none
/// (a tombstone), or a rejected row.
pub(crate) fn push_change(message: &Message<'_>, options: DebeziumOptions, sink: &mut RowSink) {
    let Some(value) = message.value else { return };
    let first_row = sink.row();
    if let Err(fault) = push(message, value, options, sink) {
        sink.undo_rows(first_row);
        sink.reject(message.offset, message.record, &fault, None);
    }
}

fn push(
    message: &Message<'_>,
    value: &[u8],
    options: DebeziumOptions,
    sink: &mut RowSink,
) -> Result<(), Fault> {
    let text = std::str::from_utf8(value)
        .map_err(|e| malformed(format!("not UTF-8 from byte {}", e.valid_up_to())))?;
    let parse = |text| {
        serde_json::from_str::<Envelope<'_>>(text)
            .map_err(|e| malformed(format!("not a change record: {e}")))
    };
    let mut body = text;
    let mut envelope = parse(text)?;
    let mut types = Vec::new();
    if let Some(payload) = envelope.payload {
        types = envelope.schema.map(field_types).unwrap_or_default();
        body = payload.get();
        envelope = parse(body)?;
    }
    let is_flat = envelope.op.is_none();
    let about = if is_flat { about_flat(&envelope, message)? } else { about(&envelope, message)? };
    let key = key_fields(message.key)?;
    let mut writer = Writer { sink, options, types: &types, about: &about, message };
    let (before, after) = if is_flat {
        (Some(body), Some(body))
    } else {
        (envelope.before.map(RawValue::get), envelope.after.map(RawValue::get))
    };
    match about.op {
        Op::Truncate => writer.row(Op::Truncate, None, Take::Nothing),
        Op::Delete => match (&key, before) {
            (Some((json, fields)), _) => writer.row(Op::Delete, Some(json), Take::Named(fields)),
            (None, Some(before)) => writer.row(Op::Delete, Some(before), Take::All),
            (None, None) => Err(malformed(
                "a deletion with neither a key nor the row before: nobody knows what is gone",
            )),
        },
        op @ (Op::Create | Op::Update | Op::Read) => {
            let Some(after) = after else {
                return Err(malformed(format!(
                    "a change of kind {} without the row after it",
                    op.code()
                )));
            };
            if let (Op::Update, MessageKey::Null, Some(before), false) =
                (op, message.key, before, is_flat)
            {
                writer.row(Op::Delete, Some(before), Take::All)?;
                return writer.row(Op::Create, Some(after), Take::All);
            }
            writer.row(op, Some(after), Take::All)
        }
    }
}

/// The key's object and the names of its fields.
fn key_fields(key: MessageKey<'_>) -> Result<Option<(String, Vec<String>)>, Fault> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow, default)]
        payload: Option<&'a RawValue>,
    }
    let MessageKey::Json(bytes) = key else { return Ok(None) };
    let wrong =
        |e: &dyn std::fmt::Display| malformed(format!("the record's key can't be read: {e}"));
    let text = std::str::from_utf8(bytes).map_err(|e| wrong(&e))?;
    let wrapped: Wrapped<'_> = serde_json::from_str(text).map_err(|e| wrong(&e))?;
    let json = wrapped.payload.map_or(text, RawValue::get);
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|e| wrong(&e))?;
    Ok(Some((json.to_owned(), fields.into_iter().map(|(name, _)| name).collect())))
}

fn transaction(raw: Option<&RawValue>) -> Option<String> {
    raw.map(|raw| raw.get().trim_matches('"').to_owned()).filter(|id| id != "null")
}

fn about(envelope: &Envelope<'_>, message: &Message<'_>) -> Result<About, Fault> {
    let code = envelope.op.as_deref().unwrap_or_default();
    let op = Op::from_code(code).ok_or_else(|| {
        malformed(format!("`op` is {}, which is none of c, u, d, r and t", shown(code)))
    })?;
    let millis = |ms: i64| ms.saturating_mul(1_000);
    let source = envelope.source.as_ref();
    let made = source.and_then(|s| s.ts_us.or(s.ts_ms.map(millis)));
    let sequence: Option<Vec<Option<String>>> =
        source.and_then(|s| serde_json::from_str(s.sequence.as_deref()?).ok());
    let commit =
        sequence.and_then(|s| s.first().cloned().flatten()).and_then(|lsn| lsn.parse().ok());
    let binlog = source.and_then(|s| s.file.as_deref()?.rsplit('.').next()?.parse::<i64>().ok());
    let gtid = source.and_then(|s| s.gtid.as_deref()).map(str::to_owned);
    Ok(About {
        op,
        committed_at: made.or(envelope.ts_us).or(envelope.ts_ms.map(millis)).or(message.written_at),
        commit: commit.or(binlog),
        position: source.and_then(|s| s.lsn.or(binlog.and(s.pos))),
        transaction: source.and_then(|s| transaction(s.transaction)).or(gtid),
    })
}

fn about_flat(envelope: &Envelope<'_>, message: &Message<'_>) -> Result<About, Fault> {
    let is_deleted = envelope.flat_deleted.as_deref() == Some("true");
    let op = match envelope.flat_op.as_deref() {
        Some(code) => Op::from_code(code).ok_or_else(|| {
            malformed(format!("`__op` is {}, which is none of c, u, d, r and t", shown(code)))
        })?,
        None if is_deleted => Op::Delete,
        // A flattened record may hold nothing but the row, and then can't be told from any other
        // object.
        None if envelope.flat_deleted.is_some() || envelope.flat_lsn.is_some() => Op::Update,
        None => {
            return Err(malformed(
                "neither a change record (`op`) nor a flattened one (`__op` or `__deleted`)",
            ));
        }
    };
    let committed_at = envelope
        .flat_ts_us
        .or(envelope.flat_ts_ms.map(|ms| ms.saturating_mul(1_000)))
        .or(message.written_at);
    Ok(About {
        op: if is_deleted { Op::Delete } else { op },
        committed_at,
        commit: None,
        position: envelope.flat_lsn,
        transaction: transaction(envelope.flat_transaction),
    })
}

struct Writer<'a, 'b> {
    sink: &'a mut RowSink,
    options: DebeziumOptions,
    types: &'a [(String, FieldType)],
    about: &'a About,
    message: &'a Message<'b>,
}

impl Writer<'_, '_> {
    /// Ends a row: what `take` takes of the object, and what the record says besides.
    fn row(&mut self, op: Op, object: Option<&str>, take: Take<'_>) -> Result<(), Fault> {
        let row = self.sink.row();
        let user = self.sink.columns.len().saturating_sub(CHANGE_COLUMNS);
        let mut unchanged = String::new();
        if let (Some(object), false) = (object, matches!(take, Take::Nothing)) {
            let mut fields =
                Fields { writer: self, take, row, user, unchanged: String::new(), fault: None };
            let mut json = serde_json::Deserializer::from_str(object);
            json.deserialize_map(&mut fields)
                .map_err(|e| malformed(format!("the row is no object: {e}")))?;
            if let Some(fault) = fields.fault {
                return Err(fault);
            }
            unchanged = fields.unchanged;
        }
        let [op_column, time, commit, position, transaction, not_sent] =
            &mut self.sink.columns[user..]
        else {
            return Err(malformed("the source's schema is not one of changes"));
        };
        op_column.push_text(op.code(), Written::Text)?;
        match self.about.committed_at {
            Some(micros) => time.push_micros(micros)?,
            None => time.push_null(),
        }
        for (column, number) in [(commit, self.about.commit), (position, self.about.position)] {
            match number {
                Some(number) => column.push_number(&number.to_string(), Written::Text)?,
                None => column.push_null(),
            }
        }
        match &self.about.transaction {
            Some(id) => transaction.push_text(id, Written::Text)?,
            None => transaction.push_null(),
        }
        if unchanged.is_empty() {
            not_sent.push_null()
        } else {
            not_sent.push_text(&unchanged, Written::Text)?
        }
        self.sink.end_row(self.message.offset, self.message.record);
        Ok(())
    }
}

struct Fields<'w, 'a, 'b, 't> {
    writer: &'w mut Writer<'a, 'b>,
    take: Take<'t>,
    row: usize,
    /// How many columns are the user's.
    user: usize,
    unchanged: String,
    /// The first value that does not fit.
    fault: Option<Fault>,
}

impl<'de> Visitor<'de> for &mut Fields<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Name<'n>(#[serde(borrow)] Cow<'n, str>);
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let value: &RawValue = map.next_value()?;
            let is_taken = match self.take {
                Take::All => true,
                Take::Named(names) => names.iter().any(|n| *n == name.0),
                Take::Nothing => false,
            };
            let Some(column) = self.writer.sink.columns[..self.user]
                .iter_mut()
                .find(|c| c.name == name.0)
                .filter(|_| is_taken)
            else {
                continue;
            };
            if self.fault.is_some() {
                continue;
            }
            if column.len() > self.row {
                self.fault = Some(Fault::new(
                    reason::DUPLICATE_FIELD,
                    format!("{} is given twice", column.name),
                ));
                continue;
            }
            if is_unavailable(value.get()) {
                column.push_null();
                if !self.unchanged.is_empty() {
                    self.unchanged.push(',');
                }
                self.unchanged.push_str(&name.0);
                continue;
            }
            let known = self
                .writer
                .types
                .iter()
                .find(|(field, _)| *field == name.0)
                .map(|(_, known)| *known)
                .unwrap_or_default();
            let options = self.writer.options;
            if let Err(fault) =
                push_value(column, value.get(), known, options.decimals, options.times)
            {
                self.fault = Some(fault);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
