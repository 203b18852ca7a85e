//! `avg`, as the quotient of `sum` and `count`: exact for integers and decimals.

use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::planner::{PlannerResult, RawAggregateExpr, RawWindowExpr};
use datafusion::logical_expr::{AggregateUDF, Expr, WindowFunctionDefinition};

use super::{quotient, sum};

/// DataFusion's name of the function; `mean` is another one of it.
const NAME: &str = "avg";

/// `avg` of the rows of a group; others as they are.
pub(super) fn of_rows(expr: RawAggregateExpr) -> PlannerResult<RawAggregateExpr> {
    if expr.func.name() != NAME || expr.args.len() != 1 || !expr.order_by.is_empty() {
        return PlannerResult::Original(expr);
    }
    let part = |function: std::sync::Arc<AggregateUDF>| {
        Expr::AggregateFunction(AggregateFunction::new_udf(
            function,
            expr.args.clone(),
            expr.distinct,
            expr.filter.clone(),
            Vec::new(),
            expr.null_treatment,
        ))
    };
    PlannerResult::Planned(quotient::average(part(sum::function()), part(count_udaf())))
}

/// `avg` of the rows of a window; others as they are.
pub(super) fn of_window(expr: RawWindowExpr) -> PlannerResult<RawWindowExpr> {
    let is_average = match &expr.func_def {
        WindowFunctionDefinition::AggregateUDF(function) => function.name() == NAME,
        WindowFunctionDefinition::WindowUDF(_) => false,
    };
    if !is_average || expr.args.len() != 1 {
        return PlannerResult::Original(expr);
    }
    let part = |function: std::sync::Arc<AggregateUDF>| {
        let params = WindowFunctionParams {
            args: expr.args.clone(),
            partition_by: expr.partition_by.clone(),
            order_by: expr.order_by.clone(),
            window_frame: expr.window_frame.clone(),
            filter: expr.filter.clone(),
            null_treatment: expr.null_treatment,
            distinct: expr.distinct,
        };
        let fun = WindowFunctionDefinition::AggregateUDF(function);
        Expr::WindowFunction(Box::new(WindowFunction { fun, params }))
    };
    PlannerResult::Planned(quotient::average(part(sum::function()), part(count_udaf())))
}
