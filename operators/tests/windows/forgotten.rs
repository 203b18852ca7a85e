//! Keys that come and go: their windows are those of all rows, and they leave memory and snapshots.

use crate::MINUTE;
use crate::reference::Row;
use crate::world::{Dice, World};
use riskstream_engine::ids::EventTime;
use riskstream_operators::windows::Publish;

const HOUR: i64 = 60 * MINUTE;
/// Of the windows: the panes of the longest are needed for less than an hour after it.
const KEEP: i64 = 20 * MINUTE;

fn row(time: i64, status: i64, amount: i64) -> Row {
    Row { time, lender: Some("A"), status: Some(status), amount: Some(amount), score: None }
}

/// One of ever new keys, or one that came up to eight hours before.
fn passing(dice: &mut Dice, now: i64) -> i64 {
    let hour = now / HOUR - if dice.one_in(4) { dice.below(8) } else { 0 };
    hour * 10 + dice.below(6)
}

#[test]
fn keys_that_come_and_go_have_the_windows_of_all_rows() {
    for seed in 1..=40 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1);
        let publish = if dice.one_in(2) { Publish::Changes } else { Publish::Final };
        let mut world = World::new(publish, KEEP, 1 + dice.below(4) as usize);
        let (mut now, mut watermark) = (1_000 * HOUR, i64::MIN);
        for _ in 0..30 {
            let mut rows = Vec::new();
            for _ in 0..dice.below(30) {
                now += dice.below(2 * MINUTE);
                let behind = if dice.one_in(4) { dice.below(60 * MINUTE) } else { 0 };
                rows.push(Row {
                    status: Some(passing(&mut dice, now)),
                    ..Row::any(&mut dice, now - behind)
                });
            }
            if dice.one_in(6) {
                // A run that dies within the epoch: its rows come again.
                world.rows(&rows);
                world.restart(1 + dice.below(4) as usize);
            }
            world.rows(&rows);
            watermark = watermark.max(now - 5 * MINUTE);
            // Epochs are committed while a snapshot is written, which a crash may lose.
            world.loses_snapshots = dice.one_in(2);
            world.close(EventTime(watermark), dice.one_in(2));
            world.check().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            if dice.one_in(4) {
                world.restart(1 + dice.below(4) as usize);
            }
        }
        world.end(EventTime(now));
        world.check_ended().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

#[test]
fn ever_new_keys_take_no_more_memory_than_those_that_are_kept() {
    let mut world = World::new(Publish::Final, KEEP, 2);
    let (mut bytes, mut saved) = (Vec::new(), Vec::new());
    for hour in 0..60 {
        for part in 0..4 {
            let rows: Vec<Row> = (0..200)
                .map(|n| {
                    row(hour * HOUR + part * 15 * MINUTE + n, hour * 1_000 + part * 250 + n, n)
                })
                .collect();
            world.rows(&rows);
            world.close(EventTime(hour * HOUR + part * 15 * MINUTE), part == 3);
        }
        bytes.push(world.state_bytes());
        saved.push(world.saved_rows());
        if hour % 7 == 6 {
            world.restart(1 + (hour % 3) as usize);
        }
    }
    let most = |sizes: &[usize]| sizes.iter().copied().max().unwrap();
    assert!(most(&bytes[50..]) <= most(&bytes[5..15]) * 11 / 10, "{bytes:?}");
    assert!(most(&saved[50..]) <= most(&saved[5..15]), "{saved:?}");
    // Nothing comes any more: nothing is kept.
    world.close(EventTime(100 * HOUR), true);
    assert!(world.state_bytes() < most(&bytes) / 10, "{} of {bytes:?}", world.state_bytes());
    assert!(world.saved_rows() <= world.workers(), "only each worker's close");
    world.check().unwrap();
}

#[test]
fn a_key_that_is_kept_by_one_kind_of_windows_only_is_kept() {
    let mut world = World::new(Publish::Changes, KEEP, 1);
    world.rows(&[row(HOUR, 1, 100), row(HOUR, 2, 50)]);
    world.close(EventTime(HOUR + 31 * MINUTE), true);
    // Windows of ten minutes that hold it are forgotten by now, those of thirty are not.
    world.close(EventTime(HOUR + 45 * MINUTE), true);
    world.rows(&[row(HOUR + 29 * MINUTE, 1, 7), row(HOUR + 46 * MINUTE, 3, 1)]);
    world.close(EventTime(HOUR + 46 * MINUTE), false);
    assert_eq!(world.newest("30m by 5m", HOUR, "A"), Some((2, 107, true, 3)));
    world.check().unwrap();
    // The last of its panes goes, and it comes again.
    world.close(EventTime(3 * HOUR), true);
    world.rows(&[row(3 * HOUR, 2, 3)]);
    world.close(EventTime(3 * HOUR + MINUTE), false);
    world.restart(2);
    world.rows(&[row(3 * HOUR + MINUTE, 1, 4), row(3 * HOUR + MINUTE, 2, 5)]);
    world.close(EventTime(4 * HOUR), false);
    assert_eq!(world.newest("30m by 5m", 3 * HOUR, "A"), Some((1, 400 / 100, true, 6)));
    world.check().unwrap();
}
