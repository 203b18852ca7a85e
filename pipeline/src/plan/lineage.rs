//! How the rows and columns that a step reads are made, back to the source: what the meaning of its
//! state depends on beside its own words.
//!
//! Only meaning is in it: expressions as their syntax tree says them, filters in no order, no ids
//! of steps without state.

use arrow::datatypes::{DataType, Schema};
use riskstream_engine::contract::{Fact, Feed};
use riskstream_expressions::syntax;
use riskstream_ingest::{Encoding, EncodingChoice, NumberMarks};

use super::micros;
use crate::config::Spanned;
use crate::config::spec::{
    self, Aggregation, Changelog, DerivedColumn, Features, Pipeline, Previous, Sample, ScoreColumn,
    Shares, Source,
};
use crate::config::spec::{SourceKind, Sql, Step, StepKind, TimeFormat};

/// How a time is written, in words; none: as usual.
fn written_as(format: &TimeFormat) -> Option<String> {
    let format = match format {
        TimeFormat::Auto => return None,
        TimeFormat::UnixSeconds => "seconds since 1970",
        TimeFormat::UnixMillis => "milliseconds since 1970",
        TimeFormat::UnixMicros => "microseconds since 1970",
        TimeFormat::Pattern(pattern) => pattern.as_str(),
    };
    Some(format!("written as {format}"))
}

/// What rows are made of so far.
#[derive(Debug, Clone)]
pub(crate) struct Lineage {
    feed: Feed,
    /// What keeps rows away, each in words; they apply in any order.
    conditions: Vec<String>,
}

impl Lineage {
    /// Of a source's rows, `schema` being theirs.
    pub(super) fn new(source: &Source, pipeline: &Pipeline, schema: &Schema) -> Self {
        let mut lineage = Self { feed: Feed::default(), conditions: Vec::new() };
        let late = match pipeline.late {
            spec::Late::Apply => "applied",
            spec::Late::DeadLetter => "dead letters",
        };
        lineage.feed.rows.push(Fact::new("late rows", late));
        lineage.forms(source, schema);
        lineage.event_time(source, schema);
        lineage.message_parts(source, schema);
        lineage
    }

    /// What a step reads after this.
    pub(super) fn feed(&self) -> Feed {
        let mut feed = self.feed.clone();
        feed.rows.extend(self.conditions().map(|conditions| Fact::new("rows where", conditions)));
        feed
    }

    /// All conditions so far, in one order whatever theirs is.
    fn conditions(&self) -> Option<String> {
        let mut conditions = self.conditions.clone();
        conditions.sort();
        conditions.dedup();
        (!conditions.is_empty()).then(|| conditions.join(" and "))
    }

    fn event_time(&mut self, source: &Source, schema: &Schema) {
        let time = &source.event_time;
        let parts: Vec<&str> = time.parts.iter().map(|part| part.value.as_str()).collect();
        let said = [
            (!parts.is_empty()).then(|| format!("made of {}", parts.join(" and "))),
            written_as(&time.format),
            time.zone.as_ref().map(|zone| format!("in the time of {zone}")),
        ];
        self.said(schema, &time.column.value, said);
    }

    /// What values of the source mean, where it is not what they mean as usual.
    fn forms(&mut self, source: &Source, schema: &Schema) {
        let encoding = match &source.kind {
            // A byte-order mark tells what is meant by itself.
            SourceKind::File(file) => match file.encoding {
                EncodingChoice::Is(encoding) => encoding,
                EncodingChoice::Auto | EncodingChoice::Utf16 => Encoding::Utf8,
            },
            SourceKind::Kafka(kafka) => kafka.encoding,
            SourceKind::Generator(_) | SourceKind::Postgres(_) => return,
        };
        let is_single = matches!(encoding, Encoding::SingleByte(_));
        let (numbers, words) = (&source.forms.numbers, &source.forms.words);
        let fields = source.schema.as_deref().unwrap_or_default();
        for column in schema.fields().iter().map(|field| field.name()) {
            let Ok(field) = schema.field_with_name(column) else { continue };
            let of_column = fields.iter().find(|field| field.name.value == *column);
            let is_number = field.data_type().is_numeric();
            let said = [
                of_column
                    .and_then(|field| field.from.as_ref())
                    .map(|from| format!("read from {from}")),
                of_column
                    .and_then(|field| field.format.as_ref())
                    .and_then(|format| written_as(&format.value)),
                of_column
                    .and_then(|field| field.zone.as_ref())
                    .map(|zone| format!("in the time of {zone}")),
                (is_number && *numbers != NumberMarks::default()).then(|| {
                    let thousands: String = numbers.thousands.iter().collect();
                    format!("with the decimal mark {:?} and {thousands:?}", numbers.decimal)
                }),
                words.as_ref().filter(|_| field.data_type() == &DataType::Boolean).map(|words| {
                    format!("true as {}, false as {}", words.yes.join("|"), words.no.join("|"))
                }),
                (is_single && field.data_type() == &DataType::Utf8)
                    .then(|| format!("encoded as {encoding}")),
            ];
            self.said(schema, column, said);
        }
    }

    /// A column of a source of which there is anything to say.
    fn said(
        &mut self,
        schema: &Schema,
        column: &str,
        said: impl IntoIterator<Item = Option<String>>,
    ) {
        let said: Vec<String> = said.into_iter().flatten().collect();
        if !said.is_empty() {
            self.made(schema, column, &said.join(", "), &[]);
        }
    }

    /// Columns of a topic that are not taken from the message's value.
    fn message_parts(&mut self, source: &Source, schema: &Schema) {
        let SourceKind::Kafka(kafka) = &source.kind else { return };
        for (column, part) in &kafka.columns {
            let part = match part {
                spec::MessagePart::Key => "the message's key".to_owned(),
                spec::MessagePart::Timestamp => "the message's timestamp".to_owned(),
                spec::MessagePart::Header(header) => format!("the message's header {header}"),
            };
            self.made(schema, &column.value, &part, &[]);
        }
    }

    /// Rows for which a check is false go no further.
    pub(super) fn checks(&mut self, checks: &[Sql], schema: &Schema) {
        for check in checks {
            self.condition(check, schema, "is not false");
        }
    }

    /// Takes a step in; `input` and `output` are the columns before it and after it.
    pub(super) fn step(&mut self, step: &Step, event_time: &str, input: &Schema, output: &Schema) {
        match &step.kind {
            StepKind::Filter(sql) => self.condition(sql, input, ""),
            StepKind::Derive(columns) => self.derived(columns, input, output),
            StepKind::Features(features) => {
                self.features(step, features, event_time, input, output)
            }
            StepKind::Changelog(changelog) => self.changelog(step, changelog, input, output),
            StepKind::Aggregate(aggregation) => {
                self.aggregate(step, aggregation, event_time, input, output)
            }
            StepKind::Previous(previous) => self.previous(step, previous, input, output),
            StepKind::Sample(sample) => self.sample(step, sample, input),
            StepKind::Shares(shares) => self.shares(step, shares, input, output),
            StepKind::Identities(identities) => self.identities(identities, input, output),
            StepKind::Score(scores) => self.score(scores, input, output),
            StepKind::Decide(decide) => {
                let says = format!(
                    "{} reviewed from {:?}, declined from {:?}, {} reasons",
                    decide.score, decide.review, decide.decline, decide.reasons
                );
                let read = vec![decide.score.value.clone()];
                self.added(input, output, |_| says.clone(), &read);
            }
        }
    }

    /// The facts of what is read, each once.
    fn facts(&self, schema: &Schema, columns: &[String]) -> Vec<Fact> {
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
    fn made(&mut self, schema: &Schema, column: &str, says: &str, of: &[Fact]) {
        self.made_by("", schema, column, says, of);
    }

    fn made_by(&mut self, step: &str, schema: &Schema, column: &str, says: &str, of: &[Fact]) {
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
    fn added(
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

    fn condition(&mut self, sql: &Sql, schema: &Schema, suffix: &str) {
        let (text, read) = told(sql);
        self.conditions
            .push(format!("({text}){}{suffix}", if suffix.is_empty() { "" } else { " " }));
        self.decides_rows(schema, &read);
    }

    /// Which rows come depends on these columns.
    fn decides_rows(&mut self, schema: &Schema, read: &[String]) {
        for fact in self.facts(schema, read) {
            if !self.feed.rows_read.contains(&fact) {
                self.feed.rows_read.push(fact);
            }
        }
    }

    /// Which rows leave is the business of a step with state.
    fn rows_of(&mut self, step: &Step, says: String, schema: &Schema, read: &[String]) {
        self.decides_rows(schema, read);
        // What kept rows away from that step is not what keeps its own away.
        let before = self
            .conditions()
            .map(|conditions| Fact::new(format!("rows before `{}` where", step.id), conditions));
        self.conditions.clear();
        self.feed
            .rows
            .extend(before.into_iter().chain([Fact::new(format!("step `{}`", step.id), says)]));
    }

    fn derived(&mut self, columns: &[DerivedColumn], input: &Schema, output: &Schema) {
        // Every expression sees the columns before the step.
        let before = self.clone();
        for column in columns {
            let (text, read) = told(&column.sql);
            self.made(output, &column.name.value, &text, &before.facts(input, &read));
        }
    }

    fn features(
        &mut self,
        step: &Step,
        features: &Features,
        event_time: &str,
        input: &Schema,
        output: &Schema,
    ) {
        let by = names(&features.by);
        let mut read = by.clone();
        read.push(event_time.to_owned());
        let of_all = self.facts(input, &read);
        for (name, feature, _) in features.columns() {
            let own: Vec<String> =
                feature.aggregate.input().map(|column| column.value.clone()).into_iter().collect();
            let mut of = self.facts(input, &own);
            of.extend(of_all.iter().cloned());
            let says = format!(
                "{} by {} up to {} µs before{}, of nothing {:?}",
                feature.aggregate,
                by.join(", "),
                micros(features.delay),
                if features.include_current { " and with the row" } else { "" },
                features.empty
            );
            self.made_by(&format!(" of `{}`", step.id), output, &name, &says, &of);
        }
    }

    fn changelog(&mut self, step: &Step, changelog: &Changelog, input: &Schema, output: &Schema) {
        let all: Vec<String> = input.fields().iter().map(|field| field.name().clone()).collect();
        let (deleted, read) = changelog.deleted.as_ref().map(told).unwrap_or_default();
        let mut decides = names(&changelog.key);
        decides.extend(read);
        let columns = changelog
            .columns
            .as_ref()
            .map(|columns| names(columns).join(", "))
            .unwrap_or_else(|| "all columns".into());
        let says =
            format!("changes of {columns} by {}, deleted where {deleted:?}", decides.join(", "));
        self.rows_of(step, says, input, &decides);
        for (name, column) in &changelog.previous {
            let of = self.facts(input, std::slice::from_ref(&column.value));
            self.made_by(
                &format!(" of `{}`", step.id),
                output,
                &name.value,
                &format!("{column} before"),
                &of,
            );
        }
        for ever in &changelog.ever {
            let (text, read) = told(&ever.sql);
            let of = self.facts(input, &read);
            self.made_by(
                &format!(" of `{}`", step.id),
                output,
                &ever.name.value,
                &format!("ever {text}"),
                &of,
            );
        }
        // What is taken back and added depends on every column of a record.
        self.decides_rows(input, &changelog.columns.as_ref().map_or(all, |columns| names(columns)));
    }

    fn aggregate(
        &mut self,
        step: &Step,
        aggregation: &Aggregation,
        event_time: &str,
        input: &Schema,
        output: &Schema,
    ) {
        let by = names(&aggregation.by);
        let windows: Vec<&str> =
            aggregation.windows.iter().map(|window| window.label.as_str()).collect();
        let before = self.clone();
        let mut read = by.clone();
        read.push(event_time.to_owned());
        let says =
            format!("windows {} by {}, {}", windows.join(", "), by.join(", "), aggregation.results);
        self.rows_of(step, says, input, &read);
        self.feed.columns.retain(|column, _| by.contains(column));
        for aggregate in &aggregation.aggregates {
            let own: Vec<String> = aggregate
                .aggregate
                .input()
                .map(|column| column.value.clone())
                .into_iter()
                .collect();
            let of = before.facts(input, &own);
            self.made_by(
                &format!(" of `{}`", step.id),
                output,
                &aggregate.name.value,
                &aggregate.aggregate.to_string(),
                &of,
            );
        }
    }

    /// Rows once more under the names for all, before the step's own.
    pub(super) fn totals(&mut self, totals: &[(Spanned<String>, Spanned<String>)]) {
        if totals.is_empty() {
            return;
        }
        let mut totals: Vec<String> =
            totals.iter().map(|(column, name)| format!("{column} = {name}")).collect();
        totals.sort();
        self.feed.rows.push(Fact::new("totals", totals.join(", ")));
    }

    fn previous(&mut self, step: &Step, previous: &Previous, input: &Schema, output: &Schema) {
        let by = names(&previous.by);
        self.rows_of(step, format!("rows beside those before by {}", by.join(", ")), input, &by);
        for (name, column) in &previous.columns {
            let of = self.facts(input, std::slice::from_ref(&column.value));
            self.made_by(
                &format!(" of `{}`", step.id),
                output,
                &name.value,
                &format!("{column} before by {}", by.join(", ")),
                &of,
            );
        }
    }

    fn sample(&mut self, step: &Step, sample: &Sample, input: &Schema) {
        let by = names(&sample.by);
        self.rows_of(
            step,
            format!("samples every {:?} by {}", sample.every, by.join(", ")),
            input,
            &by,
        );
    }

    fn shares(&mut self, step: &Step, shares: &Shares, input: &Schema, output: &Schema) {
        let of = names(&shares.of);
        self.rows_of(step, format!("shares of {}", of.join(", ")), input, &of);
        for share in &shares.shares {
            let read = self.facts(input, std::slice::from_ref(&share.column.value));
            let says = format!("{}({}) of {}", share.function, share.column, of.join(", "));
            self.made_by(&format!(" of `{}`", step.id), output, &share.name.value, &says, &read);
        }
    }

    fn identities(&mut self, identities: &[DerivedColumn], input: &Schema, output: &Schema) {
        let (mut says, mut read) = (Vec::new(), Vec::new());
        for identity in identities {
            let (text, columns) = told(&identity.sql);
            says.push(format!("{} = {text}", identity.name));
            read.extend(columns);
        }
        self.added(input, output, |_| says.join(", "), &read);
    }

    fn score(&mut self, scores: &[ScoreColumn], input: &Schema, output: &Schema) {
        // Which columns a model reads is its own affair, and changes with its versions.
        let all: Vec<String> = input.fields().iter().map(|field| field.name().clone()).collect();
        let of = self.facts(input, &all);
        for score in scores {
            let version = score.version.as_ref().map_or("newest", |version| version.value.as_str());
            for column in [score.column.value.clone(), score.model_column()] {
                self.made(
                    output,
                    &column,
                    &format!("model {}, version {version}", score.model),
                    &of,
                );
            }
        }
    }
}

fn names(columns: &[Spanned<String>]) -> Vec<String> {
    columns.iter().map(|column| column.value.clone()).collect()
}

/// An expression in the words of its syntax tree, and the columns that it reads.
fn told(sql: &Sql) -> (String, Vec<String>) {
    match syntax::canonical(sql.as_str()) {
        Ok((text, columns)) => (text, columns.into_iter().map(|column| column.name).collect()),
        // Whoever compiles it refuses it.
        Err(_) => (sql.as_str().to_owned(), Vec::new()),
    }
}
