//! A Delta table at one version, as DataFusion reads it.
//!
//! A filter on partition columns alone is decided here, file by file, and needs no second look.
//! Other filters are handed to the Parquet reader, which skips files and row groups by them;
//! DataFusion still applies them to the rows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::path::Path as StorePath;
use riskstream_sinks::{ActiveFile, TableSnapshot};

use crate::error::QueryError;
use crate::file_statistics::file_statistics;

/// A table pinned at a version.
#[derive(Debug)]
pub struct DeltaProvider {
    file_schema: SchemaRef,
    partition_fields: Vec<FieldRef>,
    schema: SchemaRef,
    files: Vec<DataFile>,
}

#[derive(Debug)]
struct DataFile {
    path: StorePath,
    bytes: u64,
    partition_values: Vec<ScalarValue>,
    statistics: Arc<Statistics>,
}

impl DeltaProvider {
    /// The files of a snapshot.
    ///
    /// # Errors
    /// The log's schema or a partition value can't be understood.
    pub fn new(snapshot: &TableSnapshot) -> std::result::Result<Self, QueryError> {
        let file_schema = snapshot.file_schema()?;
        let table_schema = snapshot.schema()?;
        let partition_fields = snapshot
            .partition_by()?
            .iter()
            .map(|name| Ok(Arc::new(table_schema.field_with_name(name)?.clone())))
            .collect::<std::result::Result<Vec<FieldRef>, QueryError>>()?;
        let fields: Vec<FieldRef> =
            file_schema.fields().iter().chain(&partition_fields).cloned().collect();
        let root = std::path::absolute(snapshot.location()).map_err(|source| QueryError::List {
            location: snapshot.location().to_owned(),
            source,
        })?;
        let files = snapshot
            .files()?
            .iter()
            .map(|file| data_file(&root, file, &file_schema, &partition_fields))
            .collect::<std::result::Result<Vec<_>, QueryError>>()?;
        Ok(Self { file_schema, partition_fields, schema: Arc::new(Schema::new(fields)), files })
    }

    fn decides_by_partition(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        let subquery = |expr: &Expr| {
            matches!(
                expr,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::OuterReferenceColumn(..)
            )
        };
        use datafusion::common::tree_node::TreeNode;
        !columns.is_empty()
            && !filter.is_volatile()
            && !filter.exists(|expr| Ok(subquery(expr))).unwrap_or(true)
            && columns.iter().all(|column| {
                self.partition_fields.iter().any(|field| *field.name() == column.name)
            })
    }

    /// The files whose partition values pass the filters.
    fn select(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let by_partition: Vec<Expr> =
            filters.iter().filter(|filter| self.decides_by_partition(filter)).cloned().collect();
        let Some(predicate) = conjunction(by_partition) else {
            return Ok(self.files.iter().collect());
        };
        if self.files.is_empty() {
            return Ok(Vec::new());
        }
        let schema = Arc::new(Schema::new(self.partition_fields.clone()));
        let columns = (0..self.partition_fields.len())
            .map(|index| {
                ScalarValue::iter_to_array(
                    self.files.iter().map(|file| file.partition_values[index].clone()),
                )
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let values = RecordBatch::try_new(schema.clone(), columns)?;
        let predicate = state.create_physical_expr(predicate, &DFSchema::try_from(schema)?)?;
        let passed = predicate.evaluate(&values)?.into_array(values.num_rows())?;
        let passed = passed.as_boolean_opt().ok_or_else(|| {
            DataFusionError::Internal("a partition filter is not a condition".into())
        })?;
        Ok(self
            .files
            .iter()
            .enumerate()
            .filter(|(row, _)| passed.is_valid(*row) && passed.value(*row))
            .map(|(_, file)| file)
            .collect())
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let selected = self.select(state, filters)?;
        if selected.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.schema.project(indices)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let statistics = self.total(&selected);
        let files: Vec<PartitionedFile> = selected
            .into_iter()
            .map(|file| {
                PartitionedFile::new(file.path.to_string(), file.bytes)
                    .with_partition_values(file.partition_values.clone())
                    .with_statistics(file.statistics.clone())
            })
            .collect();
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());

        let table_schema = TableSchema::builder(self.file_schema.clone())
            .with_table_partition_cols(self.partition_fields.clone())
            .build();
        let mut source = ParquetSource::new(table_schema);
        let (exact, inexact): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.decides_by_partition(filter));
        // With a filter still to come, any of the limited rows might be dropped.
        let limit = limit.filter(|_| inexact.is_empty());
        drop(exact);
        if let Some(predicate) = conjunction(inexact) {
            let schema = DFSchema::try_from(self.schema.clone())?;
            source = source.with_predicate(state.create_physical_expr(predicate, &schema)?);
        }
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(groups)
                .with_statistics(statistics)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Rows and bytes of all files; rows only if the statistics of every file give them.
    fn total(&self, files: &[&DataFile]) -> Statistics {
        let mut total = Statistics::new_unknown(&self.schema);
        let rows =
            files.iter().map(|file| file.statistics.num_rows.get_value()).sum::<Option<usize>>();
        total.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        let bytes = files.iter().map(|file| file.bytes as usize).sum();
        total.total_byte_size = Precision::Inexact(bytes);
        total
    }
}

fn data_file(
    root: &std::path::Path,
    file: &ActiveFile,
    file_schema: &Schema,
    partition_fields: &[FieldRef],
) -> std::result::Result<DataFile, QueryError> {
    let path = StorePath::from_absolute_path(root.join(&file.path))
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    let partition_values = partition_fields
        .iter()
        .map(|field| match file.partition_values.get(field.name()).and_then(Option::as_ref) {
            Some(text) => ScalarValue::try_from_string(text.clone(), field.data_type()),
            None => ScalarValue::try_from(field.data_type()),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(DataFile {
        path,
        bytes: file.bytes,
        partition_values,
        statistics: Arc::new(file_statistics(file, file_schema)),
    })
}

impl TableProvider for DeltaProvider {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    // Written out, since the trait is an `async_trait`; planning itself waits for nothing.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        state: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(self.plan(state, projection, filters, limit)))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if self.decides_by_partition(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Inexact
                }
            })
            .collect())
    }
}
