//! `PREPARE` and `EXECUTE`: prepared statements by their names in SQL.

use std::sync::Arc;

use datafusion::common::ScalarValue;

use super::columns::Columns;
use super::connection::Connection;
use super::error::{Halt, Problem, Step};
use super::missing::{no_statement, statement_exists};
use super::portal::{Named, Started, Tag};
use super::rows::Supply;
use super::sql::{Action, Query, parse_one};

impl Connection {
    /// `PREPARE name AS statement`: what is wrong with it is told now.
    pub(super) async fn prepare(&mut self, name: &str, types: &[u32], action: &Action) -> Step<()> {
        if self.statements.contains_key(name) {
            return Err(statement_exists(name).into());
        }
        let named = Named::new(action.clone(), types.to_vec());
        self.shape(&named).await?;
        self.statements.insert(name.to_owned(), named);
        Ok(())
    }

    /// `EXECUTE name (values)`.
    pub(super) async fn execute_prepared(&mut self, name: &str, texts: &[String]) -> Step<Started> {
        let named = self.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
        let needed = named.types.len().max(named.action.parameters());
        // As PostgreSQL does: values for a statement that takes none are not looked at.
        let texts: &[String] = if needed == 0 { &[] } else { texts };
        if needed != texts.len() {
            let text = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {needed} parameters but got {}.", texts.len());
            return Err(Problem::error("42601", text).with_detail(detail).into());
        }
        let whole = format!("EXECUTE {name} ({})", texts.join(", "));
        let values = self.values_of(&named, texts, &whole).await?;
        let Action::Query(query) = &named.action else {
            return Err(Problem::unsupported("only queries can be executed by name").into());
        };
        let supply = self.supply(query, &values).await.map_err(elsewhere)?;
        Ok(Started::own(supply, Tag::Select))
    }

    /// Values that are written as expressions.
    async fn values_of(
        &mut self,
        named: &Named,
        texts: &[String],
        whole: &str,
    ) -> Step<Vec<ScalarValue>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = self.shape(named).await?.parameters;
        let items: Vec<String> =
            texts.iter().enumerate().map(|(index, text)| format!("{text} AS p{index}")).collect();
        let action = parse_one(&format!("SELECT {}", items.join(", ")))?;
        let Action::Query(query) = action else {
            return Err(Problem::error("42601", "syntax error in the values of EXECUTE").into());
        };
        let mut supply = self.evaluate(&query, whole).await.map_err(elsewhere)?;
        let row = supply.next(1, &mut self.channel).await?;
        let row = row.ok_or_else(|| Problem::error("XX000", "no values for EXECUTE"))?;
        let values = row.columns().iter().zip(&parameters).map(|(array, parameter)| {
            let value = ScalarValue::try_from_array(array, 0)?;
            value.cast_to(&parameter.needed)
        });
        let values: Result<Vec<_>, _> = values.collect();
        Ok(values.map_err(crate::error::QueryError::from)?)
    }
}

impl Connection {
    /// Begins a query whose values belong to a statement that is recorded.
    async fn evaluate(&mut self, query: &Query, whole: &str) -> Step<Supply> {
        let stop = self.begin_work();
        let work = self.session.evaluate(&query.statement, whole, &stop);
        let answer = self.channel.watch(&stop, work).await??;
        let columns = Columns::new(answer.schema())?;
        Ok(Supply::of_answer(Arc::new(columns), answer))
    }
}

/// A problem of a text that is not the one of this message.
fn elsewhere(halt: Halt) -> Halt {
    halt.map(|problem| Problem { position: None, ..problem })
}
