//! `generate_series` in a select list: the list of which `unnest` makes rows.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// DataFusion's own, under the name that rewriting gives it.
pub(super) fn function() -> Arc<ScalarUDF> {
    let own = datafusion::functions_nested::range::gen_series_udf();
    Arc::new(own.as_ref().clone().with_aliases(["_generate_series"]))
}
