//! `changelog`: turns versions of records, or a table's captured changes, into rows that are taken
//! back and added.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use riskstream_engine::contract::{COMMITTED_AT, OP, change_fields};
use riskstream_operators::captured::{CapturedOperator, CapturedSpec};
use riskstream_operators::changelog::{ChangelogOperator, ChangelogSpec, DIFF};

use super::chain::{Chain, micros};
use super::columns::{Flow, Known};
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage, told};
use super::read::{Named, Pair, expressions, names, sql_texts, texts};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::values::{NameKind, duration_text};

/// `changelog = { key, columns, operation, deleted, previous, ever }`, `keep`.
pub(crate) static KIND: Kind = Kind { key: "changelog", others: &["keep"], read };

/// `changelog = { key, columns, operation, deleted, previous, ever }`, `keep`.
#[derive(Debug)]
struct Changelog {
    /// The columns that tell records apart.
    key: Vec<Spanned<String>>,
    /// What a record consists of; all columns where it is not given.
    columns: Option<Vec<Spanned<String>>>,
    /// Of captured changes: the column that says what happened. Without it rows are versions of
    /// records.
    operation: Option<Spanned<String>>,
    /// True for a row that says that the record is gone.
    deleted: Option<Sql>,
    /// Of captured changes: new columns, and the columns whose earlier values they show.
    previous: Vec<Pair>,
    /// Columns that are true from the first row on for which the expression was.
    ever: Vec<Named>,
    /// How far behind the watermark a row may come and still be put in its place; rows that come
    /// later are dead letters.
    keep: Duration,
}

/// `changelog` and its keys.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let keep = table.duration("keep", problems);
    let mut changelog = table.table("changelog", problems)?;
    changelog.what = "`changelog`".into();
    let key = changelog
        .required("key", "key = \"COLUMN\", which tells records apart", problems)
        .and_then(|key| reader::strings(&key.node, "key", problems));
    if key.as_ref().is_some_and(Vec::is_empty) {
        problems.push(
            Problem::new(changelog.span, "`key` names no column")
                .help("name the column that tells records apart"),
        );
    }
    let columns = changelog.strings("columns", problems);
    let operation = changelog.string("operation", problems);
    let deleted = changelog.sql("deleted", problems);
    if let (Some(operation), Some(deleted)) = (&operation, &deleted) {
        problems.push(
            Problem::new(deleted.span(), "captured changes say themselves which rows are gone")
                .related(operation.span, "this column does")
                .help(
                    "remove `deleted`; a condition for what leaves is a `filter` step after this \
                     one",
                ),
        );
    }
    if let (Some(operation), Some(keep)) = (&operation, &keep) {
        problems.push(
            Problem::new(
                keep.span,
                "captured changes come in their database's order, so no versions are kept",
            )
            .related(operation.span, "this column makes them captured changes")
            .help("remove `keep`"),
        );
    }
    let previous = previous(&mut changelog, operation.is_some(), problems);
    let ever = match changelog.table("ever", problems) {
        Some(ever) => expressions(&ever, problems)?,
        None => Vec::new(),
    };
    changelog.finish(problems);
    let keep = keep.map_or(defaults::KEEP_MIN, |keep| keep.value);
    Some(Arc::new(Changelog { key: key?, columns, operation, deleted, previous, ever, keep }))
}

/// `previous = { NAME = "column" }` of a changelog.
fn previous(
    changelog: &mut Table<'_>,
    is_of_captured: bool,
    problems: &mut Vec<Problem>,
) -> Vec<Pair> {
    let Some(previous) = changelog.table("previous", problems) else { return Vec::new() };
    if !is_of_captured {
        problems.push(
            Problem::new(previous.span, "`previous` is for captured changes, which come in order")
                .help("name the column that says what happened: operation = \"_op\""),
        );
    }
    let mut columns = Vec::new();
    for entry in previous.entries() {
        reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
        if let Some(column) = reader::string(&entry.node, &format!("`{}`", entry.key), problems) {
            columns.push((entry.key.clone(), column));
        }
    }
    columns
}

impl StepKind for Changelog {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        true
    }

    fn by(&self) -> &[Spanned<String>] {
        &self.key
    }

    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        flow.refuse_windows(step, problems);
        let previous: Vec<Option<DataType>> = self
            .previous
            .iter()
            .map(|(_, column)| {
                flow.find(column, problems).and_then(|known| known.data_type.clone())
            })
            .collect();
        for column in self.key.iter().chain(self.columns.iter().flatten()).chain(&self.operation) {
            flow.find(column, problems);
        }
        let siblings: Vec<&Spanned<String>> = self.ever.iter().map(|ever| &ever.name).collect();
        for sql in self.ever.iter().map(|ever| &ever.sql).chain(&self.deleted) {
            flow.check_sql(sql, &siblings, problems);
        }
        flow.is_of_changes = true;
        flow.columns.retain(|column| column.name != defaults::LATE_COLUMN);
        if let Some(kept) = &self.columns {
            let event_time = flow.event_time.clone();
            let is_kept = |name: &str| {
                kept.iter().chain(&self.key).any(|column| column.value == name)
                    || name == event_time
            };
            flow.columns.retain(|known| is_kept(&known.name));
        }
        if self.operation.is_some() {
            // The columns that describe the change are dropped, but for the time of its commit.
            flow.columns.retain(|known| {
                known.name == COMMITTED_AT
                    || !change_fields().iter().any(|field| *field.name() == known.name)
            });
        }
        for ((name, _), data_type) in self.previous.iter().zip(previous) {
            flow.add(name, name.span, data_type, problems);
        }
        for ever in &self.ever {
            flow.add(&ever.name, ever.name.span, Some(DataType::Boolean), problems);
        }
        flow.columns.push(Known::new(DIFF).of_type(DataType::Int64));
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        match &self.operation {
            Some(operation) => self.plan_captured(step, operation, chain),
            None => self.plan_versions(step, chain),
        }
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let Around { input, .. } = *around;
        let all: Vec<String> = input.fields().iter().map(|field| field.name().clone()).collect();
        let (deleted, read) = self.deleted.as_ref().map(told).unwrap_or_default();
        let mut decides = names(&self.key);
        decides.extend(read);
        let columns = self
            .columns
            .as_ref()
            .map(|columns| names(columns).join(", "))
            .unwrap_or_else(|| "all columns".into());
        let says =
            format!("changes of {columns} by {}, deleted where {deleted:?}", decides.join(", "));
        lineage.rows_of(around.step, says, input, &decides);
        for (name, column) in &self.previous {
            let of = lineage.facts(input, std::slice::from_ref(&column.value));
            lineage.kept_by(around, &name.value, &format!("{column} before"), &of);
        }
        for ever in &self.ever {
            let (text, read) = told(&ever.sql);
            let of = lineage.facts(input, &read);
            lineage.kept_by(around, &ever.name.value, &format!("ever {text}"), &of);
        }
        // What is taken back and added depends on every column of a record.
        lineage.decides_rows(input, &self.columns.as_ref().map_or(all, |columns| names(columns)));
    }

    fn explain(&self) -> Explained {
        let mut details: Vec<String> = self
            .ever
            .iter()
            .map(|ever| format!("{} once {}", ever.name, ever.sql.as_str()))
            .collect();
        details.extend(self.deleted.as_ref().map(|sql| format!("gone when {}", sql.as_str())));
        details
            .extend(self.previous.iter().map(|(name, column)| format!("{name}: {column} before")));
        details.push(match &self.operation {
            Some(operation) => format!(
                "captured changes by {operation}, in the database's order; rows taken back and \
                 added"
            ),
            None => format!(
                "rows taken back and added; late rows put in their place for {}",
                duration_text(self.keep)
            ),
        });
        let previous = self.previous.iter().map(|(name, _)| name);
        let made = previous.chain(self.ever.iter().map(|ever| &ever.name));
        Explained { details, columns: made.map(|name| name.value.clone()).collect() }
    }
}

impl Changelog {
    fn plan_versions(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let spec = ChangelogSpec {
            step_id: step.value.clone(),
            key: names(&self.key),
            columns: names(self.columns.as_deref().unwrap_or_default()),
            deleted: self.deleted.as_ref().map(|sql| sql.as_str().to_owned()),
            ever: sql_texts(&self.ever),
            keep: micros(self.keep),
            event_time: chain.event_time.clone(),
            ties: chain.ties.clone(),
            memory_bytes: chain.rows_memory(),
        };
        let ever = self.ever.iter().map(|ever| ever.sql.clone());
        let sqls: Vec<Sql> = ever.chain(self.deleted.clone()).collect();
        let (schema, feed) = (Arc::clone(&chain.schema), chain.lineage.feed());
        chain.add_made(step, &sqls, move |dir| {
            ChangelogOperator::new(spec.clone(), &schema, dir)
                .map(|operator| operator.fed_by(feed.clone()))
        })?;
        chain.of_changes(&self.key);
        Ok(())
    }

    fn plan_captured(
        &self,
        step: &Spanned<String>,
        operation: &Spanned<String>,
        chain: &mut Chain<'_>,
    ) -> Result<(), Problem> {
        if operation.value != OP {
            let problem = Problem::new(
                operation.span,
                format!("`{operation}` is not the column in which a source says what happened"),
            );
            return Err(problem.help(format!("captured changes have it in `{OP}`")));
        }
        let spec = CapturedSpec {
            step_id: step.value.clone(),
            key: names(&self.key),
            columns: names(self.columns.as_deref().unwrap_or_default()),
            previous: texts(&self.previous),
            ever: sql_texts(&self.ever),
            event_time: chain.event_time.clone(),
            memory_bytes: chain.rows_memory(),
        };
        let sqls: Vec<Sql> = self.ever.iter().map(|ever| ever.sql.clone()).collect();
        let (schema, feed) = (Arc::clone(&chain.schema), chain.lineage.feed());
        chain.add_made(step, &sqls, move |dir| {
            CapturedOperator::new(spec.clone(), &schema, dir)
                .map(|operator| operator.fed_by(feed.clone()))
        })?;
        chain.of_changes(&self.key);
        Ok(())
    }
}
