//! The files of a table at one version, prepared for queries: made once per version, and from the
//! version before where there is one.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use chrono::DateTime;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::table_schema::TableSchema;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use riskstream_sinks::{ActiveFile, TableSnapshot};

use super::bounds::{Bounds, FileBounds, table_schema};
use super::file_statistics::{ColumnBounds, column_bounds};
use crate::error::QueryError;

/// A table's files and what the log says of them.
#[derive(Debug)]
pub(super) struct TableFiles {
    /// The columns that the files have.
    pub file_schema: SchemaRef,
    /// The columns that the files' paths and the log give.
    pub partition_fields: Vec<FieldRef>,
    /// Both, in this order.
    pub schema: SchemaRef,
    /// Both, as readers of files want them.
    pub reader_schema: TableSchema,
    /// The files.
    pub files: Vec<Arc<DataFile>>,
    /// One row for each of them.
    pub bounds: Bounds,
}

/// One file.
#[derive(Debug)]
pub(super) struct DataFile {
    /// Where it is, its size, and when the log says that it was written.
    pub meta: ObjectMeta,
    /// One for each partition column.
    pub partition_values: Vec<ScalarValue>,
    /// The float columns that hold no NaN, so that a footer's bounds of them hold for all rows.
    pub plain_floats: Arc<PlainFloats>,
    log_path: String,
}

/// Names of float columns without NaN in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PlainFloats(pub Vec<String>);

impl TableFiles {
    /// The files of a snapshot. What `before` has of them is taken from there.
    pub(super) fn new(
        snapshot: &TableSnapshot,
        before: Option<&Self>,
    ) -> std::result::Result<Self, QueryError> {
        let file_schema = snapshot.file_schema()?;
        let whole = snapshot.schema()?;
        let partition_fields = snapshot
            .partition_by()?
            .iter()
            .map(|name| Ok(Arc::new(whole.field_with_name(name)?.clone())))
            .collect::<std::result::Result<Vec<FieldRef>, QueryError>>()?;
        let schema = table_schema(&file_schema, &Schema::new(partition_fields.clone()));
        let root = std::path::absolute(snapshot.location()).map_err(|source| QueryError::List {
            location: snapshot.location().to_owned(),
            source,
        })?;
        let before = before.filter(|before| before.schema == schema);
        let known: HashMap<&str, usize> = before
            .map(|before| before.files.iter().enumerate())
            .into_iter()
            .flatten()
            .map(|(index, file)| (file.log_path.as_str(), index))
            .collect();

        let (mut files, mut kept, mut new, mut new_bounds) = (vec![], vec![], vec![], vec![]);
        for active in snapshot.files()? {
            let same = known.get(active.path.as_str()).and_then(|&index| {
                let file = &before?.files[index];
                file.is_of(&active).then_some((index, file))
            });
            if let Some((index, file)) = same {
                files.push(Arc::clone(file));
                kept.push(u32::try_from(index).map_err(too_many)?);
                continue;
            }
            let (file, bounds) = data_file(&root, active, &file_schema, &partition_fields)?;
            new.push(Arc::new(file));
            new_bounds.push(bounds);
        }
        files.extend(new);
        let bounds = match before {
            Some(before) => before.bounds.kept_and(&UInt32Array::from(kept), &new_bounds)?,
            None => Bounds::new(&schema, &new_bounds)?,
        };
        let reader_schema = TableSchema::builder(Arc::clone(&file_schema))
            .with_table_partition_cols(partition_fields.clone())
            .build();
        Ok(Self { file_schema, partition_fields, schema, reader_schema, files, bounds })
    }

    /// The files that this version has and `other` has not, below the table's folder.
    pub(super) fn files_not_of<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let known: HashSet<&str> = other.files.iter().map(|file| file.log_path.as_str()).collect();
        let paths = self.files.iter().map(|file| file.log_path.as_str());
        paths.filter(move |path| !known.contains(path))
    }

    /// The same table with other files, which belong to no version yet.
    pub(super) fn with(
        &self,
        location: &Path,
        actives: Vec<ActiveFile>,
    ) -> std::result::Result<Self, QueryError> {
        let root = std::path::absolute(location)
            .map_err(|source| QueryError::List { location: location.to_owned(), source })?;
        let (mut files, mut bounds) = (vec![], vec![]);
        for active in actives {
            let (file, of_file) =
                data_file(&root, active, &self.file_schema, &self.partition_fields)?;
            files.push(Arc::new(file));
            bounds.push(of_file);
        }
        Ok(Self {
            file_schema: Arc::clone(&self.file_schema),
            partition_fields: self.partition_fields.clone(),
            schema: Arc::clone(&self.schema),
            reader_schema: self.reader_schema.clone(),
            bounds: Bounds::new(&self.schema, &bounds)?,
            files,
        })
    }
}

impl DataFile {
    fn is_of(&self, active: &ActiveFile) -> bool {
        self.meta.size == active.bytes
            && self.meta.last_modified.timestamp_millis() == active.modified_ms
    }
}

fn too_many(_: std::num::TryFromIntError) -> QueryError {
    DataFusionError::ResourcesExhausted("a table of more than 2^32 files".into()).into()
}

fn data_file(
    root: &Path,
    file: ActiveFile,
    file_schema: &Schema,
    partition_fields: &[FieldRef],
) -> std::result::Result<(DataFile, FileBounds), QueryError> {
    let path = StorePath::from_absolute_path(root.join(&file.path))
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    let meta = ObjectMeta {
        location: path,
        last_modified: DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default(),
        size: file.bytes,
        e_tag: None,
        version: None,
    };
    let partition_values = partition_fields
        .iter()
        .map(|field| match file.partition_values.get(field.name()).and_then(Option::as_ref) {
            Some(text) => ScalarValue::try_from_string(text.clone(), field.data_type()),
            None => ScalarValue::try_from(field.data_type()),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut columns = column_bounds(&file, file_schema);
    let plain_floats = PlainFloats(
        file_schema
            .fields()
            .iter()
            .zip(&columns)
            .filter(|(field, known)| is_float(field.data_type()) && known.min.is_some())
            .map(|(field, _)| field.name().clone())
            .collect(),
    );
    columns.extend(partition_values.iter().map(|value| ColumnBounds {
        min: (!value.is_null()).then(|| value.clone()),
        max: (!value.is_null()).then(|| value.clone()),
        nulls: if value.is_null() { file.rows } else { Some(0) },
    }));
    let bounds = FileBounds { rows: file.rows, columns };
    let file = DataFile {
        meta,
        partition_values,
        plain_floats: Arc::new(plain_floats),
        log_path: file.path,
    };
    Ok((file, bounds))
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}
