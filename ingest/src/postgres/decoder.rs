//! Blocks of frames into rows of the changelog form, on the workers.

use crate::changes::{CHANGE_COLUMNS, Op};
use crate::decode::{BlockOrigin, Fault, RowRules, RowSink, Written, reason, shown};
use crate::postgres::frames::{Frame, Mapped, Transaction, next_frame};
use crate::postgres::message::{Field, fields};
use crate::types::type_name;
use arrow::datatypes::DataType;
use riskstream_engine::contract::{Block, Decoded, Decoder, Payload, SourceError};
use std::sync::Arc;

/// Decodes the blocks of a PostgreSQL source; one per worker.
pub(crate) struct ChangeDecoder {
    rules: Arc<RowRules>,
    partition_name: Arc<str>,
    sink: Option<RowSink>,
    /// Of the source's columns of the table.
    is_bool: Vec<bool>,
}

/// What a change is written with.
#[derive(Default)]
struct Context {
    columns: Vec<Mapped>,
    transaction: Option<Transaction>,
}

impl ChangeDecoder {
    pub(crate) fn new(rules: Arc<RowRules>, partition_name: Arc<str>) -> Self {
        let own = rules.user_columns() - CHANGE_COLUMNS;
        let is_bool = rules.schema.schema.fields()[..own]
            .iter()
            .map(|f| f.data_type() == &DataType::Boolean)
            .collect();
        Self { rules, partition_name, sink: None, is_bool }
    }

    fn bug(&self, reason: &str) -> SourceError {
        SourceError::Bug { source_name: self.rules.source_name.clone(), reason: reason.to_owned() }
    }
}

impl Decoder for ChangeDecoder {
    fn decode(&mut self, block: Block) -> Result<Decoded, SourceError> {
        let Payload::Raw(frames) = &block.payload else { return Err(self.bug("frames expected")) };
        let mut sink = match self.sink.take() {
            Some(sink) => sink,
            None => RowSink::new(Arc::clone(&self.rules)).map_err(|e| self.rules.bug(&e))?,
        };
        let origin = BlockOrigin {
            partition: block.partition,
            partition_name: Arc::clone(&self.partition_name),
            read_at: block.read_at,
        };
        sink.begin(origin, frames.len() / 128);
        let mut context = Context::default();
        let mut offset = block.first_offset;
        let mut rest = &frames[..];
        while let Some(frame) = next_frame(&mut rest) {
            let mut row = |op: Op, position: i64, values: &[Field<'_>], before: &[Field<'_>]| {
                self.push(&mut sink, &context, op, position, values, before, offset);
                offset += 1;
            };
            match frame {
                Frame::Relation(columns) => context.columns = columns,
                Frame::Transaction(transaction) => context.transaction = Some(transaction),
                Frame::Row { tag: b'r', position, tuple } => {
                    row(Op::Read, position, &data_row(tuple), &[])
                }
                Frame::Row { tag: b'c', position, tuple } => {
                    row(Op::Create, position, &fields(tuple).collect::<Vec<_>>(), &[])
                }
                Frame::Row { tag: b'd', position, tuple } => {
                    row(Op::Delete, position, &fields(tuple).collect::<Vec<_>>(), &[])
                }
                Frame::Row { tag: b't', position, .. } => row(Op::Truncate, position, &[], &[]),
                Frame::Change { tag, position, old, new } => {
                    let (before, after) =
                        (fields(old).collect::<Vec<_>>(), fields(new).collect::<Vec<_>>());
                    if tag == b'k' {
                        row(Op::Delete, position, &before, &[]);
                        row(Op::Create, position, &after, &before);
                    } else {
                        row(Op::Update, position, &after, &before);
                    }
                }
                Frame::Row { .. } => return Err(self.bug("a frame of no known kind")),
            }
        }
        if !rest.is_empty() {
            return Err(self.bug("a block is cut within a frame"));
        }
        let decoded = sink.finish();
        self.sink = Some(sink);
        decoded
    }
}

impl ChangeDecoder {
    /// One row, or one dead letter.
    #[allow(clippy::too_many_arguments, reason = "what a row is made of")]
    fn push(
        &self,
        sink: &mut RowSink,
        context: &Context,
        op: Op,
        position: i64,
        values: &[Field<'_>],
        before: &[Field<'_>],
        offset: i64,
    ) {
        let transaction = context.transaction.unwrap_or(Transaction { commit: 0, at: 0, xid: 0 });
        let mut beyond = Vec::new();
        match self.push_values(sink, context, op, values, before, &mut beyond) {
            Ok(unchanged) => {
                self.push_change(sink, op, position, transaction, &unchanged);
                let rows = sink.row();
                sink.end_row_with(offset, || record(context, op, values));
                // A value beyond its type is reported only if its row was applied; a rejected row
                // has a dead letter of its own.
                let is_applied = sink.row() > rows;
                for detail in beyond.drain(..).filter(|_| is_applied) {
                    let fault = Fault::new(reason::BEYOND, detail);
                    sink.reject(offset, &record(context, op, values), &fault, Some(transaction.at));
                }
            }
            Err(fault) => {
                sink.undo_row();
                sink.reject(offset, &record(context, op, values), &fault, Some(transaction.at));
            }
        }
    }

    /// The table's columns; gives the names of those that were not sent.
    fn push_values(
        &self,
        sink: &mut RowSink,
        context: &Context,
        op: Op,
        values: &[Field<'_>],
        before: &[Field<'_>],
        beyond: &mut Vec<String>,
    ) -> Result<String, Fault> {
        let mut unchanged = String::new();
        let sink_row = sink.row();
        for (i, (column, value)) in context.columns.iter().zip(values).enumerate() {
            let Some(target) = column.target.map(usize::from) else { continue };
            if op == Op::Delete && !column.key {
                continue;
            }
            let value = match (value, before.get(i)) {
                // The row before was sent whole.
                (Field::Unchanged, Some(Field::Text(text))) => text,
                (Field::Text(text), _) => text,
                (Field::Unchanged, _) => {
                    let comma = if unchanged.is_empty() { "" } else { "," };
                    unchanged.push_str(comma);
                    unchanged.push_str(&column.name);
                    continue;
                }
                (Field::Null, _) => continue,
            };
            let (Some(into), Some(is_bool)) =
                (sink.columns.get_mut(target), self.is_bool.get(target))
            else {
                continue;
            };
            let text = std::str::from_utf8(value).map_err(|_| {
                Fault::new(reason::MALFORMED, format!("{}: the value is not UTF-8", column.name))
            })?;
            let pushed = match text {
                "t" if *is_bool => into.push_bool(true),
                "f" if *is_bool => into.push_bool(false),
                _ => into.push_text(text, Written::Text),
            };
            if let Err(fault) = pushed {
                let data_type = self.rules.schema.schema.field(target).data_type();
                if column.key
                    || target == self.rules.schema.event_time
                    || !is_beyond(data_type, text)
                {
                    return Err(fault);
                }
                into.truncate(sink_row);
                into.push_null();
                beyond.push(format!(
                    "{}: {} is beyond {}; null instead",
                    column.name,
                    shown(text),
                    type_name(data_type)
                ));
            }
        }
        Ok(unchanged)
    }

    /// The columns that say what happened.
    fn push_change(
        &self,
        sink: &mut RowSink,
        op: Op,
        position: i64,
        transaction: Transaction,
        unchanged: &str,
    ) {
        let (row, own) = (sink.row(), self.is_bool.len());
        // A deletion has no time of its own.
        let event_time = self.rules.schema.event_time;
        if event_time < own
            && matches!(op, Op::Delete | Op::Truncate)
            && sink.columns[event_time].len() == row
        {
            sink.columns[event_time].push_i64(transaction.at);
        }
        let [code, at, commit, place, xid, missing] = &mut sink.columns[own..own + CHANGE_COLUMNS]
        else {
            return;
        };
        code.push_plain_text(op.code().as_bytes());
        at.push_i64(transaction.at);
        commit.push_i64(transaction.commit);
        place.push_i64(position);
        if transaction.xid != 0 {
            xid.push_plain_text(transaction.xid.to_string().as_bytes());
        }
        if !unchanged.is_empty() {
            missing.push_plain_text(unchanged.as_bytes());
        }
    }
}

/// Whether PostgreSQL's own columns of such a type have values like this, which ours have not:
/// infinity, a year before Christ or beyond the calendar, and what is not a number.
fn is_beyond(data_type: &DataType, text: &str) -> bool {
    match data_type {
        DataType::Timestamp(..) | DataType::Date32 => {
            let year = text.split('-').next().unwrap_or_default();
            matches!(text, "infinity" | "-infinity")
                || text.ends_with(" BC")
                || year.len() > 4 && year.bytes().all(|b| b.is_ascii_digit())
        }
        DataType::Decimal128(..) | DataType::Float32 | DataType::Float64 => {
            matches!(text, "NaN" | "Infinity" | "-Infinity")
        }
        _ => false,
    }
}

/// The fields of a row of a query.
fn data_row(row: &[u8]) -> Vec<Field<'_>> {
    let mut rest = row.get(2..).unwrap_or_default();
    let mut fields = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        rest = tail;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => fields.push(Field::Null),
            Ok(length) => {
                let Some((value, tail)) = rest.split_at_checked(length) else { break };
                fields.push(Field::Text(value));
                rest = tail;
            }
        }
    }
    fields
}

/// A change as its dead letter keeps it: a JSON object of the texts that were sent.
fn record(context: &Context, op: Op, values: &[Field<'_>]) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    object.insert(crate::changes::OP.into(), op.code().into());
    for (column, value) in context.columns.iter().zip(values) {
        let value = match value {
            Field::Null => serde_json::Value::Null,
            Field::Unchanged => continue,
            Field::Text(text) => String::from_utf8_lossy(text).into(),
        };
        object.insert(column.name.clone(), value);
    }
    serde_json::Value::Object(object).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::change_fields;
    use crate::decode::TimeFormat;
    use crate::postgres::frames::FrameWriter;
    use crate::postgres::message::tuple_of;
    use crate::types::{parse_type, utc_timestamp};
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use riskstream_engine::contract::{Position, SourceSchema};

    fn rules(columns: &[(&str, &str)], event_time: &str) -> Arc<RowRules> {
        let own = columns.iter().map(|(name, text)| {
            let data_type = parse_type(text).expect("a type");
            arrow::datatypes::Field::new(*name, data_type, *name != event_time)
        });
        let schema = Schema::new(own.chain(change_fields()).collect::<Vec<_>>());
        assert_eq!(
            schema.field_with_name(event_time).expect("there").data_type(),
            &utc_timestamp()
        );
        Arc::new(RowRules {
            inferred: false,
            source_name: "loans".into(),
            schema: SourceSchema::new(&schema, event_time, &[]).expect("a schema"),
            event_time_format: TimeFormat::Auto,
            future_skew_max_us: 0,
            record_bytes_max: 1 << 20,
            reading: crate::decode::Reading::default(),
        })
    }

    fn decode(rules: &Arc<RowRules>, frames: &mut FrameWriter) -> Decoded {
        let next = Position { next_offset: 0, finished: false, fingerprint: String::new() };
        let block = Block {
            partition: 0,
            first_offset: 100,
            next,
            payload: Payload::Raw(frames.take()),
            read_at: 2_000_000,
        };
        ChangeDecoder::new(Arc::clone(rules), "public.loans".into()).decode(block).expect("decoded")
    }

    /// Rows as text, a column after the other.
    fn shown(batch: &RecordBatch) -> Vec<String> {
        let options = FormatOptions::default().with_null("-");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c, &options).expect("shown"))
            .collect();
        (0..batch.num_rows())
            .map(|row| {
                columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    fn columns() -> Vec<Mapped> {
        let column = |name: &str, target, key| Mapped { name: name.into(), target, key };
        vec![
            column("loan_id", Some(0), true),
            column("new", None, false),
            column("amount", Some(2), false),
            column("note", Some(3), false),
            column("open", Some(1), false),
        ]
    }

    const COLUMNS: [(&str, &str); 4] =
        [("loan_id", "int64"), ("open", "bool"), ("amount", "decimal(12,2)"), ("note", "string")];

    fn text(text: &str) -> Field<'_> {
        Field::Text(text.as_bytes())
    }

    #[test]
    fn every_kind_of_change_becomes_its_rows() {
        let rules = rules(&COLUMNS, "_committed_at");
        let mut frames = FrameWriter::default();
        frames.relation(&columns());
        frames.transaction(Transaction { commit: 900, at: 1_000_000, xid: 7 });
        frames.row(
            b'c',
            800,
            &tuple_of(&[text("1"), text("x"), text("10.50"), Field::Null, text("t")]),
        );
        frames.change(
            b'u',
            801,
            &[],
            &tuple_of(&[text("1"), text("x"), text("11.00"), Field::Unchanged, text("f")]),
        );
        let full = tuple_of(&[text("1"), text("x"), text("11.00"), text("long"), text("f")]);
        frames.change(
            b'u',
            802,
            &full,
            &tuple_of(&[text("1"), text("x"), text("12.00"), Field::Unchanged, text("f")]),
        );
        let old = tuple_of(&[text("1"), Field::Null, text("99"), Field::Null, Field::Null]);
        frames.change(
            b'k',
            803,
            &old,
            &tuple_of(&[text("2"), text("x"), text("12.00"), text("n"), text("f")]),
        );
        frames.row(b'd', 804, &old);
        frames.row(b't', 805, &[]);
        let decoded = decode(&rules, &mut frames);
        assert!(decoded.rejected.is_none());
        let at = "1970-01-01T00:00:01Z";
        assert_eq!(
            shown(&decoded.rows),
            [
                format!("1 true 10.50 - c {at} 900 800 7 - 0 100 false"),
                format!("1 false 11.00 - u {at} 900 801 7 note 0 101 false"),
                format!("1 false 12.00 long u {at} 900 802 7 - 0 102 false"),
                format!("1 - - - d {at} 900 803 7 - 0 103 false"),
                format!("2 false 12.00 n c {at} 900 803 7 - 0 104 false"),
                format!("1 - - - d {at} 900 804 7 - 0 105 false"),
                format!("- - - - t {at} 900 805 7 - 0 106 false"),
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_a_dead_letter_with_its_text() {
        let rules = rules(&COLUMNS, "_committed_at");
        let mut frames = FrameWriter::default();
        frames.relation(&columns());
        frames.transaction(Transaction { commit: 900, at: 1_000_000, xid: 7 });
        for amount in ["NaN", "Infinity", "10.505", "99999999999.99", "ten"] {
            frames.row(
                b'c',
                800,
                &tuple_of(&[text("1"), text("x"), text(amount), Field::Null, text("t")]),
            );
        }
        frames.row(
            b'c',
            800,
            &tuple_of(&[
                text("9223372036854775808"),
                Field::Null,
                Field::Null,
                Field::Null,
                Field::Null,
            ]),
        );
        frames.row(
            b'c',
            800,
            &tuple_of(&[text("1"), Field::Null, Field::Null, Field::Text(&[0xFF]), Field::Null]),
        );
        frames.row(
            b'c',
            800,
            &tuple_of(&[text("5"), Field::Null, text("1"), Field::Null, Field::Null]),
        );
        let decoded = decode(&rules, &mut frames);
        assert_eq!(decoded.rows.num_rows(), 3, "neighbors are not harmed");
        let dead = shown(&decoded.rejected.expect("rejected"));
        assert_eq!(dead.len(), 7);
        assert!(
            dead[0].contains("beyond") && dead[1].contains("beyond") && dead[2].contains("type"),
            "{dead:#?}"
        );
        let bytes: String =
            br#"{"_op":"c","amount":"NaN","loan_id":"1","new":"x","note":null,"open":"t"}"#
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
        assert!(dead[0].contains(&bytes), "{}", dead[0]);
    }

    #[test]
    fn what_only_the_database_can_hold_is_null_and_told_of() {
        let columns = [
            ("id", "int64"),
            ("until", "timestamp"),
            ("day", "date"),
            ("amount", "decimal(12,2)"),
            ("score", "float64"),
            ("note", "string"),
        ];
        let rules = rules(&columns, "_committed_at");
        let mut frames = FrameWriter::default();
        let column = |(at, (name, _)): (usize, &(&str, &str))| Mapped {
            name: (*name).into(),
            target: Some(at as u16),
            key: at == 0,
        };
        frames.relation(&columns.iter().enumerate().map(column).collect::<Vec<_>>());
        frames.transaction(Transaction { commit: 900, at: 1_000_000, xid: 7 });
        let beyond: [(&str, [&str; 4]); 6] = [
            ("1", ["infinity", "infinity", "NaN", "NaN"]),
            ("2", ["-infinity", "-infinity", "Infinity", "Infinity"]),
            ("3", ["0044-03-15 00:00:00+00 BC", "0044-03-15 BC", "-Infinity", "-Infinity"]),
            ("4", ["294276-12-31 23:59:59+00", "5874897-12-31", "1.00", "1"]),
            ("5", ["12024-02-29 00:00:00+00", "12024-02-29", "1.00", "1"]),
            ("6", ["9999-12-31 23:59:59.999999+00", "9999-12-31", "-1.00", "1e300"]),
        ];
        for (id, [until, day, amount, score]) in beyond {
            frames.row(
                b'c',
                1,
                &tuple_of(&[
                    text(id),
                    text(until),
                    text(day),
                    text(amount),
                    text(score),
                    text("infinity"),
                ]),
            );
        }
        // A key that can't be told from others is none.
        frames.row(
            b'c',
            1,
            &tuple_of(&[
                text("NaN"),
                Field::Null,
                Field::Null,
                Field::Null,
                Field::Null,
                Field::Null,
            ]),
        );
        let decoded = decode(&rules, &mut frames);
        let rows = shown(&decoded.rows);
        assert_eq!(rows.len(), 6, "{rows:#?}");
        assert!(
            rows[..3]
                .iter()
                .zip(1..)
                .all(|(row, id)| row.starts_with(&format!("{id} - - - - infinity c"))),
            "{rows:#?}"
        );
        assert!(
            rows[3].starts_with("4 - - 1.00 1.0 infinity")
                && rows[4].starts_with("5 - - 1.00 1.0 infinity"),
            "{rows:#?}"
        );
        assert!(
            rows[5].starts_with("6 9999-12-31T23:59:59.999999Z 9999-12-31 -1.00 1e300 infinity"),
            "{rows:#?}"
        );
        let dead = shown(&decoded.rejected.expect("told of"));
        assert_eq!(
            dead.iter().filter(|d| d.contains(" beyond ")).count(),
            3 * 4 + 2 * 2,
            "{dead:#?}"
        );
        assert_eq!(
            dead.iter().filter(|d| d.contains(" type ") || d.contains(" impossible ")).count(),
            1,
            "{dead:#?}"
        );
    }

    #[test]
    fn times_beyond_the_calendar_are_dead_letters_and_a_deletion_has_the_commit_time() {
        let rules = rules(&[("id", "int64"), ("at", "timestamp")], "at");
        let column =
            |name: &str, target, key| Mapped { name: name.into(), target: Some(target), key };
        let mut frames = FrameWriter::default();
        frames.relation(&[column("id", 0, true), column("at", 1, false)]);
        frames.transaction(Transaction { commit: 900, at: 1_000_000, xid: 7 });
        for time in ["infinity", "-infinity", "0044-03-15 00:00:00 BC", "294276-12-31 00:00:00+00"]
        {
            frames.row(b'c', 1, &tuple_of(&[text("1"), text(time)]));
        }
        frames.row(b'c', 1, &tuple_of(&[text("1"), Field::Null]));
        frames.row(b'c', 1, &tuple_of(&[text("1"), text("1970-01-01 00:00:00.5+00")]));
        frames.row(b'd', 2, &tuple_of(&[text("1"), Field::Null]));
        let decoded = decode(&rules, &mut frames);
        assert_eq!(decoded.rejected.expect("rejected").num_rows(), 5);
        let rows = shown(&decoded.rows);
        assert!(
            rows[0].starts_with("1 1970-01-01T00:00:00.500")
                && rows[1].starts_with("1 1970-01-01T00:00:01Z d"),
            "{rows:#?}"
        );
    }
}
