//! Rows on their way from the core to a client.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::columns::Columns;
use super::error::{Problem, Step};
use super::values::encoder::{Cells, Encoder};
use super::values::error::EncodeError;
use super::wire::Channel;
use crate::service::{Answer, Cancel};

/// From where rows come.
enum Feed {
    /// A statement that runs.
    Answer(Answer),
    /// A statement that explains another: its rows become lines.
    Plans(Answer),
    /// Rows that are there already.
    Ready(VecDeque<RecordBatch>),
}

/// Rows that a client has not taken yet, in batches. They come no faster than they are taken.
pub(super) struct Supply {
    columns: Arc<Columns>,
    feed: Feed,
    /// A batch of which a part was taken, and the rows of that part.
    begun: Option<(RecordBatch, usize)>,
    stop: Cancel,
    has_ended: bool,
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Supply {
    pub(super) fn of_answer(columns: Arc<Columns>, answer: Answer) -> Self {
        let stop = answer.cancel();
        Self::new(columns, Feed::Answer(answer), stop)
    }

    pub(super) fn of_plans(columns: Arc<Columns>, answer: Answer) -> Self {
        let stop = answer.cancel();
        Self::new(columns, Feed::Plans(answer), stop)
    }

    pub(super) fn of_rows(columns: Arc<Columns>, rows: RecordBatch) -> Self {
        Self::new(columns, Feed::Ready(VecDeque::from([rows])), Cancel::default())
    }

    fn new(columns: Arc<Columns>, feed: Feed, stop: Cancel) -> Self {
        Self { columns, feed, begun: None, stop, has_ended: false }
    }

    pub(super) fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    pub(super) fn stop(&self) -> &Cancel {
        &self.stop
    }

    /// Its client does not ask for more rows now.
    pub(super) fn pause(&self) {
        match &self.feed {
            Feed::Answer(answer) | Feed::Plans(answer) => answer.pause(),
            Feed::Ready(_) => {}
        }
    }

    /// Its client asks again.
    pub(super) fn resume(&self) {
        match &self.feed {
            Feed::Answer(answer) | Feed::Plans(answer) => answer.resume(),
            Feed::Ready(_) => {}
        }
    }

    /// The next rows, at most so many; none at the end.
    pub(super) async fn next(
        &mut self,
        rows_max: usize,
        channel: &mut Channel,
    ) -> Step<Option<RecordBatch>> {
        self.look_ahead(channel).await?;
        let Some((batch, taken)) = &mut self.begun else { return Ok(None) };
        let left = batch.num_rows() - *taken;
        let rows = left.min(rows_max);
        let part = batch.slice(*taken, rows);
        *taken += rows;
        if rows == left {
            self.begun = None;
        }
        Ok(Some(part))
    }

    /// Waits until there are rows, or there are none any more.
    pub(super) async fn look_ahead(&mut self, channel: &mut Channel) -> Step<()> {
        loop {
            if let Some(why) = self.stop.why() {
                self.has_ended = true;
                self.begun = None;
                return Err(Problem::stopped(why).into());
            }
            if self.begun.is_some() || self.has_ended {
                return Ok(());
            }
            let next = match &mut self.feed {
                Feed::Ready(rows) => Ok(rows.pop_front().map(Ok)),
                Feed::Answer(answer) | Feed::Plans(answer) => {
                    channel.watch(&self.stop, answer.next()).await
                }
            };
            match next {
                Ok(Some(Ok(batch))) => {
                    let batch = match self.feed {
                        Feed::Plans(_) => lines(&batch, &self.columns)?,
                        Feed::Answer(_) | Feed::Ready(_) => batch,
                    };
                    self.begun = (batch.num_rows() > 0).then_some((batch, 0));
                }
                Ok(Some(Err(error))) => {
                    self.has_ended = true;
                    return Err(error.into());
                }
                Ok(None) => self.has_ended = true,
                Err(interrupt) => {
                    self.has_ended = true;
                    return Err(interrupt.into());
                }
            }
        }
    }
}

/// Plans, one a row with its kind, as lines of text.
fn lines(plans: &RecordBatch, columns: &Columns) -> Result<RecordBatch, Problem> {
    let wrong = || Problem::error("XX000", "a plan of another form than expected");
    let text = |column: usize| -> Result<ArrayRef, Problem> {
        let array = plans.columns().get(column).ok_or_else(wrong)?;
        cast(array, &DataType::Utf8).map_err(|_error| wrong())
    };
    let (kinds, plans) = (text(0)?, text(1)?);
    let (kinds, plans) = (kinds.as_string::<i32>(), plans.as_string::<i32>());
    let mut lines = Vec::new();
    for row in 0..plans.len() {
        if plans.len() > 1 {
            lines.push(format!("{}:", kinds.value(row)));
        }
        let indent = if plans.len() > 1 { "  " } else { "" };
        lines.extend(plans.value(row).trim_end().lines().map(|line| format!("{indent}{line}")));
    }
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    RecordBatch::try_new(Arc::clone(columns.schema()), vec![lines]).map_err(|_error| wrong())
}

/// Writes rows of a batch as DataRow messages.
pub(super) struct RowWriter<'a> {
    cells: Vec<Cells<'a>>,
    count: i16,
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(encoders: &'a [Encoder], batch: &'a RecordBatch) -> Result<Self, Problem> {
        let cells = encoders.iter().zip(batch.columns()).map(|(encoder, array)| encoder.on(array));
        let cells: Vec<_> = cells.collect::<Result<_, EncodeError>>()?;
        let count = i16::try_from(cells.len())
            .map_err(|_error| Problem::error("54011", "a result can have at most 32767 columns"))?;
        Ok(Self { cells, count })
    }

    /// Appends a row; after an error nothing is appended.
    pub(super) fn write(&self, row: usize, output: &mut BytesMut) -> Result<(), Problem> {
        let start = output.len();
        let written = framed(b'D', output, |output| {
            output.put_i16(self.count);
            self.cells.iter().try_for_each(|cells| cells.encode(row, output))
        });
        if written.is_err() {
            output.truncate(start);
        }
        written
    }
}

/// Appends a message of a type, whose body is written by a function.
pub(super) fn framed(
    kind: u8,
    output: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), Problem> {
    output.put_u8(kind);
    let start = output.len();
    output.put_i32(0);
    body(output)?;
    let length = i32::try_from(output.len() - start).map_err(|_error| EncodeError::TooLong)?;
    if let Some(place) = output.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// A number of rows as a number of things in memory.
pub(super) fn bounded(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
