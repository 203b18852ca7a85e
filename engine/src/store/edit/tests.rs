use super::*;
use crate::contract::{PartitionInfo, Position, SavedState, Shape, Shapes, StateBatch};
use crate::ids::Generation;
use crate::protocol::Origin;
use crate::store::epoch_file::batch_to_ipc;
use crate::store::inspect::saved_shapes;
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn header(store: &Store, epoch: u64, history: &[&str]) -> EpochHeader {
    let position = Position { next_offset: 7, finished: true, fingerprint: "f".into() };
    EpochHeader {
        epoch: Epoch(epoch),
        generation: store.generation(),
        positions: BTreeMap::from([(0, (PartitionInfo { name: "a.csv".into() }, position))]),
        rows: 1,
        steps: vec!["a".into(), "c".into()],
        history_files: history.iter().map(|name| (*name).to_owned()).collect(),
        shapes: Shapes::from([
            ("a".to_owned(), Shape::new("a")),
            ("c".to_owned(), Shape::new("c")),
        ]),
        ..EpochHeader::default()
    }
}

fn state(step: &str, value: i64) -> Section {
    let rows =
        RecordBatch::try_from_iter([("v", Arc::new(Int64Array::from(vec![value])) as ArrayRef)])
            .expect("a batch");
    Section {
        kind: SectionKind::State,
        step: step.into(),
        name: "n".into(),
        worker: 0,
        payload: batch_to_ipc(&rows).expect("encodes"),
    }
}

/// A store with a snapshot at epoch 2 and an epoch 3, in which the steps a and c have state and
/// files.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = opened(folder.path());
    store.recover(Epoch(0), Epoch(0)).expect("recovered");
    for step in ["a", "c"] {
        std::fs::create_dir_all(folder.path().join("history").join(step)).expect("made");
        std::fs::write(folder.path().join("history").join(step).join("1.rows"), step)
            .expect("written");
    }
    let history = ["a/1.rows", "c/1.rows"];
    store.commit(&header(&store, 1, &[]), &[state("a", 1), state("c", 1)]).expect("committed");
    store.commit(&header(&store, 2, &[]), &[state("a", 2), state("c", 2)]).expect("committed");
    store
        .snapshot(&header(&store, 2, &history), [state("a", 12), state("c", 12)].map(Ok))
        .expect("written");
    store.commit(&header(&store, 3, &[]), &[state("a", 3), state("c", 3)]).expect("committed");
    folder
}

fn opened(root: &Path) -> Store {
    Store::open(root).expect("opened")
}

fn recovered(root: &Path) -> Recovered {
    opened(root).recover(Epoch(0), Epoch(0)).expect("recovered")
}

fn numbers(saved: &SavedState) -> Vec<i64> {
    let value = |batch: &StateBatch| {
        batch.rows.column(0).as_any().downcast_ref::<Int64Array>().expect("integers").value(0)
    };
    let (snapshot, changes) =
        (saved.snapshot.iter().map(|(_, b)| b), saved.changes.iter().map(|(_, b)| b));
    snapshot.chain(changes).flatten().map(value).collect()
}

#[test]
fn a_dropped_step_is_gone_and_the_others_go_on() {
    let folder = store();
    assert_eq!(
        edit(folder.path(), &StateEdit::Drop { step: "a".into() }).expect("dropped"),
        Epoch(4)
    );
    let found = recovered(folder.path());
    assert_eq!(
        (found.committed, found.state.keys().cloned().collect::<Vec<_>>()),
        (Epoch(4), vec!["c".to_owned()])
    );
    assert_eq!(numbers(&found.state["c"]), [12, 3]);
    assert_eq!((found.positions[&0].1.next_offset, found.steps), (7, vec!["c".to_owned()]));
    assert_eq!(
        saved_shapes(folder.path()).expect("read"),
        Shapes::from([("c".to_owned(), Shape::new("c"))])
    );
}

#[test]
fn a_renamed_step_goes_on_with_its_state_and_files_also_from_an_older_snapshot() {
    let folder = store();
    // Files of another step of that name, which nothing names any more.
    std::fs::create_dir_all(folder.path().join("history/b")).expect("made");
    std::fs::write(folder.path().join("history/b/1.rows"), "left").expect("written");
    edit(folder.path(), &StateEdit::Rename { from: "a".into(), to: "b".into() }).expect("renamed");
    let read = |name: &str| std::fs::read_to_string(folder.path().join("history").join(name));
    assert_eq!(
        (read("b/1.rows").expect("there"), read("a/1.rows").expect("there")),
        ("a".into(), "a".into())
    );
    let found = recovered(folder.path());
    assert_eq!(numbers(&found.state["b"]), [12, 3]);
    assert!(!found.state.contains_key("a"));
    assert_eq!(saved_shapes(folder.path()).expect("read")["b"].kind, "a");
    assert_eq!(found.shapes.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert!(
        found.snapshots[&Epoch(2)].contains("b/1.rows")
            && found.snapshots[&Epoch(2)].contains("a/1.rows")
    );

    // Of a snapshot that is older than the newest one the files still have both names.
    let mut store = opened(folder.path());
    let last = store.recover(Epoch(0), Epoch(0)).expect("recovered");
    let renamed = last.renamed_since_kept();
    store
        .snapshot(
            &EpochHeader { renamed, ..header(&store, 4, &["b/1.rows", "c/1.rows"]) },
            [state("b", 15), state("c", 15)].map(Ok),
        )
        .expect("written");
    drop(store);
    let found = recovered(folder.path());
    assert_eq!(numbers(&found.state["b"]), [15]);
    assert!(found.snapshots[&Epoch(2)].contains("b/1.rows"), "{:?}", found.snapshots);
}

#[test]
fn a_store_that_is_begun_anew_counts_its_epochs_on_and_needs_nothing_from_before() {
    for clears in [false, true] {
        let folder = store();
        let anew = StateEdit::BeginAnew {
            empties: vec!["out".into()],
            forgets: Vec::new(),
            clears,
            positions: BTreeMap::new(),
            origin: None,
        };
        assert_eq!(edit(folder.path(), &anew).expect("begun anew"), Epoch(4));
        let found = recovered(folder.path());
        assert!(
            found.state.is_empty()
                && found.positions.is_empty()
                && found.steps.is_empty()
                && found.shapes.is_empty()
        );
        assert!(saved_shapes(folder.path()).expect("read").is_empty());
        let told: Vec<_> = found
            .outbox
            .iter()
            .map(|e| (e.epoch.0, e.parts.get("out").is_some_and(|p| p[0].empties)))
            .collect();
        let own = (4, true);
        if clears {
            assert_eq!(told, [own]);
            assert!(opened(folder.path()).history_files().expect("listed").is_empty());
        } else {
            assert_eq!(told, [(1, false), (2, false), (3, false), own]);
        }
    }
}

#[test]
fn an_edit_of_a_store_that_is_held_or_damaged_changes_nothing() {
    let folder = store();
    let drop_a = StateEdit::Drop { step: "a".into() };
    let held = opened(folder.path());
    assert!(matches!(edit(folder.path(), &drop_a), Err(StoreError::InUse { .. })));
    drop(held);
    let newest = folder.path().join(crate::store::open::epoch_path(&crate::protocol::EpochName {
        epoch: Epoch(3),
        generation: Generation(1),
    }));
    let bytes = std::fs::read(&newest).expect("there");
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).expect("written");
    assert!(matches!(edit(folder.path(), &drop_a), Err(StoreError::Damaged { .. })));
    assert!(newest.exists());
    std::fs::write(&newest, bytes).expect("written");
    assert_eq!(numbers(&recovered(folder.path()).state["a"]), [12, 3]);
}

#[test]
fn an_unreadable_store_is_set_aside_and_a_new_one_begins_after_its_last_epoch() {
    let folder = store();
    let (root, aside) = (folder.path().join("p"), folder.path().join("aside/p"));
    std::fs::create_dir_all(&root).expect("made");
    std::fs::write(root.join("identity.json"), "{").expect("written");
    assert!(matches!(
        crate::store::check_readable(root.as_path()),
        Err(StoreError::Damaged { .. })
    ));
    let held = opened(folder.path());
    assert!(matches!(
        set_store_aside(&folder.path().into(), &aside.as_path().into()),
        Err(StoreError::InUse { .. })
    ));
    drop(held);
    set_store_aside(&root.as_path().into(), &aside.as_path().into()).expect("set aside");
    assert!(aside.join("identity.json").exists() && !root.exists());
    assert!(
        set_store_aside(&folder.path().into(), &aside.as_path().into()).is_err(),
        "the name is taken"
    );

    let origin = Origin {
        program: "acme".into(),
        pipeline: "p".into(),
        destinations: BTreeMap::from([("out".into(), Some("table t".into()))]),
    };
    let at = (
        PartitionInfo { name: "t".into() },
        Position { next_offset: 3, finished: false, fingerprint: "again".into() },
    );
    let anew = StateEdit::BeginAnew {
        empties: vec!["out".into()],
        forgets: Vec::new(),
        clears: false,
        positions: BTreeMap::from([(0, at.clone())]),
        origin: Some(origin.clone()),
    };
    begin_after(folder.path(), Epoch(41), &anew, None).expect_err("it has epochs");
    assert_eq!(
        begin_after(root.as_path(), Epoch(41), &anew, Some(("names.json", b"n".to_vec())))
            .expect("begun"),
        Epoch(42)
    );
    let found = recovered(&root);
    assert_eq!(
        (found.committed, &found.positions[&0], found.is_begun_anew()),
        (Epoch(42), &at, true)
    );
    assert!(found.outbox[0].parts["out"][0].empties && *found.origin == origin);
    assert_eq!(std::fs::read(root.join("names.json")).expect("there"), b"n");
}
