//! An expression's text into DataFusion's logical expression on the rows of a step.
//!
//! Only what an expression needs of DataFusion is set up (functions and planners, no catalog,
//! optimizer or runtime), so that a program with a few expressions starts in milliseconds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{
    DFSchema, DataFusionError, Result as DataFusionResult, TableReference, plan_err,
};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::parser::DFParserBuilder;
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::dialect::GenericDialect;

/// Expressions may be nested this deep; deeper ones are refused by the parser rather than
/// exhausting the stack.
const NESTING_MAX: usize = 50;

/// What knows the functions. Making one registers every function, so make one and share it.
#[derive(Debug)]
pub struct Planner {
    functions: HashMap<String, Arc<ScalarUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: Arc<ConfigOptions>,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum Refused {
    /// The text is not one expression.
    Syntax(DataFusionError),
    /// The text names the expression (`a + b as c`), which has no name here.
    Named(String),
    /// There is no function of this name.
    UnknownFunction(String),
    /// A column that is not there, or types that don't go together.
    Unresolved(DataFusionError),
}

impl Planner {
    /// A planner that knows DataFusion's scalar functions, and these.
    #[must_use]
    pub fn new(own: impl Iterator<Item = ScalarUDF>) -> Self {
        let mut functions = HashMap::new();
        for function in datafusion_functions::all_default_functions() {
            for alias in function.aliases() {
                functions.insert(alias.clone(), Arc::clone(&function));
            }
            functions.insert(function.name().to_owned(), function);
        }
        for function in own {
            functions.insert(function.name().to_owned(), Arc::new(function));
        }
        Self {
            functions,
            planners: vec![
                Arc::new(CoreFunctionPlanner::default()),
                Arc::new(DatetimeFunctionPlanner),
                Arc::new(UnicodeFunctionPlanner),
            ],
            options: Arc::new(ConfigOptions::new()),
        }
    }

    /// The names of all functions, in no order.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// Parses `sql`, and resolves its columns among `fields` and its functions.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn plan(&self, sql: &str, fields: &DFSchema) -> Result<Expr, Refused> {
        let parsed = DFParserBuilder::new(sql)
            .with_dialect(&GenericDialect {})
            .with_recursion_limit(NESTING_MAX)
            .build()
            .and_then(|mut parser| parser.parse_into_expr())
            .map_err(Refused::Syntax)?;
        if let Some(alias) = parsed.alias {
            return Err(Refused::Named(alias.value));
        }
        let provider = Functions { planner: self, missing: RefCell::default() };
        let options = ParserOptions {
            parse_float_as_decimal: true,
            enable_ident_normalization: false,
            // Delta's readers know one string type, and so does the rest of this program.
            map_string_types_to_utf8view: false,
            ..ParserOptions::default()
        };
        let planned = SqlToRel::new_with_options(&provider, options).sql_to_expr(
            parsed.expr,
            fields,
            &mut PlannerContext::new(),
        );
        planned.map_err(|e| match provider.missing.take() {
            Some(name) => Refused::UnknownFunction(name),
            None => Refused::Unresolved(e),
        })
    }

    /// Coerces the types of an expression's parts to one another, and works out what needs no row.
    ///
    /// # Errors
    /// Types that don't go together, or a part that fails whatever the row is.
    pub fn simplify(&self, expression: Expr, fields: &DFSchema) -> DataFusionResult<Expr> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(fields.clone()))
            .with_config_options(Arc::clone(&self.options))
            .build();
        let simplifier = ExprSimplifier::new(context);
        simplifier.simplify(simplifier.coerce(expression, fields)?)
    }
}

/// What the SQL planner may use: functions of one row, and nothing else.
struct Functions<'a> {
    planner: &'a Planner,
    /// The function that was asked for and is not there.
    missing: RefCell<Option<String>>,
}

impl ContextProvider for Functions<'_> {
    fn get_table_source(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        plan_err!("an expression sees the columns of one row, not the table {name}")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planner.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let function = self.planner.functions.get(name);
        if function.is_none() {
            *self.missing.borrow_mut() = Some(name.to_owned());
        }
        function.cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.planner.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.planner.functions.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
