//! `COPY … TO STDOUT`.

use bytes::BytesMut;
use datafusion::common::ScalarValue;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};

use super::connection::Connection;
use super::error::{Problem, Step};
use super::rows::{bounded, framed};
use super::sql::Query;
use super::values::copy::{CopyOptions, CopyWriter};
use super::values::settings::Format;

impl Connection {
    /// Sends the rows of a query; gives their number.
    pub(super) async fn copy(
        &mut self,
        query: &Query,
        options: &CopyOptions,
        values: &[ScalarValue],
    ) -> Step<u64> {
        let mut supply = self.supply(query, values).await?;
        let stop = supply.stop().clone();
        let settings = self.value_settings();
        let writer = CopyWriter::new(supply.columns().schema(), options.clone(), &settings)?;
        // An error before the first row comes before the copy begins.
        let ahead = supply.look_ahead(&mut self.channel).await;
        ahead.map_err(|halt| halt.map(|problem| query.origin.placed(problem)))?;
        self.channel.put(&PgWireBackendMessage::CopyOutResponse(response(&writer)?));
        // As PostgreSQL does, and clients need: the binary header comes with the first row, the
        // names of the columns come alone.
        let mut front = BytesMut::new();
        writer.begin(&mut front);
        if writer.format() == Format::Text {
            self.part(&mut front, |_out| {})?;
        }
        let mut sent = 0;
        while let Some(batch) = supply.next(bounded(u64::MAX), &mut self.channel).await? {
            let rows = writer.on(&batch)?;
            for row in 0..rows.len() {
                let start = self.channel.output.len();
                let output = &mut self.channel.output;
                let written = framed(b'd', output, |output| {
                    output.extend_from_slice(&front);
                    rows.write(row, output)
                });
                if let Err(problem) = written {
                    self.channel.output.truncate(start);
                    return Err(problem.into());
                }
                front.clear();
                if self.channel.is_full() {
                    self.channel.flush().await?;
                    if let Some(why) = stop.why() {
                        return Err(Problem::stopped(why).into());
                    }
                }
            }
            sent += batch.num_rows() as u64;
        }
        self.part(&mut front, |out| writer.end(out))?;
        self.channel.put(&PgWireBackendMessage::CopyDone(CopyDone::new()));
        Ok(sent)
    }

    /// Sends what stands before or behind the rows, if anything does.
    fn part(
        &mut self,
        front: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<(), Problem> {
        let mut bytes = std::mem::take(front);
        write(&mut bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        framed(b'd', &mut self.channel.output, |output| {
            output.extend_from_slice(&bytes);
            Ok(())
        })
    }
}

fn response(writer: &CopyWriter) -> Result<CopyOutResponse, Problem> {
    let code = i8::from(writer.format() == Format::Binary);
    let count = writer.column_count();
    let columns = i16::try_from(count)
        .map_err(|_error| Problem::error("54011", "a result can have at most 32767 columns"))?;
    Ok(CopyOutResponse::new(code, columns, vec![i16::from(code); count]))
}
