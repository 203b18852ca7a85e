use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::client::*;
use super::{LONG, Served};

/// From the request to the error; the machine may be busy.
const SOON: Duration = Duration::from_secs(2);

fn cancel(served: &Served, (pid, secret): (i32, i32)) {
    let mut socket = TcpStream::connect(served.port.address()).unwrap();
    let words = [16, 80_877_102, pid, secret];
    let bytes: Vec<u8> = words.iter().flat_map(|word: &i32| word.to_be_bytes()).collect();
    socket.write_all(&bytes).unwrap();
}

#[test]
fn a_statement_is_cancelled_by_the_right_key_only() {
    let served = Served::new();
    let mut client = served.client();
    let key = client.key;
    let text = pgwire::messages::simplequery::Query::new(LONG.to_owned());
    client.send(&[pgwire::messages::PgWireFrontendMessage::Query(text)]);
    std::thread::sleep(Duration::from_millis(300));
    cancel(&served, (key.0, key.1.wrapping_add(1)));
    client.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut byte = [0];
    assert!(client.socket.peek(&mut byte).is_err(), "a wrong key does nothing");
    client.socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let began = Instant::now();
    cancel(&served, key);
    assert_eq!(client.read().error(), Some("57014"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    cancel(&served, key);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(client.ask("select 1").value(), Some("1"));
}

#[test]
fn a_statement_is_cancelled_between_two_fetches() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("begin");
    let rows = "select * from generate_series(1, 100000000)";
    client.send(&[parse("", rows, &[]), bind("a", "", &[]), execute("a", 5), sync()]);
    assert_eq!(client.read().rows.len(), 5);
    cancel(&served, client.key);
    std::thread::sleep(Duration::from_millis(300));
    client.send(&[execute("a", 5), sync()]);
    assert_eq!(client.read().error(), Some("57014"));
}

#[test]
fn time_is_limited_and_the_connection_goes_on() {
    let served = Served::new();
    let mut client = served.client();
    client.ask("set statement_timeout = 200");
    let began = Instant::now();
    let said = client.ask(LONG);
    assert_eq!(said.error(), Some("57014"));
    assert!(said.lines[0].contains("statement timeout"), "{said:?}");
    assert!(began.elapsed() < SOON);
    assert_eq!(client.ask("select 1").value(), Some("1"));
    client.ask("set idle_session_timeout = '100ms'");
    assert_eq!(client.read().error(), Some("57P05"));
}

#[test]
fn the_statement_of_a_client_that_has_gone_is_stopped() {
    // One statement at a time: another one runs when the first has ended.
    let served = Served::with(10, 1, None);
    for text in [LONG, "select * from generate_series(1, 1000000000)"] {
        let mut client = served.client();
        let query = pgwire::messages::simplequery::Query::new(text.to_owned());
        client.send(&[pgwire::messages::PgWireFrontendMessage::Query(query)]);
        std::thread::sleep(Duration::from_millis(300));
        drop(client);
        let began = Instant::now();
        assert_eq!(served.client().ask("select 1").value(), Some("1"));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[test]
fn a_reader_that_does_not_read_holds_back_its_statement_alone() {
    let served = Served::new();
    let mut slow = served.client();
    let query = "select * from generate_series(1, 1000000000)";
    let query = pgwire::messages::simplequery::Query::new(query.to_owned());
    slow.send(&[pgwire::messages::PgWireFrontendMessage::Query(query)]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(served.client().ask("select 1").value(), Some("1"));
    cancel(&served, slow.key);
    assert_eq!(slow.read().error(), Some("57014"));
    assert_eq!(slow.ask("select 2").value(), Some("2"));
}

#[test]
fn clients_are_told_that_the_port_ends() {
    let served = Served::new();
    let mut idle = served.client();
    let mut busy = served.client();
    let text = pgwire::messages::simplequery::Query::new(LONG.to_owned());
    busy.send(&[pgwire::messages::PgWireFrontendMessage::Query(text)]);
    std::thread::sleep(Duration::from_millis(200));
    let Served { port, _folder } = served;
    let address = port.address();
    port.end();
    assert_eq!(idle.read().error(), Some("57P01"));
    assert_eq!(busy.read().error(), Some("57P01"));
    assert!(TcpStream::connect(address).is_err());
}
