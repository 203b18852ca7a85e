//! The windows step against plain addition: random rows, epochs, watermarks, late rows, crashes and
//! numbers of workers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "modules of one binary, each of which uses the others'")]

mod always;
mod cost;
#[path = "../common/dice.rs"]
mod dice;
mod forgotten;
#[path = "../common/nearest.rs"]
mod nearest;
mod reference;
mod sessions;
mod sums;
mod world;

use reference::Row;
use riskstream_engine::ids::EventTime;
use riskstream_operators::windows::Publish;
use world::{Dice, World};

const MINUTE: i64 = 60_000_000;

fn row(time: i64, lender: &'static str, amount: i64) -> Row {
    Row { time, lender: Some(lender), status: Some(1), amount: Some(amount), score: None }
}

#[test]
fn every_published_window_is_the_sum_of_its_rows() {
    for seed in 1..=150 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1);
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let mut world = World::new(publish, 20 * MINUTE, 1 + dice.below(4) as usize);
        let (mut now, mut watermark) = (dice.below(1_000) * MINUTE, i64::MIN);
        for _ in 0..2 + dice.below(12) {
            let rows: Vec<Row> = (0..dice.below(60))
                .map(|_| {
                    now += dice.below(MINUTE);
                    let behind = if dice.one_in(4) { dice.below(60 * MINUTE) } else { 0 };
                    Row::any(&mut dice, now - behind)
                })
                .collect();
            if dice.one_in(5) {
                // A run that dies within the epoch: its rows come again.
                world.rows(&rows);
                world.restart(1 + dice.below(4) as usize);
            }
            world.rows(&rows);
            watermark = watermark.max(now - 5 * MINUTE);
            world.close(EventTime(watermark), dice.one_in(4));
            world.check().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            if dice.one_in(4) {
                world.restart(1 + dice.below(4) as usize);
            }
        }
        world.end(EventTime(now));
        world.check_ended().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        // A run that finds nothing new says nothing.
        let said = world.last_revision();
        world.restart(1 + dice.below(4) as usize);
        world.end(EventTime(now));
        assert_eq!(world.last_revision(), said, "seed {seed}");
    }
}

#[test]
fn a_late_row_restates_its_windows_and_one_that_is_too_late_is_a_dead_letter() {
    let mut world = World::new(Publish::Final, 20 * MINUTE, 2);
    world.rows(&[row(MINUTE, "A", 100), row(2 * MINUTE, "B", 7)]);
    world.close(EventTime(29 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((1, 100, true, 1)));
    world.rows(&[row(3 * MINUTE, "A", 11)]);
    world.close(EventTime(31 * MINUTE), false);
    assert_eq!(
        world.newest("10m", 0, "A"),
        Some((2, 111, true, 2)),
        "restated with a larger revision"
    );
    assert_eq!(
        world.newest("10m", 0, "B"),
        Some((1, 7, true, 1)),
        "what did not change is not said again"
    );
    world.rows(&[row(4 * MINUTE, "A", 1), row(32 * MINUTE, "A", 2)]);
    world.close(EventTime(40 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((2, 111, true, 2)));
    assert_eq!(world.dead(), 1, "the window of 10 minutes ended more than 20 before");
}

#[test]
fn windows_are_published_as_they_change_only_where_that_is_wanted() {
    let mut world = World::new(Publish::Changes, 20 * MINUTE, 1);
    world.rows(&[row(MINUTE, "A", 100)]);
    world.close(EventTime(2 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((1, 100, false, 1)));
    world.close(EventTime(3 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((1, 100, false, 1)), "nothing changed");
    world.close(EventTime(10 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((1, 100, true, 3)), "final, though unchanged");

    let mut world = World::new(Publish::Final, 20 * MINUTE, 1);
    world.rows(&[row(MINUTE, "A", 100)]);
    world.close(EventTime(10 * MINUTE - 1), false);
    assert_eq!(world.newest("10m", 0, "A"), None);
    world.close(EventTime(10 * MINUTE), false);
    assert_eq!(world.newest("10m", 0, "A"), Some((1, 100, true, 2)));
}

#[test]
fn rows_in_any_order_within_the_lateness_end_in_the_same_windows() {
    let mut dice = Dice(77);
    let rows: Vec<Row> = (0..400).map(|n| Row::any(&mut dice, n * MINUTE / 4)).collect();
    let published = |rows: &[Row], epoch_rows: usize, workers: usize| {
        let mut world = World::new(Publish::Final, 1_000 * MINUTE, workers);
        for (n, rows) in rows.chunks(epoch_rows).enumerate() {
            world.rows(rows);
            world.close(EventTime(n as i64 * MINUTE), false);
        }
        world.end(EventTime(100 * MINUTE));
        world.contents()
    };
    let in_order = published(&rows, 400, 1);
    for seed in 1..20u64 {
        let mut dice = Dice(seed * 991);
        let mut shuffled = rows.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, dice.below(at as i64 + 1) as usize);
        }
        assert!(
            published(&shuffled, 1 + dice.below(100) as usize, 1 + dice.below(4) as usize)
                == in_order,
            "seed {seed}"
        );
    }
}
