//! From a statement to a plan over what its user may see, and to the plan's work.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::{Column, DataFusionError, ParamValues, ScalarValue, SchemaError};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement as DataFusionStatement;

use super::explained::explained;
use super::guard::Guard;
use super::kept::Kept;
use super::parameters::{parameter_types, typed};
use super::policies::Applied;
use super::statement::Statement;
use super::unbound::marked;
use super::watched::watched;
use crate::catalog::postgres::{Known, column_name, flatten, output_columns};
use crate::error::QueryError;
use crate::live::Pinned;
use crate::suggest::{nearest, suggest};

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
    state: Arc<SessionState>,
    plan: LogicalPlan,
    pinned: Arc<Pinned>,
    /// What is kept of it, if anything.
    kept: Option<Arc<Kept>>,
    /// Whether clients are told which numbers have a precision of their own.
    tells_precision: bool,
}

/// A plan that works.
pub(super) struct Started {
    pub(super) columns: SchemaRef,
    pub(super) stream: SendableRecordBatchStream,
    /// What the stream is of.
    pub(super) plan: Arc<dyn ExecutionPlan>,
}

/// The statement as DataFusion's planner takes it.
pub(super) fn as_datafusion(statement: &Statement) -> DataFusionStatement {
    DataFusionStatement::Statement(Box::new(statement.tree().clone()))
}

/// A statement that changes something is not for this service.
pub(super) fn check_reads(statement: &Statement) -> Result<(), QueryError> {
    if statement.reads() { Ok(()) } else { Err(not_a_query(statement)) }
}

fn not_a_query(statement: &Statement) -> QueryError {
    QueryError::NotAQuery {
        statement: statement.text().chars().take(STATEMENT_CHARS_SHOWN).collect(),
    }
}

/// The plan of a statement, over the catalogs of a state.
pub(super) async fn plan(
    statement: &Statement,
    state: &SessionState,
    known: &Known,
) -> Result<LogicalPlan, QueryError> {
    let schema = &state.config_options().catalog.default_schema;
    let plan = state
        .statement_to_plan(as_datafusion(statement))
        .await
        .map_err(|error| explain(sure(error, state), known, schema))?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|_| not_a_query(statement))?;
    Ok(flatten(plan)?)
}

impl Planned {
    pub(super) fn new(
        state: Arc<SessionState>,
        plan: LogicalPlan,
        pinned: Arc<Pinned>,
        kept: Option<Arc<Kept>>,
    ) -> Self {
        Self { state, plan, pinned, kept, tells_precision: false }
    }

    /// Tells which numbers have a precision of their own, if it is said so.
    pub(super) fn telling_precision(self, tells_precision: bool) -> Self {
        Self { tells_precision, ..self }
    }

    /// What it gives and takes, with the types of parameters that the client has said.
    pub(super) fn described(&self, types: &[Option<DataType>]) -> Result<Described, QueryError> {
        let parameters = parameter_types(&self.plan, types)?;
        let typed = typed(&self.plan, &parameters)?;
        let config = self.state.config_options();
        let columns = output_columns(&typed);
        let settled = self.state.analyzer().execute_and_check(typed.clone(), config, |_, _| {})?;
        let columns = as_named(&settled_columns(&columns, &settled));
        let columns = if self.tells_precision { marked(&columns, &typed) } else { columns };
        Ok(Described { columns, parameters })
    }

    /// The moment that it sees.
    pub(super) fn pinned(&self) -> &Arc<Pinned> {
        &self.pinned
    }

    /// What it reads, and what is applied to that.
    pub(super) fn applied(&self) -> Result<Applied, QueryError> {
        let schema = &self.state.config_options().catalog.default_schema;
        Ok(Applied::to(&self.plan, &self.pinned, schema)?)
    }

    /// Begins the work, which asks `guard` whether it may go on.
    pub(super) async fn start(
        self,
        parameters: Vec<ScalarValue>,
        guard: &Arc<Guard>,
    ) -> Result<Started, QueryError> {
        let takes_nothing = parameters.is_empty();
        let plan = if parameters.is_empty() {
            self.plan
        } else {
            self.plan.with_param_values(ParamValues::from(parameters))?
        };
        // Their types may be those of the parameters.
        let optimized = self.state.optimize(&plan)?;
        let columns = as_named(&settled_columns(&output_columns(&plan), &optimized));
        let columns = if self.tells_precision { marked(&columns, &plan) } else { columns };
        if let Some(kept) = self.kept.filter(|_| takes_nothing)
            && let Some(row) = constant_row(&optimized, &columns)
        {
            kept.gives(row);
        }
        let planner = Arc::clone(self.state.query_planner());
        let physical = planner.create_physical_plan(&optimized, self.state.as_ref()).await?;
        let physical = watched(physical, guard)?;
        // Functions are in the plan by now.
        let context = TaskContext::new(
            None,
            self.state.session_id().to_owned(),
            self.state.config().clone(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            guard.runtime(self.state.runtime_env()),
        );
        let stream = execute_stream(Arc::clone(&physical), Arc::new(context))?;
        let stream = match plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => explained(stream),
            _ => stream,
        };
        Ok(Started { columns, stream, plan: physical })
    }
}

/// The row of a plan that reads nothing and computes nothing any more, such as that of `SELECT 1`.
fn constant_row(optimized: &LogicalPlan, columns: &SchemaRef) -> Option<RecordBatch> {
    let LogicalPlan::Projection(of) = optimized else { return None };
    let LogicalPlan::EmptyRelation(input) = of.input.as_ref() else { return None };
    if !input.produce_one_row {
        return None;
    }
    let values = of.expr.iter().map(|expr| match expr {
        Expr::Alias(of) => match of.expr.as_ref() {
            Expr::Literal(value, _) => value.to_array().ok(),
            _ => None,
        },
        Expr::Literal(value, _) => value.to_array().ok(),
        _ => None,
    });
    let arrays: Vec<ArrayRef> = values.collect::<Option<_>>()?;
    // Of other types than the columns it is left to the operators.
    RecordBatch::try_new(Arc::clone(columns), arrays).ok()
}

/// Columns with the types that they have once types have been made to meet: a `CASE` of integers
/// and floats gives floats.
fn settled_columns(columns: &SchemaRef, settled: &LogicalPlan) -> SchemaRef {
    let types = settled.schema().fields().iter().map(|field| field.data_type());
    let fields = columns.fields().iter().zip(types).map(|(field, data)| {
        if field.data_type() == data {
            return Arc::clone(field);
        }
        Arc::new(field.as_ref().clone().with_data_type(data.clone()))
    });
    let fields: Vec<FieldRef> = fields.collect();
    match fields.len() == columns.fields().len() {
        true => Arc::new(Schema::new_with_metadata(fields, columns.metadata().clone())),
        false => Arc::clone(columns),
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

/// An error about a function that is not there, of which DataFusion names a near one: any, also one
/// of ours that is not for users. This names the same one each time, or none.
fn sure(error: DataFusionError, state: &SessionState) -> DataFusionError {
    let DataFusionError::Plan(said) = error.find_root() else { return error };
    let name = said.strip_prefix("Invalid function '").and_then(|rest| rest.split_once("'."));
    let Some((name, _)) = name else { return error };
    let (scalar, aggregate) = (state.scalar_functions(), state.aggregate_functions());
    let all = scalar.keys().chain(aggregate.keys()).chain(state.window_functions().keys());
    let near = match nearest(name, all.filter(|name| !name.starts_with('_'))) {
        Some(near) => format!("\nDid you mean '{near}'?"),
        None => String::new(),
    };
    DataFusionError::Plan(format!("Invalid function '{name}'.{near}"))
}

/// DataFusion's error about a name as ours, which names the nearest one that the user may see;
/// names without a schema were looked for in `searched`.
fn explain(error: DataFusionError, known: &Known, searched: &str) -> QueryError {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => {
            if let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref() {
                if let Some(absent) = absent(field, valid_fields) {
                    return QueryError::Sql(absent);
                }
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
                .map(|name| name.strip_prefix("riskstream.").unwrap_or(name));
            if let Some(name) = name {
                let bare = name.strip_prefix(searched).and_then(|rest| rest.strip_prefix('.'));
                let (name, schema) = match (bare, name.split_once('.')) {
                    (Some(bare), _) => (bare, searched),
                    (None, Some((schema, _))) => (name, schema),
                    (None, None) => (name, searched),
                };
                let help = suggest(name, &names_in(known, schema));
                return QueryError::UnknownTable { name: name.to_owned(), help };
            }
        }
        _ => {}
    }
    QueryError::Sql(error)
}

/// The error of a column of a table that is not among those of the statement.
fn absent(field: &Column, valid: &[Column]) -> Option<DataFusionError> {
    let table = field.relation.as_ref()?.table();
    let is_there = |column: &Column| column.relation.as_ref().is_some_and(|r| r.table() == table);
    if valid.is_empty() || valid.iter().any(is_there) {
        return None;
    }
    let said = format!("missing FROM-clause entry for table \"{table}\"");
    Some(DataFusionError::Plan(said))
}

/// The names of a schema's tables.
fn names_in(known: &Known, schema: &str) -> Vec<String> {
    let of_schema = known.shown.schemas.iter().filter(|one| one.name == schema);
    of_schema.flat_map(|one| one.tables.iter().map(|table| table.name.clone())).collect()
}
