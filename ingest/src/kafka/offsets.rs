//! Decisions about offsets: what may follow what, what is lost, and whether a partition is still
//! the one that was read.
//!
//! Pure: the source asks the broker and obeys.

use xxhash_rust::xxh3::Xxh3;

/// What a message's offset says about those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one expected.
    Next,
    /// So many offsets hold no message for a reader: compacted away, markers of transactions,
    /// messages of aborted ones.
    AfterGap(i64),
    /// Read before.
    Repeated,
}

/// Judges a message at `offset` where `expected` is next.
pub(crate) fn arrival(expected: i64, offset: i64) -> Arrival {
    match offset - expected {
        0 => Arrival::Next,
        gap if gap > 0 => Arrival::AfterGap(gap),
        _ => Arrival::Repeated,
    }
}

/// Whether a partition that holds the offsets from `low` up to `high` can be read on from
/// `expected`; otherwise what happened and what to do.
pub(crate) fn check_resume(expected: i64, low: i64, high: i64) -> Result<(), String> {
    if expected < low {
        return Err(format!(
            "the offsets {expected} to {} ({} of them) were removed by the topic's retention \
             before they were read; to go on without them, start with a new data folder, and give \
             the topic a longer retention (retention.ms, retention.bytes) than the pipeline may \
             stand still",
            low - 1,
            low - expected
        ));
    }
    if expected > high {
        return Err(format!(
            "it was read up to offset {expected}, but ends at {high}: the topic was made anew, or \
             the broker has lost its end; put it back, or start with a new data folder"
        ));
    }
    Ok(())
}

/// What tells a partition from another of the same name: the cluster, and the last message that was
/// read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) cluster: String,
    pub(crate) last: Option<u64>,
}

const PREFIX: &str = "kafka:";

impl Fingerprint {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (cluster, last) = text.strip_prefix(PREFIX)?.split_once('#')?;
        let last = if last.is_empty() { None } else { Some(u64::from_str_radix(last, 16).ok()?) };
        Some(Self { cluster: cluster.to_owned(), last })
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}#", self.cluster)?;
        self.last.map_or(Ok(()), |last| write!(f, "{last:016x}"))
    }
}

/// A hash by which a message is known again.
pub(crate) fn message_hash(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    timestamp: Option<i64>,
) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&timestamp.unwrap_or(-1).to_le_bytes());
    for part in [key, value] {
        hash.update(&part.map_or(u64::MAX, |p| p.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_may_leave_gaps_but_never_go_back() {
        assert_eq!(arrival(5, 5), Arrival::Next);
        assert_eq!(arrival(5, 7), Arrival::AfterGap(2));
        assert_eq!(arrival(5, 4), Arrival::Repeated);
    }

    #[test]
    fn what_retention_removed_is_said() {
        assert_eq!(check_resume(5, 5, 9), Ok(()));
        assert_eq!(check_resume(9, 5, 9), Ok(()));
        let lost = check_resume(5, 8, 9).expect_err("three are gone");
        assert!(lost.contains("the offsets 5 to 7 (3 of them) were removed"), "{lost}");
        assert!(
            check_resume(10, 0, 9).expect_err("shorter than what was read").contains("made anew")
        );
    }

    #[test]
    fn fingerprints_read_back() {
        for fingerprint in [
            Fingerprint { cluster: "c#1".replace('#', "-"), last: Some(77) },
            Fingerprint { cluster: String::new(), last: None },
        ] {
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        }
        assert_eq!(Fingerprint::parse("12:ab"), None);
    }

    #[test]
    fn parts_of_a_message_do_not_run_together() {
        assert_ne!(
            message_hash(Some(b"ab"), Some(b"c"), None),
            message_hash(Some(b"a"), Some(b"bc"), None)
        );
        assert_ne!(message_hash(None, Some(b""), None), message_hash(Some(b""), None, None));
    }
}
