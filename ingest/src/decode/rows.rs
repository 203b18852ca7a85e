//! Columns that a source read itself (Parquet) into the source's schema, exactly or not at all.

use crate::decode::civil::{EARLIEST_US, LATEST_US};
use crate::decode::column::{Column, Fault, Written, check_event_time};
use crate::decode::number::{FloatDecimals, NumberFault};
use crate::decode::reason;
use crate::decode::sink::{BlockOrigin, RowRules, with_system_columns};
use crate::decode::time::TimeFormat;
use arrow::array::cast::AsArray;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, RecordBatch, StringBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::kernels::aggregate::{max, min};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{DeadLetters, Decoded, SourceError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether values of one type can become the other's, each exactly or as a rejected row.
/// `words` says that there are words for truth values.
pub(crate) fn can_convert(
    from: &DataType,
    to: &DataType,
    format: &TimeFormat,
    words: bool,
) -> bool {
    let from = if let DataType::Dictionary(_, values) = from { values.as_ref() } else { from };
    let textual =
        matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) || is_bytes(from);
    let decimal = matches!(
        from,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    );
    match to {
        DataType::Utf8 => {
            textual
                || decimal
                || from.is_integer()
                || matches!(from, DataType::Time32(_) | DataType::Time64(_))
        }
        DataType::Boolean => from == &DataType::Boolean || (words && textual),
        DataType::Float32 | DataType::Float64 => textual || from.is_numeric(),
        DataType::Decimal128(..) => textual || decimal || from.is_integer() || from.is_floating(),
        // Only times written as text can be local times of a zone.
        DataType::Timestamp(..) if matches!(format, TimeFormat::Local(_)) => {
            textual || matches!(from, DataType::Timestamp(_, Some(_)))
        }
        DataType::Timestamp(..) => {
            textual
                || matches!(from, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
                || (from.is_integer() && format.epoch_scale().is_some())
        }
        DataType::Date32 => textual || matches!(from, DataType::Date32 | DataType::Date64),
        integer if integer.is_integer() => textual || from.is_integer() || from.is_floating(),
        _ => false,
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

/// The bytes of a value of a column of bytes; none of any other column.
pub(crate) fn text_bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

/// Converts batches; one per worker.
#[derive(Debug)]
pub(crate) struct RowsDecoder {
    rules: Arc<RowRules>,
}

/// The faults of a batch, by row; the first of a row counts.
#[derive(Default)]
struct Faults(BTreeMap<usize, (Fault, Option<i64>)>);

impl Faults {
    fn add(&mut self, row: usize, fault: Fault) {
        self.0.entry(row).or_insert((fault, None));
    }
}

impl RowsDecoder {
    pub(crate) fn new(rules: Arc<RowRules>) -> Self {
        Self { rules }
    }

    /// Decodes a batch whose first row has `first_offset`, counting rows.
    pub(crate) fn decode(
        &self,
        batch: &RecordBatch,
        first_offset: i64,
        origin: &BlockOrigin,
    ) -> Result<Decoded, SourceError> {
        self.try_decode(batch, first_offset, origin).map_err(|e| self.rules.bug(&e))
    }

    fn try_decode(
        &self,
        batch: &RecordBatch,
        first_offset: i64,
        origin: &BlockOrigin,
    ) -> Result<Decoded, ArrowError> {
        let rules = &self.rules;
        let mut faults = Faults::default();
        let mut columns = Vec::with_capacity(rules.user_columns() + 3);
        for (i, field) in rules.schema.schema.fields()[..rules.user_columns()].iter().enumerate() {
            columns.push(match batch.column_by_name(field.name()) {
                Some(array) => convert(rules, i, array, &mut faults)?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        self.check_times(&columns[rules.schema.event_time], origin.read_at, &mut faults);
        let offsets = (first_offset..first_offset + batch.num_rows() as i64).collect();
        if faults.0.is_empty() {
            return Ok(Decoded {
                rows: with_system_columns(rules, columns, origin.partition, offsets)?,
                rejected: None,
            });
        }
        let mut dead = DeadLetters::default();
        let mut good = vec![true; batch.num_rows()];
        let rows = JsonRows::new(batch)?;
        for (row, (fault, time)) in &faults.0 {
            good[*row] = false;
            let offset = first_offset + *row as i64;
            dead.push(
                &rules.source_name,
                &origin.partition_name,
                offset,
                fault.reason,
                &fault.detail,
                rows.row(*row)?.as_bytes(),
                *time,
            );
        }
        // Rejected rows go before the columns are put together, where a null event time would be
        // refused.
        let keep = BooleanArray::from(good);
        let columns = columns
            .iter()
            .map(|c| arrow::compute::filter(c, &keep))
            .collect::<Result<Vec<_>, _>>()?;
        let offsets: Vec<i64> = offsets_kept(offsets, &keep);
        Ok(Decoded {
            rows: with_system_columns(rules, columns, origin.partition, offsets)?,
            rejected: Some(dead.finish()),
        })
    }

    /// Finds event times that can't be; one look at the extremes when all are good.
    fn check_times(&self, column: &ArrayRef, read_at: i64, faults: &mut Faults) {
        let times: &TimestampMicrosecondArray = column.as_primitive::<TimestampMicrosecondType>();
        let latest = self.rules.latest_time(read_at);
        let good = times.null_count() == 0
            && min(times).is_none_or(|t| t >= EARLIEST_US)
            && max(times).is_none_or(|t| t <= LATEST_US.min(latest));
        if good {
            return;
        }
        let name = self.rules.schema.schema.field(self.rules.schema.event_time).name();
        for (row, time) in times.iter().enumerate() {
            if let Err(fault) = check_event_time(name, time, latest) {
                faults.0.entry(row).or_insert((fault, time));
            }
        }
    }
}

fn offsets_kept(offsets: Vec<i64>, keep: &BooleanArray) -> Vec<i64> {
    offsets
        .into_iter()
        .zip(keep.values())
        .filter_map(|(offset, keep)| keep.then_some(offset))
        .collect()
}

/// Converts one column; values that don't fit are null in the result and a fault.
fn convert(
    rules: &RowRules,
    index: usize,
    array: &ArrayRef,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let field = rules.schema.schema.field(index);
    let (name, to, format) = (field.name().as_str(), field.data_type(), rules.format(index));
    let array = match array.data_type() {
        DataType::Dictionary(_, values) => {
            return convert(rules, index, &cast(array, values)?, faults);
        }
        DataType::LargeUtf8 | DataType::Utf8View => cast(array, &DataType::Utf8)?,
        bytes if is_bytes(bytes) => bytes_to_texts(name, array, faults)?,
        // Exact as they are written, in one place with all other texts.
        DataType::Time32(_) | DataType::Time64(_) | DataType::Decimal256(..) => {
            cast(array, &DataType::Utf8)?
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..)
            if to == &DataType::Utf8 =>
        {
            cast(array, &DataType::Utf8)?
        }
        DataType::Float16 => cast(array, &DataType::Float32)?,
        // Cut off towards the past, as of text: a cast would cut towards 1970.
        DataType::Timestamp(TimeUnit::Nanosecond, _) if matches!(to, DataType::Timestamp(..)) => {
            let times: TimestampMicrosecondArray =
                array.as_primitive::<TimestampNanosecondType>().unary(|ns| ns.div_euclid(1_000));
            Arc::new(times.with_timezone("UTC"))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None)
            if matches!(to, DataType::Timestamp(..)) =>
        {
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
        }
        _ => Arc::clone(array),
    };
    if array.data_type().is_floating() {
        find_infinite(name, &array, faults)?;
    }
    if array.data_type() == to {
        return Ok(array);
    }
    match (array.data_type(), to) {
        (from, DataType::Decimal128(p, s)) if from.is_floating() => {
            floats_to_decimals(name, &array, *p, *s, faults)
        }
        (from, _) if from.is_floating() && to.is_integer() => {
            floats_to_integers(name, &array, to, faults)
        }
        (DataType::Utf8, _) => parse_texts(rules.column(index)?, &array, faults),
        (from, DataType::Timestamp(..)) if from.is_integer() => {
            let scale = format.epoch_scale().unwrap_or(1);
            let numbers = cast(&array, &DataType::Int64)?;
            let times: TimestampMicrosecondArray =
                numbers.as_primitive::<Int64Type>().unary(|v| v.saturating_mul(scale));
            Ok(Arc::new(times.with_timezone("UTC")))
        }
        (DataType::Decimal128(_, from), DataType::Decimal128(p, s)) if from > s => {
            shrink_decimals(name, &array, *p, *s, faults)
        }
        (DataType::Timestamp(_, zone), DataType::Timestamp(..)) => {
            // A time without a zone is UTC; with one it is an instant already.
            let micros = cast_checked(
                name,
                &array,
                &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
                faults,
            )?;
            Ok(Arc::new(
                micros.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"),
            ))
        }
        _ => cast_checked(name, &array, to, faults),
    }
}

/// Bytes as the text that they are; null and a fault where they are none.
fn bytes_to_texts(
    name: &str,
    array: &ArrayRef,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::with_capacity(array.len(), 0);
    for row in 0..array.len() {
        let bytes = text_bytes(array, row).filter(|_| array.is_valid(row));
        match bytes.map(std::str::from_utf8) {
            None => texts.append_null(),
            Some(Ok(text)) => texts.append_value(text),
            Some(Err(e)) => {
                texts.append_null();
                faults.add(
                    row,
                    Fault::new(
                        reason::TYPE,
                        format!("{name}: its bytes are not UTF-8 from byte {}", e.valid_up_to()),
                    ),
                );
            }
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// Casts; a value that became null does not fit.
fn cast_checked(
    name: &str,
    array: &ArrayRef,
    to: &DataType,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let converted =
        cast_with_options(array, to, &CastOptions { safe: true, ..CastOptions::default() })?;
    if converted.null_count() > array.null_count() {
        let shown = ArrayFormatter::try_new(array, &FormatOptions::default())?;
        for row in (0..array.len()).filter(|r| converted.is_null(*r) && array.is_valid(*r)) {
            faults.add(
                row,
                Fault::new(
                    reason::TYPE,
                    format!(
                        "{name}: {} does not fit {}",
                        shown.value(row),
                        crate::types::type_name(to)
                    ),
                ),
            );
        }
    }
    Ok(converted)
}

/// The stored number of a temporal value.
fn raw_number(column: &ArrayRef, row: usize) -> Option<String> {
    let number = cast(&column.slice(row, 1), &DataType::Int64).ok()?;
    Some(number.as_primitive_opt::<Int64Type>()?.value(0).to_string())
}

fn find_infinite(name: &str, array: &ArrayRef, faults: &mut Faults) -> Result<(), ArrowError> {
    let floats = cast(array, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    // A sum is not finite if one of its parts is not; one that merely overflows costs a second
    // look.
    if floats.values().iter().map(|v| v * 0.0).sum::<f64>() == 0.0 {
        return Ok(());
    }
    for (row, value) in floats.iter().enumerate() {
        if let Some(value) = value.filter(|v| !v.is_finite()) {
            faults.add(
                row,
                Fault::new(reason::IMPOSSIBLE, format!("{name}: {value} is not a finite number")),
            );
        }
    }
    Ok(())
}

fn floats_to_decimals(
    name: &str,
    array: &ArrayRef,
    precision: u8,
    scale: i8,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let single = array.data_type() == &DataType::Float32;
    let floats = cast(array, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let exact = FloatDecimals::new(precision, scale);
    let mut decimals = Vec::with_capacity(floats.len());
    for (row, value) in floats.values().iter().enumerate() {
        if floats.is_null(row) || !value.is_finite() {
            decimals.push(0);
            continue;
        }
        // The shortest text of a single-precision float is not that of the double it widens to.
        let value =
            if single { (*value as f32).to_string().parse().unwrap_or(*value) } else { *value };
        decimals.push(exact.of(value).unwrap_or_else(|fault| {
            let detail = match fault {
                NumberFault::Fraction => {
                    format!("{name}: {value} has more than {scale} digits below the point")
                }
                NumberFault::Syntax | NumberFault::Range => {
                    format!("{name}: {value} does not fit decimal({precision},{scale})")
                }
            };
            faults.add(row, Fault::new(reason::TYPE, detail));
            0
        }));
    }
    let array = Decimal128Array::try_new(decimals.into(), floats.nulls().cloned())?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

fn floats_to_integers(
    name: &str,
    array: &ArrayRef,
    to: &DataType,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let floats = cast(array, &DataType::Float64)?;
    for (row, value) in floats.as_primitive::<Float64Type>().iter().enumerate() {
        if let Some(value) = value.filter(|v| v.is_finite() && v.fract() != 0.0) {
            faults.add(
                row,
                Fault::new(reason::TYPE, format!("{name}: {value} is not a whole number")),
            );
        }
    }
    let mut found = Faults::default();
    let integers = cast_checked(name, &floats, to, &mut found)?;
    for (row, (fault, _)) in found.0 {
        faults.add(row, fault);
    }
    Ok(integers)
}

fn shrink_decimals(
    name: &str,
    array: &ArrayRef,
    precision: u8,
    scale: i8,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    let decimals = array.as_primitive::<Decimal128Type>();
    let (DataType::Decimal128(_, from), power) =
        (decimals.data_type(), &crate::decode::number::POWERS)
    else {
        return Err(ArrowError::CastError(format!("{name} is not a decimal")));
    };
    let factor = power[usize::from((from - scale).unsigned_abs()).min(38)];
    let limit = power[usize::from(precision.min(38))];
    let mut shrunk = Vec::with_capacity(decimals.len());
    for (row, value) in decimals.values().iter().enumerate() {
        if decimals.is_valid(row) && (value % factor != 0 || (value / factor).abs() >= limit) {
            let shown = decimals.value_as_string(row);
            faults.add(
                row,
                Fault::new(
                    reason::TYPE,
                    format!(
                        "{name}: {shown} does not fit decimal({precision},{scale}) without rounding"
                    ),
                ),
            );
        }
        shrunk.push(value / factor);
    }
    let array = Decimal128Array::try_new(shrunk.into(), decimals.nulls().cloned())?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

fn parse_texts(
    mut column: Column,
    array: &ArrayRef,
    faults: &mut Faults,
) -> Result<ArrayRef, ArrowError> {
    for (row, text) in array.as_string::<i32>().iter().enumerate() {
        match text {
            None => column.push_null(),
            Some(text) => {
                if let Err(fault) = column.push_text(text, Written::TextColumn) {
                    column.push_null();
                    faults.add(row, fault);
                }
            }
        }
    }
    column.finish()
}

/// Writes rows of a batch as JSON objects, the form in which they are kept as dead letters.
pub(crate) struct JsonRows<'a> {
    batch: &'a RecordBatch,
    names: Vec<String>,
    formatters: Vec<ArrayFormatter<'a>>,
}

impl<'a> JsonRows<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        let formatters = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c.as_ref(), &OPTIONS))
            .collect::<Result<_, _>>()?;
        let names = batch
            .schema_ref()
            .fields()
            .iter()
            .map(|f| serde_json::Value::from(f.name().as_str()).to_string())
            .collect();
        Ok(Self { batch, names, formatters })
    }

    /// One row. Numbers that JSON has no form for (NaN) are written as text.
    pub(crate) fn row(&self, row: usize) -> Result<String, ArrowError> {
        let mut text = String::from("{");
        for (i, (name, formatter)) in self.names.iter().zip(&self.formatters).enumerate() {
            let column = self.batch.column(i);
            if i > 0 {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            if column.is_null(row) {
                text.push_str("null");
                continue;
            }
            if let Some(said) =
                text_bytes(column, row).and_then(|bytes| std::str::from_utf8(bytes).ok())
            {
                text.push_str(&serde_json::Value::from(said).to_string());
                continue;
            }
            // A time that no calendar has (a damaged file) is kept as the number that it is.
            let value = match formatter.value(row).try_to_string() {
                Ok(value) => value,
                Err(e) => raw_number(column, row).ok_or(e)?,
            };
            let bare = match column.data_type() {
                DataType::Boolean => true,
                other => other.is_numeric() && value.ends_with(|c: char| c.is_ascii_digit()),
            };
            if bare {
                text.push_str(&value)
            } else {
                text.push_str(&serde_json::Value::from(value).to_string())
            }
        }
        text.push('}');
        Ok(text)
    }
}
