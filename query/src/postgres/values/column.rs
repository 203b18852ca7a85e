//! A column of a batch, seen with PostgreSQL's types: downcast once, then read row by row.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
    LargeBinaryArray, LargeStringArray, RunArray, StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type,
    Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    RunEndIndexType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    i256,
};

use super::error::EncodeError;
use super::types::{Shape, plain};

/// A column with the shape in which it is shown.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) shape: &'a Shape,
    pub(super) source: Source<'a>,
    nulls: Option<&'a NullBuffer>,
}

/// Where values are, by the array's type.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Float16(&'a [<Float16Type as ArrowPrimitiveType>::Native]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    FixedSizeBinary(&'a FixedSizeBinaryArray),
    /// Days since 1970.
    Date32(&'a [i32]),
    /// Milliseconds since 1970.
    Date64(&'a [i64]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit),
    YearMonth(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Duration(&'a [i64], TimeUnit),
    List(Ranges<'a>, Box<Column<'a>>),
    Struct(Vec<Column<'a>>),
    Map(&'a [i32], Box<(Column<'a>, Column<'a>)>),
    /// Values that rows point to: a dictionary's, or those of runs.
    Indexed(Vec<usize>, Box<Column<'a>>),
}

/// Which elements belong to a row of a list.
#[derive(Debug)]
pub(super) enum Ranges<'a> {
    Offsets32(&'a [i32]),
    Offsets64(&'a [i64]),
    Fixed(usize),
    Views32(&'a [i32], &'a [i32]),
    Views64(&'a [i64], &'a [i64]),
}

impl Ranges<'_> {
    /// The elements of a row.
    pub(super) fn get(&self, row: usize) -> Range<usize> {
        match self {
            Self::Offsets32(offsets) => offset_range(offsets, row),
            Self::Offsets64(offsets) => offset_range(offsets, row),
            Self::Fixed(size) => row * size..(row + 1) * size,
            Self::Views32(starts, sizes) => view_range(starts, sizes, row),
            Self::Views64(starts, sizes) => view_range(starts, sizes, row),
        }
    }
}

/// The elements between two offsets.
pub(super) fn offset_range<O: ArrowNativeType>(offsets: &[O], row: usize) -> Range<usize> {
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

fn view_range<O: ArrowNativeType>(starts: &[O], sizes: &[O], row: usize) -> Range<usize> {
    let start = starts[row].as_usize();
    start..start + sizes[row].as_usize()
}

fn values<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

impl<'a> Column<'a> {
    /// Looks at an array in a shape.
    pub(super) fn new(array: &'a dyn Array, shape: &'a Shape) -> Result<Self, EncodeError> {
        let mismatch = || EncodeError::Mismatch {
            data_type: array.data_type().clone(),
            postgres: shape.postgres.name,
        };
        if !shape.target.fits(plain(array.data_type())) {
            return Err(mismatch());
        }
        let source = match source_of(array) {
            Some(source) => source,
            None => nested(array, shape)?.ok_or_else(mismatch)?,
        };
        Ok(Self { shape, source, nulls: array.nulls() })
    }

    /// Whether a row has no value.
    pub(super) fn is_null(&self, row: usize) -> bool {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        if let Source::Indexed(rows, values) = &self.source {
            return values.is_null(rows[row]);
        }
        matches!(self.source, Source::Null)
    }
}

/// The values of arrays that hold no other arrays.
fn source_of(array: &dyn Array) -> Option<Source<'_>> {
    use DataType as D;
    Some(match array.data_type() {
        D::Null => Source::Null,
        D::Boolean => Source::Bool(array.as_boolean()),
        D::Int8 => Source::Int8(values::<Int8Type>(array)),
        D::Int16 => Source::Int16(values::<Int16Type>(array)),
        D::Int32 => Source::Int32(values::<Int32Type>(array)),
        D::Int64 => Source::Int64(values::<Int64Type>(array)),
        D::UInt8 => Source::UInt8(values::<UInt8Type>(array)),
        D::UInt16 => Source::UInt16(values::<UInt16Type>(array)),
        D::UInt32 => Source::UInt32(values::<UInt32Type>(array)),
        D::UInt64 => Source::UInt64(values::<UInt64Type>(array)),
        D::Decimal32(_, scale) => Source::Decimal32(values::<Decimal32Type>(array), *scale),
        D::Decimal64(_, scale) => Source::Decimal64(values::<Decimal64Type>(array), *scale),
        D::Decimal128(_, scale) => Source::Decimal128(values::<Decimal128Type>(array), *scale),
        D::Decimal256(_, scale) => Source::Decimal256(values::<Decimal256Type>(array), *scale),
        D::Float16 => Source::Float16(values::<Float16Type>(array)),
        D::Float32 => Source::Float32(values::<Float32Type>(array)),
        D::Float64 => Source::Float64(values::<Float64Type>(array)),
        D::Utf8 => Source::Utf8(array.as_string()),
        D::LargeUtf8 => Source::LargeUtf8(array.as_string()),
        D::Utf8View => Source::Utf8View(array.as_string_view()),
        D::Binary => Source::Binary(array.as_binary()),
        D::LargeBinary => Source::LargeBinary(array.as_binary()),
        D::BinaryView => Source::BinaryView(array.as_binary_view()),
        D::FixedSizeBinary(_) => Source::FixedSizeBinary(array.as_fixed_size_binary()),
        D::Date32 => Source::Date32(values::<Date32Type>(array)),
        D::Date64 => Source::Date64(values::<Date64Type>(array)),
        D::Time32(unit) => match unit {
            TimeUnit::Second => Source::Time32(values::<Time32SecondType>(array), *unit),
            _ => Source::Time32(values::<Time32MillisecondType>(array), *unit),
        },
        D::Time64(unit) => match unit {
            TimeUnit::Nanosecond => Source::Time64(values::<Time64NanosecondType>(array), *unit),
            _ => Source::Time64(values::<Time64MicrosecondType>(array), *unit),
        },
        D::Timestamp(unit, _) => Source::Timestamp(timestamps(array, *unit), *unit),
        D::Interval(IntervalUnit::YearMonth) => {
            Source::YearMonth(values::<IntervalYearMonthType>(array))
        }
        D::Interval(IntervalUnit::DayTime) => Source::DayTime(values::<IntervalDayTimeType>(array)),
        D::Interval(IntervalUnit::MonthDayNano) => {
            Source::MonthDayNano(values::<IntervalMonthDayNanoType>(array))
        }
        D::Duration(unit) => Source::Duration(durations(array, *unit), *unit),
        _ => return None,
    })
}

fn timestamps(array: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => values::<TimestampSecondType>(array),
        TimeUnit::Millisecond => values::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => values::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => values::<TimestampNanosecondType>(array),
    }
}

fn durations(array: &dyn Array, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => values::<DurationSecondType>(array),
        TimeUnit::Millisecond => values::<DurationMillisecondType>(array),
        TimeUnit::Microsecond => values::<DurationMicrosecondType>(array),
        TimeUnit::Nanosecond => values::<DurationNanosecondType>(array),
    }
}

/// The values of arrays that hold other arrays; nothing if the shape has other children.
fn nested<'a>(array: &'a dyn Array, shape: &'a Shape) -> Result<Option<Source<'a>>, EncodeError> {
    let list = |ranges, elements: &'a dyn Array| {
        let Some(element) = shape.children.first() else { return Ok(None) };
        Ok(Some(Source::List(ranges, Box::new(Column::new(elements, element)?))))
    };
    match array.data_type() {
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            list(Ranges::Offsets32(array.value_offsets()), array.values())
        }
        DataType::LargeList(_) => {
            let array = array.as_list::<i64>();
            list(Ranges::Offsets64(array.value_offsets()), array.values())
        }
        DataType::FixedSizeList(..) => {
            let array = array.as_fixed_size_list();
            list(Ranges::Fixed(array.value_length().as_usize()), array.values())
        }
        DataType::ListView(_) => {
            let array = array.as_list_view::<i32>();
            list(Ranges::Views32(array.value_offsets(), array.value_sizes()), array.values())
        }
        DataType::LargeListView(_) => {
            let array = array.as_list_view::<i64>();
            list(Ranges::Views64(array.value_offsets(), array.value_sizes()), array.values())
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            if columns.len() != shape.children.len() {
                return Ok(None);
            }
            let fields = columns.iter().zip(&shape.children);
            let fields = fields.map(|(field, shape)| Column::new(field, shape));
            Ok(Some(Source::Struct(fields.collect::<Result<_, _>>()?)))
        }
        DataType::Map(..) => {
            let array = array.as_map();
            let [keys, values] = shape.children.as_slice() else { return Ok(None) };
            let entries = (Column::new(array.keys(), keys)?, Column::new(array.values(), values)?);
            Ok(Some(Source::Map(array.value_offsets(), Box::new(entries))))
        }
        DataType::Dictionary(..) => {
            let Some(array) = array.as_any_dictionary_opt() else { return Ok(None) };
            // Without values there are only rows without value, and keys mean nothing.
            let rows = match array.values().is_empty() {
                true => vec![0; array.len()],
                false => array.normalized_keys(),
            };
            indexed(rows, array.values(), shape)
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array, shape),
            DataType::Int32 => runs::<Int32Type>(array, shape),
            _ => runs::<Int64Type>(array, shape),
        },
        _ => Ok(None),
    }
}

fn indexed<'a>(
    rows: Vec<usize>,
    values: &'a dyn Array,
    shape: &'a Shape,
) -> Result<Option<Source<'a>>, EncodeError> {
    Ok(Some(Source::Indexed(rows, Box::new(Column::new(values, shape)?))))
}

fn runs<'a, R: RunEndIndexType>(
    array: &'a dyn Array,
    shape: &'a Shape,
) -> Result<Option<Source<'a>>, EncodeError> {
    let Some(array) = array.as_any().downcast_ref::<RunArray<R>>() else { return Ok(None) };
    let rows = (0..array.len()).map(|row| array.get_physical_index(row)).collect();
    indexed(rows, array.values(), shape)
}
