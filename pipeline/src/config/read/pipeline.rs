//! `[pipelines.NAME]`.

use super::shared::tables;
use super::{destination, service, step};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::Pipeline;

/// A pipeline, and how many of its steps from the first were read without a problem (`None`: all);
/// nothing if it has no `from`.
pub(super) fn pipeline(
    entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<(Pipeline, Option<usize>)> {
    let name = &entry.key;
    let mut table = Table::new(&entry.node, format!("pipeline `{name}`"), problems)?;
    let from = table
        .required("from", "from = \"SOURCE\"", problems)
        .and_then(|from| reader::string(&from.node, "`from`", problems));
    let order = table.keyword("order", problems).map_or(defaults::ORDER, |order| order.value);
    let late = table.keyword("late", problems).map_or(defaults::LATE, |late| late.value);
    let on_failure = service::on_failure(&mut table, problems);
    let deliver =
        table.keyword("deliver", problems).map_or(defaults::DELIVER, |deliver| deliver.value);

    let mut steps = Vec::new();
    let mut step_ids: Vec<Spanned<String>> = Vec::new();
    let mut sound_steps = None;
    if let Some(entry) = table.get("steps") {
        let elements = tables(entry, "`steps`", &format!("[[pipelines.{name}.steps]]"), problems);
        if elements.is_empty()
            && !matches!(&entry.node.value, crate::config::document::Value::Array(_))
        {
            sound_steps = Some(0);
        }
        let mut ids = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let (id, step) = step::step(element, index, name, problems);
            ids.extend(id);
            if step.is_none() {
                sound_steps = sound_steps.or(Some(steps.len()));
            }
            steps.extend(step);
        }
        reader::check_unique(&ids, "step", problems);
        step_ids = ids;
    }
    let mut to = Vec::new();
    let mut has_to = false;
    match table.get("to") {
        Some(entry) => {
            let elements = tables(entry, "`to`", &format!("[[pipelines.{name}.to]]"), problems);
            has_to = !elements.is_empty();
            let has_decide = sound_steps.is_some() || steps.iter().any(|step| step.kind.decides());
            let mut ids = Vec::new();
            for (index, element) in elements.iter().enumerate() {
                let (id, destination) =
                    destination::destination(element, index, name, deliver, has_decide, problems);
                ids.extend(id);
                to.extend(destination);
            }
            reader::check_unique(&ids, "destination", problems);
            for id in &ids {
                if let Some(step) = step_ids.iter().find(|step| step.value == id.value) {
                    let problem = Problem::new(
                        id.span,
                        format!("a step and a destination are both called `{id}`"),
                    );
                    problems.push(
                        problem
                            .related(step.span, "the step")
                            .help("give one of them another id: rows and state are told by it"),
                    );
                }
            }
        }
        None if has_near_miss(&table, "to") => has_to = true,
        None => {}
    }
    if !has_to {
        problems.push(Problem::new(table.span, format!("pipeline `{name}` leads nowhere")).help(
            format!(
                "add a destination: [[pipelines.{name}.to]] with id = \"NAME\", \
                 kind = \"delta\" and table = \"NAME\""
            ),
        ));
    }
    table.finish(problems);
    let pipeline = Pipeline { name: name.clone(), from: from?, order, late, on_failure, steps, to };
    Some((pipeline, sound_steps))
}

fn has_near_miss(table: &Table<'_>, key: &str) -> bool {
    crate::config::suggest::closest(
        key,
        table.entries().iter().map(|entry| entry.key.value.as_str()),
    )
    .is_some()
}
