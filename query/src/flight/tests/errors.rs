use arrow_flight::sql::{
    Any, Command, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementSubstraitPlan, CommandStatementUpdate, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, Ticket};
use bytes::Bytes;
use futures::stream;
use prost::Message;
use tonic::{Code, Status};

use super::world::*;

#[tokio::test]
async fn errors_have_codes_and_leave_the_connection() {
    let served = Served::new();
    let mut client = served.client().await;
    for (text, code, state) in [
        ("", Code::InvalidArgument, "42601"),
        ("selec 1", Code::InvalidArgument, "42601"),
        ("select 1; select 2", Code::InvalidArgument, "42601"),
        ("select 1 from", Code::InvalidArgument, "42601"),
        ("select * from nothing", Code::NotFound, "42P01"),
        ("select nothing from payments", Code::NotFound, "42703"),
        ("select nothing(1)", Code::NotFound, "42883"),
        ("select 1 / (id - id) from payments", Code::InvalidArgument, "22012"),
        ("select cast(lender || 'x' as int) from payments", Code::InvalidArgument, "22P02"),
        ("insert into payments values (1)", Code::PermissionDenied, "25006"),
        ("update payments set id = 1", Code::PermissionDenied, "25006"),
        ("drop table payments", Code::PermissionDenied, "25006"),
        ("create table t (a int)", Code::PermissionDenied, "25006"),
        ("copy payments to '/tmp/x'", Code::PermissionDenied, "25006"),
        ("set x = 1", Code::PermissionDenied, "25006"),
        ("explain drop table payments", Code::PermissionDenied, "25006"),
    ] {
        let refused = ask(&mut client, text).await.unwrap_err();
        assert_eq!(refused.code(), code, "{text}: {refused}");
        let told = refused.metadata().get("sqlstate").and_then(|state| state.to_str().ok());
        assert_eq!(told, Some(state), "{text}: {refused}");
        assert_eq!(shown(&ask(&mut client, "select 1").await.unwrap()), ["1"]);
    }
    let refused = ask(&mut client, "select $1 + 1").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("1 parameters"), "{refused}");
}

async fn described(client: &mut Client, descriptor: FlightDescriptor) -> Status {
    client.inner_mut().get_flight_info(descriptor).await.unwrap_err()
}

#[tokio::test]
async fn what_is_no_command_is_refused() {
    let served = Served::new();
    let mut client = served.client().await;
    let query = CommandStatementQuery { query: "select 1".to_owned(), transaction_id: None };
    let broken = Any { type_url: query.as_any().type_url, value: Bytes::from_static(b"\xff\xff") };
    let unknown = Any { type_url: "x/y".to_owned(), value: Bytes::new() };
    for bytes in [b"junk".to_vec(), broken.encode_to_vec(), unknown.encode_to_vec()] {
        let refused = described(&mut client, FlightDescriptor::new_cmd(bytes.clone())).await;
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let refused = client.do_get(Ticket::new(bytes)).await.map(|_| ()).unwrap_err();
        assert_eq!(status(refused).code(), Code::InvalidArgument);
    }
    let path = FlightDescriptor::new_path(vec!["payments".to_owned()]);
    assert_eq!(described(&mut client, path).await.code(), Code::InvalidArgument);
    let unknown = TicketStatementQuery { statement_handle: Bytes::from_static(&[7; 16]) };
    let unknown = Ticket::new(unknown.as_any().encode_to_vec());
    let refused = client.do_get(unknown).await.map(|_| ()).unwrap_err();
    assert_eq!(status(refused).code(), Code::NotFound);
    for action in ["CreatePreparedStatement", "EndTransaction", "CancelQuery", "CancelFlightInfo"] {
        let refused = act(&mut client, Action::new(action, &b"junk"[..])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{action}: {refused}");
    }
    let refused = act(&mut client, Action::new("Nothing", Bytes::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(shown(&ask(&mut client, "select 1").await.unwrap()), ["1"]);
}

#[tokio::test]
async fn nothing_is_written_and_plans_are_not_taken() {
    let served = Served::new();
    let mut client = served.client().await;
    let statement = "delete from payments".to_owned();
    let refused = client.execute_update(statement.clone(), None).await.unwrap_err();
    assert_eq!(status(refused).code(), Code::PermissionDenied);
    let handle = Bytes::from_static(&[1; 16]);
    for (command, code) in [
        (
            Command::CommandStatementUpdate(CommandStatementUpdate {
                query: statement,
                transaction_id: None,
            }),
            Code::PermissionDenied,
        ),
        (
            Command::CommandPreparedStatementUpdate(CommandPreparedStatementUpdate {
                prepared_statement_handle: handle,
            }),
            Code::PermissionDenied,
        ),
        (
            Command::CommandStatementIngest(CommandStatementIngest::default()),
            Code::PermissionDenied,
        ),
        (
            Command::CommandStatementSubstraitPlan(CommandStatementSubstraitPlan::default()),
            Code::Unimplemented,
        ),
    ] {
        let descriptor = FlightDescriptor::new_cmd(command.into_any().encode_to_vec());
        let message = FlightData::new().with_descriptor(descriptor);
        let refused = client.do_put(stream::iter([message])).await.map(|_| ()).unwrap_err();
        assert_eq!(status(refused).code(), code);
    }
    let plan = CommandStatementSubstraitPlan::default().as_any().encode_to_vec();
    let refused = client.do_get(Ticket::new(plan.clone())).await.map(|_| ()).unwrap_err();
    assert_eq!(status(refused).code(), Code::Unimplemented);
    let refused = described(&mut client, FlightDescriptor::new_cmd(plan)).await;
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("SQL"), "{refused}");
    let prepare = Action::new("CreatePreparedSubstraitPlan", Bytes::new());
    assert_eq!(act(&mut client, prepare).await.unwrap_err().code(), Code::Unimplemented);
    for messages in [vec![], vec![FlightData::new()]] {
        let refused = client.do_put(stream::iter(messages)).await.map(|_| ()).unwrap_err();
        assert_eq!(status(refused).code(), Code::InvalidArgument);
    }
}
