//! Rows against a plain map: small memory, many files, crashes, other numbers of workers.

use super::*;
use crate::contract::StateBatch;
use crate::ids::{Generation, Ownership};
use std::collections::BTreeMap;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Few hashes per shard, so that keys share them; all shards.
fn hash(key: u64) -> u64 {
    xxh3_64(&(key / 2).to_le_bytes())
}

struct World<'a> {
    root: &'a Path,
    generation: u64,
    workers: Vec<KeyedRows>,
    snapshot: Vec<StateBatch>,
    changes: Vec<StateBatch>,
    /// What there is.
    expected: BTreeMap<u64, Vec<u8>>,
}

impl<'a> World<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            generation: 0,
            workers: Vec::new(),
            snapshot: Vec::new(),
            changes: Vec::new(),
            expected: BTreeMap::new(),
        }
    }

    fn restart(&mut self, workers: usize) {
        self.workers.clear();
        self.generation += 1;
        for worker in 0..workers {
            let dir = StateDir {
                root: self.root.into(),
                generation: Generation(self.generation),
                worker,
            };
            let mut rows =
                KeyedRows::new(RowsConfig { dir, step: "step".into(), memory_bytes: 4_000 });
            rows.own(ShardSet::owned(worker, Ownership::new(workers)));
            self.snapshot
                .iter()
                .chain(&self.changes)
                .for_each(|saved| rows.restore(saved).unwrap());
            self.workers.push(rows);
        }
    }

    fn epoch(&mut self, changed: &[(u64, Option<Vec<u8>>)], snapshot: bool) {
        let ownership = Ownership::new(self.workers.len());
        let mut whole = Vec::new();
        for (worker, rows) in self.workers.iter_mut().enumerate() {
            rows.make_room().unwrap();
            let own: Vec<_> = changed
                .iter()
                .filter(|(key, _)| ownership.worker_of(shard_of(hash(*key))) == worker)
                .collect();
            let hashes: Vec<u64> = own.iter().map(|(key, _)| hash(*key)).collect();
            let bytes: Vec<u8> = own.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
            let offsets: Vec<usize> = (0..=own.len()).map(|n| n * 8).collect();
            let mut places = Vec::new();
            rows.fetch(
                &BatchKeys { hashes: &hashes, bytes: &bytes, offsets: &offsets },
                &mut places,
            )
            .unwrap();
            rows.touch(&places);
            for ((key, value), place) in own.into_iter().zip(&places) {
                assert_eq!(
                    rows.value(*place),
                    self.expected.get(key).map(Vec::as_slice),
                    "key {key}"
                );
                if let Some(value) = value {
                    rows.set(*place, value, &[]);
                    if value.is_empty() {
                        self.expected.remove(key)
                    } else {
                        self.expected.insert(*key, value.clone())
                    };
                }
            }
            places.sort_unstable();
            places.dedup();
            self.changes.extend(rows.save(&places).unwrap());
            if snapshot {
                whole.extend(rows.save_all().unwrap());
            }
        }
        if snapshot {
            (self.snapshot, self.changes) = (whole, Vec::new());
        }
    }

    fn check(&self) {
        let mut found = BTreeMap::new();
        for rows in &self.workers {
            let mut last = None;
            rows.for_each(|hash, key, value| {
                assert!(
                    last.replace((hash, key.to_vec())) < Some((hash, key.to_vec())),
                    "in order, each once"
                );
                if rows.shards.has(shard_of(hash)) {
                    found.insert(u64::from_be_bytes(key.try_into().unwrap()), value.to_vec());
                }
                Ok::<_, RowsError>(())
            })
            .unwrap();
        }
        assert_eq!(found, self.expected);
    }
}

fn run(seed: u64) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed * 2_654_435_761 + 1);
    let mut world = World::new(folder.path());
    world.restart(1 + (seed % 3) as usize);
    let (mut most, mut emptied) = (0, 0);
    for epoch in 0..120 {
        if epoch % 20 == 0 {
            // Of ten values so many are empty, for a while.
            emptied = [0, 2, 5, 9][dice.below(4) as usize];
        }
        let mut changed = Vec::new();
        for _ in 0..dice.below(60) {
            let length = if dice.below(10) < emptied { 0 } else { dice.below(60) as usize };
            let value = (dice.below(8) > 0).then(|| vec![epoch as u8; length]);
            changed.push((dice.below(400), value));
        }
        world.epoch(&changed, dice.below(6) == 0);
        most = most.max(world.workers[0].segments.len());
        match dice.below(20) {
            0 => world.restart(1 + dice.below(4) as usize),
            1 => world.check(),
            2 if dice.below(3) == 0 => {
                world.workers.iter_mut().for_each(KeyedRows::clear);
                (world.snapshot, world.changes, world.expected) = Default::default();
            }
            _ => {}
        }
    }
    world.check();
    most
}

#[test]
fn rows_are_as_in_a_map() {
    let most = (0..40).map(run).max().unwrap();
    assert!(most > 2, "at most {most} files");
}

#[test]
fn files_are_merged_and_those_that_no_snapshot_names_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.restart(1);
    let names = || {
        std::fs::read_dir(folder.path().join("step"))
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap())
    };
    for round in 0..200u64 {
        let changed: Vec<_> =
            (0..40).map(|n| (round * 40 + n, Some(vec![round as u8; 50]))).collect();
        world.epoch(&changed, round == 20);
        let rows = &mut world.workers[0];
        rows.end_spill().unwrap();
        rows.end_merge().unwrap();
    }
    let rows = &world.workers[0];
    let files = rows.segments.len();
    assert!((2..16).contains(&files), "{files} files");
    let entries = |s: &Counted| {
        (0..s.segment.pages())
            .map(|page| s.segment.read(page, Page::default()).unwrap().len())
            .sum::<usize>()
    };
    assert!(rows.segments.iter().map(entries).sum::<usize>() > 7_000);
    // Those in use, and those that the snapshot names, which is restored from.
    let in_use: BTreeSet<String> = rows
        .segments
        .iter()
        .map(|s| s.name.to_string())
        .chain(rows.named.iter().map(|n| n.to_string()))
        .collect();
    assert_eq!(names().collect::<BTreeSet<_>>(), in_use);
    world.check();
    world.restart(2);
    world.check();
}

#[test]
fn what_is_saved_is_split_by_rows_and_bytes_and_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.restart(1);
    let changed: Vec<_> =
        (0..300u64).map(|n| (n, Some(vec![n as u8; if n == 100 { 5_000 } else { 20 }]))).collect();
    world.epoch(&changed, false);
    let rows = &world.workers[0];
    let places: Vec<u32> = (0..rows.memory.len() as u32).collect();
    assert_eq!(places.len(), 300, "all are in memory still");
    // Rows and bytes of a batch at most, and how many batches that makes.
    let limits = [
        (1_000, 1 << 30, 1..=1),
        (7, 1 << 30, 43..=43),
        (1_000, 1_000, 8..=12),
        (1_000, 1, 300..=300),
    ];
    let saved = limits.map(|(rows_most, bytes_most, expected)| {
        let saved = rows.save_in(&places, rows_most, bytes_most).unwrap();
        assert!(
            expected.contains(&saved.len()),
            "{} batches of {rows_most} rows, {bytes_most} bytes",
            saved.len()
        );
        assert!(saved.iter().all(|batch| (1..=rows_most).contains(&batch.rows.num_rows())));
        saved
    });
    for (workers, saved) in (1..).zip(saved) {
        world.changes = saved;
        world.restart(workers);
        world.check();
    }
}

/// Entries in the files in use, and bytes of these files.
fn in_files(world: &World<'_>) -> (u64, u64) {
    let segments = world.workers.iter().flat_map(|rows| &rows.segments);
    segments.fold((0, 0), |(entries, bytes), s| {
        (entries + s.segment.entries().0, bytes + s.segment.bytes())
    })
}

/// As threads do sooner or later.
fn end_jobs(world: &mut World<'_>) {
    for rows in &mut world.workers {
        rows.end_spill().unwrap();
        rows.begin_merge().unwrap();
        while rows.merging.is_some() {
            rows.end_merge().unwrap();
            rows.begin_merge().unwrap();
        }
    }
}

#[test]
fn files_do_not_grow_with_keys_that_were_emptied_long_ago() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let mut dice = Dice(99);
    world.restart(2);
    let mut sizes = Vec::new();
    for round in 0..600u64 {
        // Each key is there for ten rounds.
        let came = (0..40).map(|n| (round * 40 + n, Some(vec![round as u8; 50])));
        let went = (0..40)
            .filter(|_| round >= 10)
            .map(|n| ((round.max(10) - 10) * 40 + n, Some(Vec::new())));
        world.epoch(&came.chain(went).collect::<Vec<_>>(), dice.below(10) == 0);
        end_jobs(&mut world);
        if dice.below(30) == 0 {
            world.restart(1 + dice.below(4) as usize);
        }
        sizes.push(in_files(&world));
    }
    let most = |sizes: &[(u64, u64)]| sizes.iter().copied().max().unwrap();
    let (early, late) = (most(&sizes[50..150]), most(&sizes[500..]));
    assert!(early.0 > 400, "{early:?}: files are needed");
    assert!(late.0 < early.0 * 3 / 2 && late.1 < early.1 * 3 / 2, "{late:?} after {early:?}");
    world.check();
}

#[test]
fn files_whose_keys_are_all_emptied_go_and_so_do_their_keys_in_saved_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    world.restart(2);
    for round in 0..50u64 {
        let changed: Vec<_> =
            (0..40).map(|n| (round * 40 + n, Some(vec![round as u8; 50]))).collect();
        world.epoch(&changed, round % 10 == 9);
        end_jobs(&mut world);
    }
    let full = in_files(&world);
    assert!(full.0 > 1_500, "{full:?}");
    world.restart(3);
    for round in (0..50u64).rev() {
        let changed: Vec<_> = (0..40).map(|n| (round * 40 + n, Some(Vec::new()))).collect();
        world.epoch(&changed, round % 10 == 9);
        end_jobs(&mut world);
    }
    world.check();
    let left = in_files(&world);
    assert!(left.0 < full.0 / 4, "{left:?} of {full:?}");
    // One more file's worth of other keys, and nothing of the old ones is left.
    for round in 0..80u64 {
        let changed: Vec<_> = (0..40)
            .flat_map(|n| [(9_000 + n, Some(vec![round as u8; 50])), (9_500 + n, Some(Vec::new()))])
            .collect();
        world.epoch(&changed, true);
        end_jobs(&mut world);
    }
    world.check();
    assert!(in_files(&world).0 < 400, "{:?}", in_files(&world));
    let saved: usize = world
        .snapshot
        .iter()
        .filter(|saved| saved.name == crate::rows::ROWS)
        .map(|saved| saved.rows.num_rows())
        .sum();
    assert!(saved < 400, "{saved} rows saved");
    world.restart(1);
    world.check();
}
