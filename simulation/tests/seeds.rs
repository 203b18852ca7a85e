//! 200 worlds, the same seed twice, and engines broken on purpose.

use riskstream_simulation::{Failure, Fault, Options, Report, simulate};

/// Runs seeds on two threads; gives the reports, or what failed first by seed.
fn worlds(seeds: std::ops::Range<u64>, fault: Option<Fault>) -> Vec<Result<Report, Failure>> {
    let options = Options { verbose: false, fault };
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
    let failures: Vec<String> = reports.iter().filter_map(|r| r.as_ref().err()).map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // The worlds are worth something only if what they are about happens in them.
    let reports: Vec<Report> = reports.into_iter().filter_map(Result::ok).collect();
    let all = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(all(|r| r.crashes) > 500 && all(|r| r.epochs) > 4_000, "{} crashes, {} epochs", all(|r| r.crashes), all(|r| r.epochs));
    assert!(all(|r| r.late as u64) > 200 && all(|r| r.dead as u64) > 500 && all(|r| r.by_sql as u64) > 20_000);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 17, 101] {
        let traces: Vec<Report> = (0..2).map(|_| simulate(seed, Options::default()).expect("a right world")).collect();
        assert_eq!(traces[0], traces[1]);
    }
    assert_ne!(simulate(3, Options::default()).expect("right").trace, simulate(4, Options::default()).expect("right").trace);
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
        let noticed: Vec<String> = worlds(0..24, Some(fault)).into_iter().filter_map(Result::err).map(|f| f.what).collect();
        println!("{fault:?}: noticed in {} of 24 worlds, first: {}", noticed.len(), noticed.first().map_or("", String::as_str));
        assert!(noticed.len() >= 3, "{fault:?} was noticed in {} of 24 worlds", noticed.len());
    }
}

#[test]
fn a_failure_says_how_to_repeat_it() {
    let failure =
        (0..50).find_map(|seed| simulate(seed, Options { verbose: false, fault: Some(Fault::LosesARow) }).err()).expect("noticed");
    assert!(failure.to_string().contains(&format!("cargo run --release -p riskstream-simulation -- --seed {}", failure.seed)), "{failure}");
}
