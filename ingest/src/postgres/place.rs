//! How far a slot was read: the text in a committed position from which a later run goes on.

use pgwire_replication::Lsn;
use riskstream_engine::contract::{PartitionInfo, Position};
use serde::{Deserialize, Serialize};

/// Where reading goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The cluster's identifier.
    pub(crate) system: String,
    /// Its timeline, which a fail-over changes.
    pub(crate) timeline: String,
    pub(crate) slot: String,
    /// The snapshot is still to be read. From the first commit that says so, the slot of this name
    /// is this source's own.
    pub(crate) snapshot: bool,
    /// Everything that was committed before this was read.
    #[serde(with = "lsn_text")]
    pub(crate) lsn: Lsn,
    /// The commit position of a transaction that was read in part: its first `taken` changes.
    #[serde(with = "lsn_text")]
    pub(crate) within: Lsn,
    pub(crate) taken: u64,
    /// The table that was read, and how it was published then. None in positions of versions that
    /// did not say.
    #[serde(default)]
    pub(crate) of: Option<Published>,
}

/// A table, and how it is published. Changes made between two different values may not have been
/// sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// The table's number: one that is dropped and made anew has another.
    pub(crate) table: u32,
    /// Numbers and versions of the publication's entries.
    pub(crate) entries: String,
}

impl Place {
    /// Reads a position's text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map_err(|e| format!("{text:?} is no position of a PostgreSQL source ({e})"))
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The replication slot that a saved position of a PostgreSQL source is of; none for other sources'
/// positions.
#[must_use]
pub fn replication_slot(position: &Position) -> Option<String> {
    Place::parse(&position.fingerprint).ok().map(|place| place.slot)
}

/// Whether a position says that a PostgreSQL table is to be read from its beginning: nothing was
/// read, or all of it is read anew.
#[must_use]
pub fn is_read_anew(position: &Position) -> bool {
    Place::parse(&position.fingerprint).is_ok_and(|place| place.snapshot)
}

/// The position from which a source of this table and slot, which had read up to `position`, begins
/// anew: it creates its own slot again and reads the table again. None if the position belongs to
/// another slot or another kind of source.
#[must_use]
pub fn begun_anew(
    table: &str,
    slot: &str,
    position: &Position,
) -> Option<(PartitionInfo, Position)> {
    let place = Place::parse(&position.fingerprint).ok().filter(|place| place.slot == slot)?;
    let fingerprint = Place { snapshot: true, of: None, ..place }.text();
    Some((
        PartitionInfo { name: table.to_owned() },
        Position { fingerprint, finished: false, ..position.clone() },
    ))
}

mod lsn_text {
    use pgwire_replication::Lsn;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(lsn: &Lsn, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(lsn)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Lsn, D::Error> {
        let text = String::deserialize(from)?;
        Lsn::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_the_same_slot_begins_anew_and_no_other() {
        let fingerprint = concat!(
            r#"{"system":"1","timeline":"1","slot":"s","snapshot":false,"lsn":"1/2","#,
            r#""within":"1/3","taken":2}"#
        );
        let at = Position { next_offset: 9, finished: true, fingerprint: fingerprint.into() };
        assert_eq!((replication_slot(&at).as_deref(), is_read_anew(&at)), (Some("s"), false));
        let (info, anew) = begun_anew("public.t", "s", &at).expect("its own slot");
        assert!(
            info.name == "public.t"
                && is_read_anew(&anew)
                && !anew.finished
                && anew.next_offset == 9
        );
        assert_eq!(begun_anew("public.t", "other", &at), None);
        let file = Position { fingerprint: "12 bytes".into(), ..at };
        assert_eq!(
            (begun_anew("t", "s", &file), replication_slot(&file), is_read_anew(&file)),
            (None, None, false)
        );
    }

    #[test]
    fn a_place_reads_back_from_its_text() {
        let place = Place {
            system: "7300000000000000001".into(),
            timeline: "1".into(),
            slot: "loans".into(),
            snapshot: false,
            lsn: Lsn(0x16_B374_D848),
            within: Lsn(0x16_B374_D900),
            taken: 3,
            of: Some(Published { table: 16_384, entries: "1 2 3:4".into() }),
        };
        assert!(place.text().contains("16/B374D848"), "{}", place.text());
        assert_eq!(Place::parse(&place.text()), Ok(place));
        let earlier = concat!(
            r#"{"system":"1","timeline":"1","slot":"s","snapshot":false,"lsn":"1/2","#,
            r#""within":"0/0","taken":0}"#
        );
        assert_eq!(Place::parse(earlier).expect("of a version before").of, None);
        Place::parse("12 bytes").expect_err("another source's");
        Place::parse(concat!(
            r#"{"system":"1","timeline":"1","slot":"s","snapshot":false,"lsn":"16-B3","#,
            r#""within":"0/0","taken":0}"#
        ))
        .expect_err("no LSN");
    }
}
