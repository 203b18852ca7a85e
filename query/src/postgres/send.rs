//! Sends rows that have begun.

use super::connection::Connection;
use super::error::{Problem, Step};
use super::portal::{Open, Portal, Source, State};
use super::rows::{RowWriter, bounded};

impl Connection {
    /// Waits for the first rows, which are not taken.
    pub(super) async fn look_ahead(&mut self, source: &mut Source) -> Step<()> {
        let supply = match source {
            Source::Own(supply) => supply,
            Source::Cursor { left: Some(0), .. } => return Ok(()),
            Source::Cursor { name, .. } => match self.portals.get_mut(name.as_str()) {
                Some(Portal { state: State::Open(open), .. }) => match &mut open.source {
                    Source::Own(supply) => supply,
                    Source::Cursor { .. } => return Ok(()),
                },
                Some(_) | None => return Ok(()),
            },
        };
        supply.look_ahead(&mut self.channel).await
    }

    /// Sends rows, at most so many; gives their number and whether that were all.
    pub(super) async fn send(
        &mut self,
        open: &mut Open,
        rows_max: Option<u64>,
    ) -> Step<(u64, bool)> {
        let mut sent = 0;
        loop {
            let wanted = rows_max.map_or(u64::MAX, |rows_max| rows_max.saturating_sub(sent));
            if wanted == 0 {
                return Ok((sent, false));
            }
            let next = match &mut open.source {
                Source::Own(supply) => {
                    let stop = supply.stop().clone();
                    let batch = supply.next(bounded(wanted), &mut self.channel).await?;
                    batch.map(|batch| (batch, stop))
                }
                Source::Cursor { name, left } => {
                    let wanted = left.map_or(wanted, |left| left.min(wanted));
                    let next = self.pull(name, wanted).await?;
                    if let (Some((batch, _)), Some(left)) = (&next, left) {
                        *left = left.saturating_sub(batch.num_rows() as u64);
                    }
                    next
                }
            };
            let Some((batch, stop)) = next else { return Ok((sent, true)) };
            let writer = RowWriter::new(&open.encoders, &batch)?;
            for row in 0..batch.num_rows() {
                writer.write(row, &mut self.channel.output)?;
                if self.channel.is_full() {
                    self.channel.flush().await?;
                    if let Some(why) = stop.why() {
                        return Err(Problem::stopped(why).into());
                    }
                }
            }
            sent += batch.num_rows() as u64;
        }
    }
}
