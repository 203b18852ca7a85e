//! Mutations of bytes: small damage, spliced corpus entries, and words that break parsers.

use rand::{Rng, RngExt};

/// Words that number, text, time and JSON or CSV parsers are known to stumble over.
pub(crate) const WORDS: [&[u8]; 64] = [
    b"NaN",
    b"nan",
    b"inf",
    b"-inf",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e-400",
    b"0.1e-99999999999",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"340282366920938463463374607431768211456",
    b"9999999999.99",
    b"99999999999.99",
    b"0.005",
    b"-0",
    b"-0.00",
    b"00",
    b"+1",
    b"0x10",
    b"1_000",
    b"1,000",
    b"1.",
    b".5",
    b"1e2",
    b"0001-01-01 00:00:00",
    b"0000-12-31",
    b"9999-12-31T23:59:59.999999999Z",
    b"10000-01-01",
    b"-0001-01-01",
    b"2018-02-29 00:00:00",
    b"2018-06-30 23:59:60",
    b"2018-04-01T00:00:00+14:00",
    b"2018-04-01T00:00:00-99:99",
    b"2018-04-01 24:00:00",
    b"null",
    b"true",
    b"false",
    b"\"\"",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\x",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r",
    b"\r\n",
    b"\t",
    b"\0",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xC0\x80",
    b"\xED\xA0\x80",
    b"\xF0\x9F\x98\x80",
    b" ",
];

/// An input made from entries of a corpus: one of them, damaged up to eight times. At times it is
/// left whole.
pub(crate) fn mutated(
    corpus: &[Vec<u8>],
    words: &[&[u8]],
    rng: &mut impl Rng,
    bytes_max: usize,
) -> Vec<u8> {
    let mut input = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(0..=8_u32) {
        mutate(&mut input, corpus, words, rng);
        input.truncate(bytes_max);
    }
    input
}

/// A place in an input of this length; half of the time near an end, where headers and footers are.
fn place(length: usize, rng: &mut impl Rng) -> usize {
    let near = length.min(512);
    match rng.random_range(0..4_u32) {
        0 => rng.random_range(0..=near),
        1 => length - rng.random_range(0..=near),
        _ => rng.random_range(0..=length),
    }
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]], rng: &mut impl Rng) {
    let at = place(input.len(), rng);
    let end = (at + 1 + skewed(rng)).min(input.len());
    let word = words[rng.random_range(0..words.len())];
    match rng.random_range(0..11_u32) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8_u32);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = rng.random();
            }
        }
        2 => drop(input.drain(at..end)),
        3 => {
            let copied = input[at..end].to_vec();
            let to = place(input.len(), rng);
            drop(input.splice(to..to, copied));
        }
        4 => input.truncate(at),
        5 => drop(input.splice(at..at, word.iter().copied())),
        6 => drop(input.splice(at..end, word.iter().copied())),
        7 => {
            // A whole value gives way to a word.
            let is_end =
                |b: &u8| matches!(b, b',' | b':' | b'\n' | b'}' | b'{' | b'=' | b'"' | b' ');
            let from = input[..at].iter().rposition(is_end).map_or(0, |p| p + 1);
            let to = input[at..].iter().position(is_end).map_or(input.len(), |p| at + p);
            drop(input.splice(from..to, word.iter().copied()));
        }
        8 => {
            let other = &corpus[rng.random_range(0..corpus.len())];
            let from = place(other.len(), rng);
            let upto = (from + 1 + 8 * skewed(rng)).min(other.len());
            drop(input.splice(at..at, other[from..upto].iter().copied()));
        }
        9 => {
            // A number in a binary header gives way to an extreme.
            let extreme = [0, 1, 0x7F, 0x80, 0xFF][rng.random_range(0..5_usize)];
            let upto = (at + [1, 2, 4, 8][rng.random_range(0..4_usize)]).min(input.len());
            input[at..upto].fill(extreme);
        }
        _ => {
            let repeats = 1 << rng.random_range(0..10_u32);
            drop(input.splice(at..at, word.iter().copied().cycle().take(word.len() * repeats)));
        }
    }
}

/// Mostly small, at times up to a thousand.
fn skewed(rng: &mut impl Rng) -> usize {
    let bits = rng.random_range(0..10_u32);
    rng.random_range(0..=(1_usize << bits))
}
