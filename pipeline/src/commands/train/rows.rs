//! Where the training rows come from: a Delta table of the data folder, or files; asked in SQL
//! either way, so that only the columns and days that matter are read.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use chrono::{DateTime, NaiveDate};
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};
use riskstream_engine::contract::is_system_column;
use riskstream_models::{Columns, FeatureKind, Split};
use riskstream_query::Catalog;

use crate::cli::TrainArgs;
use crate::commands::query::query_failed;
use crate::commands::{CommandError, failed};
use crate::config::{Config, defaults, suggest_name};
use crate::plan::tables_location;

/// The name of the table in SQL when the rows are read from files.
const FILES: &str = "training_rows";

/// Rows that can be queried in SQL.
pub(super) struct TrainingRows {
    asked: Asked,
    table: String,
    schema: SchemaRef,
    time: String,
}

enum Asked {
    Table(Catalog),
    Files { runtime: tokio::runtime::Runtime, context: SessionContext },
}

impl TrainingRows {
    /// Opens the rows that the arguments name, and settles which column is the time.
    pub(super) fn open(args: &TrainArgs, config: &Config) -> Result<Self, CommandError> {
        let (asked, table) = match (&args.table, &args.from) {
            (Some(table), _) => (
                Asked::Table(Catalog::open(tables_location(config)).map_err(query_failed)?),
                table.clone(),
            ),
            (None, Some(pattern)) => (open_files(pattern)?, FILES.to_owned()),
            (None, None) => {
                return Err(CommandError::Usage {
                    message: "name the training rows: --table TABLE, or --from FILES".into(),
                    help: None,
                });
            }
        };
        let schema = asked
            .sql(&format!("select * from {} limit 0", quoted(&table)))?
            .first()
            .map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| failed(format!("{table} has no columns")))?;
        let time = time_column(args, config, &schema)?;
        let rows = Self { asked, table, schema, time };
        for column in [&rows.time, &args.label, &args.key].into_iter().chain(&args.features) {
            rows.require(column)?;
        }
        Ok(rows)
    }

    fn require(&self, column: &str) -> Result<(), CommandError> {
        if self.schema.index_of(column).is_ok() {
            return Ok(());
        }
        let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let help = suggest_name(column, names.iter().copied(), "the columns are");
        Err(CommandError::Usage {
            message: format!("the training rows have no column `{column}`"),
            help,
        })
    }

    /// The column that says when a row happened.
    pub(super) fn time(&self) -> &str {
        &self.time
    }

    /// The features asked for, or all numeric columns that a model may see when it scores.
    pub(super) fn features(
        &self,
        args: &TrainArgs,
        config: &Config,
    ) -> Result<Vec<String>, CommandError> {
        if !args.features.is_empty() {
            return Ok(args.features.clone());
        }
        let mut not_features =
            vec![args.key.as_str(), defaults::LATE_COLUMN, defaults::EVENT_DATE_COLUMN];
        for pipeline in &config.spec.pipelines {
            for step in &pipeline.steps {
                not_features.extend(step.kind.by().iter().map(|key| key.value.as_str()));
                not_features.extend(step.kind.scores());
            }
        }
        not_features.extend(
            config
                .spec
                .sources
                .iter()
                .flat_map(|s| &s.event_time.ties_by)
                .map(|t| t.value.as_str()),
        );
        // `tx_fraud_scenario` says what `tx_fraud` says: whatever begins with the label's name is
        // as unknown as the label.
        let is_feature = |name: &str| {
            !(not_features.contains(&name)
                || is_system_column(name)
                || name.starts_with(&args.label)
                || name == "id"
                || name.ends_with("_id"))
        };
        let numeric = |t: &DataType| *t != DataType::Null && FeatureKind::of(t).is_some();
        let names = self
            .schema
            .fields()
            .iter()
            .filter(|f| numeric(f.data_type()) && is_feature(f.name()))
            .map(|f| f.name().clone());
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return Err(CommandError::Usage {
                message: "the training rows have no numeric column that could be a feature".into(),
                help: Some("name some: --features COLUMN,COLUMN".into()),
            });
        }
        Ok(names)
    }

    /// The first and last day that have rows.
    pub(super) fn days(&self) -> Result<(NaiveDate, NaiveDate), CommandError> {
        let time = self.time_sql();
        let sql = format!(
            "select cast(min({time}) as bigint), cast(max({time}) as bigint) from {}",
            quoted(&self.table)
        );
        let rows = self.asked.sql(&sql)?;
        let day = |column: usize| {
            let values = rows
                .iter()
                .find(|b| b.num_rows() > 0)?
                .column(column)
                .as_primitive_opt::<Int64Type>()?;
            if values.is_null(0) {
                None
            } else {
                Some(DateTime::from_timestamp_micros(values.value(0))?.date_naive())
            }
        };
        day(0).zip(day(1)).ok_or_else(|| CommandError::Usage {
            message: format!("the training rows have no time in `{}`", self.time),
            help: Some("run a pipeline first, or name another column: --time COLUMN".into()),
        })
    }

    /// The columns that training needs, of the days that the split covers.
    pub(super) fn read(
        &self,
        columns: &Columns,
        split: &Split,
    ) -> Result<Vec<RecordBatch>, CommandError> {
        let time = self.time_sql();
        let mut selected = vec![format!("{time} as {}", quoted(&columns.event_time))];
        let mut names = vec![&columns.event_time];
        for name in [&columns.label, &columns.key].into_iter().chain(&columns.features) {
            if !names.contains(&name) {
                names.push(name);
                selected.push(quoted(name));
            }
        }
        let (from, to) = (split.date(0), split.date(split.test_end()));
        // The rows are sorted, so that the same rows in other files give the same model: a forest
        // samples its rows by their positions.
        let order: Vec<String> = (1..=selected.len()).map(|place| place.to_string()).collect();
        let sql = format!(
            "select {} from {} where {time} >= cast('{from}T00:00:00Z' as timestamp) \
             and {time} < cast('{to}T00:00:00Z' as timestamp) order by {}",
            selected.join(", "),
            quoted(&self.table),
            order.join(", ")
        );
        self.asked.sql(&sql)
    }

    /// The time as a timestamp in microseconds, also where files write it as text.
    fn time_sql(&self) -> String {
        let name = quoted(&self.time);
        let type_of = self
            .schema
            .field_with_name(&self.time)
            .map(|f| f.data_type().clone())
            .unwrap_or(DataType::Null);
        match type_of {
            DataType::Timestamp(..) => {
                format!("arrow_cast({name}, 'Timestamp(Microsecond, None)')")
            }
            _ => format!("to_timestamp_micros({name})"),
        }
    }
}

impl Asked {
    fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, CommandError> {
        match self {
            Self::Table(catalog) => catalog.sql(sql).map_err(query_failed),
            Self::Files { runtime, context } => runtime.block_on(async {
                let frame = context.sql(sql).await.map_err(failed)?;
                let schema = frame.schema().inner().clone();
                let mut rows = frame.collect().await.map_err(failed)?;
                if rows.is_empty() {
                    rows.push(RecordBatch::new_empty(schema));
                }
                Ok(rows)
            }),
        }
    }
}

/// A name as SQL takes it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn time_column(
    args: &TrainArgs,
    config: &Config,
    schema: &SchemaRef,
) -> Result<String, CommandError> {
    if let Some(time) = &args.time {
        return Ok(time.clone());
    }
    let configured = config.spec.sources.iter().map(|s| s.event_time.column.value.as_str());
    if let Some(name) = configured.chain(["tx_datetime"]).find(|name| schema.index_of(name).is_ok())
    {
        return Ok(name.to_owned());
    }
    let mut timestamps =
        schema.fields().iter().filter(|f| matches!(f.data_type(), DataType::Timestamp(..)));
    match (timestamps.next(), timestamps.next()) {
        (Some(only), None) => Ok(only.name().clone()),
        _ => Err(CommandError::Usage {
            message: "it is not clear which column says when a row happened".into(),
            help: Some("name it: --time COLUMN".into()),
        }),
    }
}

/// Registers files, all of one format that their names tell.
fn open_files(pattern: &str) -> Result<Asked, CommandError> {
    let usage =
        |message: String, help: &str| CommandError::Usage { message, help: Some(help.to_owned()) };
    let found = glob::glob(pattern).map_err(|e| {
        usage(format!("--from {pattern}: {e}"), "escape [, ] and ? as [[], []] and [?]")
    })?;
    let paths: Vec<String> = found
        .filter_map(Result::ok)
        .filter(|p| p.is_file())
        .map(|p| p.display().to_string())
        .collect();
    let Some(first) = paths.first() else {
        return Err(usage(
            format!("--from {pattern}: there is no such file"),
            "relative paths start at the working directory",
        ));
    };
    let extension =
        Path::new(first).extension().and_then(|e| e.to_str()).unwrap_or_default().to_owned();
    if paths.iter().any(|p| !p.ends_with(&format!(".{extension}"))) {
        return Err(usage(
            format!("--from {pattern}: the files are of several formats"),
            "name files of one format",
        ));
    }
    let known = ["parquet", "pq", "csv", "json", "ndjson", "jsonl"];
    if !known.contains(&extension.as_str()) {
        return Err(usage(
            format!("--from {first}: the name does not tell the format"),
            "use .parquet, .csv or .json",
        ));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let context = SessionContext::new();
    let suffix = format!(".{extension}");
    let frame = runtime.block_on(async {
        match extension.as_str() {
            "parquet" | "pq" => {
                context
                    .read_parquet(
                        paths.clone(),
                        ParquetReadOptions { file_extension: &suffix, ..Default::default() },
                    )
                    .await
            }
            "csv" => {
                context.read_csv(paths.clone(), CsvReadOptions::new().file_extension(&suffix)).await
            }
            _ => {
                context
                    .read_json(
                        paths.clone(),
                        JsonReadOptions { file_extension: &suffix, ..Default::default() },
                    )
                    .await
            }
        }
    });
    context.register_table(FILES, frame.map_err(failed)?.into_view()).map_err(failed)?;
    Ok(Asked::Files { runtime, context })
}
