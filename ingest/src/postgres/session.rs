//! One replication connection: signing on, SQL by the simple protocol, and the stream of changes. A
//! replication connection takes SQL too, so that catalog, snapshot and stream are read from one
//! server without a fail-over between.

use crate::postgres::endpoint::Endpoint;
use crate::postgres::error::SessionError;
use crate::postgres::scram::Scram;
use crate::postgres::tls::{Wire, connect};
use bytes::{Buf, Bytes};
use pgwire_replication::Lsn;
use pgwire_replication::protocol::framing::{
    BackendMessage, MessageReader, write_copy_data, write_password_message, write_query,
    write_startup_message,
};
use pgwire_replication::protocol::messages::{auth, parse_auth_request};
use pgwire_replication::protocol::replication::{
    PG_EPOCH_MICROS, ReplicationCopyData, encode_standby_status_update, parse_copy_data,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::BufReader;
use tokio::time::timeout;

/// Protocol 3.0.
const PROTOCOL: i32 = 196_608;
/// What the server may take to answer while signing on.
const PATIENCE: Duration = Duration::from_secs(30);
/// Settings that change how values are written.
const OPTIONS: &str = "-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC -c \
                       extra_float_digits=1 -c bytea_output=hex -c statement_timeout=0";
/// Bytes that are read ahead.
const READ_BUFFER: usize = 128 * 1024;

/// A row of text values.
pub(crate) type Row = Vec<Option<String>>;

/// A replication connection.
pub(crate) struct Session {
    wire: BufReader<Wire>,
    reader: MessageReader,
}

impl Session {
    /// Connects and signs on.
    pub(crate) async fn open(endpoint: &Endpoint, application: &str) -> Result<Self, SessionError> {
        let opened = timeout(PATIENCE, Self::sign_on(endpoint, application)).await;
        opened.unwrap_or_else(|_| {
            Err(SessionError::Passing(format!("no answer within {} s", PATIENCE.as_secs())))
        })
    }

    async fn sign_on(endpoint: &Endpoint, application: &str) -> Result<Self, SessionError> {
        let wire = BufReader::with_capacity(READ_BUFFER, connect(endpoint).await?);
        let mut session = Self { wire, reader: MessageReader::new() };
        let parameters = [
            ("user", endpoint.user.as_str()),
            ("database", endpoint.database.as_str()),
            ("replication", "database"),
            ("client_encoding", "UTF8"),
            ("application_name", application),
            ("options", OPTIONS),
        ];
        write_startup_message(&mut session.wire, PROTOCOL, &parameters).await?;
        let mut scram = None;
        loop {
            let message = session.read().await?;
            match message.tag {
                b'R' => session.authenticate(endpoint, &message.payload, &mut scram).await?,
                b'E' => {
                    // A password that is refused is refused tomorrow, too.
                    return Err(match SessionError::of_server(&message.payload) {
                        SessionError::Refused { code, message } if code.starts_with("28") => {
                            SessionError::Fatal(format!(
                                "{message}; check the user, its password (`password_env` names the \
                                 variable that holds it), its REPLICATION right and pg_hba.conf"
                            ))
                        }
                        other @ (SessionError::Fatal(_)
                        | SessionError::Passing(_)
                        | SessionError::Refused { .. }
                        | SessionError::Changed(_)
                        | SessionError::Stopped) => other.settled(),
                    });
                }
                b'Z' => return Ok(session),
                _ => {}
            }
        }
    }

    async fn authenticate(
        &mut self,
        endpoint: &Endpoint,
        payload: &[u8],
        scram: &mut Option<Scram>,
    ) -> Result<(), SessionError> {
        let (code, rest) = parse_auth_request(payload)?;
        let password = || {
            let missing = || {
                SessionError::Fatal(format!(
                    "the server wants a password of {}; name the environment variable that holds \
                     it by `password_env`",
                    endpoint.user
                ))
            };
            endpoint.password.as_deref().ok_or_else(missing)
        };
        let fatal = |reason: String| {
            SessionError::Fatal(format!("signing on as {} fails: {reason}", endpoint.user))
        };
        match code {
            auth::OK => {}
            auth::CLEARTEXT_PASSWORD => {
                if !matches!(self.wire.get_ref(), Wire::Tls(_) | Wire::Socket(_)) {
                    return Err(fatal(
                        "the server wants the password in the clear, over a connection that anyone \
                         can read; use scram-sha-256 or TLS"
                        .into(),
                    ));
                }
                write_password_message(&mut self.wire, &[password()?.as_bytes(), b"\0"].concat())
                    .await?;
            }
            auth::SASL => {
                let (begun, mechanism) =
                    Scram::begin(rest, password()?, self.wire.get_ref()).map_err(fatal)?;
                let length = (begun.message().len() as i32).to_be_bytes();
                write_password_message(
                    &mut self.wire,
                    &[mechanism.as_bytes(), b"\0", &length, begun.message()].concat(),
                )
                .await?;
                *scram = Some(begun);
            }
            auth::SASL_CONTINUE | auth::SASL_FINAL => {
                let exchange = scram
                    .as_mut()
                    .ok_or_else(|| fatal("the server goes on with what was not begun".into()))?;
                if code == auth::SASL_FINAL {
                    exchange.check(rest).map_err(fatal)?;
                } else {
                    exchange.answer(rest).map_err(fatal)?;
                    write_password_message(&mut self.wire, exchange.message()).await?;
                }
            }
            auth::MD5_PASSWORD => {
                return Err(fatal(
                    "the server asks for an MD5 password, which is not safe; set \
                     password_encryption = 'scram-sha-256' there and set the password anew"
                        .into(),
                ));
            }
            other => {
                return Err(fatal(format!(
                    "the server asks for authentication {other}, which is not known; use \
                     scram-sha-256"
                )));
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<BackendMessage, SessionError> {
        Ok(self.reader.read(&mut self.wire).await?)
    }

    /// Runs statements and gives the rows.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, SessionError> {
        self.begin_query(sql).await?;
        let mut rows = Vec::new();
        while let Some(row) = self.next_row().await? {
            rows.push(text_row(&row)?);
        }
        Ok(rows)
    }

    /// Runs statements whose rows [`Self::next_row`] gives one by one.
    pub(crate) async fn begin_query(&mut self, sql: &str) -> Result<(), SessionError> {
        Ok(write_query(&mut self.wire, sql).await?)
    }

    /// The next row of the query, as the server sent it (a DataRow); none when it is done. May be
    /// dropped while it waits.
    pub(crate) async fn next_row(&mut self) -> Result<Option<Bytes>, SessionError> {
        loop {
            let message = self.read().await?;
            match message.tag {
                b'D' => return Ok(Some(message.payload)),
                b'Z' => return Ok(None),
                b'E' => {
                    let error = SessionError::of_server(&message.payload);
                    // A server that goes away says no more.
                    if matches!(
                        &error,
                        SessionError::Refused { code, .. } if !code.starts_with("57P")
                    ) {
                        while self.read().await?.tag != b'Z' {}
                    }
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// Begins to stream a slot's changes from a position on.
    pub(crate) async fn start(
        &mut self,
        slot: &str,
        publication: &str,
        from: Lsn,
    ) -> Result<(), SessionError> {
        let names = format!("\"{}\"", publication.replace('"', "\"\"")).replace('\'', "''");
        let sql = format!(
            "START_REPLICATION SLOT {slot} LOGICAL {from} (proto_version '1', publication_names \
             '{names}')"
        );
        write_query(&mut self.wire, &sql).await?;
        loop {
            let message = self.read().await?;
            match message.tag {
                b'W' => return Ok(()),
                b'E' => return Err(SessionError::of_server(&message.payload)),
                _ => {}
            }
        }
    }

    /// The next message of the stream. May be dropped while it waits.
    pub(crate) async fn receive(&mut self) -> Result<ReplicationCopyData, SessionError> {
        loop {
            let message = self.read().await?;
            match message.tag {
                b'd' => return Ok(parse_copy_data(message.payload)?),
                b'E' => return Err(SessionError::of_server(&message.payload)),
                b'c' | b'C' => {
                    return Err(SessionError::Passing("the server has ended the stream".into()));
                }
                _ => {}
            }
        }
    }

    /// Tells the server that everything before `through` is safe here; it answers with its own
    /// position if wanted.
    pub(crate) async fn acknowledge(
        &mut self,
        through: Lsn,
        wants_answer: bool,
    ) -> Result<(), SessionError> {
        let status =
            encode_standby_status_update(through, now_micros() - PG_EPOCH_MICROS, wants_answer);
        Ok(write_copy_data(&mut self.wire, &status).await?)
    }
}

/// Microseconds since 1970.
pub(crate) fn now_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// The fields of a DataRow.
pub(crate) fn row_fields(row: &Bytes) -> Result<Vec<Option<Bytes>>, SessionError> {
    let broken = || SessionError::Fatal("the server sends a row that can't be read".into());
    let mut rest = row.clone();
    let columns = rest.try_get_i16().map_err(|_| broken())?;
    let mut fields = Vec::with_capacity(columns.max(0) as usize);
    for _ in 0..columns {
        let length = rest.try_get_i32().map_err(|_| broken())?;
        match usize::try_from(length) {
            Err(_) => fields.push(None),
            Ok(length) if length <= rest.len() => fields.push(Some(rest.split_to(length))),
            Ok(_) => return Err(broken()),
        }
    }
    Ok(fields)
}

fn text_row(row: &Bytes) -> Result<Row, SessionError> {
    Ok(row_fields(row)?
        .into_iter()
        .map(|field| field.map(|f| String::from_utf8_lossy(&f).into_owned()))
        .collect())
}
