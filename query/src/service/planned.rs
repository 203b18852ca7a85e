//! From a statement to a plan over what its user may see.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::{Column, DataFusionError, ParamValues, ScalarValue, SchemaError};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as DataFusionStatement;

use super::settings::SessionSettings;
use super::statement::Statement;
use crate::catalog::names::Names;
use crate::catalog::postgres::{Known, column_name};
use crate::catalog::seen::SCHEMA;
use crate::error::QueryError;
use crate::live::Pinned;
use crate::suggest::suggest;

const STATEMENT_CHARS_SHOWN: usize = 60;

/// What a statement gives and takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The columns of its rows.
    pub columns: SchemaRef,
    /// The types of its parameters, `$1` first.
    pub parameters: Vec<DataType>,
}

/// A statement that is planned for a user at a moment.
#[derive(Debug)]
pub(super) struct Planned {
    state: SessionState,
    plan: LogicalPlan,
    described: Described,
}

/// The statement as DataFusion's planner takes it.
pub(super) fn as_datafusion(statement: &Statement) -> DataFusionStatement {
    DataFusionStatement::Statement(Box::new(statement.tree.clone()))
}

/// A statement that is about to be planned.
#[derive(Debug)]
pub(super) struct Ready {
    /// In forms that DataFusion plans.
    pub(super) statement: Statement,
    /// The moment that it sees.
    pub(super) pinned: Arc<Pinned>,
    /// What planning begins with.
    pub(super) state: SessionState,
    /// What its user may know of.
    pub(super) known: Arc<Known>,
}

impl Planned {
    pub(super) async fn new(
        ready: Ready,
        names: Names,
        settings: SessionSettings,
        parameters: Vec<Option<DataType>>,
    ) -> Result<Self, QueryError> {
        let Ready { statement, pinned, mut state, known } = ready;
        let refused = || {
            let text = statement.tree.to_string();
            QueryError::NotAQuery { statement: text.chars().take(STATEMENT_CHARS_SHOWN).collect() }
        };
        if !statement.reads() {
            return Err(refused());
        }
        state.register_catalog_list(names.catalogs());
        for function in crate::catalog::moment::functions(&pinned) {
            datafusion::execution::FunctionRegistry::register_udf(&mut state, function)?;
        }
        state.config_mut().options_mut().execution.time_zone = Some(settings.time_zone);
        let plan = state
            .statement_to_plan(as_datafusion(&statement))
            .await
            .map_err(|error| explain(error, &known))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|_| refused())?;
        let columns = as_named(plan.schema().inner());
        let parameters = parameter_types(&plan, &parameters)?;
        Ok(Self { state, plan, described: Described { columns, parameters } })
    }

    pub(super) fn described(&self) -> Described {
        self.described.clone()
    }

    /// Begins the work.
    pub(super) async fn start(
        self,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let plan = if parameters.is_empty() {
            self.plan
        } else {
            self.plan.with_param_values(ParamValues::from(parameters))?
        };
        let physical = self.state.create_physical_plan(&plan).await?;
        Ok(execute_stream(physical, Arc::new(TaskContext::from(&self.state)))?)
    }
}

/// A plan's columns under the names for the client.
fn as_named(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().all(|field| column_name(field.name()) == field.name()) {
        return Arc::clone(schema);
    }
    let named = |field: &FieldRef| match column_name(field.name()) {
        name if name == field.name() => Arc::clone(field),
        name => Arc::new(field.as_ref().clone().with_name(name)),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(named).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// DataFusion's error about a name as ours, which names the nearest one that the user may see.
fn explain(error: DataFusionError, known: &Known) -> QueryError {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => {
            if let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref() {
                let mut names: Vec<String> = valid_fields
                    .iter()
                    .map(|column: &Column| column_name(&column.name).to_owned())
                    .collect();
                names.dedup();
                return QueryError::UnknownColumn {
                    name: field.name.clone(),
                    help: suggest(&field.name, &names),
                };
            }
        }
        DataFusionError::Plan(said) => {
            let name = said
                .strip_prefix("table '")
                .and_then(|rest| rest.strip_suffix("' not found"))
                .map(|name| name.trim_start_matches("riskstream.").trim_start_matches("public."));
            if let Some(name) = name {
                let names: Vec<String> = known
                    .shown
                    .schemas
                    .iter()
                    .filter(|schema| schema.name == SCHEMA)
                    .flat_map(|schema| schema.tables.iter().map(|table| table.name.clone()))
                    .collect();
                let help = suggest(name, &names);
                return QueryError::UnknownTable { name: name.to_owned(), help };
            }
        }
        _ => {}
    }
    QueryError::Sql(error)
}

/// The types of `$1`, `$2` and so on: what the client has said, else what the plan needs, else
/// text.
fn parameter_types(
    plan: &LogicalPlan,
    said: &[Option<DataType>],
) -> Result<Vec<DataType>, QueryError> {
    let found = plan.get_parameter_types()?;
    let number = |name: &String| name.strip_prefix('$')?.parse::<usize>().ok();
    let count = found.keys().filter_map(number).max().unwrap_or(0).max(said.len());
    Ok((1..=count)
        .map(|number| {
            said.get(number - 1)
                .cloned()
                .flatten()
                .or_else(|| found.get(&format!("${number}")).cloned().flatten())
                .unwrap_or(DataType::Utf8)
        })
        .collect())
}
