//! The messages of one block, in one buffer: from the feed's thread to a worker without an
//! allocation per message.

use std::ops::Range;

/// Where a part lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: u32,
    length: u32,
}

/// The length of a part that is not there.
const ABSENT: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Mark {
    offset: i64,
    /// Milliseconds since 1970; `i64::MIN` where the message has none.
    timestamp: i64,
    key: Slice,
    value: Slice,
    /// The value's own length, where only its first part is kept.
    whole: u64,
}

/// Messages of one partition, in order.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    /// The headers that are wanted, so many per message.
    headers: Vec<Slice>,
    headers_each: usize,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    /// The value, or its first part where that is too long to be taken.
    pub(crate) value: Option<&'a [u8]>,
    /// The length of the whole value.
    pub(crate) whole: u64,
    messages: &'a Messages,
    number: usize,
}

impl Message<'_> {
    /// The wanted header of this number.
    pub(crate) fn header(&self, wanted: usize) -> Option<&[u8]> {
        self.messages
            .part(*self.messages.headers.get(self.number * self.messages.headers_each + wanted)?)
    }
}

impl Messages {
    /// Room for messages of which `headers_each` headers are wanted.
    pub(crate) fn new(headers_each: usize) -> Self {
        Self { headers_each, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a message whose value is kept up to `value_max` bytes; its headers must follow by
    /// [`Self::push_header`].
    pub(crate) fn push(
        &mut self,
        offset: i64,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        value_max: usize,
    ) {
        let whole = value.map_or(0, |v| v.len() as u64);
        let key = self.append(key);
        let value = self.append(value.map(|v| &v[..v.len().min(value_max)]));
        self.marks.push(Mark {
            offset,
            timestamp: timestamp.unwrap_or(i64::MIN),
            key,
            value,
            whole,
        });
    }

    /// Adds the next wanted header of the newest message.
    pub(crate) fn push_header(&mut self, value: Option<&[u8]>) {
        let slice = self.append(value);
        self.headers.push(slice);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        debug_assert_eq!(
            self.headers.len(),
            self.marks.len() * self.headers_each,
            "every message has its headers"
        );
        self.marks.iter().enumerate().map(|(number, mark)| Message {
            offset: mark.offset,
            timestamp: (mark.timestamp != i64::MIN).then_some(mark.timestamp),
            key: self.part(mark.key),
            value: self.part(mark.value),
            whole: mark.whole,
            messages: self,
            number,
        })
    }

    fn append(&mut self, part: Option<&[u8]>) -> Slice {
        let start = self.bytes.len() as u32;
        let Some(part) = part else { return Slice { start, length: ABSENT } };
        self.bytes.extend_from_slice(part);
        Slice { start, length: part.len() as u32 }
    }

    fn part(&self, slice: Slice) -> Option<&[u8]> {
        let range: Range<usize> =
            slice.start as usize..(slice.start as usize).checked_add(slice.length as usize)?;
        if slice.length == ABSENT { None } else { self.bytes.get(range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut messages = Messages::new(2);
        messages.push(7, Some(1_000), Some(b"k"), Some(b"value"), 100);
        messages.push_header(Some(b"h1"));
        messages.push_header(None);
        messages.push(9, None, None, None, 100);
        messages.push_header(Some(b""));
        messages.push_header(Some(b"h2"));
        messages.push(10, None, Some(b""), Some(b"too long"), 3);
        messages.push_header(None);
        messages.push_header(None);
        let all: Vec<_> = messages.iter().collect();
        assert_eq!(
            (all[0].offset, all[0].timestamp, all[0].key, all[0].value),
            (7, Some(1_000), Some(&b"k"[..]), Some(&b"value"[..]))
        );
        assert_eq!((all[0].header(0), all[0].header(1)), (Some(&b"h1"[..]), None));
        assert_eq!(
            (all[1].offset, all[1].timestamp, all[1].key, all[1].value),
            (9, None, None, None)
        );
        assert_eq!((all[1].header(0), all[1].header(1)), (Some(&b""[..]), Some(&b"h2"[..])));
        assert_eq!(
            (all[2].key, all[2].value, all[2].whole),
            (Some(&b""[..]), Some(&b"too"[..]), 8)
        );
    }
}
