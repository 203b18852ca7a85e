//! Which columns exist at each step of a pipeline, and what names one that doesn't.
//!
//! The flow is by name; types are followed where the file says them (sums need numbers), and are
//! otherwise DataFusion's business. Validation runs it where the input's columns are known from the
//! file; the planner runs it again, by [`check_columns`], once a schema has been inferred.

use arrow::datatypes::{DataType, Schema};

use super::defaults;
use super::expression;
use super::problem::Problem;
use super::span::{Span, Spanned};
use riskstream_engine::contract::{COMMITTED_AT, change_fields};
use riskstream_operators::changelog::DIFF;
use riskstream_operators::identities;
use riskstream_operators::sample::AS_OF;
use riskstream_operators::windows;

use super::spec::{
    Aggregate, Aggregation, Changelog, Decide, DerivedColumn, Destination, DestinationKind,
    Feature, Features, Late, Pipeline, Previous, Sample, ScoreColumn, Shares, Source, Sql, Step,
    StepKind,
};
use super::suggest;

/// Checks every column that a pipeline names against its input's schema, through all steps to the
/// destinations.
pub fn check_columns(pipeline: &Pipeline, event_time: &str, input: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_pipeline(pipeline, event_time, Some(from_schema(input)), None, &mut problems);
    problems
}

/// Checks every column that a source names (event time, ties, checks) against its schema.
pub fn check_source_columns(source: &Source, schema: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_source(source, &from_schema(schema), &mut problems);
    problems
}

/// The columns of a schema.
pub(super) fn from_schema(schema: &Schema) -> Vec<Known> {
    let known = |field: &std::sync::Arc<arrow::datatypes::Field>| match field.data_type() {
        // A column whose type the file writes wrongly.
        DataType::Null => Known::new(field.name()),
        data_type => Known::new(field.name()).of_type(data_type.clone()),
    };
    schema.fields().iter().map(known).collect()
}

/// A column that exists at some point of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Known {
    name: String,
    data_type: Option<DataType>,
    /// Where the file makes it; `None`: the input has it.
    made_at: Option<Span>,
}

impl Known {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), data_type: None, made_at: None }
    }

    pub(super) fn of_type(self, data_type: DataType) -> Self {
        Self { data_type: Some(data_type), ..self }
    }
}

/// Checks a source's own columns.
pub(super) fn check_source(source: &Source, input: &[Known], problems: &mut Vec<Problem>) {
    let flow = Flow::new(&source.event_time.column.value, Some(input.to_vec()));
    let time = &source.event_time;
    if let Some(column) = flow.find(&time.column, problems)
        && let Some(data_type) = column
            .data_type
            .as_ref()
            .filter(|data_type| !matches!(data_type, DataType::Timestamp(..)))
    {
        let message =
            format!("the event time `{}` is of type {}", time.column, type_name(data_type));
        let help = "declare it `timestamp`; how the source writes it (a text of some form, a \
                    number of seconds) is its `format`";
        problems.push(Problem::new(time.column.span, message).help(help));
    }
    for column in &time.ties_by {
        flow.find(column, problems);
    }
    for check in &source.checks {
        flow.check_sql(check, &[], problems);
    }
}

/// Checks a pipeline's columns. `input`: what is known of the source, `None` if nothing is;
/// `sound_steps`: how many steps from the first were read well, `None` for all.
pub(super) fn check_pipeline(
    pipeline: &Pipeline,
    event_time: &str,
    input: Option<Vec<Known>>,
    sound_steps: Option<usize>,
    problems: &mut Vec<Problem>,
) {
    let mut flow = Flow::new(event_time, input);
    if pipeline.late == Late::Apply {
        flow.columns.push(Known::new(defaults::LATE_COLUMN).of_type(DataType::Boolean));
    }
    let mut scores: Vec<String> = Vec::new();
    for step in pipeline.steps.iter().take(sound_steps.unwrap_or(usize::MAX)) {
        match &step.kind {
            StepKind::Filter(sql) => flow.check_sql(sql, &[], problems),
            StepKind::Derive(columns) => flow.derive(columns, problems),
            StepKind::Features(features) => {
                if flow.is_of_windows || flow.is_of_changes {
                    problems.push(of_windows(step));
                }
                flow.features(features, problems);
            }
            StepKind::Changelog(changelog) => {
                if flow.is_of_windows {
                    problems.push(of_windows(step));
                }
                flow.changelog(changelog, problems);
            }
            StepKind::Aggregate(aggregation) => {
                if flow.is_of_windows {
                    problems.push(of_windows(step));
                }
                flow.aggregate(aggregation, problems);
            }
            StepKind::Previous(previous) => {
                if flow.is_of_windows {
                    problems.push(of_windows(step));
                }
                flow.previous(previous, problems);
            }
            StepKind::Sample(sample) => {
                if !flow.is_of_changes {
                    let message = format!(
                        "step `{}` samples records, and no `changelog` step before it says what \
                         they are",
                        step.id
                    );
                    let help = "put a step with changelog = { key = \"COLUMN\" } before it";
                    problems.push(Problem::new(step.id.span, message).help(help));
                }
                flow.sample(sample, step, problems);
            }
            StepKind::Shares(shares) => {
                if !flow.is_of_windows {
                    let message = format!(
                        "step `{}` takes shares of windows, and there is no `aggregate` step \
                         before it",
                        step.id
                    );
                    problems.push(
                        Problem::new(step.id.span, message)
                            .help("put it after the `aggregate` step whose rows it compares"),
                    );
                }
                flow.shares(shares, problems);
            }
            StepKind::Identities(identities) => {
                for identity in identities {
                    flow.check_sql(&identity.sql, &[], problems);
                }
                for column in [identities::BROKEN, identities::BROKEN_VALUES] {
                    flow.add(column, step.id.span, Some(DataType::Utf8), problems);
                }
            }
            StepKind::Score(columns) => {
                for score in columns {
                    flow.score(score, problems);
                    scores.push(score.column.value.clone());
                }
            }
            StepKind::Decide(decide) => flow.decide(decide, &scores, problems),
        }
    }
    if sound_steps.is_none() {
        for destination in &pipeline.to {
            flow.destination(destination, problems);
        }
    }
}

struct Flow {
    columns: Vec<Known>,
    event_time: String,
    /// Whether `columns` are all there are; otherwise an unknown name may be the input's.
    is_complete: bool,
    /// Whether rows are windows, which are said again when they change.
    is_of_windows: bool,
    /// Whether rows are changes, some of which take others back.
    is_of_changes: bool,
}

/// A step that counts events can't follow one whose rows are revisions of windows: it would count
/// each revision.
fn of_windows(step: &Step) -> Problem {
    let message = format!(
        "step `{}` counts rows, and the rows that it gets are revisions or changes, which say \
         things more than once",
        step.id
    );
    Problem::new(step.id.span, message)
        .help("put it before the `changelog` or `aggregate` step, or in a pipeline of its own")
}

impl Flow {
    fn new(event_time: &str, input: Option<Vec<Known>>) -> Self {
        Self {
            is_complete: input.is_some(),
            columns: input.unwrap_or_default(),
            event_time: event_time.to_owned(),
            is_of_windows: false,
            is_of_changes: false,
        }
    }

    fn get(&self, name: &str) -> Option<&Known> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The column, or a problem that says which there are.
    fn find(&self, name: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<&Known> {
        let found = self.get(name);
        if found.is_none() && self.is_complete {
            problems.push(self.unknown(name, name.span));
        }
        found
    }

    fn unknown(&self, name: &str, span: Span) -> Problem {
        Problem::new(span, format!("there is no column `{name}` here")).maybe_help(suggest::help(
            name,
            self.names(),
            "the columns are",
        ))
    }

    /// Checks the columns that an expression names; `siblings` are made by the same step.
    fn check_sql(&self, sql: &Sql, siblings: &[DerivedColumn], problems: &mut Vec<Problem>) {
        if !self.is_complete {
            return;
        }
        for column in expression::columns(sql) {
            if self.get(&column.name).is_some() {
                continue;
            }
            let mut problem = self.unknown(&column.name, sql.span_within(column.range));
            if siblings.iter().any(|sibling| sibling.name.value == column.name) {
                problem = problem
                    .help("columns of one `derive` don't see each other: make it in a step before");
            } else if column.quoted && suggest::closest(&column.name, self.names()).is_none() {
                problem = problem.help(format!(
                    "double quotes are around names; a text is in single ones: '{}'",
                    column.name
                ));
            }
            problems.push(problem);
        }
    }

    /// Adds a column; its name may not be taken.
    fn add(
        &mut self,
        name: &str,
        span: Span,
        data_type: Option<DataType>,
        problems: &mut Vec<Problem>,
    ) {
        if let Some(taken) = self.get(name) {
            let problem = Problem::new(span, format!("there is a column `{name}` already"))
                .help("give the new column another name");
            problems.push(match taken.made_at {
                Some(made_at) if made_at != span => problem.related(made_at, "made here"),
                _ => problem,
            });
            return;
        }
        self.columns.push(Known { name: name.to_owned(), data_type, made_at: Some(span) });
    }

    fn derive(&mut self, columns: &[DerivedColumn], problems: &mut Vec<Problem>) {
        for column in columns {
            self.check_sql(&column.sql, columns, problems);
        }
        for column in columns {
            self.add(&column.name, column.name.span, None, problems);
        }
    }

    fn features(&mut self, features: &Features, problems: &mut Vec<Problem>) {
        for key in &features.by {
            self.find(key, problems);
        }
        for feature in &features.features {
            self.check_input(feature, problems);
        }
        for (name, feature, _) in features.columns() {
            self.add(&name, feature.name.span, feature_type(&feature.aggregate), problems);
        }
    }

    /// Checks the column that an aggregate reads.
    fn check_input(&self, feature: &Feature, problems: &mut Vec<Problem>) {
        let Some(input) = feature.aggregate.input() else { return };
        let Some(column) = self.find(input, problems) else { return };
        let Some(data_type) = &column.data_type else { return };
        let is_number = data_type.is_numeric() || *data_type == DataType::Boolean;
        let needs = if feature.aggregate.needs_number() && !is_number {
            "a number"
        } else if feature.aggregate.needs_value()
            && (data_type.is_string() || data_type.is_binary())
        {
            "a number, a time or a boolean"
        } else {
            return;
        };
        problems.push(
            Problem::new(
                input.span,
                format!(
                    "`{}` needs {needs}; `{input}` is of type {}",
                    feature.aggregate,
                    type_name(data_type)
                ),
            )
            .help(
                "`count(col)` and `count(distinct col)` take any type; `min`, `max` and `last` \
                 numbers, times and booleans",
            ),
        );
    }

    fn changelog(&mut self, changelog: &Changelog, problems: &mut Vec<Problem>) {
        let previous: Vec<Option<DataType>> = changelog
            .previous
            .iter()
            .map(|(_, column)| {
                self.find(column, problems).and_then(|known| known.data_type.clone())
            })
            .collect();
        for column in changelog
            .key
            .iter()
            .chain(changelog.columns.iter().flatten())
            .chain(&changelog.operation)
        {
            self.find(column, problems);
        }
        for sql in changelog.ever.iter().map(|ever| &ever.sql).chain(&changelog.deleted) {
            self.check_sql(sql, &changelog.ever, problems);
        }
        self.is_of_changes = true;
        self.columns.retain(|column| column.name != defaults::LATE_COLUMN);
        if let Some(kept) = &changelog.columns {
            let is_kept = |name: &str| {
                kept.iter().chain(&changelog.key).any(|column| column.value == name)
                    || name == self.event_time
            };
            self.columns.retain(|known| is_kept(&known.name));
        }
        if changelog.operation.is_some() {
            // What happened is over; when it did stays.
            self.columns.retain(|known| {
                known.name == COMMITTED_AT
                    || !change_fields().iter().any(|field| *field.name() == known.name)
            });
        }
        for ((name, _), data_type) in changelog.previous.iter().zip(previous) {
            self.add(name, name.span, data_type, problems);
        }
        for ever in &changelog.ever {
            self.add(&ever.name, ever.name.span, Some(DataType::Boolean), problems);
        }
        self.columns.push(Known::new(DIFF).of_type(DataType::Int64));
    }

    fn previous(&mut self, previous: &Previous, problems: &mut Vec<Problem>) {
        for key in &previous.by {
            self.find(key, problems);
        }
        let mut types = Vec::new();
        for (_, from) in &previous.columns {
            types.push(self.find(from, problems).and_then(|known| known.data_type.clone()));
        }
        self.columns.retain(|column| column.name != defaults::LATE_COLUMN && column.name != DIFF);
        for ((name, _), data_type) in previous.columns.iter().zip(types) {
            self.add(name, name.span, data_type, problems);
        }
        self.is_of_changes = true;
        self.columns.push(Known::new(DIFF).of_type(DataType::Int64));
    }

    fn sample(&mut self, sample: &Sample, step: &Step, problems: &mut Vec<Problem>) {
        for key in &sample.by {
            self.find(key, problems);
        }
        // The instant of the sample takes the place of the changes' times.
        let time = std::mem::replace(&mut self.event_time, AS_OF.to_owned());
        self.columns.retain(|column| column.name != time);
        self.add(AS_OF, step.id.span, Some(crate::config::spec::timestamp_type()), problems);
    }

    fn shares(&mut self, shares: &Shares, problems: &mut Vec<Problem>) {
        for column in shares.of.iter().chain(shares.shares.iter().map(|share| &share.column)) {
            self.find(column, problems);
        }
        for share in &shares.shares {
            self.add(&share.name, share.name.span, None, problems);
        }
    }

    fn aggregate(&mut self, aggregation: &Aggregation, problems: &mut Vec<Problem>) {
        let keys: Vec<(String, Span, Option<DataType>)> = aggregation
            .by
            .iter()
            .map(|key| {
                let data_type = self.find(key, problems).and_then(|known| known.data_type.clone());
                (key.value.clone(), key.span, data_type)
            })
            .collect();
        for aggregate in &aggregation.aggregates {
            self.check_input(aggregate, problems);
        }
        // What leaves are windows: of the columns before the step only the key's are left.
        let event_time = windows::WINDOW_END.to_owned();
        *self = Self {
            columns: Vec::new(),
            event_time,
            is_complete: true,
            is_of_windows: true,
            is_of_changes: false,
        };
        for (name, span, data_type) in keys {
            self.add(&name, span, data_type, problems);
        }
        let time = crate::config::spec::timestamp_type();
        let own = [
            (windows::WINDOW, DataType::Utf8),
            (windows::WINDOW_START, time.clone()),
            (windows::WINDOW_END, time.clone()),
            (windows::REVISION, DataType::Int64),
            (windows::IS_FINAL, DataType::Boolean),
            (windows::COMPLETE_THROUGH, time),
        ];
        self.columns.extend(own.map(|(name, data_type)| Known::new(name).of_type(data_type)));
        for aggregate in &aggregation.aggregates {
            self.add(
                &aggregate.name,
                aggregate.name.span,
                feature_type(&aggregate.aggregate),
                problems,
            );
        }
    }

    fn score(&mut self, score: &ScoreColumn, problems: &mut Vec<Problem>) {
        self.add(&score.column, score.column.span, Some(DataType::Float64), problems);
        self.add(&score.model_column(), score.column.span, Some(DataType::Utf8), problems);
    }

    fn decide(&mut self, decide: &Decide, scores: &[String], problems: &mut Vec<Problem>) {
        if !scores.contains(&decide.score.value) {
            let problem = Problem::new(
                decide.score.span,
                format!("no `score` step before this one makes the column `{}`", decide.score),
            );
            let help =
                suggest::help(&decide.score, scores.iter().map(String::as_str), "the scores are");
            problems.push(problem.help(help.unwrap_or_else(|| {
                "put a step with score = { COLUMN = \"MODEL\" } before it".into()
            })));
        }
        self.add(defaults::DECISION_COLUMN, decide.score.span, Some(DataType::Utf8), problems);
        self.add(defaults::REASONS_COLUMN, decide.score.span, None, problems);
    }

    fn destination(&self, destination: &Destination, problems: &mut Vec<Problem>) {
        if let Some(when) = &destination.when {
            self.check_sql(when, &[], problems);
        }
        for column in destination.columns.iter().flatten() {
            self.find(column, problems);
        }
        if let DestinationKind::Kafka(kafka) = &destination.kind {
            for column in kafka.key.iter().chain(kafka.headers.iter().map(|(_, column)| column)) {
                self.find(column, problems);
            }
        }
    }
}

/// The type of a feature's column, where no other step could tell it from another.
fn feature_type(aggregate: &Aggregate) -> Option<DataType> {
    match aggregate {
        Aggregate::CountAll | Aggregate::Count(_) | Aggregate::CountDistinct(_) => {
            Some(DataType::Int64)
        }
        Aggregate::Mean(_) | Aggregate::StdDev(_) | Aggregate::SecondsSinceLast => {
            Some(DataType::Float64)
        }
        Aggregate::Sum(_) | Aggregate::Min(_) | Aggregate::Max(_) | Aggregate::Last(_) => None,
    }
}

/// An Arrow type as `pipelines.toml` writes it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => other.to_string().to_lowercase(),
    }
}
