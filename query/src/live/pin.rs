//! Looking at tables and stores until they fit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{KeptMark, Missing, Origin, decide_reach};
use riskstream_engine::store::{CommittedEpoch, StoreError};

use super::Live;
use super::eyes::Eyes;
use super::lakes::Lake;
use super::not_landed::NotLanded;
use super::pinned::{Folders, Pinned, PinnedTable};
use super::reached::{Reached, table_of_destination};
use super::stores::{Found, StoreView};
use crate::error::QueryError;
use crate::naming::seen::table_of;

/// How often tables and stores are looked at before a gap is believed: a table lands once a second,
/// so that more than two looks are rare.
const LOOKS_MAX: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// What a look has found.
enum Look {
    Fits(Vec<NotLanded>),
    /// These epochs are neither in the table nor in the store.
    Lacks(Vec<Missing>),
}

impl Live {
    /// The moment of the tables with these names, or of all, as far as they are seen.
    ///
    /// # Errors
    /// The log or the store of one of them can't be read; or committed rows are nowhere.
    pub(crate) async fn pin(
        &self,
        names: Option<&[String]>,
        eyes: &Eyes,
    ) -> Result<Pinned, QueryError> {
        let mut looks = 0;
        loop {
            looks += 1;
            match self.look(names, eyes).await {
                Err(QueryError::Behind { .. }) if looks < LOOKS_MAX => {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn look(&self, names: Option<&[String]>, eyes: &Eyes) -> Result<Pinned, QueryError> {
        let mut all = self.tables.names()?;
        all.retain(|table| eyes.may_see(table));
        let is_asked = |table: &String| {
            names.is_none_or(|names| {
                names.iter().any(|name| {
                    name.eq_ignore_ascii_case(table)
                        || table_of(name).is_some_and(|of| of.eq_ignore_ascii_case(table))
                })
            })
        };
        let mut lakes: BTreeMap<String, Arc<Lake>> = BTreeMap::new();
        for table in all.iter().filter(|table| is_asked(table)) {
            if let Some(lake) = self.open(table, eyes).await? {
                lakes.insert(table.clone(), lake);
            }
        }
        let at_micros = chrono::Utc::now().timestamp_micros();
        let folders = Folders { lakes: Arc::clone(&self.lakes), stores: Arc::clone(&self.stores) };
        // Who asks for no table has no use for what the stores say, or asks for it later.
        if lakes.is_empty() && names.is_some() {
            return Ok(Pinned::new(at_micros, None, BTreeMap::new(), all, folders));
        }
        let mut epochs = BTreeMap::new();
        let mut not_landed: BTreeMap<String, Vec<NotLanded>> = BTreeMap::new();
        for store in self.stores.all()? {
            match look_at(&store, &lakes, &mut not_landed).await {
                Ok(reached) => {
                    store.tell(None);
                    epochs.insert(store.pipeline().to_owned(), reached);
                }
                // It writes none of them.
                Err(error) if !self.may_write(&store, &lakes) => {
                    store.tell(Some(&error));
                }
                Err(error) => return Err(error),
            }
        }
        let mut tables = BTreeMap::new();
        for (name, lake) in lakes {
            let fact = self.facts.get(&name).cloned().unwrap_or_default();
            let live = not_landed.remove(&name).unwrap_or_default();
            tables.insert(name.clone(), Arc::new(PinnedTable::new(name, &lake, fact, live)?));
        }
        Ok(Pinned::new(at_micros, Some(epochs), tables, all, folders))
    }

    /// Whether rows of a store may go to one of these tables, as it says itself, or else the
    /// configuration.
    fn may_write(&self, store: &StoreView, tables: &BTreeMap<String, Arc<Lake>>) -> bool {
        let is_one = |table: &str| tables.contains_key(table);
        store.writes(is_one).unwrap_or_else(|| {
            let is_of_it = |name: &String| name == store.pipeline();
            let mut of_it = self
                .facts
                .iter()
                .filter(|(_, fact)| fact.pipelines.iter().any(is_of_it))
                .map(|(table, _)| is_one(table))
                .peekable();
            of_it.peek().is_none() || of_it.any(|is_one| is_one)
        })
    }

    /// A table's newest version; none where it is not seen, in whatever state it is.
    async fn open(&self, table: &str, eyes: &Eyes) -> Result<Option<Arc<Lake>>, QueryError> {
        let location = self.tables.path().join(table);
        let is_seen = |lake: &Arc<Lake>| eyes.see(table, &lake.schema());
        match self.lakes.newest(&location).await {
            Ok(lake) => Ok(Some(lake).filter(is_seen)),
            Err(error) => match self.lakes.last(&location) {
                Some(lake) if !is_seen(&lake) => Ok(None),
                Some(_) | None => Err(error),
            },
        }
    }
}

/// Looks at a store: adds what its sinks have not landed in the tables that are asked for, and
/// gives how far it is.
async fn look_at(
    store: &StoreView,
    lakes: &BTreeMap<String, Arc<Lake>>,
    not_landed: &mut BTreeMap<String, Vec<NotLanded>>,
) -> Result<Reached, QueryError> {
    let committed = store.look()?;
    let newest = committed.newest();
    let gone = |table: &str| QueryError::Behind {
        table: table.to_owned(),
        pipeline: store.pipeline().to_owned(),
        missing: "that are being written".to_owned(),
    };
    let snapshot = committed.snapshot.as_ref().and_then(|name| store.snapshot(name));
    let origin = match store.origin(&committed, snapshot.as_deref())? {
        Found::Origin(origin) => origin,
        Found::Nothing => return Ok(Reached::new(newest, None)),
        Found::Gone => return Err(gone("")),
    };
    let mut landed_least = newest;
    for (sink, destination) in &origin.destinations {
        let Some(table) = destination.as_deref().and_then(table_of_destination) else { continue };
        let Some(lake) = lakes.get(table) else { continue };
        let app_id = format!("{}/{}/{sink}", origin.program, origin.pipeline);
        let landed = lake.delivered_through(&app_id).await?;
        landed_least = landed_least.min(landed);
        let mut kept: Vec<Arc<CommittedEpoch>> = Vec::new();
        for name in committed.epochs.iter().filter(|name| name.epoch > landed) {
            match store.epoch(name) {
                Ok(Some(epoch)) => kept.push(epoch),
                Ok(None) => return Err(gone(table)),
                Err(StoreError::Damaged { .. }) if Some(name) == committed.epochs.last() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let snapshot = snapshot.as_deref().filter(|snapshot| snapshot.epoch > landed);
        let of = Sink { id: sink, pipeline: store.pipeline(), origin: &origin };
        match fit(of, landed, &kept, snapshot) {
            Look::Fits(found) => not_landed.entry(table.to_owned()).or_default().extend(found),
            Look::Lacks(missing) => {
                return Err(QueryError::Behind {
                    table: table.to_owned(),
                    pipeline: store.pipeline().to_owned(),
                    missing: missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    store.forget_before(landed_least);
    Ok(Reached::new(newest, Some(&origin)))
}

/// A sink of a pipeline, as of the store's last epoch.
#[derive(Clone, Copy)]
struct Sink<'a> {
    id: &'a str,
    pipeline: &'a str,
    origin: &'a Origin,
}

/// What a sink has not landed, of the epochs that are kept after `landed`.
fn fit(
    Sink { id: sink, pipeline, origin }: Sink<'_>,
    landed: Epoch,
    kept: &[Arc<CommittedEpoch>],
    snapshot: Option<&CommittedEpoch>,
) -> Look {
    let mut marks: Vec<KeptMark> = kept.iter().map(|epoch| epoch.mark(sink)).collect();
    marks.extend(snapshot.map(|snapshot| snapshot.mark(sink)));
    marks.sort_by_key(|mark| (mark.epoch, !mark.holds_rows));
    let missing = decide_reach(landed, &marks);
    // Epochs that an edit makes forgotten are not missed.
    let forgotten = kept.iter().rposition(|epoch| epoch.forgets(sink));
    let after = forgotten.map(|at| kept[at].epoch);
    if missing.iter().any(|missing| after.is_none_or(|after| missing.last > after)) {
        return Look::Lacks(missing);
    }
    // What was accepted as missing is not delivered to this destination any more: it went to
    // another one, or is gone.
    let accepted = marks
        .last()
        .and_then(|newest| newest.mark.gap)
        .filter(|gap| landed >= gap.after)
        .map_or(landed, |gap| gap.through);
    let (mut parts, mut empties) = (Vec::new(), false);
    // Epochs under other names, or for another destination, are delivered there.
    let is_for_it = |epoch: &&Arc<CommittedEpoch>| {
        epoch.epoch > accepted && epoch.origin.delivers_as(origin, sink)
    };
    for epoch in kept[forgotten.unwrap_or(0)..].iter().filter(is_for_it) {
        let of_epoch = epoch.parts.get(sink).map_or(&[][..], Vec::as_slice);
        if of_epoch.iter().any(|part| part.empties) {
            empties = true;
            parts.clear();
        }
        parts.extend(of_epoch.iter().cloned());
    }
    if parts.is_empty() && !empties {
        return Look::Fits(Vec::new());
    }
    Look::Fits(vec![NotLanded { pipeline: pipeline.to_owned(), empties, parts }])
}
