//! A Parquet file as batches of rows, only the columns that are wanted. Members of structs are
//! columns `a.b`.

use crate::decode::{RowRules, TimeFormat, can_convert, text_bytes};
use crate::types::type_name;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::schema::types::SchemaDescriptor;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Rows per batch that the reader decodes at once; a poll that wants fewer gets a part.
const BATCH_ROWS_MAX: usize = 65_536;
/// The last bytes of a file whose footer is encrypted.
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";

/// Where a column is: the names of its structs, from the outermost, and its own.
type ColumnPath = Vec<String>;

/// How the reason begins why a file that is cut off can't be opened.
pub(crate) const NOT_COMPLETE: &str = "not a complete Parquet file";

/// Reads one Parquet file. Offsets are row numbers.
pub(crate) struct ParquetReader {
    reader: ParquetRecordBatchReader,
    /// The wanted columns, where any is a member of a struct.
    nested: Option<Vec<(String, ColumnPath)>>,
    rest: Option<RecordBatch>,
    offset: i64,
    rows: i64,
}

/// Runs code of the Parquet reader, which is known to panic on some damaged files: that is the
/// file's fault and must not end the program.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err("the Parquet file is damaged: its pages contradict themselves".into())
    })
}

fn builder(mut file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    if is_encrypted(&mut file) {
        return Err(
            "the Parquet file is encrypted, and a source has no keys; write it without encryption"
                .into(),
        );
    }
    // The Arrow schema that some writers embed says nothing that the conversion to the source's
    // types needs, and its reader panics when it is damaged.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded(|| {
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|e| format!("{NOT_COMPLETE} ({e}); it may be cut off or still being written"))
    })
}

fn is_encrypted(file: &mut File) -> bool {
    let mut last = [0; 4];
    let read = file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut last));
    let rewound = file.seek(SeekFrom::Start(0));
    read.is_ok() && rewound.is_ok() && &last == ENCRYPTED_MAGIC
}

/// The columns of a file.
pub(crate) fn parquet_schema(file: File) -> Result<SchemaRef, String> {
    Ok(Arc::clone(builder(file)?.schema()))
}

/// Those of the columns whose values in the first `rows` rows are all UTF-8 text.
pub(crate) fn are_texts(
    file: File,
    columns: &[&str],
    rows: usize,
) -> Result<HashSet<String>, String> {
    let builder = builder(file)?;
    let found = Arc::clone(builder.schema());
    let mut paths = Vec::new();
    for name in columns {
        paths.extend(
            paths_of(found.fields(), name).into_iter().map(|path| ((*name).to_owned(), path)),
        );
    }
    let mask = leaves(builder.parquet_schema(), &paths);
    let reader = guarded(|| {
        builder.with_projection(mask).with_limit(rows).build().map_err(|e| e.to_string())
    })?;
    let mut texts: HashSet<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    guarded(|| {
        for batch in reader {
            let batch = batch.map_err(|e| format!("the Parquet file is damaged: {e}"))?;
            for (name, path) in &paths {
                let array = column_at(&batch, path)?;
                if !(0..array.len()).all(|row| {
                    array.is_null(row)
                        || text_bytes(&array, row).is_none_or(|b| std::str::from_utf8(b).is_ok())
                }) {
                    texts.remove(name);
                }
            }
        }
        Ok(texts)
    })
}

impl ParquetReader {
    /// Opens a file at a row. `rules` say what the user's columns `wanted` are in the file; those
    /// that it lacks are null if `missing_as_null`, but for the event time.
    pub(crate) fn open(
        file: File,
        wanted: &Schema,
        rules: &RowRules,
        missing_as_null: bool,
        offset: i64,
        batch_rows: usize,
    ) -> Result<Self, String> {
        let builder = builder(file)?;
        let rows = builder.metadata().file_metadata().num_rows();
        let found = Arc::clone(builder.schema());
        let mut paths = Vec::new();
        for (i, field) in wanted.fields().iter().enumerate() {
            let input = rules.input(i).unwrap_or(field.name());
            let mut matches = paths_of(found.fields(), input);
            if matches.is_empty() && missing_as_null && i != rules.schema.event_time {
                continue;
            }
            let (Some(path), true) = (matches.pop(), matches.is_empty()) else {
                return Err(column_problem(input, paths_of(found.fields(), input).len(), &found));
            };
            let from =
                type_at(found.fields(), &path).ok_or_else(|| column_problem(input, 0, &found))?;
            let (format, words) = (rules.format(i), rules.reading.forms.words.is_some());
            if !can_convert(from, field.data_type(), format, words) {
                let is_local = matches!(format, TimeFormat::Local(_));
                let zone = if is_local && matches!(from, DataType::Timestamp(..)) {
                    ": a `zone` is for times that are written as text"
                } else {
                    ""
                };
                return Err(format!(
                    "column {input} is {from} in the file, which can't become {}{zone}",
                    type_name(field.data_type())
                ));
            }
            paths.push((field.name().clone(), path));
        }
        let mask = leaves(builder.parquet_schema(), &paths);
        let reader = guarded(|| {
            builder
                .with_projection(mask)
                .with_batch_size(batch_rows.clamp(1, BATCH_ROWS_MAX))
                .with_offset(usize::try_from(offset).unwrap_or(0))
                .build()
                .map_err(|e| e.to_string())
        })?;
        let renames = |(name, path): &(String, ColumnPath)| path.len() > 1 || path[0] != *name;
        let nested = paths.iter().any(renames).then_some(paths);
        Ok(Self { reader, nested, rest: None, offset, rows })
    }

    /// Rows of the file.
    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// The next row.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// The next at most `rows` rows; none at the end.
    pub(crate) fn poll(&mut self, rows: usize) -> Result<Option<RecordBatch>, String> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => match guarded(|| {
                self.reader
                    .next()
                    .transpose()
                    .map_err(|e| format!("the Parquet file is damaged: {e}"))
            })? {
                Some(batch) => match &self.nested {
                    Some(columns) => flat(&batch, columns)?,
                    None => batch,
                },
                None if self.offset < self.rows => {
                    return Err(format!(
                        "the Parquet file ends at row {} of {}",
                        self.offset, self.rows
                    ));
                }
                None => return Ok(None),
            },
        };
        let taken = batch.num_rows().min(rows.max(1));
        if taken < batch.num_rows() {
            self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
        }
        self.offset += taken as i64;
        Ok(Some(batch.slice(0, taken)))
    }
}

/// The places of the columns called `name`: a name may have a point, or be that of a struct's
/// member.
fn paths_of(fields: &Fields, name: &str) -> Vec<ColumnPath> {
    let mut paths = Vec::new();
    for field in fields {
        if field.name() == name {
            paths.push(vec![name.to_owned()]);
        }
        if let (DataType::Struct(members), Some(rest)) = (
            field.data_type(),
            name.strip_prefix(field.name().as_str()).and_then(|rest| rest.strip_prefix('.')),
        ) {
            paths.extend(
                paths_of(members, rest)
                    .into_iter()
                    .map(|path| [vec![field.name().clone()], path].concat()),
            );
        }
    }
    paths
}

fn type_at<'a>(fields: &'a Fields, path: &[String]) -> Option<&'a DataType> {
    let (first, rest) = path.split_first()?;
    let field: &Field = fields.iter().find(|field| field.name() == first)?;
    match field.data_type() {
        DataType::Struct(members) if !rest.is_empty() => type_at(members, rest),
        other => rest.is_empty().then_some(other),
    }
}

/// The file's columns at `paths`; of a list or a map, which is wanted only to be refused, all that
/// it is made of.
fn leaves(schema: &SchemaDescriptor, paths: &[(String, ColumnPath)]) -> ProjectionMask {
    let wanted = schema.columns().iter().enumerate().filter(|(_, column)| {
        paths.iter().any(|(_, path)| column.path().parts().starts_with(path))
    });
    ProjectionMask::leaves(schema, wanted.map(|(leaf, _)| leaf))
}

/// The column at `path`; a value within a null struct is null.
fn column_at(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef, String> {
    let missing =
        || format!("the Parquet file has no column {} though its footer says so", path.join("."));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let mut array = Arc::clone(batch.column_by_name(first).ok_or_else(missing)?);
    for name in rest {
        let outer = array.as_struct_opt().ok_or_else(missing)?;
        let inner = outer.column_by_name(name).ok_or_else(missing)?;
        let nulls = NullBuffer::union(outer.nulls(), inner.nulls());
        let data = inner
            .to_data()
            .into_builder()
            .nulls(nulls)
            .build()
            .map_err(|e| format!("the Parquet file is damaged: {e}"))?;
        array = make_array(data);
    }
    Ok(array)
}

/// The columns under the names by which they are wanted.
fn flat(batch: &RecordBatch, columns: &[(String, ColumnPath)]) -> Result<RecordBatch, String> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, path) in columns {
        let array = column_at(batch, path)?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)
        .map_err(|e| e.to_string())
}

fn column_problem(name: &str, matches: usize, found: &Schema) -> String {
    if matches > 1 {
        return format!("column {name} is there {matches} times");
    }
    let names: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
    format!("there is no column {name}; the file has {}", names.join(", "))
}

impl std::fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader")
            .field("offset", &self.offset)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
