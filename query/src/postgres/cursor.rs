//! `DECLARE`, `FETCH`, `MOVE`: cursors, which only go forward.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;

use super::connection::Connection;
use super::error::{Problem, Step};
use super::missing::{cursor_exists, no_cursor};
use super::portal::{Named, Open, Portal, Source, Started, State, Tag};
use super::rows::bounded;
use super::sql::{Action, Move, Query};
use crate::service::Cancel;

fn only_forward() -> Problem {
    Problem::error("55000", "cursor can only scan forward")
        .with_hint("Cursors of this server do not scroll; declare it again to begin anew.")
}

impl Connection {
    /// Opens a cursor; it may be binary, and live on after its transaction.
    pub(super) async fn declare(
        &mut self,
        name: &str,
        query: &Query,
        values: &[ScalarValue],
        (binary, hold): (bool, bool),
    ) -> Step<()> {
        if !hold && !self.transaction.is_open() && !self.is_implicit_block {
            let text = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Problem::error("25P01", text).into());
        }
        if self.portals.contains_key(name) {
            return Err(cursor_exists(name).into());
        }
        let supply = self.supply(query, values).await?;
        let columns = Arc::clone(supply.columns());
        let formats = if binary { vec![1] } else { Vec::new() };
        let encoders = columns.encoders(&formats, &self.value_settings())?;
        let named = Named::new(Action::Query(Box::new(query.clone())), Vec::new());
        let depth = self.transaction.depth();
        let source = Source::Own(supply);
        let open = Open { source, columns, encoders, tag: Tag::Select };
        let portal = Portal {
            state: State::Open(open),
            hold,
            binary,
            ..Portal::new(named, Vec::new(), formats, depth)
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// The next rows of a cursor, at most so many; none at the end.
    pub(super) async fn pull(
        &mut self,
        name: &str,
        rows_max: u64,
    ) -> Step<Option<(RecordBatch, Cancel)>> {
        let portal = self.portals.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let supply = match &mut portal.state {
            State::Open(Open { source: Source::Own(supply), .. }) => supply,
            State::Read(_) => return Ok(None),
            State::Open(_) | State::Ready | State::Done => {
                return Err(
                    Problem::error("55000", format!("portal \"{name}\" cannot be run")).into()
                );
            }
        };
        if rows_max == 0 {
            return Ok(None);
        }
        let batch = supply.next(bounded(rows_max), &mut self.channel).await?;
        let stop = supply.stop().clone();
        portal.position += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Ok(batch.map(|batch| (batch, stop)))
    }

    /// Passes over rows; gives how many there were.
    async fn skip(&mut self, name: &str, rows: Option<u64>) -> Step<u64> {
        let mut skipped = 0;
        loop {
            let wanted = rows.map_or(u64::MAX, |rows| rows.saturating_sub(skipped));
            match self.pull(name, wanted).await? {
                Some((batch, _)) => skipped += batch.num_rows() as u64,
                None => return Ok(skipped),
            }
        }
    }

    /// Rows to pass over and then to take, if a move only goes forward.
    fn way(&self, name: &str, to: Move) -> Result<(u64, Option<u64>), Problem> {
        let portal = self.portals.get(name).ok_or_else(|| no_cursor(name))?;
        match to {
            Move::Forward(rows) => Ok((0, rows)),
            Move::Relative(rows) if rows > 0 => Ok((rows - 1, Some(1))),
            Move::Absolute(row) if row > portal.position => {
                Ok((row - portal.position - 1, Some(1)))
            }
            Move::Absolute(0) | Move::Relative(0) if portal.position == 0 => Ok((0, Some(0))),
            Move::Relative(_) | Move::Absolute(_) | Move::Back => Err(only_forward()),
        }
    }

    fn resume_cursor(&self, name: &str) {
        if let Some(portal) = self.portals.get(name) {
            self.resume(portal);
        }
    }

    pub(super) async fn fetch(&mut self, name: &str, to: Move) -> Step<Started> {
        let (skip, left) = self.way(name, to)?;
        let columns = self.cursor_columns(name)?;
        self.resume_cursor(name);
        self.skip(name, Some(skip)).await?;
        let source = Source::Cursor { name: name.to_owned(), left };
        Ok(Started::Rows(source, columns, Tag::Fetch))
    }

    pub(super) async fn move_to(&mut self, name: &str, to: Move) -> Step<u64> {
        let (skip, left) = self.way(name, to)?;
        self.resume_cursor(name);
        self.skip(name, Some(skip)).await?;
        self.skip(name, left).await
    }

    /// The columns of a cursor.
    pub(super) fn cursor_columns(
        &self,
        name: &str,
    ) -> Result<Arc<super::columns::Columns>, Problem> {
        let portal = self.portals.get(name).ok_or_else(|| no_cursor(name))?;
        match &portal.state {
            State::Open(open) => Ok(Arc::clone(&open.columns)),
            State::Ready | State::Read(_) | State::Done => {
                let shape = portal.named.shape.get();
                let columns = shape.and_then(|shape| shape.columns.clone());
                columns.ok_or_else(|| {
                    Problem::error("55000", format!("portal \"{name}\" cannot be run"))
                })
            }
        }
    }
}
