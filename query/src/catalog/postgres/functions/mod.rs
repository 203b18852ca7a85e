//! Functions that PostgreSQL has and DataFusion lacks, or answers otherwise.
//!
//! A function is a row of a table in one of the modules here: its name, what it takes, what it
//! gives, and a body for one row. `call.rs` makes DataFusion's functions of them.

mod access;
mod arrays;
mod call;
mod context;
mod definitions;
mod from_text;
mod json;
mod json_path;
mod names;
mod now;
mod number_format;
mod numbers;
mod ordered;
mod privileges;
mod reg;
mod rows;
mod series;
mod session;
mod sleep;
mod spans;
mod time_format;
mod time_read;
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
pub(crate) use self::spans::justify_hours;
pub(crate) use self::zones::function as at_zone;

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
        json_path::DEFINITIONS,
        numbers::DEFINITIONS,
    ];
    let rows = tables.into_iter().flatten();
    let mut scalar: Vec<_> = rows.map(|definition| call::function(definition, context)).collect();
    scalar.extend(arrays::functions());
    scalar.push(series::function());
    scalar.extend(now::functions(&context.settings));
    scalar.extend(from_text::functions(&context.settings));
    scalar.extend(spans::functions());
    scalar.extend(numbers::functions());
    scalar.push(sleep::function());
    scalar.push(to_char::function());
    scalar.push(zones::function());
    let types = Arc::new(typing::PostgresTypes { settings: context.settings.clone() });
    Functions { scalar, aggregate: ordered::functions(), table: rows::functions(context), types }
}
