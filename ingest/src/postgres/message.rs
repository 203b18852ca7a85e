//! The messages of pgoutput, protocol 1, as bytes: what a transaction did to which table. Pure.

use bytes::{Buf, Bytes};
use pgwire_replication::Lsn;
use pgwire_replication::protocol::replication::PG_EPOCH_MICROS;

/// A message is cut short or is not what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// A transaction begins; it is complete at the server already.
    Begin {
        commit: Lsn,
        /// Microseconds since 1970.
        at: i64,
        xid: u32,
    },
    /// It ends; the next one begins at `end` or later.
    Commit {
        end: Lsn,
    },
    /// What a table is from now on.
    Relation(Relation),
    Insert {
        relation: u32,
        new: Bytes,
    },
    Update {
        relation: u32,
        old: Option<OldRow>,
        new: Bytes,
    },
    Delete {
        relation: u32,
        old: OldRow,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// A type, an origin, a message of a user: nothing that changes a row.
    Other,
}

/// The row before, as far as the table's replica identity tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldRow {
    /// All columns, not the key's alone.
    pub(crate) full: bool,
    pub(crate) tuple: Bytes,
}

/// A table as the stream describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) id: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `d`: primary key, `n`: nothing, `f`: all columns, `i`: an index.
    pub(crate) identity: u8,
    pub(crate) columns: Vec<RelationColumn>,
}

/// One of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelationColumn {
    pub(crate) name: String,
    /// It is of the replica identity.
    pub(crate) key: bool,
}

/// A column's value in a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Null,
    /// Stored out of line and not changed, therefore not sent.
    Unchanged,
    Text(&'a [u8]),
}

impl Message {
    /// Reads a message.
    pub(crate) fn parse(data: &Bytes) -> Result<Self, Broken> {
        let mut rest = data.clone();
        Ok(match rest.try_get_u8().map_err(|_| Broken)? {
            b'B' => {
                let commit = Lsn(u64(&mut rest)?);
                let at = (u64(&mut rest)? as i64).saturating_add(PG_EPOCH_MICROS);
                Self::Begin { commit, at, xid: u32(&mut rest)? }
            }
            b'C' => {
                let (_flags, _commit) = (u8(&mut rest)?, u64(&mut rest)?);
                Self::Commit { end: Lsn(u64(&mut rest)?) }
            }
            b'R' => Self::Relation(Relation::parse(&mut rest)?),
            b'I' => {
                let relation = u32(&mut rest)?;
                if u8(&mut rest)? != b'N' {
                    return Err(Broken);
                }
                Self::Insert { relation, new: tuple(&mut rest)? }
            }
            b'U' => {
                let relation = u32(&mut rest)?;
                let mut kind = u8(&mut rest)?;
                let mut old = None;
                if matches!(kind, b'K' | b'O') {
                    old = Some(OldRow { full: kind == b'O', tuple: tuple(&mut rest)? });
                    kind = u8(&mut rest)?;
                }
                if kind != b'N' {
                    return Err(Broken);
                }
                Self::Update { relation, old, new: tuple(&mut rest)? }
            }
            b'D' => {
                let relation = u32(&mut rest)?;
                let kind = u8(&mut rest)?;
                if !matches!(kind, b'K' | b'O') {
                    return Err(Broken);
                }
                Self::Delete {
                    relation,
                    old: OldRow { full: kind == b'O', tuple: tuple(&mut rest)? },
                }
            }
            b'T' => {
                let (count, _options) = (u32(&mut rest)?, u8(&mut rest)?);
                Self::Truncate {
                    relations: (0..count).map(|_| u32(&mut rest)).collect::<Result<_, _>>()?,
                }
            }
            _ => Self::Other,
        })
    }
}

impl Relation {
    fn parse(rest: &mut Bytes) -> Result<Self, Broken> {
        let id = u32(rest)?;
        let (schema, name) = (text(rest)?, text(rest)?);
        let identity = u8(rest)?;
        let count = u16(rest)?;
        let mut columns = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let key = u8(rest)? & 1 == 1;
            let name = text(rest)?;
            let (_type, _modifier) = (u32(rest)?, u32(rest)?);
            columns.push(RelationColumn { name, key });
        }
        Ok(Self { id, schema, name, identity, columns })
    }
}

/// The fields of a tuple that [`Message::parse`] has found whole.
pub(crate) fn fields(tuple: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = tuple.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, tail) = rest.split_first()?;
        rest = tail;
        match kind {
            b'n' => Some(Field::Null),
            b'u' => Some(Field::Unchanged),
            _ => {
                let (length, tail) = rest.split_first_chunk::<4>()?;
                let (value, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                rest = tail;
                Some(Field::Text(value))
            }
        }
    })
}

/// A tuple as the server writes it.
pub(crate) fn tuple_of(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = (fields.len() as u16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            Field::Null => bytes.push(b'n'),
            Field::Unchanged => bytes.push(b'u'),
            Field::Text(text) => {
                bytes.push(b't');
                bytes.extend((text.len() as u32).to_be_bytes());
                bytes.extend(*text);
            }
        }
    }
    bytes
}

/// Whether two tuples differ in a column of the key. What was not sent did not change.
pub(crate) fn key_differs(old: &[u8], new: &[u8], mut is_key: impl FnMut(usize) -> bool) -> bool {
    fields(old)
        .zip(fields(new))
        .enumerate()
        .any(|(i, (old, new))| is_key(i) && new != Field::Unchanged && old != new)
}

/// Takes a tuple off the front.
fn tuple(rest: &mut Bytes) -> Result<Bytes, Broken> {
    let whole = rest.clone();
    for _ in 0..u16(rest)? {
        match u8(rest)? {
            b'n' | b'u' => {}
            b't' => {
                let length = u32(rest)? as usize;
                if rest.len() < length {
                    return Err(Broken);
                }
                rest.advance(length);
            }
            _ => return Err(Broken),
        }
    }
    Ok(whole.slice(..whole.len() - rest.len()))
}

fn text(rest: &mut Bytes) -> Result<String, Broken> {
    let end = memchr::memchr(0, rest).ok_or(Broken)?;
    let text = String::from_utf8(rest.split_to(end).to_vec()).map_err(|_| Broken)?;
    rest.advance(1);
    Ok(text)
}

fn u8(rest: &mut Bytes) -> Result<u8, Broken> {
    rest.try_get_u8().map_err(|_| Broken)
}

fn u16(rest: &mut Bytes) -> Result<u16, Broken> {
    rest.try_get_u16().map_err(|_| Broken)
}

fn u32(rest: &mut Bytes) -> Result<u32, Broken> {
    rest.try_get_u32().map_err(|_| Broken)
}

fn u64(rest: &mut Bytes) -> Result<u64, Broken> {
    rest.try_get_u64().map_err(|_| Broken)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(parts: &[&[u8]]) -> Bytes {
        Bytes::from(parts.concat())
    }

    #[test]
    fn a_transaction_is_read() {
        let begin = message(&[
            b"B",
            &0x16_B374_D848_u64.to_be_bytes(),
            &1_i64.to_be_bytes(),
            &77_u32.to_be_bytes(),
        ]);
        assert_eq!(
            Message::parse(&begin),
            Ok(Message::Begin { commit: Lsn(0x16_B374_D848), at: PG_EPOCH_MICROS + 1, xid: 77 })
        );
        let relation = message(&[
            b"R",
            &9_u32.to_be_bytes(),
            b"public\0loans\0d",
            &1_u16.to_be_bytes(),
            &[1],
            b"loan_id\0",
            &[0; 8],
        ]);
        let columns = vec![RelationColumn { name: "loan_id".into(), key: true }];
        assert_eq!(
            Message::parse(&relation),
            Ok(Message::Relation(Relation {
                id: 9,
                schema: "public".into(),
                name: "loans".into(),
                identity: b'd',
                columns
            }))
        );
        let (old, new) = (
            tuple_of(&[Field::Text(b"1"), Field::Null]),
            tuple_of(&[Field::Text(b"2"), Field::Unchanged]),
        );
        let update = message(&[b"U", &9_u32.to_be_bytes(), b"K", &old, b"N", &new]);
        let Ok(Message::Update { relation: 9, old: Some(before), new: after }) =
            Message::parse(&update)
        else {
            panic!("no update")
        };
        assert!(
            !before.full
                && key_differs(&before.tuple, &after, |i| i == 0)
                && !key_differs(&before.tuple, &after, |i| i == 1)
        );
        assert_eq!(fields(&after).collect::<Vec<_>>(), [Field::Text(b"2"), Field::Unchanged]);
        let truncate = message(&[
            b"T",
            &2_u32.to_be_bytes(),
            &[0],
            &9_u32.to_be_bytes(),
            &10_u32.to_be_bytes(),
        ]);
        assert_eq!(Message::parse(&truncate), Ok(Message::Truncate { relations: vec![9, 10] }));
        let commit = message(&[b"C", &[0], &5_u64.to_be_bytes(), &8_u64.to_be_bytes(), &[0; 8]]);
        assert_eq!(Message::parse(&commit), Ok(Message::Commit { end: Lsn(8) }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            tag in proptest::sample::select(b"BCRIUDTOYM".to_vec()),
        ) {
            let data: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(Message::Insert { new, .. }) = Message::parse(&Bytes::from(data.clone())) {
                let _ = fields(&new).count();
            }
            let _ = fields(&data).count();
        }
    }
}
