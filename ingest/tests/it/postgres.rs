//! The PostgreSQL source against the real server: reading goes on after any block as if it had not
//! stopped. What becomes of the rows, and of kills and servers that go away, is tested with the
//! whole program (`pipeline/tests/it/postgres/`).

mod server;

use riskstream_engine::contract::{PartitionInfo, Poll, PollLimit, Position, Source};
use riskstream_ingest::{Endpoint, PostgresSource, PostgresSourceSpec, parse_type};
use server::Server;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

impl Server {
    fn source(&self) -> PostgresSource {
        source(self.port)
    }
}

fn source(port: u16) -> PostgresSource {
    let url = format!("postgresql://riskstream@localhost:{port}/loans?sslmode=require");
    let column = |name: &str, text: &str| (name.to_owned(), parse_type(text).expect("a type"));
    let spec = PostgresSourceSpec {
        name: "loans".into(),
        endpoint: Endpoint::parse(&url).expect("an address").with_password("riskstream".into()),
        table: "public.loans".into(),
        slot: "ingest_test".into(),
        publication: "ingest_test".into(),
        schema: Some(vec![column("id", "int64"), column("amount", "decimal(14,2)")]),
        event_time: "_committed_at".into(),
        ties_by: Vec::new(),
        future_skew_max_us: 3_600_000_000,
        heartbeat: Duration::from_secs(10),
        stop_at_end: true,
        first_patience: Duration::from_millis(300),
    };
    PostgresSource::new(spec).expect("a source")
}

/// Rows as text, and the position after each block with how many rows there were.
type Run = (Vec<String>, Vec<(usize, Position)>);

/// Reads to the end from a position on; only what claims the slot is committed, so that any
/// position can be gone back to.
fn read(server: &Server, from: Option<&Position>) -> Run {
    let mut source = server.source();
    let info = source.partitions()[0].clone();
    let at = |position: &Position| BTreeMap::from([(0_u32, (info.clone(), position.clone()))]);
    let resume: BTreeMap<u32, (PartitionInfo, Position)> = from.map(&at).unwrap_or_default();
    source.open(&resume).expect("opened");
    let mut decoder = source.decoder();
    let (mut rows, mut positions) = (Vec::new(), Vec::new());
    let started = Instant::now();
    loop {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the end does not come; {} rows so far",
            rows.len()
        );
        match source.poll(0, PollLimit { rows: 1 << 20, bytes: 1 << 20 }).expect("polled") {
            Poll::Block(mut block) => {
                block.read_at = 4_000_000_000_000_000;
                let next = block.next.clone();
                if from.is_none() && positions.is_empty() {
                    source.committed(&at(&next));
                }
                let decoded = decoder.decode(block).expect("decoded");
                assert!(decoded.rejected.is_none());
                let shown = arrow::util::pretty::pretty_format_batches(&[decoded.rows])
                    .expect("shown")
                    .to_string();
                rows.extend(
                    shown
                        .lines()
                        .filter(|l| l.starts_with('|'))
                        .skip(1)
                        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")),
                );
                assert_eq!(
                    next.next_offset as usize,
                    rows.len() + from.map_or(0, |p| p.next_offset as usize)
                );
                positions.push((rows.len(), next));
            }
            Poll::Pending { .. } => std::thread::sleep(Duration::from_millis(2)),
            Poll::Finished(position) => {
                assert!(!position.finished, "a table has no end");
                return (rows, positions);
            }
        }
    }
}

#[test]
fn reading_goes_on_after_any_block_even_within_a_transaction() {
    let server = Server::start();
    server.psql(
        "create table loans (id bigint primary key, amount numeric(14,2)); \
         create table others (id int); \
         insert into loans select n, n from generate_series(1, 9000) n",
    );
    // The snapshot.
    let (first, after) = read(&server, None);
    assert_eq!(first.len(), 9_001);
    let snapshot = after.last().expect("blocks").1.clone();
    // Transactions of every size, some beside the table, some of it and another.
    server.psql("update loans set amount = amount + 1; insert into others values (1)");
    server.psql(
        "begin; insert into others values (2); delete from loans where id > 8990; \
         insert into others values (3); commit",
    );
    server.psql(
        "begin; update loans set id = id + 100000 where id <= 3000; \
         update loans set amount = 0 where id > 5000; commit",
    );
    server.psql("truncate loans");
    server.psql("insert into loans values (1, 0.01)");
    let (rows, blocks) = read(&server, Some(&snapshot));
    assert_eq!(rows.len(), 9_000 + 10 + 2 * 3_000 + (8_990 - 5_000 + 3_000) + 1 + 1);
    let within =
        blocks.iter().filter(|(_, position)| !position.fingerprint.contains("\"taken\":0")).count();
    assert!(within > 0, "no block ends within a transaction");
    let step = (blocks.len() / 12).max(1);
    for (number, (done, position)) in
        blocks.iter().enumerate().filter(|(i, _)| i % step == 0 || i + 1 == blocks.len())
    {
        let (rest, _) = read(&server, Some(position));
        assert!(
            rest == rows[*done..],
            "after block {number} of {}, at {}: {} rows, {} expected",
            blocks.len(),
            position.fingerprint,
            rest.len(),
            rows.len() - done
        );
    }
    // A snapshot that was not finished is read anew, from its truncation on, by a slot made anew.
    let claim = after.first().expect("blocks").1.clone();
    let (again, _) = read(&server, Some(&claim));
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again[0].contains("| t |") && again[1].contains("| 1 | 0.01 | r |"), "{again:?}");
}

#[test]
fn a_server_that_was_never_reached_is_an_error_after_a_while() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let mut source = source(free.expect("a port").port());
    source.open(&BTreeMap::new()).expect("opened");
    let started = Instant::now();
    let error = loop {
        match source.poll(0, PollLimit { rows: 1, bytes: 1 }) {
            Ok(_) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => break error.to_string(),
        }
        assert!(started.elapsed() < Duration::from_secs(30), "no error");
    };
    assert!(error.contains("no run has reached it yet"), "{error}");
    assert!(started.elapsed() >= Duration::from_millis(300));
}
