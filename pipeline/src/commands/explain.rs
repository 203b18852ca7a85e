//! `riskstream explain`: the dataflow of a configuration, as text, as a Mermaid flowchart, or as
//! nodes and edges in JSON.
//!
//! A source and its watermark, then per pipeline its steps (with their keys, windows and columns)
//! and destinations. It shows what the file says, defaults filled in; nothing is opened.

use std::fmt::Write as _;
use std::io::Write;

use serde::Serialize;

use super::CommandError;
use crate::cli::{ExplainArgs, ExplainFormat};
use crate::config::defaults;
use crate::config::spec::{
    Deliver, Destination, DestinationKind, GeneratorSource, KafkaStop, Late, Loans, MessagePart,
    Partitioning, Payments, Pipeline, Rate, Simulation, Source, SourceKind, Spec, Step, Stop,
    WhenQuiet,
};
use crate::config::values::duration_text;
use crate::steps::Explained;

/// Prints the dataflow of a configuration.
///
/// # Errors
/// The configuration has problems, or there is no pipeline of a name in `--only`.
pub fn explain(args: &ExplainArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let config = super::load(&args.config)?;
    for name in &args.only {
        if config.spec.pipeline(name).is_none() {
            return Err(no_such_pipeline(&config.spec, name));
        }
    }
    let graph = graph(&config.spec, &args.only);
    match args.format {
        ExplainFormat::Text => out.write_all(graph.text().as_bytes())?,
        ExplainFormat::Mermaid => out.write_all(graph.mermaid().as_bytes())?,
        ExplainFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &graph)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The error for a `--only` that names no pipeline.
pub fn no_such_pipeline(spec: &Spec, name: &str) -> CommandError {
    let names = spec.pipelines.iter().map(|pipeline| pipeline.name.value.as_str());
    CommandError::Usage {
        message: format!("there is no pipeline `{name}`"),
        help: crate::config::suggest_name(name, names, "the pipelines are"),
    }
}

/// What flows where.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// The pipelines shown.
    pub pipelines: Vec<PipelineHead>,
    /// Sources, steps and destinations, each after what it reads from.
    pub nodes: Vec<Node>,
    /// From a node to the next.
    pub edges: Vec<Edge>,
}

/// What holds for a pipeline as a whole.
#[derive(Debug, Clone, Serialize)]
pub struct PipelineHead {
    /// Its name.
    pub name: String,
    /// Its source.
    pub from: String,
    /// `event-time` or `arrival`.
    pub order: &'static str,
    /// `apply` or `dead-letter`.
    pub late: &'static str,
}

/// A source, step or destination.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// `source`, `pipeline/step` or `pipeline/to/destination`.
    pub id: String,
    /// Its name in the file.
    pub name: String,
    /// The pipeline; `None` for a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// `source`, `step` or `destination`.
    pub role: Role,
    /// `file`, `features`, `delta`, ...
    pub kind: String,
    /// What it does, a line each.
    pub details: Vec<String>,
    /// The columns that it adds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Rows enter.
    Source,
    /// Rows change.
    Step,
    /// Rows leave.
    Destination,
}

/// Rows go from one node to another.
#[derive(Debug, Clone, Serialize)]
pub struct Edge {
    /// A node's id.
    pub from: String,
    /// A node's id.
    pub to: String,
    /// How rows find their worker, where they are exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
}

/// The dataflow of a spec; `only` names the pipelines to show, none: all.
pub fn graph(spec: &Spec, only: &[String]) -> Graph {
    let mut graph = Graph { pipelines: Vec::new(), nodes: Vec::new(), edges: Vec::new() };
    let pipelines: Vec<&Pipeline> = spec
        .pipelines
        .iter()
        .filter(|pipeline| only.is_empty() || only.contains(&pipeline.name.value))
        .collect();
    for source in &spec.sources {
        if pipelines.iter().any(|pipeline| *pipeline.from == *source.name) {
            graph.nodes.push(source_node(source));
        }
    }
    for pipeline in pipelines {
        graph.add_pipeline(pipeline);
    }
    graph
}

impl Graph {
    fn add_pipeline(&mut self, pipeline: &Pipeline) {
        let name = &pipeline.name.value;
        self.pipelines.push(PipelineHead {
            name: name.clone(),
            from: pipeline.from.value.clone(),
            order: pipeline.order.as_str(),
            late: pipeline.late.as_str(),
        });
        let mut last = pipeline.from.value.clone();
        for step in &pipeline.steps {
            let id = format!("{name}/{}", step.id);
            let exchange = step.kind.exchange().map(|by| format!("by {}", by.join(", ")));
            self.edges.push(Edge { from: last, to: id.clone(), exchange });
            self.nodes.push(step_node(step, &id, name));
            last = id;
        }
        for destination in &pipeline.to {
            let id = format!("{name}/to/{}", destination.id);
            self.edges.push(Edge { from: last.clone(), to: id.clone(), exchange: None });
            self.nodes.push(destination_node(destination, &id, name));
        }
    }

    /// An indented list: sources, then pipelines with their steps and destinations.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut pipeline: Option<&str> = None;
        for node in &self.nodes {
            if let Some(name) = node.pipeline.as_deref()
                && pipeline != Some(name)
            {
                for head in self.pipelines.iter().filter(|head| head.name == name) {
                    let late = if head.late == Late::Apply.as_str() {
                        "applied and flagged"
                    } else {
                        "to dead letters"
                    };
                    push_line(
                        &mut out,
                        format_args!(
                            "pipeline {name}, from {}, in {} order, late rows {late}",
                            head.from, head.order
                        ),
                    );
                }
                pipeline = Some(name);
            }
            let exchange = self
                .edges
                .iter()
                .find(|edge| edge.to == node.id)
                .and_then(|edge| edge.exchange.as_deref());
            match node.role {
                Role::Source => {
                    push_line(&mut out, format_args!("source {} ({})", node.name, node.kind))
                }
                Role::Step => {
                    if let Some(exchange) = exchange {
                        push_line(&mut out, format_args!("  ⇄ exchange {exchange}"));
                    }
                    push_line(&mut out, format_args!("  ↓ {} ({})", node.name, node.kind));
                }
                Role::Destination => {
                    push_line(&mut out, format_args!("  → {} ({})", node.name, node.kind))
                }
            }
            for detail in &node.details {
                push_line(&mut out, format_args!("      {detail}"));
            }
            if !node.columns.is_empty() {
                push_line(&mut out, format_args!("      + {}", node.columns.join(", ")));
            }
        }
        out
    }

    /// A Mermaid flowchart, one subgraph per pipeline.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        let key = |id: &str| {
            self.nodes
                .iter()
                .position(|node| node.id == id)
                .map_or_else(String::new, |index| format!("n{index}"))
        };
        let mut open: Option<&str> = None;
        for node in &self.nodes {
            let pipeline = node.pipeline.as_deref();
            if pipeline != open {
                if open.is_some() {
                    push_line(&mut out, format_args!("  end"));
                }
                if let Some(name) = pipeline {
                    push_line(
                        &mut out,
                        format_args!(
                            "  subgraph {}[\"{}\"]",
                            format_args!("p{}", key(&node.id)),
                            escape(name)
                        ),
                    );
                }
                open = pipeline;
            }
            let mut label = format!("<b>{}</b><br/>{}", escape(&node.name), escape(&node.kind));
            for detail in &node.details {
                let _infallible = write!(label, "<br/>{}", escape(detail));
            }
            let (left, right) = match node.role {
                Role::Source => ("([", "])"),
                Role::Step => ("[", "]"),
                Role::Destination => ("[(", ")]"),
            };
            push_line(&mut out, format_args!("  {}{left}\"{label}\"{right}", key(&node.id)));
        }
        if open.is_some() {
            push_line(&mut out, format_args!("  end"));
        }
        for edge in &self.edges {
            match &edge.exchange {
                Some(exchange) => push_line(
                    &mut out,
                    format_args!(
                        "  {} -->|\"{}\"| {}",
                        key(&edge.from),
                        escape(exchange),
                        key(&edge.to)
                    ),
                ),
                None => {
                    push_line(&mut out, format_args!("  {} --> {}", key(&edge.from), key(&edge.to)))
                }
            }
        }
        out
    }
}

fn push_line(out: &mut String, line: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(out, "{line}");
}

/// Text within a quoted Mermaid label.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', " ")
}

fn source_node(source: &Source) -> Node {
    let time = &source.event_time;
    let mut details = match &source.kind {
        SourceKind::File(file) => {
            let format = file.format.map_or("format by extension", |format| format.as_str());
            let follow = if file.follow { ", followed" } else { "" };
            vec![format!(
                "{}, {format}{follow}",
                join(file.paths.iter().map(|path| path.value.as_str()))
            )]
        }
        SourceKind::Generator(generator) => vec![generator_detail(generator)],
        SourceKind::Kafka(kafka) => {
            let mut details = vec![format!(
                "topic {} of {}, {}, from {}, {}",
                kafka.topic,
                kafka.brokers,
                kafka.format,
                kafka.start,
                if kafka.stop == KafkaStop::End { "to the present end" } else { "followed" }
            )];
            details.extend(kafka.columns.iter().map(|(column, part)| match part {
                MessagePart::Key => format!("{column} = the key"),
                MessagePart::Timestamp => format!("{column} = the message's timestamp"),
                MessagePart::Header(name) => format!("{column} = the header {name}"),
            }));
            details
        }
        SourceKind::Postgres(postgres) => {
            let stop = if postgres.stop == Stop::End { ", to the server's end" } else { "" };
            vec![
                format!("changes of {} at {}", postgres.table, postgres.url),
                format!(
                    "slot {}, publication {}, heartbeat {}{stop}",
                    postgres.slot,
                    postgres.publication,
                    duration_text(postgres.heartbeat)
                ),
            ]
        }
    };
    let ties = match time.ties_by.is_empty() {
        true => "source position".to_owned(),
        false => join(time.ties_by.iter().map(|column| column.value.as_str())),
    };
    let made = match &time.parts[..] {
        [] => String::new(),
        parts => format!(" of {}", join(parts.iter().map(|column| column.value.as_str()))),
    };
    let zone = time.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    details.push(format!(
        "event time {}{made}{zone}, up to {} out of order, ties by {ties}",
        time.column,
        duration_text(time.out_of_orderness)
    ));
    if time.when_quiet == WhenQuiet::Clock {
        details.push(format!(
            "after {} without a change, event time goes on by the clock",
            duration_text(time.idle_after)
        ));
    }
    details.extend(source.checks.iter().map(|check| format!("must: {}", check.as_str())));
    let columns = source.schema.iter().flatten().map(|field| field.name.value.clone()).collect();
    Node {
        id: source.name.value.clone(),
        name: source.name.value.clone(),
        pipeline: None,
        role: Role::Source,
        kind: source.kind.as_str().into(),
        details,
        columns,
    }
}

fn generator_detail(generator: &GeneratorSource) -> String {
    let rate = match generator.rate {
        Rate::Max => "as fast as possible".to_owned(),
        Rate::PerSecond(rate) => format!("{rate} rows/s"),
    };
    let rows = generator.rows.map(|rows| format!(", at most {rows} rows")).unwrap_or_default();
    let of = match &generator.of {
        Simulation::Payments(Payments { customers, terminals, days, .. }) => {
            format!("{customers} customers, {terminals} terminals, {days} days")
        }
        Simulation::Loans(Loans { loans, lenders, months }) => {
            format!("{loans} loans, {lenders} lenders, {months} months")
        }
    };
    format!("{of} from {}, seed {}, {rate}{rows}", generator.start, generator.seed)
}

fn step_node(step: &Step, id: &str, pipeline: &str) -> Node {
    let Explained { details, columns } = step.kind.explain();
    Node {
        id: id.to_owned(),
        name: step.id.value.clone(),
        pipeline: Some(pipeline.to_owned()),
        role: Role::Step,
        kind: step.kind.kind().key.into(),
        details,
        columns,
    }
}

fn destination_node(destination: &Destination, id: &str, pipeline: &str) -> Node {
    let mut details = Vec::new();
    match &destination.kind {
        DestinationKind::Delta(table) | DestinationKind::Alerts(table) => {
            let layout = match &table.partition_by {
                Partitioning::EventDate => format!("by {}", defaults::EVENT_DATE_COLUMN),
                Partitioning::None => "not partitioned".to_owned(),
            };
            details.push(format!("table {}, {layout}", table.table));
        }
        DestinationKind::Console(console) => details.push(format!("up to {} rows", console.rows)),
        DestinationKind::Kafka(kafka) => {
            let key =
                kafka.key.as_ref().map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
            details.push(format!("topic {} of {}, JSON, {key}", kafka.topic, kafka.brokers));
            details.extend(
                kafka.headers.iter().map(|(header, column)| format!("header {header} = {column}")),
            );
        }
    }
    if let Some(when) = &destination.when {
        details.push(format!("when {}", when.as_str()));
    }
    if let Some(columns) = &destination.columns {
        details
            .push(format!("columns {}", join(columns.iter().map(|column| column.value.as_str()))));
    }
    if destination.deliver == Deliver::Immediately {
        details.push("delivered immediately".to_owned());
    }
    Node {
        id: id.to_owned(),
        name: destination.id.value.clone(),
        pipeline: Some(pipeline.to_owned()),
        role: Role::Destination,
        kind: destination.kind.as_str().into(),
        details,
        columns: Vec::new(),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
