use std::time::{Duration, Instant};

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
};
use prost::Message;
use tonic::{Code, Status};

use super::world::*;
use crate::service::Limits;

/// From the request to the error; the machine may be busy.
const SOON: Duration = Duration::from_secs(2);
const A_WHILE: Duration = Duration::from_millis(300);

async fn cancel(client: &mut Client, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let request = CancelFlightInfoRequest::new(info.clone());
    let action = Action::new("CancelFlightInfo", request.encode_to_vec());
    let body = act(client, action).await?.remove(0);
    Ok(CancelFlightInfoResult::decode(body).unwrap().status())
}

#[tokio::test]
async fn a_statement_is_stopped_by_its_flight() {
    let served = Served::new();
    let mut client = served.client().await;
    let info = client.execute(LONG.to_owned(), None).await.map_err(status).unwrap();
    let (mut reader, flight) = (client.clone(), info.clone());
    let reading = tokio::spawn(async move { fetch(&mut reader, &flight).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!reading.is_finished());
    let began = Instant::now();
    assert_eq!(cancel(&mut client, &info).await.unwrap(), CancelStatus::Cancelled);
    let stopped = reading.await.unwrap().unwrap_err();
    assert_eq!(stopped.code(), Code::Cancelled, "{stopped}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(cancel(&mut client, &info).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fetch(&mut client, &info).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_has_ended_can_not_be_stopped() {
    let served = Served::new();
    let mut client = served.client().await;
    let text = "select 1".to_owned();
    let info = client.execute(text.clone(), None).await.map_err(status).unwrap();
    fetch(&mut client, &info).await.unwrap();
    assert_eq!(cancel(&mut client, &info).await.unwrap(), CancelStatus::NotCancellable);
    // As CancelQuery, and before anybody has begun.
    let info = client.execute(text, None).await.map_err(status).unwrap();
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
    let action = Action::new("CancelQuery", request.as_any().encode_to_vec());
    let body = act(&mut client, action).await.unwrap().remove(0);
    let result: ActionCancelQueryResult = Any::decode(body).unwrap().unpack().unwrap().unwrap();
    assert_eq!(result.result, CancelStatus::Cancelled as i32);
    let none = cancel(&mut client, &FlightInfo::new()).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_statement_of_a_client_that_has_gone_is_stopped() {
    // One statement at a time: another one runs when the first has ended.
    let limits = Limits { threads: 2, statements_max: 1, ..Limits::default() };
    let served = Served::with(Setup { limits, ..Setup::default() });
    for text in [LONG, "select * from generate_series(1, 1000000000)"] {
        let mut client = served.client().await;
        let info = client.execute(text.to_owned(), None).await.map_err(status).unwrap();
        let reading = tokio::spawn(async move { fetch(&mut client, &info).await.map(|_| ()) });
        tokio::time::sleep(A_WHILE).await;
        reading.abort();
        let _aborted = reading.await;
        let began = Instant::now();
        let mut next = served.client().await;
        assert_eq!(shown(&ask(&mut next, "select 1").await.unwrap()), ["1"]);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_back_its_statement_alone() {
    let served = Served::new();
    let mut slow = served.client().await;
    let text = "select * from generate_series(1, 1000000000)".to_owned();
    let info = slow.execute(text, None).await.map_err(status).unwrap();
    let stream = slow.do_get(ticket(&info)).await.map_err(status).unwrap();
    tokio::time::sleep(A_WHILE).await;
    let mut other = served.client().await;
    let rows = "select bool_and(rows < 100000000) from system.queries where state = 'running'";
    assert_eq!(shown(&ask(&mut other, rows).await.unwrap()), ["true"]);
    drop(stream);
    assert_eq!(shown(&ask(&mut slow, "select 2").await.unwrap()), ["2"]);
}

#[tokio::test]
async fn time_is_limited() {
    let timeout = Some(Duration::from_millis(200));
    let limits = Limits { threads: 2, statement_timeout: timeout, ..Limits::default() };
    let served = Served::with(Setup { limits, ..Setup::default() });
    let mut client = served.client().await;
    let began = Instant::now();
    let late = ask(&mut client, LONG).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    assert!(began.elapsed() < SOON);
    assert_eq!(shown(&ask(&mut client, "select 1").await.unwrap()), ["1"]);
}

#[tokio::test]
async fn clients_are_told_that_the_port_ends() {
    let served = Served::new();
    let mut client = served.client().await;
    let info = client.execute(LONG.to_owned(), None).await.map_err(status).unwrap();
    let reading = tokio::spawn(async move { fetch(&mut client, &info).await });
    tokio::time::sleep(A_WHILE).await;
    let Served { port, folder: _folder } = served;
    let address = port.address();
    let began = Instant::now();
    tokio::task::spawn_blocking(move || port.end()).await.unwrap();
    let told = reading.await.unwrap().unwrap_err();
    assert_eq!(told.code(), Code::Unavailable, "{told}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
