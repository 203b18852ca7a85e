//! A checked features step: which columns the history keeps, which edges the windows have, which
//! numbers each output needs.

use super::spec::{FeatureSpec, FeaturesError, FeaturesSpec, Function, Order};
use crate::keyed::columns::{piece_id, told};
use crate::keyed::encode::{Encoding, KeptColumn};
use crate::keyed::sums::Unit;
use crate::windows::sum_type;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{Feed, Part, SOURCE_OFFSET, SOURCE_PARTITION, Shape, Start};
use riskstream_engine::history::Width;
use riskstream_engine::key::can_be_key;
use std::sync::Arc;

/// What an output column shows; numbers are places in the plan's lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shows {
    Count,
    CountOf(usize),
    Sum(usize),
    Mean { column: usize, divisor: f64, empty: Option<f64> },
    StdDev { column: usize, divisor: f64 },
    Extreme(usize),
    Distinct(usize),
    Last(usize),
    Since,
}

/// An output column.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) shows: Shows,
    pub(super) window: usize,
    pub(super) data_type: DataType,
    /// The column's name, and what it is in words.
    pub(super) name: String,
    pub(super) call: String,
    pub(super) function: &'static str,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct OnInput {
    pub(super) step: String,
    pub(super) time: usize,
    pub(super) by: Vec<usize>,
    /// Tie columns, then source partition and offset if the input has them.
    pub(super) ties: Vec<usize>,
    /// Whether a row is counted before its own windows are read.
    pub(super) include: bool,
    /// Whether a row enters its windows at once.
    pub(super) undelayed: bool,
    pub(super) delay: i64,
    pub(super) lengths: Vec<i64>,
    /// Ages of the edges, ascending: the delay, then the delay and each length. Empty without
    /// windows.
    pub(super) edges: Vec<i64>,
    /// Per window, the edge at which rows leave.
    pub(super) tails: Vec<usize>,
    pub(super) kept: Vec<KeptColumn>,
    pub(super) layout: Vec<Width>,
    /// Kept columns that are summed, and whose squares are.
    pub(super) sums: Vec<usize>,
    pub(super) squares: Vec<usize>,
    /// Kept column, and whether the largest is wanted.
    pub(super) extremes: Vec<(usize, bool)>,
    pub(super) distincts: Vec<usize>,
    pub(super) lasts: Vec<usize>,
    pub(super) since: bool,
    pub(super) shown: Vec<Shown>,
    pub(super) feed: Feed,
    pub(super) output_schema: SchemaRef,
}

impl FeaturesSpec {
    /// The input's columns, then one per feature and window: `<name>_<label>`; `<name>` for seconds
    /// since last.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn output_schema(&self, input: &Schema) -> Result<SchemaRef, FeaturesError> {
        Ok(OnInput::new(self, input)?.output_schema)
    }
}

fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    match list.iter().position(|i| *i == item) {
        Some(place) => place,
        None => {
            list.push(item);
            list.len() - 1
        }
    }
}

impl OnInput {
    pub(super) fn new(spec: &FeaturesSpec, input: &Schema) -> Result<Self, FeaturesError> {
        let wrong = |reason: String| FeaturesError::Spec { step: spec.step_id.clone(), reason };
        check_spec(spec, input)?;
        let by = spec.by.iter().map(|c| find(spec, input, c)).collect::<Result<Vec<_>, _>>()?;
        for index in &by {
            let field = input.field(*index);
            if !can_be_key(field.data_type()) {
                return Err(wrong(format!(
                    "column {} of type {} can't be a key; take an integer or text column",
                    field.name(),
                    field.data_type()
                )));
            }
        }
        let mut ties = spec.ties.clone();
        ties.extend(
            [SOURCE_PARTITION, SOURCE_OFFSET].iter().filter_map(|c| input.index_of(c).ok()),
        );
        let mut edges: Vec<i64> = Vec::new();
        if !spec.windows.is_empty() {
            edges.push(spec.delay_micros);
            for w in &spec.windows {
                let age = w.micros.checked_add(spec.delay_micros).filter(|_| w.micros > 0);
                edges.push(age.ok_or_else(|| {
                    wrong(format!("window {} of {} µs is too short or too long", w.label, w.micros))
                })?);
            }
            edges.sort_unstable();
            edges.dedup();
        }
        let tail = |w: &super::spec::Window| {
            edges.iter().position(|e| *e == w.micros + spec.delay_micros).unwrap_or(0)
        };
        let tails = spec.windows.iter().map(tail).collect();
        let undelayed = spec.delay_micros == 0;
        let mut plan = Self {
            step: spec.step_id.clone(),
            time: spec.event_time,
            by,
            ties,
            include: spec.include_current && undelayed,
            undelayed,
            delay: spec.delay_micros,
            lengths: spec.windows.iter().map(|w| w.micros).collect(),
            edges,
            tails,
            kept: Vec::new(),
            layout: Vec::new(),
            sums: Vec::new(),
            squares: Vec::new(),
            extremes: Vec::new(),
            distincts: Vec::new(),
            lasts: Vec::new(),
            since: false,
            shown: Vec::new(),
            feed: Feed::default(),
            output_schema: Arc::new(Schema::empty()),
        };
        let mut fields: Vec<_> = input.fields().iter().cloned().collect();
        for feature in &spec.features {
            let (shows, data_type) = plan.resolve(spec, feature, input)?;
            let function = feature.function.name();
            let call = format!(
                "{function}({})",
                feature.column.as_deref().unwrap_or(if shows == Shows::Count { "*" } else { "" })
            );
            if shows == Shows::Since {
                fields.push(Arc::new(Field::new(&feature.name, data_type.clone(), true)));
                plan.shown.push(Shown {
                    shows,
                    window: 0,
                    data_type,
                    name: feature.name.clone(),
                    call,
                    function,
                });
                continue;
            }
            if spec.windows.is_empty() {
                return Err(wrong(format!(
                    "feature {} has no window; give `over`, e.g. over = [\"1d\"]",
                    feature.name
                )));
            }
            for (window, w) in spec.windows.iter().enumerate() {
                let name = format!("{}_{}", feature.name, w.label);
                fields.push(Arc::new(Field::new(&name, data_type.clone(), true)));
                let call = format!("{call} over {} s", w.micros as f64 / 1e6);
                plan.shown.push(Shown {
                    shows: shows.clone(),
                    window,
                    data_type: data_type.clone(),
                    name,
                    call,
                    function,
                });
            }
        }
        let mut names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|p| p[0] == p[1]) {
            return Err(wrong(format!(
                "there would be two columns {}; name the feature otherwise",
                pair[0]
            )));
        }
        plan.layout = plan.kept.iter().map(|k| k.encoding.width()).collect();
        plan.output_schema = Arc::new(Schema::new(fields));
        Ok(plan)
    }

    fn keep(&mut self, input: usize, encoding: Encoding) -> usize {
        place(&mut self.kept, KeptColumn { input, encoding })
    }

    /// Keeps a column that is added up.
    fn keep_summed(&mut self, input: usize, encoding: Encoding) -> usize {
        let column = self.keep(input, encoding);
        place(&mut self.sums, column);
        column
    }

    fn resolve(
        &mut self,
        spec: &FeaturesSpec,
        feature: &FeatureSpec,
        input: &Schema,
    ) -> Result<(Shows, DataType), FeaturesError> {
        if feature.function == Function::SecondsSinceLast {
            self.since = true;
            return Ok((Shows::Since, DataType::Float64));
        }
        let Some(column) = &feature.column else {
            if feature.function == Function::Count {
                return Ok((Shows::Count, DataType::Int64));
            }
            let reason =
                format!("feature {} ({:?}) needs a column", feature.name, feature.function);
            return Err(FeaturesError::Spec { step: spec.step_id.clone(), reason });
        };
        let index = find(spec, input, column)?;
        let data_type = input.field(index).data_type().clone();
        let refuse = |advice| FeaturesError::Type {
            step: spec.step_id.clone(),
            function: format!("{:?}", feature.function),
            column: column.clone(),
            found: data_type.to_string(),
            advice,
        };
        let number = || {
            Encoding::of_number(&data_type)
                .ok_or_else(|| refuse("take a number, or cast it in a derive step"))
        };
        let value = || {
            Encoding::of_value(&data_type)
                .ok_or_else(|| refuse("take a number, a date or a boolean"))
        };
        let divisor = || match &data_type {
            DataType::Decimal128(_, s) => 10f64.powi(i32::from(*s)),
            _ => 1.0,
        };
        Ok(match feature.function {
            Function::Count => {
                let encoding = Encoding::of_any(&data_type)
                    .ok_or_else(|| refuse("take a column of a simple type"))?;
                (Shows::CountOf(self.keep(index, encoding)), DataType::Int64)
            }
            Function::Sum => {
                let column = self.keep_summed(index, number()?);
                (Shows::Sum(column), sum_type(&data_type))
            }
            Function::Mean => {
                let (column, divisor) = (self.keep_summed(index, number()?), divisor());
                (Shows::Mean { column, divisor, empty: feature.empty }, DataType::Float64)
            }
            Function::StdDev => {
                let (column, divisor) = (self.keep_summed(index, number()?), divisor());
                place(&mut self.squares, column);
                (Shows::StdDev { column, divisor }, DataType::Float64)
            }
            Function::Min | Function::Max => {
                let column = self.keep(index, value()?);
                (
                    Shows::Extreme(place(
                        &mut self.extremes,
                        (column, feature.function == Function::Max),
                    )),
                    data_type.clone(),
                )
            }
            Function::Distinct => {
                let encoding = Encoding::of_any(&data_type)
                    .ok_or_else(|| refuse("take a column of a simple type"))?;
                let column = self.keep(index, encoding);
                (Shows::Distinct(place(&mut self.distincts, column)), DataType::Int64)
            }
            Function::Last => {
                let column = self.keep(index, value()?);
                (Shows::Last(place(&mut self.lasts, column)), data_type.clone())
            }
            Function::SecondsSinceLast => (Shows::Since, DataType::Float64),
        })
    }

    /// How a kept column is added up.
    pub(super) fn unit(&self, column: usize) -> Unit {
        match self.kept[column].encoding {
            Encoding::Bits => Unit::Float,
            Encoding::Narrow | Encoding::Wide | Encoding::Hash => Unit::Whole,
        }
    }

    /// Whether a key has more than sums and counts.
    pub(super) fn has_extras(&self) -> bool {
        self.since
            || !(self.extremes.is_empty() && self.distincts.is_empty() && self.lasts.is_empty())
    }

    /// The longest age.
    pub(super) fn reach(&self) -> i64 {
        self.edges.last().copied().unwrap_or(0)
    }

    /// What saved state means.
    pub(super) fn meaning(&self, order: Order) -> Shape {
        let input = &self.output_schema;
        let shape = Shape::new("features")
            .fact("by", told(&self.by, input))
            .fact("event time", input.field(self.time).name())
            .fact(
                "ties",
                self.ties
                    .iter()
                    .map(|index| input.field(*index).name().as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            )
            .fact("order", if order == Order::EventTime { "event-time" } else { "arrival" })
            .fact("delay", format!("{} s", self.delay as f64 / 1e6))
            .fact("include_current", self.include.to_string());
        let part = |(shown, piece): (&Shown, String)| Part {
            role: "feature".into(),
            name: shown.name.clone(),
            value: shown.call.clone(),
            pieces: vec![piece],
            start: Start::Later,
        };
        let shape = self.shown.iter().zip(self.pieces()).map(part).fold(shape, Shape::part);
        let kept = self.kept.iter().map(|kept| kept.input);
        shape.fed_by(&self.feed, input, self.by.iter().copied().chain([self.time]).chain(kept))
    }

    /// For each shown column, a text of what it is computed from; a column that is only renamed
    /// keeps its text.
    pub(super) fn pieces(&self) -> Vec<String> {
        let kept = |column: usize| self.kept_piece(&self.kept[column]);
        let piece = |shown: &Shown| {
            let of = match &shown.shows {
                Shows::Count | Shows::Since => String::new(),
                Shows::CountOf(column)
                | Shows::Sum(column)
                | Shows::Mean { column, .. }
                | Shows::StdDev { column, .. } => kept(*column),
                Shows::Extreme(index) => kept(self.extremes[*index].0),
                Shows::Distinct(index) => kept(self.distincts[*index]),
                Shows::Last(index) => kept(self.lasts[*index]),
            };
            let over = if shown.shows == Shows::Since { 0 } else { self.lengths[shown.window] };
            format!("{} {of} over {over}", shown.function)
        };
        self.shown.iter().map(piece).collect()
    }

    fn kept_piece(&self, kept: &KeptColumn) -> String {
        self.feed.piece(&format!("{:?}", kept.encoding), &self.output_schema, kept.input)
    }

    /// The columns of the history, by what they are made of, and how wide they are.
    pub(super) fn history_columns(&self) -> Vec<(String, Width)> {
        self.kept
            .iter()
            .map(|kept| (piece_id(&self.kept_piece(kept)), kept.encoding.width()))
            .collect()
    }

    /// All that saved numbers depend on, as text. State with an equal text is restored as it is;
    /// other state is rebuilt from the history.
    pub(super) fn form(&self) -> String {
        format!(
            "edges {:?}; columns {:?}; sums {:?}; squares {:?}; extremes {:?}; distinct {:?} of \
             windows {:?}; last {:?}; since {}",
            self.edges,
            self.history_columns().iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
            self.sums,
            self.squares,
            self.extremes,
            self.distincts,
            self.tails,
            self.lasts,
            self.since
        )
    }
}

fn find(spec: &FeaturesSpec, input: &Schema, column: &str) -> Result<usize, FeaturesError> {
    input.index_of(column).map_err(|_| FeaturesError::NoColumn {
        step: spec.step_id.clone(),
        column: column.to_string(),
        known: input.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", "),
    })
}

fn check_spec(spec: &FeaturesSpec, input: &Schema) -> Result<(), FeaturesError> {
    let wrong = |reason: String| Err(FeaturesError::Spec { step: spec.step_id.clone(), reason });
    if spec.by.is_empty() {
        return wrong("it has no key; give `by`, e.g. by = \"customer_id\"".into());
    }
    if spec.features.is_empty() {
        return wrong("it has no features; give e.g. features = { nb_tx = \"count(*)\" }".into());
    }
    if spec.delay_micros < 0 {
        return wrong(format!("its delay of {} µs is negative", spec.delay_micros));
    }
    match input.fields().get(spec.event_time).map(|f| f.data_type()) {
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) => {}
        other => {
            return wrong(format!(
                "column {} is not a timestamp in microseconds but {other:?}",
                spec.event_time
            ));
        }
    }
    if let Some(tie) = spec.ties.iter().find(|t| **t >= input.fields().len()) {
        return wrong(format!("there is no column number {tie} to order ties by"));
    }
    Ok(())
}
