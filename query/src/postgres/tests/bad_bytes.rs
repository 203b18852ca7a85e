use super::Served;
use super::client::*;

/// A small generator of its own: the same bytes in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        u8::try_from(self.0 >> 56).unwrap()
    }
}

#[test]
fn any_bytes_before_and_after_the_start_leave_the_port_as_it_is() {
    use std::io::{Read, Write};
    let served = Served::with(50, 4, None);
    let mut numbers = Numbers(3);
    for round in 0..150 {
        let bytes: Vec<u8> = (0..200).map(|_| numbers.next()).collect();
        let mut socket = std::net::TcpStream::connect(served.port.address()).unwrap();
        let _gone = socket.write_all(&bytes);
        drop(socket);
        let mut client = served.client();
        let kind = b"QPBDCEHSXFdcfp"[usize::from(numbers.next()) % 14];
        let body: Vec<u8> = (0..numbers.next() % 60).map(|_| numbers.next() % 4).collect();
        let length = i32::try_from(body.len() + 4).unwrap();
        let mut message = [&[kind], &length.to_be_bytes()[..], &body].concat();
        message.extend_from_slice(b"S\0\0\0\x04");
        let _gone = client.socket.write_all(&message);
        if round % 2 == 0 {
            let _gone = client.socket.shutdown(std::net::Shutdown::Write);
            let mut rest = Vec::new();
            let _reset = client.socket.read_to_end(&mut rest);
        }
    }
    assert_eq!(served.client().ask("select 1").value(), Some("1"));
}

#[test]
fn a_message_that_is_wrong_is_an_error_and_the_next_one_counts() {
    let served = Served::new();
    let mut client = served.client();
    client.bytes(b"Q\0\0\0\x0dselect 1\xff");
    let said = client.read();
    assert_eq!((said.error(), said.lines.last().unwrap().as_str()), (Some("08P01"), "ready I"));
    client.bytes(b"P\0\0\0\x06\0\0");
    client.send(&[parse("", "select 1", &[]), sync()]);
    let said = client.read();
    assert_eq!(said.lines.len(), 2, "{said:?}");
    assert_eq!(client.ask("select 1").value(), Some("1"));
    client.bytes(b"F\0\0\0\x04");
    assert_eq!(client.read().error(), Some("0A000"));
    client.bytes(b"Q\x7f\xff\xff\xff");
    assert_eq!(client.read().error(), Some("08P01"));
    assert!(client.next().is_none(), "the connection has ended");
}

#[test]
fn deep_and_long_statements_are_errors() {
    let served = Served::new();
    let mut client = served.client();
    for text in
        ["(".repeat(200_000), "select ".to_owned() + &"(".repeat(5_000), "explain ".repeat(9_999)]
    {
        assert!(client.ask(&text).error().is_some());
    }
    let long = format!("select '{}' as x", "a".repeat(5_000_000));
    assert_eq!(client.ask(&long).rows[0][0].as_ref().map(Vec::len), Some(5_000_000));
    assert_eq!(client.ask("select 1").value(), Some("1"));
}
