//! What a transaction says of itself: in the metadata of its offset ([`Said`]), in a header of its
//! first message ([`Mark`]), and in a header of each message ([`Sent`]).
//!
//! A broker accepts at most 4 KiB of offset metadata by default. For a topic with very many
//! partitions, several partitions therefore share one position, the least of theirs: a reader that
//! starts there reads more than it needs, and misses nothing.

use serde::{Deserialize, Serialize};

/// The header by which a message says which transaction of which sink it came with. The first
/// message of a transaction has it; on a topic that is compacted, all have.
pub const TRANSACTION_HEADER: &str = "riskstream-transaction";
/// The header by which every message says whose it is: `SINK.EPOCH.CONNECTION`, and of a copy
/// `.OFFSET`; see [`Sent`]. SINK stands for the sink's name.
pub const EPOCH_HEADER: &str = "riskstream-epoch";
/// The longest metadata that is written, in bytes.
const METADATA_MAX: usize = 4_000;

/// What a decided offset of the group says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// The last epoch of the transaction, and so the last that the topic has.
    pub(crate) through: i64,
    /// The run that says so.
    pub(crate) run: String,
    /// What the transaction says of itself; none for an offset that an older version wrote.
    pub(crate) account: Option<Account>,
}

/// What a transaction's offset says about the transaction and the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The topic had everything through this epoch before it.
    pub(crate) after: i64,
    /// So many messages are in it.
    pub(crate) messages: u64,
    /// Lower bounds of the positions of its messages.
    pub(crate) before: Bounds,
    /// What lies between `before` and the end of this transaction; none for an offset that an older
    /// version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<Whole>,
    /// Transactions known to be committed once this offset is visible: this one, or those whose
    /// messages it copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) committed: Vec<Committed>,
}

/// A transaction that is known to be committed: the connection that sent it, and its last epoch. A
/// connection commits its transactions in order, so that those before one that is committed are
/// too.
pub(crate) type Committed = (u32, i64);

/// Which epochs of this sink the topic must hold after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// The topic had every epoch up to this one before the position.
    pub(crate) since: i64,
    /// The later epochs up to this one have their messages, if any, after the position.
    pub(crate) through: i64,
}

#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    run: &'a str,
    #[serde(flatten)]
    account: Account,
}

/// A lower bound of a position in every partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// How many partitions the topic had; 0 where an older version did not say.
    #[serde(default)]
    partitions: usize,
    /// How many partitions share one number of `least`.
    each: usize,
    least: Vec<i64>,
}

impl Bounds {
    /// The lower bounds of these positions, one for every `each` partitions.
    pub(crate) fn of(positions: &[i64], each: usize) -> Self {
        let each = each.max(1);
        Self {
            partitions: positions.len(),
            each,
            least: positions
                .chunks(each)
                .map(|several| several.iter().copied().min().unwrap_or(0))
                .collect(),
        }
    }

    /// The lower bound for a partition; 0 for a partition that was added later.
    pub(crate) fn at(&self, partition: usize) -> i64 {
        let is_known = partition < self.partitions || self.partitions == 0;
        self.least.get(partition / self.each.max(1)).copied().filter(|_| is_known).unwrap_or(0)
    }
}

impl Said {
    /// Reads the group's offset, which counts epochs, and its metadata.
    pub(crate) fn read(through: i64, metadata: &str) -> Self {
        match serde_json::from_str::<Metadata<'_>>(metadata) {
            Ok(Metadata { run, account }) => {
                Self { through, run: run.to_owned(), account: Some(account) }
            }
            // Older versions wrote only the run's name.
            Err(_) => Self { through, run: metadata.to_owned(), account: None },
        }
    }
}

/// The offset metadata of a transaction with `messages` messages, delivered after the epoch
/// `after`. `whole` says what the topic holds after the positions `before`; `committed` names the
/// transactions that are known to be committed once this offset is visible.
pub(crate) fn metadata(
    (run, committed): (&str, &[Committed]),
    after: i64,
    messages: u64,
    before: &[i64],
    whole: Whole,
) -> String {
    let mut each = 1;
    loop {
        let account = Account {
            after,
            messages,
            before: Bounds::of(before, each),
            whole: Some(whole),
            committed: committed.to_vec(),
        };
        let text = serde_json::to_string(&Metadata { run, account }).unwrap_or_default();
        if text.len() <= METADATA_MAX || each >= before.len() {
            return text;
        }
        each *= 2;
    }
}

/// The mark of a transaction, carried by its messages as [`TRANSACTION_HEADER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The sink that sent it, by the name of its group.
    pub(crate) sink: String,
    /// Its last epoch.
    pub(crate) through: i64,
    /// The last epoch before it that has messages; none in messages of a version that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<i64>,
    /// The connection that sent it, and how many messages; none in messages of a version that did
    /// not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<(u32, u64)>,
    /// The run that sent it.
    pub(crate) run: String,
}

/// What stands for a sink's name in [`EPOCH_HEADER`].
fn short(sink: &str) -> u32 {
    // The lower half of a hash is a hash.
    xxhash_rust::xxh3::xxh3_64(sink.as_bytes()) as u32
}

/// What every message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sent {
    /// The connection that sent it first.
    pub(crate) by: u32,
    /// The last epoch of its transaction.
    pub(crate) through: i64,
    /// For a copy: the offset of its original, in the same partition.
    pub(crate) copy_of: Option<i64>,
}

/// The epoch in messages that serve only to end a hanging transaction.
pub(crate) const NOTHING: i64 = i64::MAX;

impl Sent {
    /// The value of [`EPOCH_HEADER`].
    pub(crate) fn write(&self, sink: &str) -> String {
        let value = format!("{:08x}.{}.{:08x}", short(sink), self.through, self.by);
        self.copy_of.map_or_else(|| value.clone(), |offset| format!("{value}.{offset}"))
    }

    /// Reads the header's value; none if it belongs to another sink.
    pub(crate) fn read(sink: &str, value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split('.');
        let is_ours = u32::from_str_radix(parts.next()?, 16).ok()? == short(sink);
        let through = parts.next()?.parse().ok()?;
        let by = u32::from_str_radix(parts.next()?, 16).ok()?;
        let copy_of = parts.next().map(str::parse).transpose().ok()?;
        is_ours.then_some(Self { by, through, copy_of })
    }
}

impl Mark {
    /// The value of the header.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the header's value; none if it is not a mark.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_as_it_was_said() {
        let whole = Whole { since: 138, through: 143 };
        let text = metadata(("run", &[(7, 143)]), 140, 1_004, &[7, 0, 12_345_678_901], whole);
        let said = Said::read(143, &text);
        let before = Bounds::of(&[7, 0, 12_345_678_901], 1);
        assert_eq!(
            said,
            Said {
                through: 143,
                run: "run".into(),
                account: Some(Account {
                    after: 140,
                    messages: 1_004,
                    before: before.clone(),
                    whole: Some(whole),
                    committed: vec![(7, 143)]
                })
            }
        );
        assert_eq!((0..4).map(|p| before.at(p)).collect::<Vec<_>>(), [7, 0, 12_345_678_901, 0]);
        let mark = Mark {
            sink: "s".into(),
            through: 143,
            after: Some(140),
            sent: Some((7, 1_004)),
            run: "run".into(),
        };
        assert_eq!(Mark::read(mark.write().as_bytes()), Some(mark));
        assert_eq!(Mark::read(b"143"), None);
    }

    #[test]
    fn a_message_says_its_epoch_and_whose_it_is() {
        for by in [0, u32::MAX] {
            for copy_of in [None, Some(0), Some(i64::MAX)] {
                let sent = Sent { by, through: 143, copy_of };
                let value = sent.write("s");
                assert_eq!(
                    (Sent::read("s", value.as_bytes()), Sent::read("t", value.as_bytes())),
                    (Some(sent), None),
                    "{value}"
                );
            }
        }
        let name = format!("{:08x}", short("s"));
        let wrong = [
            "",
            "143",
            "x.1",
            &name,
            &format!("{name}.1"),
            &format!("{name}.1.x"),
            &format!("{name}.1.2.x"),
        ]
        .map(str::to_owned);
        assert!(wrong.iter().all(|wrong| Sent::read("s", wrong.as_bytes()).is_none()));
        assert_eq!(Sent::read("s", b"\xff"), None);
    }

    #[test]
    fn an_offset_of_an_earlier_version_names_its_run_alone() {
        assert_eq!(Said::read(9, "5f0c"), Said { through: 9, run: "5f0c".into(), account: None });
        assert_eq!(Said::read(9, ""), Said { through: 9, run: String::new(), account: None });
    }

    #[test]
    fn very_many_partitions_are_named_together_by_the_least() {
        let ends: Vec<i64> =
            (0..5_000).map(|p| 1_000_000_000_000 + i64::from(p) * 7_919 % 5_000).collect();
        let text = metadata(
            (&"f".repeat(32), &[(u32::MAX, i64::MAX)]),
            i64::MAX,
            u64::MAX,
            &ends,
            Whole { since: i64::MAX, through: i64::MAX },
        );
        assert!(text.len() <= METADATA_MAX, "{} bytes", text.len());
        let before = Said::read(1, &text).account.expect("an account").before;
        assert!(
            ends.iter()
                .enumerate()
                .all(|(p, end)| before.at(p) <= *end && before.at(p) >= 1_000_000_000_000)
        );
        assert_eq!(before.at(5_000), 0, "a partition that came later");
    }
}
