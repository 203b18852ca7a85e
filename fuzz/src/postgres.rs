//! The PostgreSQL port's readers of messages, of the start of a connection, and of statements.
//!
//! They never panic, and what is read is the same whatever pieces the bytes come in.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riskstream_query::{postgres_messages, postgres_start};

use crate::fuzzed::Fuzzed;
use crate::mutate::{WORDS, mutated};

const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Statements and parts of them, as the port reads them itself.
const STATEMENTS: [&str; 24] = [
    "select 1",
    "begin isolation level serializable read only; savepoint a; rollback to a; commit and chain",
    "declare c no scroll cursor with hold for select * from t; fetch forward 10 from c; close all",
    "copy (select 1, 'a') to stdout with (format csv, header, delimiter ';', force_quote (a, b))",
    "copy public.t (a, \"B\") to stdout binary",
    "prepare p (int, numeric(10, 2)[]) as select $1 + $2",
    "execute p(1, '{1,2}')",
    "set time zone interval '+02:00' hour to minute",
    "set session characteristics as transaction isolation level repeatable read",
    "set search_path to \"$user\", public, 'system'",
    "show transaction isolation level",
    "explain (analyze, verbose off, format text) with a as (table b) select * from a",
    "discard all",
    "deallocate prepare all",
    "select $tag$ it's; -- no end $tag$ /* a /* b */ c */, E'\\x41', U&'\\0041', N'x' -- end",
    "select * from loans for version as of 12 join b timestamp as of '2026-01-01' using (x)",
    "table loans order by 1 limit $1 offset $2",
    "select distinct on (a) a, array[1, null]::int[], x[1:2], (r).f from t order by a, b desc",
    "with recursive t(n) as (select 1 union all select n + 1 from t) select * from t for update",
    "insert into t values (1); listen x; lock table t; create table t (a int)",
    "select 'a'::regclass::oid, a operator(pg_catalog.~) '^b$' collate \"C\"",
    "((((((((select 1))))))))",
    "select case when a then b else c end, a is not distinct from b, a ilike b escape '!'",
    ";;; -- ping",
];

/// Numbers and words that the protocol's readers look at.
const PROTOCOL_WORDS: [&[u8]; 24] = [
    b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"\0\0\0\x08\x04\xd2\x16\x30",
    b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
    b"\0\x03\0\0",
    b"\0\x03\0\x02",
    b"user\0ada\0",
    b"database\0riskstream\0",
    b"options\0-c a=b --c-d=e\\ f\0",
    b"_pq_.x\0y\0",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"X\0\0\0\x04",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\x01",
    b"\0\0",
    b"SCRAM-SHA-256-PLUS\0",
    b"p=tls-server-end-point,,n=,r=",
    b"n,,n=*,r=abc",
    b"$1",
    b";",
    b"$$",
    b"/*",
    b"--",
];

/// Clients' bytes, mutated.
pub(crate) struct Clients {
    corpus: Vec<Vec<u8>>,
    words: Vec<&'static [u8]>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let mut corpus = vec![
            [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], &start()].concat(),
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02".to_vec(),
            message(b'p', b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=*,r=abc"),
            extended(),
        ];
        for statement in STATEMENTS {
            corpus.push(message(b'Q', &text(statement)));
            let parse = [&b"s\0"[..], &text(statement), b"\0\x01\0\0\0\x17"].concat();
            corpus.push([message(b'P', &parse), message(b'S', b"")].concat());
        }
        Self { corpus, words: PROTOCOL_WORDS.into_iter().chain(WORDS).collect() }
    }
}

/// A text as messages hold it.
fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A message of a type with a body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// A StartupMessage.
fn start() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0ada\0database\0riskstream\0options\0-c jit=off\0\0";
    [&(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

/// A statement with a parameter in the extended protocol, in all its messages.
fn extended() -> Vec<u8> {
    let bound = b"p\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07\0\x01\0\x01";
    [
        message(b'P', b"s\0select $1 + 1\0\0\x01\0\0\0\x17"),
        message(b'D', b"Ss\0"),
        message(b'B', bound),
        message(b'D', b"Pp\0"),
        message(b'E', b"p\0\0\0\0\x05"),
        message(b'C', b"Pp\0"),
        message(b'H', b""),
        message(b'S', b""),
        message(b'd', b"1\t2\n"),
        message(b'c', b""),
        message(b'F', b"\0\0\0\x01"),
        message(b'X', b""),
    ]
    .concat()
}

impl Fuzzed for Clients {
    fn input(&mut self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        mutated(&self.corpus, &self.words, rng, INPUT_BYTES_MAX)
    }

    fn try_input(&mut self, input: &[u8], rng: &mut ChaCha8Rng) -> Result<bool, String> {
        let whole = postgres_messages(input, usize::MAX);
        let piece = rng.random_range(1..=input.len().clamp(1, 64));
        let pieces = postgres_messages(input, piece);
        if whole != pieces {
            return Err(format!("in pieces of {piece} bytes other messages are read"));
        }
        let began = postgres_start(input);
        Ok(!whole.is_empty() || !began.is_empty())
    }
}
