//! A port over a folder with one table, and clients of arrow-flight at it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, FlightInfo, Ticket};
use futures::TryStreamExt;
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, StageSettings, Stager, TableSpec, WriterOptions, sync_files,
};
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::catalog::{NoSystemTables, TableFact, TableFacts};
use crate::flight::{FlightPort, FlightSettings};
use crate::rules::{Rules, verifier};
use crate::service::{Limits, QueryService, ServiceSettings};

pub(super) type Client = FlightSqlServiceClient<Channel>;

/// Rows enough to take longer than any test.
pub(super) const LONG: &str = "select count(*) from generate_series(1, 10000000000000)";

pub(super) struct Served {
    pub(super) port: FlightPort,
    pub(super) folder: TempDir,
}

/// How a port is made.
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) connections_max: usize,
    /// What the users file has beside its roles and users.
    pub(super) users: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = Limits { threads: 2, ..Limits::default() };
        Self { limits, connections_max: 100, users: None }
    }
}

impl Setup {
    /// With the users ann and bob, of whom each sees the rows of one lender.
    pub(super) fn with_users() -> Self {
        Self { users: Some(String::new()), ..Self::default() }
    }
}

fn users(more: &str) -> String {
    let user = |name: &str, lender: &str| {
        let verifier = verifier(&format!("{name}'s password")).unwrap();
        format!(
            "[users.{name}]\npassword = \"{verifier}\"\nroles = [\"lender\"]\n\
             attributes = {{ lender = [\"{lender}\"] }}\n"
        )
    };
    format!(
        "{}{}[roles.lender]\ntables = [\"payments\"]\n\
         rows = [{{ table = \"*\", column = \"lender\", in = \"lender\" }}]\n{more}",
        user("ann", "17"),
        user("bob", "18"),
    )
}

impl Served {
    pub(super) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(super) fn with(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Setup { limits, connections_max, users } = setup;
        let users = users.map(|more| {
            let file = folder.path().join("users.toml");
            std::fs::write(&file, self::users(&more)).unwrap();
            Arc::new(Rules::open(&file).map_err(|problems| problems.to_string()).unwrap())
        });
        let fact = TableFact {
            about: Some("what was paid".to_owned()),
            columns: [("cents".to_owned(), "in hundredths".to_owned())].into(),
            key: vec!["id".to_owned()],
            revision: Some("revision".to_owned()),
            ..TableFact::default()
        };
        let service = QueryService::open(ServiceSettings {
            data: folder.path().to_owned(),
            tables: TableFacts::from([("payments".to_owned(), fact)]),
            limits,
            system: Arc::new(NoSystemTables),
            rules: users.clone(),
            audit: None,
        });
        let settings = FlightSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            users,
            connections_max,
        };
        let port = FlightPort::begin(service.unwrap(), settings).unwrap();
        let served = Self { port, folder };
        served.pay(1, 0..10);
        served
    }

    /// One more epoch of the table `payments`, with these ids.
    pub(super) fn pay(&self, epoch: u64, ids: std::ops::Range<i64>) {
        let location = self.folder.path().join("tables/payments");
        // Delta's runtime must not be made within another.
        let deliver = || deliver(&location, epoch, &payments(ids));
        std::thread::scope(|scope| scope.spawn(deliver).join().unwrap());
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A client on a connection of its own, which has said nothing.
    pub(super) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address())).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }

    pub(super) async fn signed_in(&self, name: &str) -> Client {
        let mut client = self.client().await;
        client.handshake(name, &format!("{name}'s password")).await.unwrap();
        client
    }
}

fn schema() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("lender", DataType::Utf8, true),
        Field::new("cents", DataType::Int64, true),
        Field::new("at", at, true),
        Field::new("revision", DataType::Int64, true),
    ]))
}

/// A payment for each id: of lender 17 where it is even, else of 18.
fn payments(ids: std::ops::Range<i64>) -> RecordBatch {
    let of = |value: fn(i64) -> i64| Int64Array::from_iter_values(ids.clone().map(value));
    let lenders = ids.clone().map(|id| if id % 2 == 0 { "17" } else { "18" });
    let at = TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| id * 1_000_000));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(of(|id| id)),
        Arc::new(StringArray::from_iter_values(lenders)),
        Arc::new(of(|id| id * 100)),
        Arc::new(at.with_timezone("UTC")),
        Arc::new(of(|_| 0)),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn deliver(location: &Path, epoch: u64, rows: &RecordBatch) {
    let spec = TableSpec::new("payments", location, schema(), None).unwrap();
    let runtime = DeltaRuntime::new().unwrap();
    let options = WriterOptions::default();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), "test/payments", options, &runtime).unwrap();
    let mut stager = Stager::new(spec, 1, 0, StageSettings::default()).unwrap();
    let files = stager.stage(epoch, std::slice::from_ref(rows)).unwrap();
    sync_files(location, &files).unwrap();
    writer.deliver(i64::try_from(epoch).unwrap(), &files, &serde_json::Map::new()).unwrap();
}

/// What gRPC says of an error.
pub(super) fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("another error: {other}"),
    }
}

pub(super) fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

/// The columns that a flight was said to have.
pub(super) fn told(info: &FlightInfo) -> Schema {
    info.clone().try_decode_schema().unwrap()
}

/// All rows of a flight. Their columns are those that were told.
pub(super) async fn fetch(client: &mut Client, info: &FlightInfo) -> Result<RecordBatch, Status> {
    let mut stream = client.do_get(ticket(info)).await.map_err(status)?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(status)? {
        batches.push(batch);
    }
    let schema = Arc::clone(stream.schema().unwrap());
    assert_eq!(*schema, told(info));
    Ok(concat_batches(&schema, &batches).unwrap())
}

/// Asks a statement.
pub(super) async fn ask(client: &mut Client, text: &str) -> Result<RecordBatch, Status> {
    let info = client.execute(text.to_owned(), None).await.map_err(status)?;
    fetch(client, &info).await
}

/// Rows as text: the values of a row with bars between them.
pub(super) fn shown(rows: &RecordBatch) -> Vec<String> {
    let table = pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join("|")
    };
    lines.map(cells).collect()
}

/// Does an action; what comes of it.
pub(super) async fn act(client: &mut Client, action: Action) -> Result<Vec<bytes::Bytes>, Status> {
    let results = client.do_action(action).await.map_err(status)?;
    let results: Vec<_> = results.try_collect().await?;
    Ok(results.into_iter().map(|result: arrow_flight::Result| result.body).collect())
}
