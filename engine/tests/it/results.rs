//! What leaves does not depend on how it was computed.

use crate::source::{Line, LineSource};
use crate::world::{BOUND, Settings, World, broken, lines, reference};
use riskstream_engine::protocol::LatePolicy;
use std::sync::Arc;

#[test]
fn results_are_the_same_for_any_workers_epochs_and_blocks() {
    let input = lines(3, 900);
    let expected = reference(&input);
    for workers in [1, 2, 3] {
        for (epoch_rows, block_rows) in [(1_000_000, 400), (60, 9), (7, 3)] {
            let world = World::new();
            let summary = world
                .run(&input, &Settings { workers, epoch_rows, block_rows, ..Settings::default() })
                .expect("a clean run");
            assert!(!summary.stopped && summary.resumed_after == 0 && summary.generation == 1);
            assert!(
                world.said() == expected,
                "{workers} workers, epochs of {epoch_rows}, blocks of {block_rows}"
            );
            assert_eq!(world.dead_rows(), broken(&input));
        }
    }
}

#[test]
fn rows_in_order_with_equal_times_are_never_late_even_across_epochs() {
    let rows = (0..200).map(|id| Line::Row { id, key: id % 3, time: 1_000 + id / 50 * BOUND });
    let input = Arc::new(vec![rows.collect::<Vec<_>>()]);
    let world = World::new();
    world
        .run(&input, &Settings { epoch_rows: 5, block_rows: 5, ..Settings::default() })
        .expect("a clean run");
    assert!(world.said().iter().all(|s| s.kind != "late"));
    assert_eq!(world.said(), reference(&input));
}

#[test]
fn a_late_row_is_applied_and_flagged_or_becomes_a_dead_letter_once() {
    let mut rows: Vec<Line> =
        (0..100).map(|id| Line::Row { id, key: 1, time: 1_000 + id * 10 }).collect();
    rows.push(Line::Row { id: 777, key: 1, time: 1_005 });
    rows.extend((101..150).map(|id| Line::Row { id, key: 1, time: 1_000 + id * 10 }));
    let input = Arc::new(vec![rows]);
    for (late, dead) in [(LatePolicy::Apply, 0), (LatePolicy::DeadLetter, 1)] {
        let world = World::new();
        let running = world.start(
            LineSource::new(&input),
            &Settings { late, epoch_rows: 10, block_rows: 5, ..Settings::default() },
        );
        let metrics = Arc::clone(&running.control.metrics);
        running.end().expect("a clean run");
        assert_eq!(
            world.said().iter().filter(|s| s.kind == "late" && s.id == 777).count(),
            1 - dead
        );
        assert_eq!(world.said().iter().filter(|s| s.kind == "row").count(), 149);
        assert_eq!(world.dead_rows(), dead);
        assert_eq!(
            metrics.late_committed_total.load(std::sync::atomic::Ordering::Relaxed),
            1,
            "late rows are counted"
        );
    }
}
