//! How the rows and columns that a step reads are made, back to the source: what the meaning of its
//! state depends on, beside the step's own settings.
//!
//! A lineage holds meaning only: expressions as their syntax tree says them, filters in no order,
//! no ids of steps without state.

use arrow::datatypes::Schema;
use riskstream_engine::contract::{Fact, Feed};
use riskstream_expressions::syntax;

use crate::config::spec::Sql;

/// What rows are made of so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage {
    pub(crate) feed: Feed,
    /// The conditions that filter rows, each in words; their order does not matter.
    conditions: Vec<String>,
}

/// A step's place: its columns before it and after it, and the event time before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// The step's id.
    pub(crate) step: &'a str,
    pub(crate) event_time: &'a str,
    pub(crate) input: &'a Schema,
    pub(crate) output: &'a Schema,
}

impl Lineage {
    /// What the next step reads.
    pub(crate) fn feed(&self) -> Feed {
        let mut feed = self.feed.clone();
        feed.rows.extend(self.conditions().map(|conditions| Fact::new("rows where", conditions)));
        feed
    }

    /// All conditions so far, sorted.
    fn conditions(&self) -> Option<String> {
        let mut conditions = self.conditions.clone();
        conditions.sort();
        conditions.dedup();
        (!conditions.is_empty()).then(|| conditions.join(" and "))
    }

    /// The facts of the columns that are read, each once.
    pub(crate) fn facts(&self, schema: &Schema, columns: &[String]) -> Vec<Fact> {
        let mut facts: Vec<Fact> = Vec::new();
        for index in columns.iter().filter_map(|column| schema.index_of(column).ok()) {
            for fact in self.feed.column(schema, index) {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        facts
    }

    /// A column of `schema` that is made of others, whose facts are `of`.
    pub(crate) fn made(&mut self, schema: &Schema, column: &str, says: &str, of: &[Fact]) {
        self.made_by("", schema, column, says, of);
    }

    pub(crate) fn made_by(
        &mut self,
        step: &str,
        schema: &Schema,
        column: &str,
        says: &str,
        of: &[Fact],
    ) {
        let data_type = schema
            .field_with_name(column)
            .map(|field| field.data_type().to_string())
            .unwrap_or_default();
        let mut facts =
            vec![Fact::new(format!("column `{column}`{step}"), format!("{says}: {data_type}"))];
        facts.extend(
            of.iter().filter(|fact| fact.name != facts[0].name).cloned().collect::<Vec<_>>(),
        );
        self.feed.columns.insert(column.to_owned(), facts);
    }

    /// All columns that a step adds, each in the words of `says`.
    pub(crate) fn added(
        &mut self,
        input: &Schema,
        output: &Schema,
        says: impl Fn(&str) -> String,
        read: &[String],
    ) {
        let of = self.facts(input, read);
        for field in output.fields().iter().filter(|field| input.index_of(field.name()).is_err()) {
            self.made(output, field.name(), &says(field.name()), &of);
        }
    }

    pub(crate) fn condition(&mut self, sql: &Sql, schema: &Schema, suffix: &str) {
        let (text, read) = told(sql);
        self.conditions
            .push(format!("({text}){}{suffix}", if suffix.is_empty() { "" } else { " " }));
        self.decides_rows(schema, &read);
    }

    /// Notes that these columns decide which rows come.
    pub(crate) fn decides_rows(&mut self, schema: &Schema, read: &[String]) {
        for fact in self.facts(schema, read) {
            if !self.feed.rows_read.contains(&fact) {
                self.feed.rows_read.push(fact);
            }
        }
    }

    /// Notes that a step with state decides which rows leave it.
    pub(crate) fn rows_of(&mut self, step: &str, says: String, schema: &Schema, read: &[String]) {
        self.decides_rows(schema, read);
        // The conditions before the step filter the rows that it reads, not those that leave it.
        let before = self
            .conditions()
            .map(|conditions| Fact::new(format!("rows before `{step}` where"), conditions));
        self.conditions.clear();
        self.feed
            .rows
            .extend(before.into_iter().chain([Fact::new(format!("step `{step}`"), says)]));
    }

    /// A column that the step adds, which depends on its state.
    pub(crate) fn kept_by(&mut self, around: &Around<'_>, column: &str, says: &str, of: &[Fact]) {
        self.made_by(&format!(" of `{}`", around.step), around.output, column, says, of);
    }
}

/// An expression in the words of its syntax tree, and the columns that it reads.
pub(crate) fn told(sql: &Sql) -> (String, Vec<String>) {
    match syntax::canonical(sql.as_str()) {
        Ok((text, columns)) => (text, columns.into_iter().map(|column| column.name).collect()),
        // A wrong expression is refused where it is compiled.
        Err(_) => (sql.as_str().to_owned(), Vec::new()),
    }
}
