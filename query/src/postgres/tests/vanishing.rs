//! Clients that go without a word.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::client::*;
use super::{LONG, Served};

/// How many vanish; the proof takes 5,000.
fn clients() -> usize {
    let said = std::env::var("VANISHING_CLIENTS").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(500)
}

/// Of those that stay without a word; each holds a file of this process.
const SILENT_MAX: usize = 300;
/// How long a new client may have to wait.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn clients_that_vanish_keep_nobody_out() {
    // Fewer places than clients, and one statement at a time.
    let served = Served::with(20, 2, None);
    let address = served.port.address();
    let start: &[u8] = b"\0\0\0\x12\0\x03\0\0user\0ada\0\0";
    let ask = |text: &str| {
        let length = u32::try_from(text.len() + 5).unwrap();
        [&b"Q"[..], &length.to_be_bytes(), text.as_bytes(), b"\0"].concat()
    };
    let endless = ask("select * from generate_series(1, 100000000000)");
    let long = ask(LONG);
    let mut silent = Vec::new();
    for index in 0..clients() {
        let mut socket = TcpStream::connect(address).unwrap();
        let sent = match index % 8 {
            // In the midst of the handshake.
            0 => b"".to_vec(),
            1 => start[..3].to_vec(),
            2 => start[..start.len() - 1].to_vec(),
            3 => b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
            // Behind it, before, while and after something is answered.
            4 => start.to_vec(),
            5 => [start, &long].concat(),
            6 => [start, &endless].concat(),
            _ => [start, &ask("begin"), &ask("select 1")].concat(),
        };
        // Some are gone before they have sent it.
        let _gone = socket.write_all(&sent);
        // Some stay without a word, as those whose machine has gone.
        if matches!(index % 8, 0 | 2) && silent.len() < SILENT_MAX {
            silent.push(socket);
        }
    }
    let began = Instant::now();
    let mut client = loop {
        match Client::with(address, &[("user", "ada")]) {
            Ok(client) => break client,
            Err(said) => assert!(said[0].starts_with("error 53300"), "{said:?}"),
        }
        assert!(began.elapsed() < PATIENCE, "nobody comes in any more");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(client.ask("select 41 + 1").value(), Some("42"));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    drop(silent);
}

#[test]
fn idle_portals_keep_no_statement_from_running() {
    // Two statements at a time, and five portals of which some rows were taken.
    let served = Served::with(20, 2, None);
    let rows = "select * from generate_series(1, 1000000000)";
    let mut idle: Vec<_> = (0..5)
        .map(|_| {
            let mut client = served.client();
            client.ask("begin");
            client.send(&[parse("", rows, &[]), bind("a", "", &[]), execute("a", 5), sync()]);
            assert_eq!(client.read().rows.len(), 5);
            client
        })
        .collect();
    let began = Instant::now();
    let mut client = served.client();
    assert_eq!(client.ask("select 41 + 1").value(), Some("42"));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    // The portals go on where they were.
    for client in &mut idle {
        client.send(&[execute("a", 50_000), sync()]);
        let said = client.read();
        assert_eq!(said.rows.len(), 50_000);
        assert_eq!(said.value(), Some("6"));
    }
}

#[test]
fn a_cursor_that_nobody_reads_is_not_too_slow() {
    let served = Served::with(20, 2, None);
    let mut client = served.client();
    client.ask("set statement_timeout = 300");
    client.ask("begin; declare c cursor for select * from generate_series(1, 1000000000)");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(client.ask("fetch 10 from c").rows.len(), 10);
    }
    client.ask("commit");
    let said = client.ask(LONG);
    assert_eq!(said.error(), Some("57014"));
}
