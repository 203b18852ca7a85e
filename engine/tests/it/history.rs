//! The event history against a plain list of rows: whatever is appended, comes late, goes to disk,
//! is pruned or restored, every row reaches every edge once, at its age, and a scan finds what is
//! there.

use riskstream_engine::history::{Chunk, Column, History, HistoryConfig, Values, Width};
use riskstream_engine::ids::{Epoch, Generation};
use std::path::Path;

const EDGES: [i64; 4] = [0, 7, 40, 300];
const LAYOUT: [Width; 2] = [Width::Narrow, Width::Wide];

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as i64
    }
}

/// Time, key, number; a row's number is its own.
type Row = (i64, u32, i64);

fn chunk(rows: &[Row]) -> Chunk {
    let narrow = rows.iter().map(|r| r.2).collect();
    let wide = rows.iter().map(|r| i128::from(r.2) << 70).collect();
    let nulls = rows.iter().map(|r| r.2 % 5 == 0).collect();
    Chunk {
        times: rows.iter().map(|r| r.0).collect(),
        keys: rows.iter().map(|r| r.1).collect(),
        columns: vec![
            Column { values: Values::Narrow(narrow), nulls: vec![] },
            Column { values: Values::Wide(wide), nulls },
        ],
    }
}

/// The row, after a look at its other column.
fn row(rows: &Chunk, at: usize) -> Row {
    let number = rows.columns[0].value(at) as i64;
    assert_eq!(rows.columns[1].value(at), i128::from(number) << 70);
    assert_eq!(rows.columns[1].is_null(at), number % 5 == 0);
    (rows.times[at], rows.keys[at], number)
}

struct World<'a> {
    history: History,
    root: &'a Path,
    generation: u64,
    epoch: u64,
    clock: i64,
    pruned: i64,
    appended: Vec<Row>,
    late: Vec<Row>,
    seen: Vec<(usize, Row)>,
}

fn history(root: &Path, generation: u64) -> History {
    History::new(HistoryConfig {
        root: root.into(),
        step: "windows".into(),
        generation: Generation(generation),
        worker: 0,
        layout: LAYOUT.to_vec(),
        edges: EDGES.to_vec(),
        memory_bytes: 4_000,
    })
}

impl<'a> World<'a> {
    fn new(root: &'a Path) -> Self {
        let (history, clock, pruned) = (history(root, 1), i64::MIN, i64::MIN);
        Self {
            history,
            root,
            generation: 1,
            epoch: 0,
            clock,
            pruned,
            appended: vec![],
            late: vec![],
            seen: vec![],
        }
    }

    fn append(&mut self, dice: &mut Dice, next: &mut i64) {
        let mut time = self.appended.last().map_or(0, |r| r.0).max(self.clock);
        let mut rows = Vec::new();
        for _ in 0..dice.below(60) {
            time += dice.below(4);
            *next += 1;
            rows.push((time, dice.below(9) as u32, *next));
        }
        // Rows in front of `from` are not meant.
        self.history.append(&chunk(&[&[(0, 0, 0)], &rows[..]].concat()), 1).expect("appended");
        self.appended.extend(rows);
    }

    fn advance(&mut self, by: i64) {
        self.clock = self.clock.max(0) + by;
        let seen = &mut self.seen;
        self.history
            .advance(self.clock, &mut |edge, rows, at| seen.push((edge, row(rows, at))))
            .expect("advanced");
    }

    fn insert(&mut self, dice: &mut Dice, next: &mut i64) {
        if self.clock == i64::MIN {
            return;
        }
        let time = self.clock - 1 - dice.below(200);
        if time <= self.pruned {
            return;
        }
        *next += 1;
        let late = (time, dice.below(9) as u32, *next);
        let seen = &mut self.seen;
        self.history
            .insert(&chunk(&[late]), 0, &mut |edge, rows, at| seen.push((edge, row(rows, at))));
        self.late.push(late);
    }

    fn prune(&mut self) {
        self.pruned = self.pruned.max(self.clock.saturating_sub(350));
        self.history.prune(self.pruned);
    }

    /// A restart from a snapshot.
    fn restore(&mut self) {
        self.epoch += 1;
        self.history.flush(Epoch(self.epoch)).expect("flushed");
        let (logs, side) = (self.history.saved_logs(), self.history.side_rows());
        self.generation += 1;
        self.history = history(self.root, self.generation);
        for (number, (chunks, rest)) in logs.into_iter().enumerate() {
            self.history.restore_log(chunks, &rest, self.clock, number == 0).expect("restored");
        }
        let again =
            &mut |_: usize, _: &Chunk, _: usize| panic!("an edge has passed this row before");
        self.history.start(self.clock, again).expect("started");
        for at in 0..side.len() {
            self.history.insert_since(&side, at, self.clock, again);
        }
    }

    fn check(&mut self, dice: &mut Dice) {
        for (edge, age) in EDGES.iter().enumerate() {
            let mut found: Vec<Row> =
                self.seen.iter().filter(|(e, _)| *e == edge).map(|(_, row)| *row).collect();
            let reached = |r: &&Row| *age > 0 && self.clock != i64::MIN && r.0 <= self.clock - age;
            let late = self.late.iter().filter(|r| *age == 0 || reached(r));
            let mut expected: Vec<Row> =
                self.appended.iter().filter(reached).chain(late).copied().collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "edge {edge} at {}", self.clock);
        }
        let (key, from) = (dice.below(9) as u32, self.clock.max(0) - dice.below(340));
        let (after, upto) = (from.max(self.pruned), from + dice.below(340));
        let mut found = Vec::new();
        self.history
            .scan(key, after, upto, &mut |rows, at| found.push(row(rows, at)))
            .expect("scanned");
        let mut expected: Vec<Row> = self
            .appended
            .iter()
            .chain(&self.late)
            .filter(|r| r.1 == key && r.0 > after && r.0 <= upto)
            .copied()
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "key {key} in ({after}, {upto}]");
    }
}

#[test]
fn every_row_reaches_every_edge_once_and_is_found_while_it_is_kept() {
    let mut on_disk = 0;
    for seed in 1..=60u64 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut world = World::new(folder.path());
        let mut next = 0;
        for _ in 0..80 {
            match dice.below(10) {
                0..4 => world.append(&mut dice, &mut next),
                4..6 => {
                    let by = dice.below(90);
                    world.advance(by);
                }
                6 => world.insert(&mut dice, &mut next),
                7 => world.prune(),
                8 => {
                    world.epoch += 1;
                    world.history.enforce_budget(Epoch(world.epoch)).expect("enforced");
                }
                _ => world.restore(),
            }
            world.check(&mut dice);
        }
        on_disk += world.history.files().len();
    }
    assert!(on_disk > 0, "nothing ever went to disk");
}
