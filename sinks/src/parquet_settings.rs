//! How Parquet files are written: fast on the hot path, small when compacted.
//!
//! Measured by `examples/stage_speed.rs`. What costs time when staging is the dictionary (a hash
//! per value), packing differences (bit by bit) and the compressor, so numbers are written as
//! packed differences or plain, only strings that repeat get a dictionary, and what hardly ever
//! changes, such as a flag or a decision, goes to the compressor as it is, which is fastest there.

use std::collections::HashSet;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int16Type, Int32Type, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::row_group::is_number;

/// Rows of a column that are looked at to decide on a dictionary.
const SAMPLE_ROWS: usize = 2048;
/// A dictionary is worth its hashing when values repeat at least this often.
const REPEATS_MIN: usize = 4;
/// A column with so few values is mostly runs of one.
const FEW_VALUES_MAX: usize = 2;
/// Floats that repeat less often than this don't shrink.
const NOISE_REPEATS_MAX: usize = 2;

/// The compressor of staged files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StageCompression {
    /// None.
    Uncompressed,
    /// Snappy: read by everything.
    Snappy,
    /// LZ4 without frames.
    #[default]
    Lz4,
    /// Zstandard, level 1: the smallest, the slowest.
    Zstd1,
}

/// How integers, timestamps, dates and decimals are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntegerEncoding {
    /// Eight (or four) bytes per value.
    Plain,
    /// Packed differences: small for times, counts and ids.
    #[default]
    DeltaPacked,
    /// A dictionary, plain when it overflows: the Parquet writer's own default.
    Dictionary,
}

/// Settings of the staged files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageSettings {
    /// The compressor.
    pub compression: StageCompression,
    /// The encoding of integers, timestamps, dates and decimals.
    pub integers: IntegerEncoding,
    /// Rows per row group.
    pub row_group_rows: usize,
    /// Bytes per data page, before compression.
    pub data_page_bytes: usize,
    /// Values handed to an encoder at a time.
    pub write_batch_rows: usize,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self {
            compression: StageCompression::default(),
            integers: IntegerEncoding::default(),
            row_group_rows: 1 << 20,
            data_page_bytes: 1 << 20,
            write_batch_rows: 8192,
        }
    }
}

/// What a column's first rows tell of how to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Short integers or strings of hardly more than one value. Not long ones: a count is zero in
    /// the first rows of many a table.
    Few,
    /// Strings that repeat enough for a dictionary.
    RepeatingText,
    /// Floats of which hardly any is there twice: a compressor works for nothing.
    Noise,
    /// Anything else.
    Other,
}

/// Judges columns by their first rows.
pub(crate) fn contents(batch: &RecordBatch) -> Vec<Content> {
    batch.columns().iter().map(content).collect()
}

fn content(column: &ArrayRef) -> Content {
    let sample = column.slice(0, column.len().min(SAMPLE_ROWS));
    let values = sample.len() - sample.null_count();
    let text = |distinct: usize| match distinct {
        0..=FEW_VALUES_MAX => Content::Few,
        _ if distinct * REPEATS_MIN <= values => Content::RepeatingText,
        _ => Content::Other,
    };
    match sample.data_type() {
        DataType::Dictionary(..) => Content::RepeatingText,
        DataType::Float64 => {
            let distinct =
                distinct(sample.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits));
            if distinct * NOISE_REPEATS_MAX > values { Content::Noise } else { Content::Other }
        }
        DataType::Int8 => integers(distinct(sample.as_primitive::<Int8Type>().iter().flatten())),
        DataType::Int16 => integers(distinct(sample.as_primitive::<Int16Type>().iter().flatten())),
        DataType::Int32 => integers(distinct(sample.as_primitive::<Int32Type>().iter().flatten())),
        DataType::Utf8 => text(distinct(sample.as_string::<i32>().iter().flatten())),
        DataType::LargeUtf8 => text(distinct(sample.as_string::<i64>().iter().flatten())),
        DataType::Utf8View => text(distinct(sample.as_string_view().iter().flatten())),
        _ => Content::Other,
    }
}

fn integers(distinct: usize) -> Content {
    if distinct <= FEW_VALUES_MAX { Content::Few } else { Content::Other }
}

fn distinct<T: Eq + Hash>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<T>>().len()
}

/// The properties of staged files with these columns.
pub(crate) fn stage_properties(
    schema: &Schema,
    contents: &[Content],
    settings: &StageSettings,
) -> WriterProperties {
    let compression = match settings.compression {
        StageCompression::Uncompressed => Compression::UNCOMPRESSED,
        StageCompression::Snappy => Compression::SNAPPY,
        StageCompression::Lz4 => Compression::LZ4_RAW,
        StageCompression::Zstd1 => Compression::ZSTD(ZstdLevel::default()),
    };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(settings.row_group_rows))
        .set_data_page_size_limit(settings.data_page_bytes)
        .set_data_page_row_count_limit(settings.row_group_rows)
        .set_write_batch_size(settings.write_batch_rows);
    for (field, content) in schema.fields().iter().zip(contents) {
        let path = || ColumnPath::from(field.name().as_str());
        if is_number(field.data_type()) {
            // Their bounds stand in the Delta log, found by a faster loop than the Parquet
            // writer's; compaction writes them into the file.
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::None);
        }
        builder = match content {
            Content::Few => builder,
            Content::RepeatingText => builder.set_column_dictionary_enabled(path(), true),
            Content::Noise => builder.set_column_compression(path(), Compression::UNCOMPRESSED),
            Content::Other if stored_as_integer(field.data_type()) => match settings.integers {
                IntegerEncoding::Plain => builder,
                // Packed bits hardly shrink, so the compressor's time is saved.
                IntegerEncoding::DeltaPacked => builder
                    .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_compression(path(), Compression::UNCOMPRESSED),
                IntegerEncoding::Dictionary => builder.set_column_dictionary_enabled(path(), true),
            },
            Content::Other => builder,
        };
    }
    builder.build()
}

/// Rows of a row group of compacted files: readers skip groups by their bounds, and read several at
/// a time.
const COMPACTED_GROUP_ROWS: usize = 131_072;
/// How often a Bloom filter says that a value may be there that is not.
const BLOOM_FALSE: f64 = 0.01;

/// The properties of compacted files: smaller, with page bounds for readers that skip by them.
/// `sorting`: the order of the rows. `looked_up`: columns that get a Bloom filter where they are
/// whole numbers or texts, since the order leaves their values everywhere; about a byte a value.
/// `group_bytes`: a row group ends with so many bytes, however few rows.
pub(crate) fn compacted_properties(
    schema: &Schema,
    sorting: Option<Vec<SortingColumn>>,
    looked_up: &[String],
    group_bytes: usize,
) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(COMPACTED_GROUP_ROWS))
        .set_max_row_group_bytes(Some(group_bytes.max(1)))
        .set_sorting_columns(sorting);
    for name in looked_up {
        let data_type = schema.field_with_name(name).ok().map(|field| field.data_type());
        if let Some(DataType::Int32 | DataType::Int64 | DataType::Utf8) = data_type {
            let path = ColumnPath::from(name.as_str());
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path, BLOOM_FALSE);
        }
    }
    builder.build()
}

fn stored_as_integer(data_type: &DataType) -> bool {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Timestamp(..) => true,
        DataType::Decimal32(precision, _)
        | DataType::Decimal64(precision, _)
        | DataType::Decimal128(precision, _) => *precision <= 18,
        _ => false,
    }
}
