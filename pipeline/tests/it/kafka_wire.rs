//! Two requests of Kafka's protocol as bytes, for what no client does: a producer's offset outside
//! a transaction.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const INIT_PRODUCER_ID: i16 = 22;
const TXN_OFFSET_COMMIT: i16 = 28;
const TRANSACTION_TIMEOUT_MS: i32 = 60_000;

/// An offset, with its producer, its group and its topic.
pub(crate) struct Left<'a> {
    pub(crate) producer: &'a str,
    pub(crate) group: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) offset: i64,
}

/// Leaves an offset of a transactional producer in a group, for partition 0 of the topic, that
/// belongs to no transaction.
pub(crate) fn leave_offset(port: u16, left: &Left<'_>) {
    let mut broker = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let asked = [text(left.producer), TRANSACTION_TIMEOUT_MS.to_be_bytes().to_vec()].concat();
    let started = Instant::now();
    // Throttle time, error; then the producer's id (8 bytes) and epoch (2).
    let who = loop {
        let who = ask(&mut broker, INIT_PRODUCER_ID, &asked);
        if who[4..6] == [0, 0] {
            break who;
        }
        // A broker that has just started reads what it knows of its producers first.
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the producer is not known: error {:?}",
            &who[4..6]
        );
        std::thread::sleep(Duration::from_millis(100));
    };
    let offset = [
        text(left.producer),
        text(left.group),
        who[6..16].to_vec(),
        1_i32.to_be_bytes().to_vec(),
        text(left.topic),
        1_i32.to_be_bytes().to_vec(),
        0_i32.to_be_bytes().to_vec(),
        left.offset.to_be_bytes().to_vec(),
        text("left behind"),
    ];
    let taken = ask(&mut broker, TXN_OFFSET_COMMIT, &offset.concat());
    assert_eq!(taken[taken.len() - 2..], [0, 0], "the offset is taken");
}

/// A request of version 0, and the body of its answer.
fn ask(broker: &mut TcpStream, key: i16, body: &[u8]) -> Vec<u8> {
    let request = [&key.to_be_bytes()[..], &[0; 2], &[0; 4], &text("left behind"), body].concat();
    broker.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    broker.write_all(&request).unwrap();
    let mut length = [0; 4];
    broker.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    broker.read_exact(&mut answer).unwrap();
    // The first four bytes are the number of the request.
    answer.split_off(4)
}

fn text(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}
