//! Messages of a client, from their bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::postgres::error::Problem;

/// Bytes of the type and the length in front of a message.
const HEADER_BYTES: usize = 5;
/// Longest message that holds a statement or values.
const LARGE_BYTES_MAX: usize = 256 << 20;
/// Longest message of the other types.
const SMALL_BYTES_MAX: usize = 10_000;
/// Longest password or token.
const PASSWORD_BYTES_MAX: usize = 65_535;

/// What is described or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum Target {
    Statement(String),
    Portal(String),
}

/// Values for a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Bound {
    pub(in crate::postgres) portal: String,
    pub(in crate::postgres) statement: String,
    pub(in crate::postgres) formats: Vec<i16>,
    pub(in crate::postgres) values: Vec<Option<Bytes>>,
    pub(in crate::postgres) result_formats: Vec<i16>,
}

/// A message of a client that has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) enum Frontend {
    Query(String),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Bind(Box<Bound>),
    Describe(Target),
    Execute {
        portal: String,
        rows_max: i32,
    },
    Close(Target),
    Flush,
    Sync,
    FunctionCall,
    /// Rows of a COPY FROM that was refused, which PostgreSQL passes over.
    Copy,
    /// A message whose bytes are wrong; the ones after it can be read. After one of the extended
    /// protocol all is skipped up to the next Sync.
    Malformed {
        extended: bool,
        problem: Box<Problem>,
    },
    Terminate,
}

/// Longest message of a type; none for a type that no client sends.
fn bytes_max(kind: u8) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(LARGE_BYTES_MAX),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(SMALL_BYTES_MAX),
        _ => None,
    }
}

/// The type of the next message and its length without the type, if they have come.
fn header(input: &[u8], bytes_max: impl Fn(u8) -> Option<usize>) -> Result<Header, Problem> {
    let Some((&kind, rest)) = input.split_first() else { return Ok(None) };
    let Some(max) = bytes_max(kind) else {
        return Err(Problem::fatal("08P01", format!("invalid frontend message type {kind}")));
    };
    let Some((length, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    if length < HEADER_BYTES - 1 || length > max {
        return Err(Problem::fatal("08P01", "invalid message length"));
    }
    Ok(Some((kind, length)))
}

type Header = Option<(u8, usize)>;

impl Frontend {
    /// Takes the next message, if all of it has come.
    ///
    /// # Errors
    /// Nobody knows where the next message begins.
    pub(in crate::postgres) fn take(input: &mut BytesMut) -> Result<Option<Self>, Problem> {
        let Some((kind, body)) = take(input, bytes_max)? else { return Ok(None) };
        Ok(Some(Self::decode(kind, Body(body)).unwrap_or_else(|problem| {
            let extended = !matches!(kind, b'Q' | b'F');
            Self::Malformed { extended, problem: Box::new(problem) }
        })))
    }

    fn decode(kind: u8, mut body: Body) -> Result<Self, Problem> {
        let message = match kind {
            b'Q' => Self::Query(body.text()?),
            b'P' => {
                let (name, text) = (body.text()?, body.text()?);
                let count = body.count()?;
                let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Self::Parse { name, text, types }
            }
            b'B' => Self::Bind(Box::new(body.bound()?)),
            b'D' => Self::Describe(body.target()?),
            b'C' => Self::Close(body.target()?),
            b'E' => {
                let portal = body.text()?;
                let rows_max = i32::from_be_bytes(body.bytes()?);
                Self::Execute { portal, rows_max }
            }
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Ok(Self::FunctionCall),
            _ => return Ok(Self::Copy),
        };
        body.end()?;
        Ok(message)
    }
}

/// Takes the body of the message in which a password or the next part of SCRAM comes.
pub(in crate::postgres) fn password(input: &mut BytesMut) -> Result<Option<Bytes>, Problem> {
    let taken = take(input, |kind| (kind == b'p').then_some(PASSWORD_BYTES_MAX));
    match taken {
        Ok(taken) => Ok(taken.map(|(_, body)| body)),
        Err(problem) if problem.message.starts_with("invalid frontend") => {
            let kind = input.first().copied().unwrap_or_default();
            let text = format!("expected password response, got message type {kind}");
            Err(Problem::fatal("08P01", text))
        }
        Err(problem) => Err(problem),
    }
}

fn take(
    input: &mut BytesMut,
    bytes_max: impl Fn(u8) -> Option<usize>,
) -> Result<Option<(u8, Bytes)>, Problem> {
    let Some((kind, length)) = header(input, bytes_max)? else { return Ok(None) };
    if input.len() <= length {
        return Ok(None);
    }
    let mut message = input.split_to(length + 1);
    message.advance(HEADER_BYTES);
    Ok(Some((kind, message.freeze())))
}

/// What is left of a message.
struct Body(Bytes);

fn short() -> Problem {
    Problem::protocol("insufficient data left in message")
}

impl Body {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let bytes = *self.0.first_chunk::<N>().ok_or_else(short)?;
        self.0.advance(N);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn count(&mut self) -> Result<u16, Problem> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// A text that ends with a zero.
    fn text(&mut self) -> Result<String, Problem> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let end = end.ok_or_else(|| Problem::protocol("invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Problem::error("22021", "invalid byte sequence for encoding \"UTF8\"")),
        }
    }

    fn target(&mut self) -> Result<Target, Problem> {
        let [kind] = self.bytes()?;
        match kind {
            b'S' => self.text().map(Target::Statement),
            b'P' => self.text().map(Target::Portal),
            other => Err(Problem::protocol(format!("invalid subtype {other} of a message"))),
        }
    }

    /// Codes of formats, whether or not there are such.
    fn formats(&mut self) -> Result<Vec<i16>, Problem> {
        let count = self.count()?;
        (0..count).map(|_| self.bytes().map(i16::from_be_bytes)).collect()
    }

    fn bound(&mut self) -> Result<Bound, Problem> {
        let (portal, statement) = (self.text()?, self.text()?);
        let formats = self.formats()?;
        check_formats(&formats)?;
        let count = self.count()?;
        let values = (0..count).map(|_| self.value()).collect::<Result<_, _>>()?;
        let result_formats = self.formats()?;
        Ok(Bound { portal, statement, formats, values, result_formats })
    }

    fn value(&mut self) -> Result<Option<Bytes>, Problem> {
        let length = self.bytes().map(i32::from_be_bytes)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|&length| length <= self.0.len());
        Ok(Some(self.0.split_to(length.ok_or_else(short)?)))
    }

    fn end(&self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::protocol("invalid message format")) }
    }
}

/// Refuses a format that is neither text nor binary.
pub(in crate::postgres) fn check_formats(codes: &[i16]) -> Result<(), Problem> {
    match codes.iter().find(|code| !matches!(code, 0 | 1)) {
        None => Ok(()),
        Some(code) => Err(Problem::error("22023", format!("unsupported format code: {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> BytesMut {
        let length = i32::try_from(body.len() + 4).unwrap();
        let mut bytes = BytesMut::from(&[kind][..]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_message_that_is_short_or_long_leaves_the_next_one() {
        for (kind, body, code) in [
            (b'Q', &b"select 1"[..], "08P01"),
            (b'Q', b"select 1\0x", "08P01"),
            (b'Q', b"\xff\0", "22021"),
            (b'P', b"\0\0", "08P01"),
            (b'P', b"\0\0\0\x02\0\0\0\x01", "08P01"),
            (b'B', b"\0\0\0\0\xff\xff", "08P01"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff", "08P01"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe", "08P01"),
            (b'B', b"\0\0\0\x01\0\x07\0\0\0\0", "22023"),
            (b'D', b"X\0", "08P01"),
            (b'E', b"\0\0", "08P01"),
            (b'S', b"\0", "08P01"),
        ] {
            let mut input = message(kind, body);
            input.extend_from_slice(&message(b'S', b""));
            let taken = Frontend::take(&mut input).unwrap();
            let Some(Frontend::Malformed { problem, .. }) = taken else { panic!("{taken:?}") };
            assert_eq!((problem.code, problem.is_fatal()), (code, false), "{body:?}");
            assert_eq!(Frontend::take(&mut input).unwrap(), Some(Frontend::Sync));
        }
    }

    #[test]
    fn lengths_and_types_that_cannot_be_end_the_connection() {
        for bytes in [
            &b"Q\0\0\0\x03"[..],
            b"Q\xff\xff\xff\xff",
            b"Q\x7f\xff\xff\xff",
            b"S\0\x01\0\0",
            b"\0\0\0\0\x08",
            b"p\0\0\0\x08",
            b"\x16\x03",
        ] {
            assert!(Frontend::take(&mut BytesMut::from(bytes)).unwrap_err().is_fatal());
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_a_problem() {
        // A small generator of its own: the same bytes in every run.
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u8::try_from(state >> 56).unwrap()
        };
        for _ in 0..20_000 {
            let kind = b"QPBDCEHSXFdcf"[usize::from(next()) % 13];
            let body: Vec<u8> = (0..next() % 40).map(|_| next() % 5).collect();
            let mut input = message(kind, &body);
            let _any = Frontend::take(&mut input);
            assert!(input.is_empty());
        }
    }

    #[test]
    fn a_message_waits_for_all_of_its_bytes() {
        let whole = message(b'Q', b"select 1\0");
        for end in 0..whole.len() {
            assert_eq!(Frontend::take(&mut BytesMut::from(&whole[..end])).unwrap(), None);
        }
    }
}
