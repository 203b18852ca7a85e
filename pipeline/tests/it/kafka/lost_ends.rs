//! Ends of transactions that a broker has lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::MESSAGES;
use super::broker::{Broker, PARTITIONS, good};
use super::logs::{ends, listing, logs_with_ends, remove};
use super::runs::{TO_THE_END, kill, run_killed, spawn};
use crate::kill::next;
use crate::program::riskstream;

/// Milliseconds for which runs that mend the topic go on after they have said so.
const KILLED_AFTER: [u64; 3] = [200, 300, 400];

/// What a run says that ends a transaction that hangs, and that copies what was lost with an end.
const TOLD_OF_ENDS: [&str; 2] = ["whose end the cluster has lost; it is ended", "they are copied"];

/// Settings of a run that takes what there is in one epoch.
const IN_ONE_EPOCH: [&str; 6] = [
    "--set",
    "riskstream.epoch.min=5s",
    "--set",
    "riskstream.epoch.max=10s",
    "--set",
    "riskstream.epoch.rows=1000000",
];

impl Broker {
    /// A transaction whose ends a broker has lost is delivered again where nothing says that it was
    /// committed; where its offset does, or a partition that has its end, what is missing is
    /// copied.
    pub(super) fn check_lost_ends(&self, here: &Path) {
        let run = || riskstream(here, &["run", "--set", "sources.payments.stop=end"]);
        let mut up_to = MESSAGES + 2_700;
        for (with_offset, partitions, is_copied) in
            [(true, PARTITIONS, false), (false, PARTITIONS, true), (true, 1, true)]
        {
            let lengths = listing(&self.state);
            self.produce(up_to..up_to + 300, "none");
            up_to += 300;
            // All rows are in one epoch, and so in one transaction: of several, the first one's end
            // is known.
            riskstream(here, &[&["run"], &TO_THE_END[..], &IN_ONE_EPOCH].concat()).ok();
            assert_eq!(self.consume("doubled").len(), good(up_to));
            self.script("stop");
            let (mut cut, mut offsets_cut) = (0, 0);
            for (log, from, of) in logs_with_ends(&self.state, &lengths) {
                let last = ends(&log, from).pop();
                let is_meant = if of == "doubled" { cut < partitions } else { with_offset };
                if let Some(last) = last.filter(|_| is_meant) {
                    remove(&log, &[last]);
                    *(if of == "doubled" { &mut cut } else { &mut offsets_cut }) += 1;
                }
            }
            assert_eq!(
                (cut, offsets_cut),
                (partitions, i32::from(with_offset)),
                "ends of the transaction, and its offset's"
            );
            self.start_without_heart();
            assert!(self.consume("doubled").len() < good(up_to), "nobody sees what hangs");
            // Runs are killed while they mend the topic, or soon after.
            let mut said: String = KILLED_AFTER
                .iter()
                .map(|millis| run_killed(here, &TOLD_OF_ENDS, *millis))
                .collect();
            let done = run();
            said.push_str(&done.err);
            done.ok();
            assert!(
                said.contains(TOLD_OF_ENDS[0]) && said.contains(TOLD_OF_ENDS[1]) == is_copied,
                "{said}"
            );
            let seen = self.consume("doubled");
            assert_eq!(seen.len(), good(up_to));
            assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
        }
    }

    /// The end marker of a transaction is gone that readers had seen: nobody can tell whether it
    /// was committed, and nothing is delivered.
    pub(super) fn check_gone_end(&self, here: &Path) {
        let decided = self.decided_before(&self.group(here));
        self.script("stop");
        for (log, ..) in logs_with_ends(&self.state, &BTreeMap::new())
            .into_iter()
            .filter(|(.., of)| *of == "doubled")
        {
            remove(&log, &ends(&log, 0));
        }
        self.start_without_heart();
        let done = riskstream(here, &[&["run"], &TO_THE_END[..]].concat());
        assert!(decided.iter().any(|before| *before > 0) && done.code != 0, "{}", done.err);
        assert!(
            done.err.contains("an open transaction where everything had been decided"),
            "{}",
            done.err
        );
    }

    /// Random end markers of a killed run's transactions are lost, in random partitions, and the
    /// end markers of its offsets from some transaction on: every row is there once, wherever the
    /// runs that mend the topic are killed.
    pub(super) fn check_any_ends_lost(&self, here: &Path) {
        let mut dice = Dice::new("RISKSTREAM_ENDS_SEED");
        let seed = dice.seed;
        let rounds =
            std::env::var("RISKSTREAM_ENDS_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
        let mut up_to = 0;
        for round in 0..rounds {
            let lengths = listing(&self.state);
            let run = spawn(here);
            // Another producer has a transaction open among them, until the cluster aborts it.
            let (has_other, at) = (dice.below(3) == 0, dice.below(8));
            let mut other = None;
            for piece in 0..8 {
                self.produce(up_to..up_to + 100, "none");
                up_to += 100;
                if has_other && piece == at {
                    other = Some(self.open_transaction(5_000));
                }
                std::thread::sleep(Duration::from_millis(dice.below(400)));
            }
            kill(run, here);
            // Readers have seen all ends before this, so that none is missing there.
            let decided = self.decided_before(&self.group(here));
            drop(other);
            self.script("stop");
            let one_in = 1 + dice.below(3);
            let (mut of, mut lost) = (0, 0);
            for (log, from, topic) in logs_with_ends(&self.state, &lengths) {
                let mut ends = ends(&log, from);
                of += ends.len();
                if topic == "doubled" {
                    let partition: usize = log
                        .parent()
                        .unwrap()
                        .to_string_lossy()
                        .rsplit('-')
                        .next()
                        .unwrap()
                        .parse()
                        .unwrap();
                    ends.retain(|end| end.begins >= decided[partition] && dice.below(one_in) == 0);
                } else {
                    let kept = ends.len() as u64 - dice.below(ends.len().min(4) as u64 + 1);
                    ends.drain(..kept as usize);
                }
                lost += ends.len();
                remove(&log, &ends);
            }
            self.start_without_heart();
            let mut said = String::new();
            for _ in 0..dice.below(3) {
                said.push_str(&run_killed(here, &TOLD_OF_ENDS, dice.below(900)));
            }
            let done = riskstream(here, &[&["run"], &TO_THE_END[..]].concat());
            said.push_str(&done.err);
            assert!(done.code == 0, "round {round}, seed {seed}: {said}");
            let seen = self.consume("doubled");
            let twice = seen.values().filter(|(times, ..)| *times != 1).count();
            let is_right = seen.len() == good(up_to) && twice == 0;
            assert!(
                is_right,
                "round {round}, seed {seed}, {lost} of {of} ends lost: {} of {} rows, {twice} more \
                 than once: {said}",
                seen.len(),
                good(up_to)
            );
            println!(
                "round {round}, seed {seed}, somebody else {has_other}: {lost} of {of} ends lost, \
                 all rows once: {said}"
            );
        }
    }
}

/// Random numbers, from a seed that is printed when a check fails.
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Takes the seed from an environment variable, or a fresh one.
    fn new(variable: &str) -> Self {
        let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let seed = std::env::var(variable).map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    /// A random number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        next(&mut self.state) % end
    }
}
