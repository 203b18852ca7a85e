//! A client that says exactly what a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Flush, Parse, Sync};
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::{SecretKey, Startup};
use pgwire::messages::{
    DecodeContext, PgWireBackendMessage as Backend, PgWireFrontendMessage as Frontend,
    ProtocolVersion,
};

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client over a socket, encrypted or not.
pub(super) struct Client<S = TcpStream> {
    pub(super) socket: S,
    input: BytesMut,
    context: DecodeContext,
    pub(super) key: (i32, i32),
    pub(super) settings: Vec<(String, String)>,
}

/// What came up to a ReadyForQuery, as short texts.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) lines: Vec<String>,
    pub(super) rows: Vec<Vec<Option<Vec<u8>>>>,
    pub(super) copied: Vec<u8>,
    /// Where errors are in the text, as they say.
    pub(super) positions: Vec<String>,
}

impl Client {
    pub(super) fn connected(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(socket)
    }

    pub(super) fn signed_in(address: SocketAddr, user: &str) -> Self {
        Self::with(address, &[("user", user), ("database", "riskstream")]).unwrap()
    }

    /// Signs in with parameters; the lines of what came if that fails.
    pub(super) fn with(
        address: SocketAddr,
        parameters: &[(&str, &str)],
    ) -> Result<Self, Vec<String>> {
        let mut client = Self::connected(address);
        client.begin(parameters);
        let said = client.read();
        match said.lines.last().map(String::as_str) {
            Some("ready I") => Ok(client),
            _ => Err(said.lines),
        }
    }
}

impl<S: Read + Write> Client<S> {
    /// A client that has said nothing yet.
    pub(super) fn over(socket: S) -> Self {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        Self { socket, input: BytesMut::new(), context, key: (0, 0), settings: Vec::new() }
    }

    /// Says who it is.
    pub(super) fn begin(&mut self, parameters: &[(&str, &str)]) {
        let mut startup = Startup::new();
        for (name, value) in parameters {
            startup.parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        self.send(&[Frontend::Startup(startup)]);
    }

    pub(super) fn send(&mut self, messages: &[Frontend]) {
        let mut bytes = BytesMut::new();
        messages.iter().for_each(|message| message.encode(&mut bytes).unwrap());
        self.bytes(&bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next message; none at the end.
    pub(super) fn next(&mut self) -> Option<Backend> {
        loop {
            if let Some(message) = Backend::decode(&mut self.input, &self.context).unwrap() {
                return Some(message);
            }
            let mut bytes = [0; 65_536];
            match self.socket.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                // TLS calls an end without a word an error.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                    ) =>
                {
                    return None;
                }
                Err(error) => panic!("no answer came: {error}"),
            }
        }
    }

    /// All up to a ReadyForQuery or the end.
    pub(super) fn read(&mut self) -> Said {
        let mut said = Said::default();
        while let Some(message) = self.next() {
            let is_ready = matches!(message, Backend::ReadyForQuery(_));
            self.note(message, &mut said);
            if is_ready {
                break;
            }
        }
        said
    }

    /// So many messages.
    pub(super) fn read_some(&mut self, count: usize) -> Said {
        let mut said = Said::default();
        for _ in 0..count {
            let message = self.next().expect("the connection goes on");
            self.note(message, &mut said);
        }
        said
    }

    fn note(&mut self, message: Backend, said: &mut Said) {
        let field = |fields: &[(u8, String)], kind: u8| {
            fields.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.clone()).unwrap_or_default()
        };
        said.lines.push(match message {
            Backend::ReadyForQuery(ready) => match ready.status {
                TransactionStatus::Idle => "ready I".to_owned(),
                TransactionStatus::Transaction => "ready T".to_owned(),
                TransactionStatus::Error => "ready E".to_owned(),
            },
            Backend::CommandComplete(complete) => complete.tag,
            Backend::ErrorResponse(error) => {
                said.positions.push(field(&error.fields, b'P'));
                format!("error {} {}", field(&error.fields, b'C'), field(&error.fields, b'M'))
            }
            Backend::NoticeResponse(notice) => format!("notice {}", field(&notice.fields, b'C')),
            Backend::RowDescription(row) => {
                let fields = row.fields.iter();
                let fields: Vec<_> =
                    fields.map(|f| format!("{}:{}:{}", f.name, f.type_id, f.format_code)).collect();
                format!("row {}", fields.join(" "))
            }
            Backend::DataRow(row) => {
                said.rows.push(values(&row.data));
                return;
            }
            Backend::ParameterDescription(types) => format!("parameters {:?}", types.types),
            Backend::ParameterStatus(status) => {
                self.settings.retain(|(name, _)| *name != status.name);
                self.settings.push((status.name, status.value));
                return;
            }
            Backend::BackendKeyData(key) => {
                let SecretKey::I32(secret) = key.secret_key else { panic!("another key") };
                self.key = (key.pid, secret);
                return;
            }
            Backend::CopyOutResponse(copy) => format!("copy {} {}", copy.format, copy.columns),
            Backend::CopyData(data) => {
                said.copied.extend_from_slice(&data.data);
                return;
            }
            Backend::ParseComplete(_) => "parsed".to_owned(),
            Backend::BindComplete(_) => "bound".to_owned(),
            Backend::CloseComplete(_) => "closed".to_owned(),
            Backend::NoData(_) => "no data".to_owned(),
            Backend::PortalSuspended(_) => "suspended".to_owned(),
            Backend::EmptyQueryResponse(_) => "empty".to_owned(),
            Backend::CopyDone(_) => "copied".to_owned(),
            Backend::NegotiateProtocolVersion(version) => {
                format!(
                    "version {} {:?}",
                    version.newest_minor_protocol, version.unsupported_options
                )
            }
            Backend::Authentication(_) => return,
            other => format!("{other:?}"),
        });
    }

    /// Asks in the simple protocol.
    pub(super) fn ask(&mut self, text: &str) -> Said {
        self.send(&[Frontend::Query(Query::new(text.to_owned()))]);
        self.read()
    }

    /// The setting that the client was told of.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Said {
    /// The first value, as text.
    pub(super) fn value(&self) -> Option<&str> {
        let value = self.rows.first()?.first()?.as_deref()?;
        std::str::from_utf8(value).ok()
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix("error ")).map(|error| &error[..5])
    }
}

fn values(mut data: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut values = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                values.push(Some(rest[..length].to_vec()));
                data = &rest[length..];
            }
            Err(_) => {
                values.push(None);
                data = rest;
            }
        }
    }
    values
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

pub(super) fn parse(name: &str, text: &str, types: &[u32]) -> Frontend {
    Frontend::Parse(Parse::new(named(name), text.to_owned(), types.to_vec()))
}

/// Values as text.
pub(super) fn bind(portal: &str, statement: &str, values: &[Option<&str>]) -> Frontend {
    let values = values.iter().map(|value| value.map(|v| Bytes::copy_from_slice(v.as_bytes())));
    let values = values.collect();
    Frontend::Bind(Bind::new(named(portal), named(statement), vec![], values, vec![]))
}

/// A value in binary form.
pub(super) fn bind_binary(portal: &str, statement: &str, value: &[u8]) -> Frontend {
    let values = vec![Some(Bytes::copy_from_slice(value))];
    Frontend::Bind(Bind::new(named(portal), named(statement), vec![1], values, vec![]))
}

/// Columns in these formats.
pub(super) fn bind_formats(portal: &str, statement: &str, formats: &[i16]) -> Frontend {
    let (portal, statement) = (named(portal), named(statement));
    Frontend::Bind(Bind::new(portal, statement, vec![], vec![], formats.to_vec()))
}

pub(super) fn execute(portal: &str, rows_max: i32) -> Frontend {
    Frontend::Execute(Execute::new(named(portal), rows_max))
}

pub(super) fn describe(kind: u8, name: &str) -> Frontend {
    Frontend::Describe(Describe::new(kind, named(name)))
}

pub(super) fn close(kind: u8, name: &str) -> Frontend {
    Frontend::Close(Close::new(kind, named(name)))
}

pub(super) fn sync() -> Frontend {
    Frontend::Sync(Sync::new())
}

pub(super) fn flush() -> Frontend {
    Frontend::Flush(Flush::new())
}
