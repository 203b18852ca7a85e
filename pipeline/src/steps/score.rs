//! `score`: adds scores by models of the registry.

use std::sync::Arc;

use arrow::datatypes::DataType;
use riskstream_models::{Model, Registry};
use riskstream_operators::{ModelCell, ModelWatch, ScoreOperator};

use super::chain::Chain;
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use crate::config::document::{Entry, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::suggest;
use crate::config::values::NameKind;

/// How often the registry is looked at for a newer model.
const MODEL_POLL_MICROS: i64 = 1_000_000;

/// `score = { COLUMN = "model" }`.
pub(crate) static KIND: Kind = Kind { key: "score", others: &[], read };

/// Adds scores by models of the registry.
#[derive(Debug)]
struct Score(Vec<ScoreColumn>);

/// `score = { COLUMN = "model" }` or `score = { COLUMN = { model = "model", version = "3" } }`.
#[derive(Debug, Clone)]
struct ScoreColumn {
    /// The new column: the probability of fraud.
    column: Spanned<String>,
    /// The model in the registry.
    model: Spanned<String>,
    /// A pinned version; `None`: the newest, and a newer one is picked up at an epoch boundary.
    version: Option<Spanned<String>>,
}

impl ScoreColumn {
    /// The column that says which version of the model scored the row: `<column>_model`, holding
    /// `<model>@<version>`.
    fn model_column(&self) -> String {
        format!("{}_model", self.column.value)
    }
}

/// `score = { COLUMN = "model" }`.
fn read(
    table: &mut Table<'_>,
    entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    if let Value::String { text, .. } = &entry.node.value {
        let problem = reader::expected(&entry.node, "`score`", "a table");
        problems.push(problem.help(format!(
            "name the new column and the model: score = {{ fraud_score = \"{text}\" }}"
        )));
        return None;
    }
    let columns = table.table("score", problems)?;
    if columns.entries().is_empty() {
        problems.push(
            Problem::new(columns.span, "`score` names no column")
                .help("such as score = { fraud_score = \"fraud-card\" }"),
        );
    }
    let scores: Vec<_> =
        columns.entries().iter().map(|entry| score_column(entry, problems)).collect();
    let scores = scores.into_iter().collect::<Option<Vec<ScoreColumn>>>()?;
    Some(Arc::new(Score(scores)))
}

fn score_column(entry: &Entry, problems: &mut Vec<Problem>) -> Option<ScoreColumn> {
    reader::check_name(NameKind::Identifier, &entry.key, "a column", problems);
    let (model, version) = match &entry.node.value {
        Value::String { .. } => (reader::string(&entry.node, "the model", problems)?, None),
        Value::Table(_) => {
            let mut table =
                Table::new(&entry.node, format!("the model of `{}`", entry.key), problems)?;
            let model = table
                .required("model", "model = \"NAME\"", problems)
                .and_then(|model| reader::string(&model.node, "`model`", problems));
            let version = table.get("version").and_then(|version| match &version.node.value {
                Value::Integer(number) if *number >= 0 => {
                    Some(Spanned::new(number.to_string(), version.node.span))
                }
                Value::Integer(_)
                | Value::String { .. }
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_)
                | Value::Table(_) => reader::string(&version.node, "`version`", problems),
            });
            table.finish(problems);
            (model?, version)
        }
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => {
            problems.push(reader::expected(
                &entry.node,
                "the model",
                "a name or { model = \"NAME\", version = \"3\" }",
            ));
            return None;
        }
    };
    reader::check_name(NameKind::Id, &model, "a model", problems);
    Some(ScoreColumn { column: entry.key.clone(), model, version })
}

impl StepKind for Score {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        false
    }

    fn columns(&self, _step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        for score in &self.0 {
            let span = score.column.span;
            flow.add(&score.column, span, Some(DataType::Float64), problems);
            flow.add(&score.model_column(), span, Some(DataType::Utf8), problems);
            flow.scores.push(score.column.value.clone());
        }
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let registry = Registry::new(&chain.riskstream.registry.value);
        let schema = Arc::clone(&chain.schema);
        let mut scores = Vec::new();
        for column in &self.0 {
            let model = match &column.version {
                Some(version) => load_pinned(&registry, column, version)?,
                None => match registry.latest_usable(&column.model.value) {
                    Ok(usable) => usable.model,
                    Err(e) => return Err(model_problem(&registry, column, &e.to_string())),
                },
            };
            let seen = model.version;
            let cell = Arc::new(ModelCell::new(Arc::new(model)));
            if column.version.is_none() {
                let mut watch = ModelWatch::new(&column.model.value, Arc::clone(&schema), seen);
                let (registry, cell) = (registry.clone(), Arc::clone(&cell));
                let mut looked_at = i64::MIN;
                chain.hooks.push(Box::new(move |epoch, now| {
                    if now.saturating_sub(looked_at) < MODEL_POLL_MICROS {
                        return;
                    }
                    looked_at = now;
                    // A version that can't be used is left alone: the one in force stays, and
                    // `riskstream status` shows what the registry holds.
                    if let Some(model) = watch.poll(&registry).model {
                        let _published = cell.publish(epoch, model);
                    }
                }));
            }
            chain.models.push((column.column.value.clone(), Arc::clone(&cell)));
            scores.push(riskstream_operators::ScoreColumn {
                output: column.column.value.clone(),
                version_column: column.model_column(),
                models: cell,
            });
        }
        let id = step.value.clone();
        chain.add_stateless(&step.value, (&[], step.span), move || {
            ScoreOperator::new(&id, scores.clone(), Arc::clone(&schema))
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        // The columns that a model reads change with its versions, so that a score counts as made
        // of all.
        let all: Vec<String> =
            around.input.fields().iter().map(|field| field.name().clone()).collect();
        let of = lineage.facts(around.input, &all);
        for score in &self.0 {
            let version = score.version.as_ref().map_or("newest", |version| version.value.as_str());
            for column in [score.column.value.clone(), score.model_column()] {
                lineage.made(
                    around.output,
                    &column,
                    &format!("model {}, version {version}", score.model),
                    &of,
                );
            }
        }
    }

    fn explain(&self) -> Explained {
        let version = |score: &ScoreColumn| match &score.version {
            Some(version) => format!("version {version}"),
            None => "newest version".to_owned(),
        };
        let says = |score: &ScoreColumn| {
            format!("{} by model {}, {}", score.column, score.model, version(score))
        };
        let adds = |score: &ScoreColumn| [score.column.value.clone(), score.model_column()];
        Explained {
            details: self.0.iter().map(says).collect(),
            columns: self.0.iter().flat_map(adds).collect(),
        }
    }

    fn scores(&self) -> Vec<&str> {
        self.0.iter().map(|score| score.column.value.as_str()).collect()
    }
}

fn load_pinned(
    registry: &Registry,
    column: &ScoreColumn,
    version: &Spanned<String>,
) -> Result<Model, Problem> {
    let number: u64 = version.value.trim_start_matches('v').parse().map_err(|_| {
        Problem::new(
            version.span,
            format!("`{}` is not a version; a version is a number such as 3", version.value),
        )
    })?;
    registry
        .load(&column.model.value, number)
        .map_err(|e| model_problem(registry, column, &e.to_string()))
}

fn model_problem(registry: &Registry, column: &ScoreColumn, reason: &str) -> Problem {
    let problem = Problem::new(column.model.span, reason.to_owned());
    let known = registry.names().unwrap_or_default();
    match suggest::help(&column.model.value, known.iter().map(String::as_str), "the registry has") {
        Some(help) => problem.help(help),
        None => problem.help("train it first: riskstream train"),
    }
}
