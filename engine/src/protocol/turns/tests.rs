use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

const LIMITS: TurnLimits =
    TurnLimits { idle_after: 100, skew_max: 50, blocks_ahead_max: 2, quiet_polls_max: 3 };

/// What a partition answers to one poll.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// A block whose rows are so much newer than those before; none: all its rows are rejected.
    Block(Option<i64>),
    Nothing {
        caught_up: bool,
    },
}

/// A partition as it is defined.
#[derive(Debug, Clone, Default)]
struct Defined {
    answers: Vec<Answer>,
    at: usize,
    /// Event times of blocks that are on their way.
    undecoded: Vec<Option<i64>>,
    newest_sent: i64,
    shown: Option<i64>,
    decoded: u64,
    sent: u64,
    quiet_since: Option<i64>,
    finished: bool,
}

impl Defined {
    fn is_idle(&self, now: i64) -> bool {
        self.quiet_since.is_some_and(|since| now - since >= LIMITS.idle_after)
    }

    fn seen(&self) -> Seen {
        Seen { event_time_max: self.shown.unwrap_or(i64::MIN), decoded: self.decoded }
    }

    fn decode_one(&mut self) {
        if !self.undecoded.is_empty() {
            let time = self.undecoded.remove(0);
            self.shown = self.shown.max(time);
            self.decoded += 1;
        }
    }
}

struct World {
    partitions: RefCell<Vec<Defined>>,
    turns: Turns,
    now: i64,
    told: Vec<(bool, bool)>,
}

impl World {
    fn new(scripts: &[Vec<Answer>]) -> Self {
        let partitions = scripts.iter().map(|answers| Defined {
            answers: answers.clone(),
            newest_sent: 1_000,
            ..Defined::default()
        });
        let mut turns = Turns::new(LIMITS);
        turns.grow(u32::try_from(scripts.len()).expect("few"));
        Self { partitions: RefCell::new(partitions.collect()), turns, now: 0, told: Vec::new() }
    }

    fn seen(partitions: &RefCell<Vec<Defined>>, number: u32) -> Seen {
        partitions.borrow()[number as usize].seen()
    }

    /// One round, in which each may be polled once; gives the partitions that were polled.
    fn round(&mut self, full: bool) -> Vec<u32> {
        let mut polled = Vec::new();
        let partitions = &self.partitions;
        let mut round = self.turns.round(self.now, |n| Self::seen(partitions, n));
        while let Some(number) = self.turns.next(&mut round, full, |n| Self::seen(partitions, n)) {
            self.allowed(number, full);
            polled.push(number);
            let mut all = self.partitions.borrow_mut();
            let p = &mut all[number as usize];
            let answer = p.answers.get(p.at).copied();
            p.at += 1;
            match answer {
                Some(Answer::Block(newer)) => {
                    p.sent += 1;
                    p.quiet_since = None;
                    p.newest_sent += newer.unwrap_or(0);
                    p.undecoded.push(newer.map(|_| p.newest_sent));
                    drop(all);
                    self.turns.block(number, false, |n| Self::seen(partitions, n));
                    break;
                }
                Some(Answer::Nothing { caught_up }) => {
                    if !caught_up || p.quiet_since.is_none() {
                        p.quiet_since = Some(self.now);
                    }
                    self.turns.nothing(number, caught_up, self.now);
                }
                None => {
                    (p.finished, p.quiet_since) = (true, None);
                    self.turns.finished(number);
                    break;
                }
            }
        }
        polled
    }

    /// Checks by the definition that this one may be polled.
    fn allowed(&self, number: u32, full: bool) {
        let all = self.partitions.borrow();
        let p = &all[number as usize];
        assert!(!p.finished, "{number} has ended");
        if all.iter().filter(|p| !p.finished).count() == 1 {
            return;
        }
        assert!(p.sent - p.decoded < LIMITS.blocks_ahead_max, "{number} has blocks on their way");
        let holding = || all.iter().filter(|p| !p.finished && !p.is_idle(self.now));
        if full {
            let least = holding().map(|p| p.shown).min();
            assert!(
                least.is_none_or(|least| p.shown == least),
                "{number} can't move the watermark"
            );
            assert!(least.is_none() || !p.is_idle(self.now), "{number} is idle, others are not");
        } else if let (Some(shown), Some(slowest)) =
            (p.shown, holding().filter_map(|p| p.shown).min())
        {
            assert!(shown - slowest <= LIMITS.skew_max, "{number} is {} ahead", shown - slowest);
        }
    }

    /// What was told of changes is how it is.
    fn check_told(&mut self) {
        for change in self.turns.take_changes(self.now) {
            let at = change.partition as usize;
            self.told.resize(self.told.len().max(at + 1), (false, false));
            self.told[at] = (change.idle, change.finished);
        }
        let defined: Vec<(bool, bool)> =
            self.partitions.borrow().iter().map(|p| (p.is_idle(self.now), p.finished)).collect();
        assert_eq!(self.told, defined);
        let all_idle = !defined.iter().all(|d| d.1)
            && defined.iter().all(|(idle, finished)| *idle || *finished);
        assert_eq!(self.turns.all_idle(self.now), all_idle);
        assert_eq!(self.turns.open(), defined.iter().filter(|d| !d.1).count());
    }
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        4 => (0_i64..40).prop_map(|newer| Answer::Block(Some(newer))),
        1 => Just(Answer::Block(None)),
        1 => Just(Answer::Nothing { caught_up: true }),
        1 => Just(Answer::Nothing { caught_up: false }),
    ];
    proptest::collection::vec(answer, 0..25)
}

proptest! {
    /// Whatever partitions answer, however late blocks are decoded, and however often no more may
    /// be held: nothing is read that may not be, all is read in the end, and the watermark is told
    /// what it must know.
    #[test]
    fn partitions_are_read_in_step_and_to_their_ends(
        scripts in proptest::collection::vec(answers(), 1..7),
        steps in proptest::collection::vec(
            (any::<bool>(), 0_usize..4, 0_i64..60, any::<bool>()),
            1..200,
        ),
    ) {
        let mut world = World::new(&scripts);
        for (full, decoded, passed, told) in steps {
            let polled = world.round(full);
            let mut once = polled.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), polled.len(), "each is polled once in a round");
            for at in 0..decoded {
                let mut all = world.partitions.borrow_mut();
                let count = all.len();
                all[(at * 7 + polled.len()) % count].decode_one();
            }
            world.now += passed;
            if told {
                world.check_told();
            }
        }
        // From now on all is decoded at once, time goes on, and no more may be held: still
        // everything is read.
        let mut rounds = 0;
        while world.turns.open() > 0 {
            world.round(true);
            world.partitions.borrow_mut().iter_mut().for_each(|p| {
                while !p.undecoded.is_empty() {
                    p.decode_one()
                }
            });
            world.now += 30;
            rounds += 1;
            prop_assert!(rounds < 2_000, "it hangs");
        }
        world.check_told();
        prop_assert!(
            world.partitions.borrow().iter().all(|p| p.finished && p.at == p.answers.len() + 1)
        );
    }
}

#[test]
fn a_silent_partition_is_named_as_what_the_others_wait_for_until_it_is_idle() {
    let silent = vec![Answer::Nothing { caught_up: false }; 5];
    let mut world = World::new(&[silent, vec![Answer::Block(Some(1_000)); 9]]);
    for _ in 0..3 {
        world.round(false);
        world.partitions.borrow_mut()[1].decode_one();
    }
    assert!(
        world.partitions.borrow()[1].sent > 1,
        "it alone has shown anything, so that it is no faster than the slowest"
    );
    assert_eq!(world.round(true), [0], "no more may be held: only the silent one is asked");
    let partitions = &world.partitions;
    let held = world.turns.held(true, |n| World::seen(partitions, n));
    assert_eq!(held, Some(Held { by: 0, behind: None }));
    assert_eq!(
        world.turns.held(false, |n| World::seen(partitions, n)),
        None,
        "as long as more may be held, nobody waits"
    );
    world.now += LIMITS.idle_after;
    assert_eq!(world.round(true), [1], "the silent one is idle: it is not waited for");
}

#[test]
fn of_many_quiet_partitions_a_few_are_polled_in_each_round_and_all_in_turn() {
    let quiet = vec![Answer::Nothing { caught_up: true }; 40];
    let mut world = World::new(&vec![quiet; 10]);
    world.round(false);
    let rounds: Vec<Vec<u32>> = (0..4).map(|_| world.round(false)).collect();
    assert!(rounds.iter().all(|polled| polled.len() == 3), "{rounds:?}");
    let all: BTreeSet<u32> = rounds.concat().into_iter().collect();
    assert_eq!(all.len(), 10);
}

#[test]
fn finished_partitions_cost_nothing() {
    let mut world = World::new(&vec![Vec::new(); 1_000]);
    while world.turns.open() > 1 {
        world.round(false);
    }
    world.check_told();
    assert!(
        world.turns.ready.len()
            + world.turns.holding.len()
            + world.turns.quiet.len()
            + world.turns.decoding.len()
            <= 2
    );
    assert!(world.turns.take_changes(world.now).is_empty());
}
