//! Runs before and after a change of the store's state.

use crate::source::Line;
use crate::world::{Settings, World, broken, lines, reference};
use riskstream_engine::ids::Epoch;
use riskstream_engine::runtime::RunError;
use riskstream_engine::store::{StateEdit, edit, inspect};
use std::collections::BTreeMap;
use std::sync::Arc;

fn first(input: &Arc<Vec<Vec<Line>>>, rows: usize) -> Arc<Vec<Vec<Line>>> {
    Arc::new(input.iter().map(|p| p[..rows.min(p.len())].to_vec()).collect())
}

/// A run that fails at a row, so that its input has not ended.
fn part_of(world: &World, input: &Arc<Vec<Vec<Line>>>, poison: i64, settings: &Settings) {
    let mut settings = settings.clone();
    settings.mischief.fails_at = Some(poison);
    assert!(
        world.run(input, &settings).expect_err("the row is poison").to_string().contains("poison")
    );
}

#[test]
fn a_renamed_step_goes_on_as_if_it_had_always_had_that_name() {
    let input = lines(2, 900);
    for snapshot_every in [4, u64::MAX] {
        let world = World::new();
        let settings = Settings { snapshot_every, epoch_rows: 20, ..Settings::default() };
        part_of(&world, &input, 400, &settings);
        let renamed = Settings { step_id: "tally", ..settings };
        let error = world.run(&input, &renamed).expect_err("its state would be lost");
        assert!(
            matches!(&error, RunError::UnknownState { step, .. } if step == "count"),
            "{error}"
        );
        edit(world.store(), &StateEdit::Rename { from: "count".into(), to: "tally".into() })
            .expect("renamed");
        part_of(&world, &input, 700, &Settings { workers: 3, ..renamed.clone() });
        world.run(&input, &renamed).expect("a clean run");
        assert!(world.said() == reference(&input));
        assert_eq!(world.dead_rows(), broken(&input));
    }
}

#[test]
fn a_dropped_step_may_leave_the_pipeline() {
    let input = lines(2, 300);
    let world = World::new();
    world.run(&first(&input, 100), &Settings::default()).expect("a clean run");
    edit(world.store(), &StateEdit::Drop { step: "count".into() }).expect("dropped");
    let rest = Settings { step_id: "tally", ..Settings::default() };
    world.run(&input, &rest).expect("the new step begins empty");
}

#[test]
fn a_pipeline_that_is_begun_anew_gives_what_a_new_one_gives_and_the_table_has_what_was_asked_for() {
    let input = lines(2, 600);
    for (empties, times) in [(vec!["out".to_owned(), "dead".to_owned()], 1), (Vec::new(), 2)] {
        let world = World::new();
        world.run(&input, &Settings::default()).expect("a clean run");
        let once = world.said();
        edit(
            world.store(),
            &StateEdit::BeginAnew {
                empties,
                forgets: Vec::new(),
                clears: false,
                positions: BTreeMap::new(),
                origin: None,
            },
        )
        .expect("begun anew");
        let summary = world
            .run(&input, &Settings { workers: 3, ..Settings::default() })
            .expect("a clean run");
        assert!(summary.resumed_after > 1 && once == reference(&input));
        let mut expected: Vec<_> =
            std::iter::repeat_n(reference(&input), times).flatten().collect();
        expected.sort();
        assert!(world.said() == expected, "{times} times");
        assert_eq!(world.dead_rows(), times * broken(&input));
    }
}

#[test]
fn rows_that_wait_for_a_sink_are_delivered_before_a_pipeline_begins_anew_or_given_up_with_it() {
    let input = lines(1, 600);
    for gives_up in [false, true] {
        let world = World::new();
        let settings = Settings { epoch_rows: 20, ..Settings::default() };
        world.table.lock().expect("no panic holds it").refuse_from = Some(Epoch(3));
        world.run(&input, &settings).expect_err("the table is closed");
        world.table.lock().expect("no panic holds it").refuse_from = None;
        let delivered = world.said().len();
        let stored = inspect(world.store()).expect("looked").expect("a store");
        let committed: u64 = stored.outbox["out"].iter().map(|epoch| epoch.rows).sum();
        edit(
            world.store(),
            &StateEdit::BeginAnew {
                empties: Vec::new(),
                forgets: if gives_up { vec!["out".into()] } else { Vec::new() },
                clears: false,
                positions: BTreeMap::new(),
                origin: None,
            },
        )
        .expect("begun anew");
        world.run(&input, &settings).expect("a clean run");
        let twice = world.said().len() - reference(&input).len();
        if gives_up {
            assert_eq!(twice, delivered);
        } else {
            assert!(stored.committed >= Epoch(3));
            assert_eq!(twice as u64, committed);
        }
    }
}
