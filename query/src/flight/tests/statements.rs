use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, IpcMessage};
use prost::Message;
use tonic::transport::Endpoint;

use super::world::*;

#[tokio::test]
async fn rows_come_with_the_columns_that_were_told() {
    let served = Served::new();
    let mut client = served.client().await;
    for (text, types, rows) in [
        (
            "select id, lender, cents from payments order by id limit 2",
            "id Int64?, lender Utf8?, cents Int64?",
            &["0|17|0", "1|18|100"][..],
        ),
        ("select 1 as one, 'a' as a, null as n", "one Int32, a Utf8, n Utf8?", &["1|a|"]),
        (
            "select max(at) as at from payments",
            "at Timestamp(µs, \"UTC\")?",
            &["1970-01-01T00:00:09Z"],
        ),
        ("select count(*) as n from payments where false", "n Int64", &["0"]),
        ("select id from payments where false", "id Int64?", &[]),
        (
            "select * from (values (1, 'a'), (2, null)) as t (n, s) order by n",
            "n Int32, s Utf8?",
            &["1|a", "2|"],
        ),
        (
            "select sum(cents) as s from payments_now where lender = '18'",
            "s Decimal128(29, 0)?",
            &["2500"],
        ),
        ("-- ping\nselect upper('x') as x;", "x Utf8?", &["X"]),
    ] {
        let info = client.execute(text.to_owned(), None).await.map_err(status).unwrap();
        let found = told(&info);
        let found: Vec<_> = found
            .fields()
            .iter()
            .map(|field| {
                let mark = if field.is_nullable() { "?" } else { "" };
                format!("{} {}{mark}", field.name(), field.data_type())
            })
            .collect();
        assert_eq!(found.join(", "), types, "{text}");
        // A ticket is good as often as it is used.
        for _ in 0..2 {
            assert_eq!(shown(&fetch(&mut client, &info).await.unwrap()), rows, "{text}");
        }
        let query = CommandStatementQuery { query: text.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
        let schema = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner().schema;
        assert_eq!(Schema::try_from(IpcMessage(schema)).unwrap(), told(&info));
    }
}

#[tokio::test]
async fn plans_are_explained() {
    let served = Served::new();
    let rows = ask(&mut served.client().await, "explain select id from payments").await.unwrap();
    assert!(shown(&rows).join("\n").contains("payments"), "{rows:?}");
}

#[tokio::test]
async fn long_answers_come_in_messages_that_clients_take() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select repeat('x', 1000) as t from generate_series(1, 20000)";
    let info = client.execute(text.to_owned(), None).await.map_err(status).unwrap();
    let columns = told(&info);
    let column = columns.field(0);
    assert_eq!((column.name().as_str(), column.data_type()), ("t", &DataType::Utf8));
    // As a client has it that says nothing of lengths.
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address())).unwrap();
    let mut plain = FlightServiceClient::new(endpoint.connect().await.unwrap());
    let mut stream = plain.do_get(ticket(&info)).await.unwrap().into_inner();
    let (mut messages, mut bytes) = (0, 0);
    while let Some(message) = stream.message().await.unwrap() {
        assert!(message.encoded_len() < 4 << 20, "{}", message.encoded_len());
        messages += 1;
        bytes += message.data_body.len();
    }
    assert!(messages > 4 && bytes > 20_000_000, "{messages} messages, {bytes} bytes");
    let rows = fetch(&mut client, &info).await.unwrap();
    assert_eq!(rows.num_rows(), 20_000);
}

#[tokio::test]
async fn a_million_rows_are_all_there() {
    let served = Served::new();
    let text = "select * from generate_series(1, 1000000)";
    let rows = ask(&mut served.client().await, text).await.unwrap();
    let numbers = rows.column(0).as_primitive::<Int64Type>();
    assert_eq!(numbers.len(), 1_000_000);
    let sum: i64 = numbers.iter().flatten().sum();
    assert_eq!(sum, 500_000_500_000);
}

#[tokio::test]
async fn what_a_statement_sets_is_gone_after_it() {
    let served = Served::new();
    let mut client = served.client().await;
    let set = "select set_config('TimeZone', 'Europe/Berlin', false)";
    assert_eq!(shown(&ask(&mut client, set).await.unwrap()), ["Europe/Berlin"]);
    let zone = ask(&mut client, "select current_setting('TimeZone')").await.unwrap();
    assert_ne!(shown(&zone), ["Europe/Berlin"]);
}

#[tokio::test]
async fn statements_of_a_client_run_side_by_side() {
    let served = Served::new();
    let client = served.client().await;
    let asked = (0..20_i64).map(|n| {
        let mut client = client.clone();
        async move { ask(&mut client, &format!("select {n} + count(*) from payments")).await }
    });
    let answers = futures::future::join_all(asked).await;
    let answers: Vec<_> = answers.into_iter().map(|rows| shown(&rows.unwrap())).collect();
    let expected: Vec<_> = (0..20).map(|n| vec![(n + 10).to_string()]).collect();
    assert_eq!(answers, expected);
}
