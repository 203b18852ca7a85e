//! What a moment costs, and what it adds up to.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use riskstream_engine::ids::{Epoch, Generation};
use riskstream_engine::store::{EpochHeader, Store};

use super::Live;
use super::eyes::Eyes;
use super::lakes::{AsOf, Lakes};
use super::stores::Stores;
use super::union::{Emptied, LandedAndLive};
use crate::catalog::TableFacts;
use crate::lake::tests::{asked, context, random_table_in, rows_of_files};

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_landed_and_live_rows_add_up_and_open_no_file() {
    let folder = tempfile::tempdir().unwrap();
    random_table_in(folder.path(), 50, 6);
    let lakes = Lakes::new();
    let lake = lakes.newest(folder.path()).await.unwrap();
    let landed = lake.provider();
    let of_files = rows_of_files(&landed);
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    // Files of the table stand for staged ones, and rows of them for rows in the store.
    let actives = lake.files().unwrap()[..2].to_vec();
    let in_staged = rows_of_files(&landed.with_files(folder.path(), actives.clone()).unwrap());
    for (is_staged, live, emptied) in [
        (false, 0, None),
        (false, 3, None),
        (true, 0, None),
        (true, 3, None),
        (true, 3, Some(Emptied::All)),
        (false, 2, Some(Emptied::All)),
        (false, 0, Some(Emptied::All)),
    ] {
        let case = format!("staged {is_staged}, live {live}, {emptied:?}");
        let staged = || landed.with_files(folder.path(), actives.clone()).unwrap();
        let staged = is_staged.then(|| Arc::new(staged()));
        let expected = rows(&of_files[..live])
            + if is_staged { rows(&in_staged) } else { 0 }
            + if emptied.is_none() { rows(&of_files) } else { 0 };
        let live = of_files[..live].to_vec();
        let table = LandedAndLive::new(Arc::clone(&landed), staged, live, emptied);
        let context = context();
        context.register_table("t", Arc::new(table)).unwrap();
        let opened = lakes.counts().files();
        let shown = asked(&context, "select count(*) from t").await.unwrap();
        assert!(shown.contains(&format!("| {expected} ")), "{case}: {expected}\n{shown}");
        assert_eq!(lakes.counts().files(), opened, "{case}");
        // Counted one by one.
        let each = "select coalesce(sum(case when id > -9999 or id is null then 1 end), 0) from t";
        let shown = asked(&context, each).await.unwrap();
        assert!(shown.contains(&format!("| {expected} ")), "{case}: {expected}\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_rests_is_pinned_and_asked_again_without_reading_log_or_footers() {
    let data = tempfile::tempdir().unwrap();
    let location = data.path().join("tables/rows");
    std::fs::create_dir_all(&location).unwrap();
    random_table_in(&location, 51, 5);
    let live = Live::new(data.path(), TableFacts::default());
    let mut reads = Vec::new();
    for _ in 0..3 {
        let pinned = live.pin(Some(&["ROWS".to_owned()]), &Eyes::of_all()).await.unwrap();
        let context = context();
        context.register_table("t", pinned.table("rows").unwrap().provider()).unwrap();
        asked(&context, "select sum(id), count(distinct name) from t").await.unwrap();
        reads.push((live.lakes.counts().logs(), live.lakes.counts().footers()));
    }
    assert_eq!(reads[0].0, 1);
    assert!(reads[0].1 > 5, "{reads:?}");
    assert_eq!((reads[1], reads[2]), (reads[0], reads[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_tables_looks_at_no_store_before_it_asks() {
    let data = tempfile::tempdir().unwrap();
    let live = Live::new(data.path(), TableFacts::default());
    let root = data.path().join("store/p");
    let store = opened(&root);
    commit(&store, 1);
    let pinned = live.pin(Some(&[]), &Eyes::of_all()).await.unwrap();
    commit(&store, 2);
    let epoch = || pinned.epochs().unwrap().get("p").map(|reached| reached.epoch);
    assert_eq!(epoch(), Some(Epoch(2)));
    commit(&store, 3);
    assert_eq!(epoch(), Some(Epoch(2)), "it is one moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_within_a_moment_is_never_after_it() {
    let data = tempfile::tempdir().unwrap();
    let location = data.path().join("tables/rows");
    std::fs::create_dir_all(&location).unwrap();
    random_table_in(&location, 52, 3);
    let live = Live::new(data.path(), TableFacts::default());
    let pinned = live.pin(None, &Eyes::of_all()).await.unwrap();
    let table = pinned.table("rows").unwrap();
    for (as_of, version) in
        [(AsOf::Micros(i64::MAX), 3), (AsOf::Version(3), 3), (AsOf::Version(1), 1)]
    {
        let old = pinned.old(&table, as_of).await.unwrap();
        let again = pinned.old(&table, as_of).await.unwrap();
        assert!(Arc::ptr_eq(&old, &again), "{as_of:?}");
        let newest = live.lakes.newest(&location).await.unwrap();
        let lake = live.lakes.old(&newest, as_of).await.unwrap();
        assert_eq!(lake.version(), version, "{as_of:?}");
    }
}

fn opened(root: &Path) -> Store {
    std::fs::create_dir_all(root.parent().unwrap()).unwrap();
    let mut store = Store::open(root).unwrap();
    store.recover(Epoch(0), Epoch(0)).unwrap();
    store
}

fn commit(store: &Store, epoch: u64) {
    let (epoch, generation) = (Epoch(epoch), Generation(1));
    store.commit(&EpochHeader { epoch, generation, ..EpochHeader::default() }, &[]).unwrap();
}

#[test]
fn what_a_store_commits_is_seen_at_the_next_look_however_long_it_has_rested() {
    let data = tempfile::tempdir().unwrap();
    let stores = Stores::new(data.path().join("store"));
    assert!(stores.all().unwrap().is_empty());
    let store = opened(&data.path().join("store/p"));
    for epoch in 1..20 {
        commit(&store, epoch);
        let views = stores.all().unwrap();
        assert_eq!(views.len(), 1);
        let committed = views[0].look().unwrap();
        assert_eq!(committed.newest(), Epoch(epoch));
        // As if that had been long ago.
        views[0].rest(committed.clone());
        assert_eq!(views[0].look().unwrap(), committed);
    }
    // A run that goes on elsewhere is seen by its claim.
    let view = Arc::clone(&stores.all().unwrap()[0]);
    drop(store);
    let mut store = Store::open(data.path().join("store/p")).unwrap();
    store.recover(Epoch(0), Epoch(0)).unwrap();
    let header =
        EpochHeader { epoch: Epoch(20), generation: Generation(2), ..EpochHeader::default() };
    store.commit(&header, &[]).unwrap();
    let last = view.look().unwrap().epochs.last().copied();
    assert_eq!(last.map(|name| (name.epoch, name.generation)), Some((Epoch(20), Generation(2))));
    std::fs::rename(data.path().join("store"), data.path().join("away")).unwrap();
    assert!(stores.all().unwrap().is_empty());
}
