//! A block's bytes: changes with what a decoder needs to know of their table and transaction, so
//! that each block is decoded from a fresh state.
//!
//! ```text
//! frame: tag, length (4 bytes), payload          numbers big-endian
//! R  columns (2), each: column of the source or -1 (2), of the key (1), length (2), name
//! B  commit position (8), committed at (8), transaction's id (4; 0: none)
//! c d  position (8), tuple                        r  position (8), DataRow
//! u k  position (8), bytes of the old tuple (4; 0: none was sent whole), it, new tuple
//! t  position (8)
//! ```
//! Every frame from `c` on becomes one row, except `k`, a change of the key, which becomes two: a
//! deletion and a creation.

use bytes::Bytes;

/// A column of the table, in the table's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) name: String,
    /// The source's column of the name.
    pub(crate) target: Option<u16>,
    pub(crate) key: bool,
}

/// A transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) commit: i64,
    pub(crate) at: i64,
    pub(crate) xid: u32,
}

/// A block under construction.
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {
    bytes: Vec<u8>,
    rows: usize,
}

impl FrameWriter {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The block, leaving this empty.
    pub(crate) fn take(&mut self) -> Bytes {
        self.rows = 0;
        Bytes::from(std::mem::take(&mut self.bytes))
    }

    pub(crate) fn relation(&mut self, columns: &[Mapped]) {
        let mut payload = (columns.len() as u16).to_be_bytes().to_vec();
        for column in columns {
            payload.extend(column.target.map_or(-1, |t| t as i16).to_be_bytes());
            payload.push(u8::from(column.key));
            payload.extend((column.name.len() as u16).to_be_bytes());
            payload.extend(column.name.as_bytes());
        }
        self.frame(b'R', &[&payload]);
    }

    pub(crate) fn transaction(&mut self, transaction: Transaction) {
        self.frame(
            b'B',
            &[
                &transaction.commit.to_be_bytes(),
                &transaction.at.to_be_bytes(),
                &transaction.xid.to_be_bytes(),
            ],
        );
    }

    /// A row with a single tuple: `c`, `d`, `r`, or none: `t`.
    pub(crate) fn row(&mut self, tag: u8, position: i64, tuple: &[u8]) {
        self.rows += 1;
        self.frame(tag, &[&position.to_be_bytes(), tuple]);
    }

    /// `u` or `k`.
    pub(crate) fn change(&mut self, tag: u8, position: i64, old: &[u8], new: &[u8]) {
        self.rows += 1 + usize::from(tag == b'k');
        self.frame(tag, &[&position.to_be_bytes(), &(old.len() as u32).to_be_bytes(), old, new]);
    }

    fn frame(&mut self, tag: u8, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|p| p.len()).sum();
        self.bytes.push(tag);
        self.bytes.extend((length as u32).to_be_bytes());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// A frame as a decoder sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Relation(Vec<Mapped>),
    Transaction(Transaction),
    Row { tag: u8, position: i64, tuple: &'a [u8] },
    Change { tag: u8, position: i64, old: &'a [u8], new: &'a [u8] },
}

/// Takes the next frame off a block; none when it is cut short, which only a broken program does.
pub(crate) fn next_frame<'a>(rest: &mut &'a [u8]) -> Option<Frame<'a>> {
    let (tag, tail) = rest.split_first()?;
    let (length, tail) = tail.split_first_chunk::<4>()?;
    let (payload, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = tail;
    if *tag == b'R' {
        return relation(payload).map(Frame::Relation);
    }
    let (first, payload) = payload.split_first_chunk::<8>()?;
    let first = i64::from_be_bytes(*first);
    Some(match tag {
        b'B' => {
            let (at, payload) = payload.split_first_chunk::<8>()?;
            let xid = payload.first_chunk::<4>()?;
            Frame::Transaction(Transaction {
                commit: first,
                at: i64::from_be_bytes(*at),
                xid: u32::from_be_bytes(*xid),
            })
        }
        b'u' | b'k' => {
            let (length, payload) = payload.split_first_chunk::<4>()?;
            let (old, new) = payload.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            Frame::Change { tag: *tag, position: first, old, new }
        }
        _ => Frame::Row { tag: *tag, position: first, tuple: payload },
    })
}

fn relation(payload: &[u8]) -> Option<Vec<Mapped>> {
    let (count, mut rest) = payload.split_first_chunk::<2>()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (head, tail) = rest.split_first_chunk::<5>()?;
        let (name, tail) =
            tail.split_at_checked(usize::from(u16::from_be_bytes([head[3], head[4]])))?;
        let target = u16::try_from(i16::from_be_bytes([head[0], head[1]])).ok();
        columns.push(Mapped {
            name: String::from_utf8_lossy(name).into_owned(),
            target,
            key: head[2] == 1,
        });
        rest = tail;
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back() {
        let columns = vec![
            Mapped { name: "loan_id".into(), target: Some(0), key: true },
            Mapped { name: "näher".into(), target: None, key: false },
        ];
        let transaction = Transaction { commit: 5, at: -7, xid: 9 };
        let mut writer = FrameWriter::default();
        writer.relation(&columns);
        writer.transaction(transaction);
        writer.row(b'c', 11, b"tuple");
        writer.change(b'k', 12, b"old", b"new");
        writer.row(b't', 13, b"");
        assert_eq!(writer.rows(), 4);
        let block = writer.take();
        let mut rest = &block[..];
        let frames: Vec<_> = std::iter::from_fn(|| next_frame(&mut rest)).collect();
        assert_eq!(
            frames,
            [
                Frame::Relation(columns),
                Frame::Transaction(transaction),
                Frame::Row { tag: b'c', position: 11, tuple: b"tuple" },
                Frame::Change { tag: b'k', position: 12, old: b"old", new: b"new" },
                Frame::Row { tag: b't', position: 13, tuple: b"" },
            ]
        );
        assert!(rest.is_empty());
        let mut cut = &block[..block.len() - 1];
        while next_frame(&mut cut).is_some() {}
        assert!(!cut.is_empty());
    }
}
