//! What an `aggregate` step computes, as the configuration says it, and what that means on its
//! input.

use super::totals::{Layout, Op, WindowLane};
use crate::changelog::DIFF;
use crate::keyed::columns::told;
use crate::keyed::encode::{Encoding, KeptColumn};
use crate::keyed::sums::Unit;
use crate::periods::Every;
use crate::step_error::StepError;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{Feed, Part, Shape, Start};
use std::sync::Arc;

/// What is computed over a window's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    /// `count(*)`, or the values of a column that are not null. Int64.
    Count,
    /// Exact sum: Int64 of integers, Decimal128(38, s) of decimals, Float64 of floats (the float
    /// nearest to the sum). Null where it does not fit, which a dead letter says.
    Sum,
    /// Mean: Float64, the exact sum, rounded, divided once.
    Mean,
    /// Smallest value, in the column's type.
    Min,
    /// Largest value, in the column's type.
    Max,
}

/// One column of the result.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Its name.
    pub name: String,
    /// What is computed.
    pub function: AggregateFunction,
    /// Of which column; none for `count(*)`.
    pub column: Option<String>,
}

/// Windows of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowKind {
    /// What the column `window` says, e.g. `1d`, `30d by 1d`, `1mo`, `always by 1d` or
    /// `session 30m`.
    pub label: String,
    /// From where to where they go.
    pub extent: Extent,
}

/// From where to where windows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Over so many steps, at least one; one begins every step.
    Steps {
        /// From one window's start to the next's.
        step: Every,
        /// From a window's start to its end.
        count: i64,
    },
    /// From the beginning of time; one ends every step.
    Always {
        /// From one window's end to the next's.
        step: Every,
    },
    /// From a key's first row to the gap after its last, where rows of the key that are less than
    /// the gap apart are together; microseconds, above 0.
    Session {
        /// The gap.
        gap: i64,
    },
}

impl Extent {
    /// The end of the last window that holds `time`; of windows without a start, of the first; the
    /// earliest end of a session that holds it.
    pub(super) fn last_end(&self, time: i64) -> i64 {
        match self {
            Self::Steps { step, count } => step.advance(step.floor(time), *count),
            Self::Always { step } => step.advance(step.floor(time), 1),
            Self::Session { gap } => time.saturating_add(*gap),
        }
    }
}

/// When windows are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// A window is published at the close of each epoch that changed it, and when it becomes final.
    Changes,
    /// A window is published when it becomes final, and again when a late row changes it. Windows
    /// that are still open when the input ends are published as they stand.
    Final,
}

/// An `aggregate` step.
#[derive(Debug, Clone)]
pub struct WindowsSpec {
    /// The step's id.
    pub step_id: String,
    /// Key columns.
    pub by: Vec<String>,
    /// What is computed.
    pub aggregates: Vec<AggregateSpec>,
    /// Over which windows.
    pub windows: Vec<WindowKind>,
    /// When they are published.
    pub publish: Publish,
    /// A row is taken until the watermark is this far past the end of the last window that holds
    /// it; microseconds.
    pub keep: i64,
    /// The event time column in the input.
    pub event_time: String,
}

/// Column of a window's label, Utf8.
pub const WINDOW: &str = "window";
/// Column of a window's first instant, Timestamp(Microsecond, UTC); null where it has none.
pub const WINDOW_START: &str = "window_start";
/// Column of the first instant after a window: the event time of what leaves the step.
pub const WINDOW_END: &str = "window_end";
/// Column of the publication's number, Int64: larger is newer.
pub const REVISION: &str = "revision";
/// Column that says whether the watermark had passed the window's end, Boolean.
pub const IS_FINAL: &str = "is_final";
/// Column of the watermark at publication, Timestamp(Microsecond, UTC); null when there was none
/// yet.
pub const COMPLETE_THROUGH: &str = "complete_through";

/// How an aggregate's value comes from a key's totals.
#[derive(Debug, Clone)]
pub(super) enum Shows {
    /// A count lane.
    Count(usize),
    /// A wide lane of these units, null when the count lane is 0.
    Sum { wide: usize, count: usize, unit: Unit },
    /// A wide lane of these units over a count lane, divided by so many units.
    Mean { wide: usize, count: usize, unit: Unit, divisor: f64 },
    /// A wide lane, in the column's own type.
    Extreme { wide: usize, count: usize },
}

/// The step on its input.
#[derive(Debug, Clone)]
pub(super) struct OnInput {
    pub(super) spec: WindowsSpec,
    pub(super) by: Vec<usize>,
    pub(super) time: usize,
    /// How often a row counts, when rows are changes.
    pub(super) diff: Option<usize>,
    pub(super) kept: Vec<KeptColumn>,
    pub(super) layout: Layout,
    pub(super) shown: Vec<(Shows, DataType)>,
    pub(super) output: SchemaRef,
    pub(super) pieces: Pieces,
}

impl OnInput {
    pub(super) fn new(spec: WindowsSpec, input: &Schema) -> Result<Self, StepError> {
        let find =
            |name: &str| input.index_of(name).map_err(|_| StepError::unknown_column(name, input));
        let by = spec.by.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let time = find(&spec.event_time)?;
        let diff = input
            .index_of(DIFF)
            .ok()
            .filter(|index| input.field(*index).data_type() == &DataType::Int64);
        if diff.is_some()
            && spec.windows.iter().any(|kind| matches!(kind.extent, Extent::Session { .. }))
        {
            let role = "rows that are taken back (after a `changelog` step) have no sessions; use \
                        windows of a fixed length";
            return Err(StepError::WrongType {
                column: DIFF.to_owned(),
                found: DataType::Int64,
                role,
            });
        }
        let mut kept: Vec<KeptColumn> = Vec::new();
        let mut layout = Layout::default();
        let mut shown = Vec::new();
        for aggregate in &spec.aggregates {
            let Some(name) = &aggregate.column else {
                shown.push((Shows::Count(0), DataType::Int64));
                continue;
            };
            let input_index = find(name)?;
            let data_type = input.field(input_index).data_type();
            let wrong = |role| StepError::WrongType {
                column: name.clone(),
                found: data_type.clone(),
                role,
            };
            if diff.is_some()
                && matches!(aggregate.function, AggregateFunction::Min | AggregateFunction::Max)
            {
                return Err(wrong(
                    "of rows that are taken back (after a `changelog` step) there is no smallest \
                     and no largest; use sum, count or avg",
                ));
            }
            let encoding = match aggregate.function {
                AggregateFunction::Count => Encoding::of_any(data_type)
                    .ok_or_else(|| wrong("a column that is counted holds plain values")),
                AggregateFunction::Sum | AggregateFunction::Mean => {
                    Encoding::of_number(data_type).ok_or_else(|| wrong("only numbers are added up"))
                }
                AggregateFunction::Min | AggregateFunction::Max => Encoding::of_value(data_type)
                    .ok_or_else(|| wrong("only numbers and times have a smallest and a largest")),
            }?;
            let wanted = KeptColumn { input: input_index, encoding };
            let column = kept.iter().position(|k| *k == wanted).unwrap_or_else(|| {
                kept.push(wanted);
                kept.len() - 1
            });
            // Lane 0 counts rows.
            let count = column + 1;
            let unit = Unit::of(data_type);
            let mut wide = |op| layout.lane(WindowLane { column, op });
            shown.push(match aggregate.function {
                AggregateFunction::Count => (Shows::Count(count), DataType::Int64),
                AggregateFunction::Sum => {
                    (Shows::Sum { wide: wide(Op::Add(unit)), count, unit }, sum_type(data_type))
                }
                AggregateFunction::Mean => (
                    Shows::Mean {
                        wide: wide(Op::Add(unit)),
                        count,
                        unit,
                        divisor: mean_divisor(data_type),
                    },
                    DataType::Float64,
                ),
                AggregateFunction::Min => {
                    (Shows::Extreme { wide: wide(Op::Min), count }, data_type.clone())
                }
                AggregateFunction::Max => {
                    (Shows::Extreme { wide: wide(Op::Max), count }, data_type.clone())
                }
            });
        }
        layout.counts = kept.len() + 1;
        let output = output_schema(&spec, input, &by, &shown)?;
        let pieces = Pieces::new(&kept, &layout, &spec.windows, input, &Feed::default());
        Ok(Self { spec, by, time, diff, kept, layout, shown, output, pieces })
    }

    /// What saved state means.
    pub(super) fn meaning(&self, input: &Schema, feed: &Feed) -> Shape {
        let shape = Shape::new("aggregate")
            .fact("by", told(&self.by, input))
            .fact("event time", &self.spec.event_time)
            .fact("rows", if self.diff.is_some() { "added and taken back" } else { "added" });
        // Totals from the beginning of time are never complete where some of that time was not
        // seen.
        let is_always = |kind: &WindowKind| matches!(kind.extent, Extent::Always { .. });
        let start = |never: bool| if never { Start::Never } else { Start::Later };
        let start_of_aggregates = start(self.spec.windows.iter().any(is_always));
        let aggregates =
            self.spec.aggregates.iter().zip(&self.shown).map(|(aggregate, (shows, _))| Part {
                role: "aggregate".into(),
                name: aggregate.name.clone(),
                value: format!(
                    "{}({})",
                    aggregate.function,
                    aggregate.column.as_deref().unwrap_or("*")
                ),
                pieces: self.pieces.of(shows),
                start: start_of_aggregates,
            });
        let windows =
            self.spec.windows.iter().zip(&self.pieces.windows).map(|(kind, piece)| Part {
                role: "window".into(),
                name: kind.label.clone(),
                value: kind.label.clone(),
                pieces: vec![piece.clone()],
                start: Start::Later,
            });
        let shape = aggregates.chain(windows).fold(shape, Shape::part);
        let kept = self.kept.iter().map(|kept| kept.input);
        shape.fed_by(
            feed,
            input,
            self.by.iter().copied().chain([self.time]).chain(self.diff).chain(kept),
        )
    }
}

/// The pieces of saved state: what each is made of, in words. A piece is found again by its words,
/// wherever it stands.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    pub(super) counts: Vec<String>,
    pub(super) wides: Vec<String>,
    /// By the number of the kind of windows.
    pub(super) windows: Vec<String>,
}

impl Pieces {
    pub(super) fn new(
        kept: &[KeptColumn],
        layout: &Layout,
        windows: &[WindowKind],
        input: &Schema,
        feed: &Feed,
    ) -> Self {
        let values = kept
            .iter()
            .map(|kept| feed.piece(&format!("values {:?}", kept.encoding), input, kept.input));
        let wide = |lane: &WindowLane| {
            feed.piece(
                &format!("{:?} {:?}", lane.op, kept[lane.column].encoding),
                input,
                kept[lane.column].input,
            )
        };
        Self {
            counts: std::iter::once("rows".to_owned()).chain(values).collect(),
            wides: layout.wides.iter().map(wide).collect(),
            windows: windows.iter().map(|kind| format!("window {}", kind.label)).collect(),
        }
    }

    /// Those that an aggregate is made of.
    fn of(&self, shows: &Shows) -> Vec<String> {
        match shows {
            Shows::Count(count) => vec![self.counts[*count].clone()],
            Shows::Sum { wide, count, .. }
            | Shows::Mean { wide, count, .. }
            | Shows::Extreme { wide, count } => {
                vec![self.wides[*wide].clone(), self.counts[*count].clone()]
            }
        }
    }
}

impl std::fmt::Display for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "avg",
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

/// The type of a sum.
pub(crate) fn sum_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::UInt64 => DataType::Decimal128(38, 0),
        _ => DataType::Int64,
    }
}

/// Units of a column's sums per one.
fn mean_divisor(data_type: &DataType) -> f64 {
    match data_type {
        DataType::Decimal128(_, scale) => 10f64.powi(i32::from(*scale)),
        _ => 1.0,
    }
}

fn output_schema(
    spec: &WindowsSpec,
    input: &Schema,
    by: &[usize],
    shown: &[(Shows, DataType)],
) -> Result<SchemaRef, StepError> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields: Vec<Field> =
        by.iter().map(|index| input.field(*index).clone().with_nullable(true)).collect();
    fields.push(Field::new(WINDOW, DataType::Utf8, false));
    fields.push(Field::new(WINDOW_START, time.clone(), true));
    fields.push(Field::new(WINDOW_END, time.clone(), false));
    for (aggregate, (shows, data_type)) in spec.aggregates.iter().zip(shown) {
        fields.push(Field::new(
            &aggregate.name,
            data_type.clone(),
            !matches!(shows, Shows::Count(0)),
        ));
    }
    fields.push(Field::new(REVISION, DataType::Int64, false));
    fields.push(Field::new(IS_FINAL, DataType::Boolean, false));
    fields.push(Field::new(COMPLETE_THROUGH, time, true));
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name() == field.name()) {
            return Err(StepError::ColumnExists { column: field.name().clone() });
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
