//! The way of a client to its first ReadyForQuery.

use std::sync::Arc;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{Authentication, NegotiateProtocolVersion};
use tokio::net::TcpStream;

use super::authenticate::{Encryption, Known, authenticate};
use super::parameters::{Parameters, parse};
use super::tls_or_not::{First, first};
use crate::catalog::postgres::{SettingError, SettingsShown};
use crate::postgres::connection::{Connection, Opened};
use crate::postgres::error::{Halt, Problem, Step};
use crate::postgres::shared::Shared;
use crate::postgres::wire::{Channel, Stream};
use crate::service::User;

/// The name of the database.
pub(crate) const DATABASE: &str = "riskstream";
/// A database that tools connect to before they know another one.
const DATABASE_OF_TOOLS: &str = "postgres";
/// The version of the protocol, 3.0, as a number.
const VERSION: i32 = 3 << 16;

/// Lets a client in; none if it was not let in, or wanted something else.
pub(super) async fn greet(shared: &Arc<Shared>, socket: TcpStream) -> Option<Connection> {
    let _small_messages_at_once = socket.set_nodelay(true);
    match first(shared, socket).await? {
        First::Cancel { pid, secret } => {
            shared.keys.cancel(pid, secret);
            None
        }
        First::Refuse { stream, problem } => {
            Channel::new(stream, shared.ended.clone()).end(Some(&problem)).await;
            None
        }
        First::Begin { stream, version, parameters } => {
            begin(shared, stream, version, &parameters).await
        }
    }
}

async fn begin(
    shared: &Arc<Shared>,
    stream: Stream,
    version: i32,
    parameters: &[u8],
) -> Option<Connection> {
    let encrypted = stream.is_encrypted();
    let mut channel = Channel::new(stream, shared.ended.clone());
    match sign_in(shared, &mut channel, encrypted, version, parameters).await {
        Ok(opened) => Some(Connection::new(channel, opened)),
        Err(Halt::Gone) => None,
        Err(Halt::Problem(problem)) => {
            let problem = Problem { severity: crate::postgres::error::Severity::Fatal, ..*problem };
            channel.end(Some(&problem)).await;
            None
        }
    }
}

async fn sign_in(
    shared: &Arc<Shared>,
    channel: &mut Channel,
    encrypted: bool,
    version: i32,
    parameters: &[u8],
) -> Step<Opened> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != VERSION >> 16 {
        let text =
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(Problem::fatal("0A000", text).into());
    }
    let parameters = parse(parameters)?;
    if minor > 0 || !parameters.extensions.is_empty() {
        let unknown = parameters.extensions.clone();
        channel.put(&PgWireBackendMessage::NegotiateProtocolVersion(
            NegotiateProtocolVersion::new(VERSION, unknown),
        ));
    }
    let too_many = || Problem::fatal("53300", "sorry, too many clients already");
    if shared.places.available_permits() == 0 {
        return Err(too_many().into());
    }
    let known = match &shared.gate {
        None => Known { user: User::local(&parameters.user), until: None },
        Some(gate) => {
            // Who was put into the file of users a moment ago may come in, who was taken out not.
            let _read = shared.service.rules_now().await;
            let bound = shared.tls.as_ref().and_then(|tls| tls.bound.as_ref());
            let encryption = Encryption { is_on: encrypted, bound };
            authenticate(gate.as_ref(), &parameters.user, encryption, channel).await?
        }
    };
    let place = Arc::clone(&shared.places).try_acquire_owned().map_err(|_none_left| too_many())?;
    check_database(&parameters)?;
    let key = shared.keys.register()?;
    let settings = SettingsShown::new(&known.user.name, key.pid);
    set_at_start(&settings, &parameters)?;
    channel.put(&PgWireBackendMessage::Authentication(Authentication::Ok));
    let mut session = shared.service.session(known.user);
    session.set_postgres(settings.clone());
    Ok(Opened { session, settings, key, until: known.until, place })
}

fn check_database(parameters: &Parameters) -> Result<(), Problem> {
    let Parameters { database, user, .. } = parameters;
    // A client that names none asks for one with the user's name.
    if [DATABASE, DATABASE_OF_TOOLS, user.as_str()].contains(&database.as_str()) {
        return Ok(());
    }
    Err(Problem::fatal("3D000", format!("database \"{database}\" does not exist"))
        .with_hint(format!("The database is \"{DATABASE}\".")))
}

fn set_at_start(settings: &SettingsShown, parameters: &Parameters) -> Result<(), Problem> {
    for (name, value) in &parameters.settings {
        let value = match name.to_ascii_lowercase().as_str() {
            // asyncpg sends it in quotes.
            "client_encoding" => value.trim_matches('\''),
            _ => value.as_str(),
        };
        match settings.set_at_start(name, value) {
            // PostgreSQL refuses them; a tool for a later release would not get in.
            Ok(_) | Err(SettingError::Unknown(_) | SettingError::Fixed(_)) => {}
            Err(error @ (SettingError::Invalid { .. } | SettingError::Unsupported { .. })) => {
                return Err(error.into());
            }
        }
    }
    Ok(())
}
