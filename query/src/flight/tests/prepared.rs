use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use arrow_flight::FlightInfo;
use arrow_flight::sql::client::PreparedStatement;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::world::*;

type Prepared = PreparedStatement<Channel>;

async fn prepare(client: &mut Client, text: &str) -> Result<Prepared, Status> {
    client.prepare(text.to_owned(), None).await.map_err(status)
}

/// Binds columns of values and asks for the flight.
async fn bound(
    statement: &mut Prepared,
    columns: Vec<(&str, ArrayRef)>,
) -> Result<FlightInfo, Status> {
    statement.set_parameters(RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    statement.execute().await.map_err(status)
}

fn types(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[tokio::test]
async fn parameters_are_found_out_and_bound() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select id, lender from payments where id >= $1 and lender = $2 order by id";
    let mut statement = prepare(&mut client, text).await.unwrap();
    assert_eq!(types(statement.parameter_schema().unwrap()), ["$1 Int64", "$2 Utf8"]);
    assert_eq!(types(statement.dataset_schema().unwrap()), ["id Int64", "lender Utf8"]);
    for (from, lender, rows) in
        [(6, "17", &["6|17", "8|17"][..]), (7, "18", &["7|18", "9|18"]), (0, "19", &[])]
    {
        // Of another type than the statement's.
        let from: ArrayRef = Arc::new(Int32Array::from(vec![from]));
        let lender: ArrayRef = Arc::new(StringArray::from(vec![lender]));
        let info = bound(&mut statement, vec![("a", from), ("b", lender)]).await.unwrap();
        assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), rows);
    }
    for columns in [
        vec![("a", ints(&[1]))],
        vec![("a", ints(&[1])), ("b", ints(&[1])), ("c", ints(&[1]))],
        vec![("a", Arc::new(StringArray::from(vec!["x"])) as ArrayRef), ("b", ints(&[1]))],
    ] {
        let refused = bound(&mut statement, columns).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn for_each_row_of_values_a_statement_runs_once() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select id, cents from payments where id = ?";
    let mut statement = prepare(&mut client, text).await.unwrap();
    let info = bound(&mut statement, vec![("a", ints(&[7, 3, 99, 3]))]).await.unwrap();
    let rows = fetch(&mut client, &info).await.unwrap();
    assert_eq!(shown(&rows), ["7|700", "3|300", "3|300"]);
    let none = bound(&mut statement, vec![("a", ints(&[]))]).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let many: Vec<i64> = (0..1_001).collect();
    let many = bound(&mut statement, vec![("a", ints(&many))]).await.unwrap_err();
    assert_eq!(many.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn values_become_what_a_cast_says() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select $1::text as a, $2::bigint + 1 as b";
    let mut statement = prepare(&mut client, text).await.unwrap();
    assert_eq!(types(statement.dataset_schema().unwrap()), ["a Utf8", "b Int64"]);
    let values = vec![("a", ints(&[41])), ("b", ints(&[41]))];
    let info = bound(&mut statement, values).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), ["41|42"]);
}

#[tokio::test]
async fn bytes_are_no_text() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select encode($1::bytea, 'hex') as a";
    let mut statement = prepare(&mut client, text).await.unwrap();
    for (bytes, expected) in [(&[0, 0xff][..], "00ff"), (b"\\xff", "5c786666")] {
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![bytes]));
        let info = bound(&mut statement, vec![("a", bytes)]).await.unwrap();
        assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), [expected]);
    }
}

#[tokio::test]
async fn a_statement_without_values_does_not_run() {
    let served = Served::new();
    let mut client = served.client().await;
    let mut statement = prepare(&mut client, "select $1 + 1").await.unwrap();
    let refused = status(statement.execute().await.unwrap_err());
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    for (text, code) in [
        ("selec", Code::InvalidArgument),
        ("select * from nothing", Code::NotFound),
        ("delete from payments", Code::PermissionDenied),
    ] {
        assert_eq!(prepare(&mut client, text).await.unwrap_err().code(), code, "{text}");
    }
}

#[tokio::test]
async fn a_prepared_statement_sees_new_rows_until_it_is_closed() {
    let served = Served::new();
    let mut client = served.client().await;
    let mut statement = prepare(&mut client, "select count(*) from payments").await.unwrap();
    for (epoch, rows) in [(2, "10"), (3, "15"), (4, "20")] {
        let info = statement.execute().await.map_err(status).unwrap();
        assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), [rows]);
        served.pay(epoch, 100..105);
    }
    let mut closed = statement.clone();
    statement.close().await.unwrap();
    let refused = status(closed.execute().await.unwrap_err());
    assert_eq!(refused.code(), Code::NotFound);
    closed.close().await.unwrap();
}
