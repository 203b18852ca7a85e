//! Functions that PostgreSQL has and DataFusion lacks, or answers otherwise.
//!
//! A function is a row of a table in one of the modules here: its name, what it takes, what it
//! gives, and a body for one row. `call.rs` makes DataFusion's functions of them.

mod access;
mod arrays;
mod call;
mod context;
mod definitions;
mod json;
mod names;
mod now;
mod number_format;
mod privileges;
mod reg;
mod rows;
mod series;
mod session;
mod sleep;
mod time_format;
mod to_char;
mod typing;
mod zones;

use std::sync::Arc;

use datafusion::catalog::TableFunctionImpl;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub(super) use self::arrays::elements as array_elements;
pub(crate) use self::context::FunctionContext;
pub(super) use self::reg::REG_KINDS;

/// PostgreSQL's functions, to be registered in a session's state.
#[derive(Debug)]
pub(crate) struct Functions {
    /// For `SessionStateBuilder::with_scalar_functions`, after DataFusion's own.
    pub(crate) scalar: Vec<Arc<ScalarUDF>>,
    /// For `with_aggregate_functions`, likewise.
    pub(crate) aggregate: Vec<Arc<AggregateUDF>>,
    /// For `register_udtf`.
    pub(crate) table: Vec<(&'static str, Arc<dyn TableFunctionImpl>)>,
    /// For `with_type_planner`: `oid`, `name`, `"char"` and others in casts.
    pub(crate) types: Arc<dyn TypePlanner>,
}

/// PostgreSQL's functions for a connection.
pub(crate) fn functions(context: &FunctionContext) -> Functions {
    let tables = [
        session::DEFINITIONS,
        definitions::DEFINITIONS,
        privileges::DEFINITIONS,
        names::DEFINITIONS,
        access::DEFINITIONS,
        reg::DEFINITIONS,
        arrays::DEFINITIONS,
        json::DEFINITIONS,
    ];
    let rows = tables.into_iter().flatten();
    let mut scalar: Vec<_> = rows.map(|definition| call::function(definition, context)).collect();
    scalar.extend(arrays::functions());
    scalar.push(series::function());
    scalar.push(now::function(&context.settings));
    scalar.push(sleep::function());
    scalar.push(to_char::function());
    scalar.push(zones::function());
    let types = Arc::new(typing::PostgresTypes { settings: context.settings.clone() });
    Functions { scalar, aggregate: Vec::new(), table: rows::functions(context), types }
}
