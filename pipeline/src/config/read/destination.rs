//! `[[pipelines.NAME.to]]`.

use super::shared::unknown_kind;
use crate::config::defaults;
use crate::config::document::{Node, Value};
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::spec::{
    Console, Deliver, Destination, DestinationKind, Partitioning, Sql, TableDestination,
};
use crate::config::values::NameKind;

const KINDS: [&str; 4] = ["delta", "alerts", "console", "kafka"];
const KINDS_LATER: [&str; 1] = ["webhook"];
/// What `partition_by` says to partition by the date of the event time.
const EVENT_DATE: &str = "event-date";

/// The destination's id, and the destination if it could be read.
pub(super) fn destination(
    node: &Node,
    index: usize,
    pipeline: &str,
    deliver_default: Deliver,
    has_decide: bool,
    problems: &mut Vec<Problem>,
) -> (Option<Spanned<String>>, Option<Destination>) {
    let Some(mut table) =
        Table::new(node, format!("destination {} of pipeline `{pipeline}`", index + 1), problems)
    else {
        return (None, None);
    };
    let id = table
        .required("id", "id = \"NAME\", the key of the destination's progress", problems)
        .and_then(|id| reader::string(&id.node, "`id`", problems));
    if let Some(id) = &id {
        reader::check_name(NameKind::Id, id, "a destination", problems);
        table.what = format!("destination `{id}`");
    }
    let kind_name = table
        .required("kind", "kind = \"delta\"", problems)
        .and_then(|kind| reader::string(&kind.node, "`kind`", problems));
    let when = table.sql("when", problems);
    let columns = columns(&mut table, problems);
    let deliver = table.keyword::<Deliver>("deliver", problems);
    let kind = match kind_name.as_ref().map(|kind| kind.value.as_str()) {
        Some("delta") => {
            let table_name = table
                .required("table", "table = \"NAME\"", problems)
                .and_then(|name| reader::string(&name.node, "`table`", problems));
            let partition_by = partition_by(&mut table, Partitioning::EventDate, problems);
            let sort_by = sort_by(&mut table, problems);
            table_name.map(|name| {
                let table = table_destination(name, partition_by, sort_by, problems);
                DestinationKind::Delta(table)
            })
        }
        Some("alerts") => {
            let span = table.span;
            let name = table
                .string("table", problems)
                .unwrap_or_else(|| Spanned::new(defaults::ALERTS_TABLE.into(), span));
            // Alerts are few: a file per day would make a table of tiny files.
            let partition_by = partition_by(&mut table, Partitioning::None, problems);
            let sort_by = sort_by(&mut table, problems);
            let table = table_destination(name, partition_by, sort_by, problems);
            Some(DestinationKind::Alerts(table))
        }
        Some("console") => {
            let rows = table
                .integer("rows", 1, 1_000_000, problems)
                .map_or(defaults::CONSOLE_ROWS, |rows| rows.value);
            Some(DestinationKind::Console(Console { rows }))
        }
        Some("kafka") => {
            super::kafka::destination(&mut table, problems).map(DestinationKind::Kafka)
        }
        _ => {
            if let Some(kind) = &kind_name {
                problems.push(unknown_kind(kind, "destination", &KINDS, &KINDS_LATER));
            }
            return (id, None);
        }
    };
    let when = match (&kind, when) {
        (Some(DestinationKind::Alerts(_)), None) if table.get("when").is_none() => {
            alerts_when(&table, has_decide, problems)
        }
        (_, when) => when,
    };
    let is_delta = matches!(kind, Some(DestinationKind::Delta(_) | DestinationKind::Alerts(_)));
    let deliver = match deliver {
        Some(deliver) if is_delta && deliver.value == Deliver::Immediately => {
            problems.push(
                Problem::new(deliver.span, "a Delta table takes rows only once they are committed")
                    .help("`immediately` is for destinations of kind `console` and `kafka`"),
            );
            Deliver::Committed
        }
        Some(deliver) => deliver.value,
        None if is_delta => Deliver::Committed,
        None => deliver_default,
    };
    let (about, about_columns) = match is_delta {
        true => (table.string("about", problems), about_columns(&mut table, problems)),
        false => (None, Vec::new()),
    };
    table.finish(problems);
    let destination = id.clone().zip(kind).map(|(id, kind)| Destination {
        id,
        kind,
        when,
        columns,
        deliver,
        about: about.map(|about| about.value),
        about_columns,
    });
    (id, destination)
}

/// `about_columns = { NAME = "TEXT" }`.
fn about_columns(
    table: &mut Table<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(Spanned<String>, String)> {
    let Some(columns) = table.table("about_columns", problems) else { return Vec::new() };
    let mut about = Vec::new();
    for entry in columns.entries() {
        let text = reader::string(&entry.node, &format!("`{}`", entry.key), problems);
        about.extend(text.map(|text| (entry.key.clone(), text.value)));
    }
    about
}

/// The rows that are alerts if the file doesn't say: those that a `decide` step didn't approve.
fn alerts_when(table: &Table<'_>, has_decide: bool, problems: &mut Vec<Problem>) -> Option<Sql> {
    if !has_decide {
        problems.push(
            Problem::new(table.span, format!("{} doesn't say which rows are alerts", table.what))
                .help("add a `decide` step to the pipeline, or when = \"SQL\" here"),
        );
        return None;
    }
    Some(Sql { text: Spanned::new(defaults::ALERTS_WHEN.into(), table.span), verbatim_at: None })
}

fn table_destination(
    table: Spanned<String>,
    partition_by: Partitioning,
    sort_by: Option<Vec<Spanned<String>>>,
    problems: &mut Vec<Problem>,
) -> TableDestination {
    reader::check_name(NameKind::Identifier, &table, "a table", problems);
    TableDestination { table, partition_by, sort_by }
}

/// The columns by which compaction sorts; an empty array: by none.
fn sort_by(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<String>>> {
    let columns = table.strings("sort_by", problems)?;
    no_repeats(&columns, "sort_by", problems);
    Some(columns)
}

fn columns(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Spanned<String>>> {
    let span = table.get("columns")?.node.span;
    let columns = table.strings("columns", problems)?;
    if columns.is_empty() {
        problems.push(
            Problem::new(span, "`columns` names no column").help("remove it to keep all columns"),
        );
    }
    no_repeats(&columns, "columns", problems);
    Some(columns)
}

fn partition_by(
    table: &mut Table<'_>,
    absent: Partitioning,
    problems: &mut Vec<Problem>,
) -> Partitioning {
    let Some(entry) = table.get("partition_by") else { return absent };
    if matches!(
        &entry.node.value,
        Value::String { text, .. }
            if text == EVENT_DATE || text == defaults::EVENT_DATE_COLUMN
    ) {
        return Partitioning::EventDate;
    }
    let columns = table.strings("partition_by", problems).unwrap_or_default();
    if let Some(first) = columns.first() {
        problems.push(
            Problem::new(first.span, "a table is partitioned by the event's date, or not at all")
                .help(
                    "leave `partition_by` out, or write `partition_by = []`; files hold the least \
                     and the most of each column, by which queries skip them",
                ),
        );
    }
    Partitioning::None
}

fn no_repeats(columns: &[Spanned<String>], key: &str, problems: &mut Vec<Problem>) {
    for (index, column) in columns.iter().enumerate() {
        if let Some(first) = columns[..index].iter().find(|first| first.value == column.value) {
            problems.push(
                Problem::new(column.span, format!("`{key}` names `{column}` twice"))
                    .related(first.span, "the first"),
            );
        }
    }
}
