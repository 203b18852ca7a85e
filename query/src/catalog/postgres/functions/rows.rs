//! Functions in FROM.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::functions_table::generate_series::GenerateSeriesFunc;
use datafusion::logical_expr::Expr;

use super::super::settings::SettingsShown;
use super::super::tables::settings_table;
use super::context::FunctionContext;

pub(super) fn functions(
    context: &FunctionContext,
) -> Vec<(&'static str, Arc<dyn TableFunctionImpl>)> {
    let settings = AllSettings { context: context.clone() };
    vec![
        ("pg_get_keywords", Arc::new(Keywords) as Arc<dyn TableFunctionImpl>),
        ("pg_show_all_settings", Arc::new(settings)),
        ("generate_series", Arc::new(Series)),
    ]
}

/// `pg_get_keywords()`: the words of PostgreSQL 15.
#[derive(Debug)]
struct Keywords;

impl TableFunctionImpl for Keywords {
    fn call_with_args(
        &self,
        _arguments: TableFunctionArgs<'_, '_>,
    ) -> Result<Arc<dyn TableProvider>> {
        let lines = include_str!("../lists/keywords.txt").lines().map(|line| {
            let mut parts = line.split(' ');
            let mut next = || parts.next().unwrap_or_default();
            (next(), next(), next() == "t")
        });
        let lines: Vec<_> = lines.collect();
        let kind = |letter: &str| match letter {
            "U" => "unreserved",
            "C" => "unreserved (cannot be function or type name)",
            "T" => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let label = |bare: bool| if bare { "can be bare label" } else { "requires AS" };
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![
            text("word"),
            text("catcode"),
            Field::new("barelabel", DataType::Boolean, true),
            text("catdesc"),
            text("baredesc"),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(lines.iter().map(|line| line.0))),
            Arc::new(StringArray::from_iter_values(lines.iter().map(|line| line.1))),
            Arc::new(lines.iter().map(|line| Some(line.2)).collect::<BooleanArray>()),
            Arc::new(StringArray::from_iter_values(lines.iter().map(|line| kind(line.1)))),
            Arc::new(StringArray::from_iter_values(lines.iter().map(|line| label(line.2)))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

/// `pg_show_all_settings()`: what `pg_settings` shows.
#[derive(Debug)]
struct AllSettings {
    context: FunctionContext,
}

impl TableFunctionImpl for AllSettings {
    fn call_with_args(
        &self,
        _arguments: TableFunctionArgs<'_, '_>,
    ) -> Result<Arc<dyn TableProvider>> {
        let settings: &SettingsShown = &self.context.settings;
        settings_table(&self.context.known, settings)
    }
}

/// `generate_series`: DataFusion's own takes integers of 64 bits alone.
#[derive(Debug)]
struct Series;

impl TableFunctionImpl for Series {
    fn call_with_args(
        &self,
        arguments: TableFunctionArgs<'_, '_>,
    ) -> Result<Arc<dyn TableProvider>> {
        let wide = arguments.exprs().iter().map(|expr| match expr {
            Expr::Literal(value, metadata) if value.data_type().is_integer() => {
                let value = value.cast_to(&DataType::Int64)?;
                Ok(Expr::Literal(value, metadata.clone()))
            }
            expr => Ok(expr.clone()),
        });
        let wide = wide.collect::<Result<Vec<_>>>()?;
        GenerateSeriesFunc {}.call_with_args(TableFunctionArgs::new(&wide, arguments.session()))
    }
}
