//! `filter`: keeps rows for which an SQL condition is true.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use riskstream_engine::contract::Operator;
use riskstream_engine::runtime::StepPlan;
use riskstream_operators::{FilterOperator, Stateless};

use super::chain::{Chain, problem, step_plan};
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::span::Spanned;
use crate::config::spec::Sql;

/// `filter = "SQL"`.
pub(crate) static KIND: Kind = Kind { key: "filter", others: &[], read };

/// Keeps rows for which the expression is true.
#[derive(Debug)]
struct Filter(Sql);

/// `filter = "SQL"`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    table.sql("filter", problems).map(|sql| Arc::new(Filter(sql)) as Arc<dyn StepKind>)
}

impl StepKind for Filter {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        false
    }

    fn columns(&self, _step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        flow.check_sql(&self.0, &[], problems);
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let plan = plan_filter(&step.value, &self.0, &chain.schema)?;
        chain.steps.push(plan);
        Ok(())
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        lineage.condition(&self.0, around.input, "");
    }

    fn explain(&self) -> Explained {
        Explained { details: vec![format!("keep where {}", self.0.as_str())], columns: Vec::new() }
    }
}

/// A filter as a step, or before a sink.
pub(crate) fn plan_filter(id: &str, sql: &Sql, schema: &SchemaRef) -> Result<StepPlan, Problem> {
    let make = {
        let (id, text, schema) = (id.to_owned(), sql.as_str().to_owned(), Arc::clone(schema));
        move || FilterOperator::new(&id, &text, Arc::clone(&schema))
    };
    make().map_err(|e| problem(&e, std::slice::from_ref(sql), sql.span()))?;
    Ok(step_plan(
        id,
        Arc::new(move |_| {
            Ok(Box::new(make().map_err(|e| e.to_string())?.into_operator()) as Box<dyn Operator>)
        }),
    ))
}
