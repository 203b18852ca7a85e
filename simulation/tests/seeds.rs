//! 200 worlds, a minute of new ones, the same seed twice, engines broken on purpose, and the disk's
//! old holes put back.

use riskstream_simulation::disk::Hole;
use riskstream_simulation::{Failure, Fault, Options, Report, simulate};
use std::time::{Duration, Instant, SystemTime};

/// How long new worlds, which no earlier test has run, are run.
const NEW_WORLDS: Duration = Duration::from_secs(60);

/// Runs seeds on two threads; gives the reports, or what failed first by seed.
fn worlds(seeds: std::ops::Range<u64>, fault: Option<Fault>) -> Vec<Result<Report, Failure>> {
    let options = Options { fault, ..Options::default() };
    let half = |odd: u64| {
        let seeds = seeds.clone().filter(move |s| s % 2 == odd);
        std::thread::spawn(move || seeds.map(|seed| simulate(seed, options)).collect::<Vec<_>>())
    };
    let halves = [half(0), half(1)];
    halves.into_iter().flat_map(|h| h.join().expect("a world must not panic")).collect()
}

#[test]
fn two_hundred_worlds_are_right() {
    let reports = worlds(0..200, None);
    let failures: Vec<String> =
        reports.iter().filter_map(|r| r.as_ref().err()).map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // The worlds are worth something only if what they are about happens in them.
    let reports: Vec<Report> = reports.into_iter().filter_map(Result::ok).collect();
    let all = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(
        all(|r| r.crashes) > 500 && all(|r| r.epochs) > 4_000,
        "{} crashes, {} epochs",
        all(|r| r.crashes),
        all(|r| r.epochs)
    );
    assert!(
        all(|r| r.late as u64) > 200
            && all(|r| r.dead as u64) > 500
            && all(|r| r.by_sql as u64) > 20_000
    );
}

#[test]
fn a_minute_of_new_worlds_is_right() {
    // Other worlds every day; a failure names its seed.
    let day = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let end = Instant::now() + NEW_WORLDS;
    let half = |odd: u64| {
        std::thread::spawn(move || {
            let seeds = (0..)
                .map(move |n| day * 1_000_000 + 2 * n + odd)
                .take_while(|_| Instant::now() < end);
            seeds
                .map(|seed| {
                    simulate(
                        seed,
                        Options { without_sql: !seed.is_multiple_of(16), ..Options::default() },
                    )
                })
                .collect::<Vec<_>>()
        })
    };
    let worlds: Vec<_> = [half(0), half(1)]
        .into_iter()
        .flat_map(|half| half.join().expect("a world must not panic"))
        .collect();
    let failures: Vec<String> =
        worlds.iter().filter_map(|world| world.as_ref().err()).map(ToString::to_string).collect();
    println!("{} worlds", worlds.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Holes that few seeds find; `simulate --holes` looks for all of them.
#[test]
fn holes_of_the_disk_are_found_when_they_are_put_back() {
    let few = [
        Hole::NameBeforeContent,
        Hole::MarksUnsynced,
        Hole::FoldersUnsynced,
        Hole::HistoryUnsynced,
        Hole::NameUnsynced,
    ];
    for hole in few {
        let options = Options { hole: Some(hole), without_sql: true, ..Options::default() };
        let found = (0..10_000).find_map(|seed| simulate(seed, options).err());
        let found = found.unwrap_or_else(|| panic!("{hole:?} was not found in 10,000 worlds"));
        println!("{hole:?}: {} seeds, {}", found.seed + 1, found.what);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 17, 101] {
        let traces: Vec<Report> =
            (0..2).map(|_| simulate(seed, Options::default()).expect("a right world")).collect();
        assert_eq!(traces[0], traces[1]);
    }
    assert_ne!(
        simulate(3, Options::default()).expect("right").trace,
        simulate(4, Options::default()).expect("right").trace
    );
}

#[test]
fn a_broken_engine_is_noticed() {
    for fault in [
        Fault::ForgetsAWaitingRow,
        Fault::DeliversTwice,
        Fault::SkipsARecord,
        Fault::ForgetsState,
        Fault::LosesARow,
        Fault::DeliversEarly,
        Fault::LosesAnEpoch,
    ] {
        let noticed: Vec<String> = worlds(0..24, Some(fault))
            .into_iter()
            .filter_map(Result::err)
            .map(|f| f.what)
            .collect();
        println!(
            "{fault:?}: noticed in {} of 24 worlds, first: {}",
            noticed.len(),
            noticed.first().map_or("", String::as_str)
        );
        assert!(noticed.len() >= 3, "{fault:?} was noticed in {} of 24 worlds", noticed.len());
    }
}

#[test]
fn a_failure_says_how_to_repeat_it() {
    let failure = (0..50)
        .find_map(|seed| {
            simulate(seed, Options { fault: Some(Fault::LosesARow), ..Options::default() }).err()
        })
        .expect("noticed");
    assert!(
        failure.to_string().contains(&format!(
            "cargo run --release -p riskstream-simulation -- --seed {}",
            failure.seed
        )),
        "{failure}"
    );
}
