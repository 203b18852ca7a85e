//! The two directions of a connection, each with its buffer.

use std::time::Duration;

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::frontend::Frontend;
use super::stream::Stream;
use crate::postgres::error::{Halt, Problem, Step};
use crate::service::{Cancel, Stopped};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes that are asked for at once.
const READ_BYTES: usize = 8 << 10;
/// Bytes of messages that are read ahead while a statement runs, to see whether it has gone.
const AHEAD_BYTES_MAX: usize = 16 << 20;
/// How long a client may take to read the error that ends its connection.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why a wait has ended before what was waited for.
#[derive(Debug)]
pub(in crate::postgres) enum Interrupt {
    /// The client is not there any more.
    Gone,
    /// The statement was stopped.
    Stopped(Stopped),
}

impl From<Interrupt> for Halt {
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Gone => Self::Gone,
            Interrupt::Stopped(why) => Problem::stopped(why).into(),
        }
    }
}

/// A connection to a client.
#[derive(Debug)]
pub(in crate::postgres) struct Channel {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    input: BytesMut,
    /// What is to be written; rows are put here directly.
    pub(in crate::postgres) output: BytesMut,
    /// The port ends.
    ended: CancellationToken,
}

impl Channel {
    pub(in crate::postgres) fn new(stream: Stream, ended: CancellationToken) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { read, write, input: BytesMut::new(), output: BytesMut::new(), ended }
    }

    /// Takes a message by `take`, waiting for its bytes. What is to be written is written first.
    pub(in crate::postgres) async fn take<T>(
        &mut self,
        take: impl Fn(&mut BytesMut) -> Result<Option<T>, Problem>,
    ) -> Step<T> {
        loop {
            if let Some(taken) = take(&mut self.input)? {
                return Ok(taken);
            }
            self.flush().await?;
            self.input.reserve(READ_BYTES);
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return Err(Problem::shutdown().into()),
                read = self.read.read_buf(&mut self.input) => match read {
                    Ok(0) | Err(_) => return Err(Halt::Gone),
                    Ok(_) => {}
                },
            }
        }
    }

    /// The next message; `patience` is until when the client may think, and what
    /// it is told then.
    pub(in crate::postgres) async fn message(
        &mut self,
        patience: Option<(Instant, Problem)>,
    ) -> Step<Frontend> {
        match patience {
            None => self.take(Frontend::take).await,
            Some((until, problem)) => tokio::time::timeout_at(until, self.take(Frontend::take))
                .await
                .unwrap_or_else(|_elapsed| Err(problem.into())),
        }
    }

    /// Puts a message into the buffer.
    pub(in crate::postgres) fn put(&mut self, message: &PgWireBackendMessage) {
        let before = self.output.len();
        if let Err(error) = message.encode(&mut self.output) {
            // It is longer than any client reads.
            tracing::warn!(%error, "a message to a client of the PostgreSQL port is left out");
            self.output.truncate(before);
        }
    }

    /// Whether enough is in the buffer to write it.
    pub(in crate::postgres) fn is_full(&self) -> bool {
        self.output.len() >= WRITE_BYTES
    }

    /// Writes the buffer. A statement that is stopped meanwhile ends behind what has been begun.
    pub(in crate::postgres) async fn flush(&mut self) -> Step<()> {
        while !self.output.is_empty() {
            tokio::select! {
                biased;
                written = self.write.write_buf(&mut self.output) => match written {
                    Ok(0) | Err(_) => return Err(Halt::Gone),
                    Ok(_) => {}
                },
                () = self.ended.cancelled() => return Err(Halt::Gone),
            }
        }
        self.write.flush().await.map_err(|_gone| Halt::Gone)
    }

    /// Waits for work of a statement while looking whether the client is still there and the
    /// statement is not stopped.
    pub(in crate::postgres) async fn watch<T>(
        &mut self,
        stop: &Cancel,
        work: impl Future<Output = T>,
    ) -> Result<T, Interrupt> {
        tokio::pin!(work);
        loop {
            if let Some(why) = stop.why() {
                return Err(Interrupt::Stopped(why));
            }
            let has_room = self.input.len() < AHEAD_BYTES_MAX;
            if has_room {
                self.input.reserve(READ_BYTES);
            }
            tokio::select! {
                biased;
                () = stop.stopped() => {}
                () = self.ended.cancelled() => stop.stop(Stopped::ShuttingDown),
                done = &mut work => return Ok(done),
                read = self.read.read_buf(&mut self.input), if has_room => match read {
                    Ok(0) | Err(_) => {
                        stop.stop(Stopped::Cancelled);
                        return Err(Interrupt::Gone);
                    }
                    Ok(_) => {}
                },
            }
        }
    }

    /// Tells the client why the connection ends, and ends it.
    pub(in crate::postgres) async fn end(mut self, problem: Option<&Problem>) {
        // A row that was cut off by the end would be read as a part of the message.
        let ended = std::mem::take(&mut self.ended);
        if let Some(problem) = problem {
            self.put(&problem.message());
        }
        drop(ended);
        let last = async {
            self.flush().await.ok()?;
            self.write.shutdown().await.ok()
        };
        let _read_or_not = tokio::time::timeout(LAST_WORDS, last).await;
    }
}
