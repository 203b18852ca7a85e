//! Every configuration under `configs/`: broken ones yield exactly the drawing in their `.expected`
//! file, good ones the dataflow in theirs, and no mutation of a good one makes the reader panic.
//! `UPDATE_EXPECTED=1 cargo test` rewrites the expectations; read the difference before committing
//! it.
//!
//! A line `# --set path.to.key=value` at the top of a file is given as an argument.

use std::fs;
use std::path::{Path, PathBuf};

use riskstream_pipeline::commands::explain::graph;
use riskstream_pipeline::config::{self, Config, ConfigError, Problems};

use crate::program::project;

fn folder(name: &str) -> PathBuf {
    project("pipeline/tests/it/configs").join(name)
}

fn configs(name: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder(name)).expect("the folder of configurations is part of the project");
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn sets(text: &str) -> Vec<String> {
    text.lines().map_while(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect()
}

fn parse(path: &Path, text: &str) -> Result<Config, Problems> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    config::parse(&name, text, &sets(text))
}

/// Compares with the `.expected` file beside a configuration, or writes it; gives what differs.
fn compare(path: &Path, extension: &str, actual: &str) -> Option<String> {
    let expected_path = path.with_extension(extension);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected_path, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    (expected != actual)
        .then(|| format!("{}\n--- expected\n{expected}\n--- actual\n{actual}", path.display()))
}

#[test]
fn every_broken_configuration_yields_its_drawing() {
    let files = configs("bad");
    assert!(files.len() >= 40, "{} broken configurations", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let problems = match parse(path, &text) {
            Ok(_) => panic!("{} has no problem", path.display()),
            Err(problems) => problems,
        };
        let drawn = problems.render(false);
        let report = problems.report();
        assert!(!report.problems.is_empty() && !report.ok);
        for problem in &report.problems {
            // What a script reads and what a person reads name the same place.
            let place = format!("{}:{}:{}", problem.file, problem.line, problem.column);
            assert!(drawn.contains(&format!("--> {place}\n")), "{place} isn't in:\n{drawn}");
            assert!(drawn.contains(&problem.message), "{} isn't in:\n{drawn}", problem.message);
        }
        assert!(problems.render(true).contains("\u{1b}["), "no color");
        wrong.extend(compare(path, "expected", &format!("{drawn}\n")));
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_good_configuration_is_read_and_drawn() {
    let mut wrong = Vec::new();
    for path in configs("good") {
        let text = fs::read_to_string(&path).unwrap();
        let config = parse(&path, &text).unwrap_or_else(|problems| panic!("{problems}"));
        let graph = graph(&config.spec, &[]);
        wrong.extend(compare(&path, "expected", &graph.text()));
        wrong.extend(compare(&path, "mmd", &graph.mermaid()));
        wrong.extend(compare(&path, "spec", &format!("{:#?}\n", config.spec)));
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A small generator of its own (SplitMix64), so that a failing seed repeats anywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// What mutations insert: the characters and words that the grammar turns on.
const PIECES: [&str; 32] = [
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\\",
    "\\u00e9",
    "é",
    "\u{feff}",
    "\0",
    "-",
    "1e999",
    "nan",
    "inf",
    "99999999999999999999",
    "1979-05-27",
    "true",
    "(",
    ")",
    "*",
    "steps",
    "\"\"\"",
    "count(distinct ",
];

fn mutate(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let until = (at + random.below(20)).min(bytes.len());
        match random.below(4) {
            0 => drop(bytes.drain(at..until)),
            1 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            2 => drop(bytes.splice(at..until, PIECES[random.below(PIECES.len())].bytes())),
            _ => {
                let from = random.below(bytes.len().max(1)).min(bytes.len());
                let moved = bytes[from..(from + random.below(60)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, moved));
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_mutation_of_a_good_configuration_makes_the_reader_panic() {
    let texts: Vec<String> =
        configs("good").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // `FUZZ_SECONDS=60` goes on for so long; a test thread's stack is small, so that recursion
    // shows.
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until =
        seconds.map(|seconds| std::time::Instant::now() + std::time::Duration::from_secs(seconds));
    let goes_on =
        |seed: u64| seed < 4_000 || until.is_some_and(|until| std::time::Instant::now() < until);
    for seed in (0..).take_while(|seed| goes_on(*seed)) {
        let mut random = Random(seed);
        let text = mutate(&texts[random.below(texts.len())], &mut random);
        let set = mutate(
            "pipelines.card-fraud.steps.score.score.fraud_score=\"fraud-card\"",
            &mut random,
        );
        let outcome = std::panic::catch_unwind(|| {
            match config::parse("fuzz.toml", &text, std::slice::from_ref(&set)) {
                Ok(config) => drop(graph(&config.spec, &[]).mermaid()),
                Err(problems) => {
                    assert!(!problems.as_slice().is_empty());
                    drop((problems.render(true), problems.report()));
                }
            }
        });
        assert!(outcome.is_ok(), "seed {seed} panics with --set {set:?} and\n{text}");
    }
}

#[test]
fn the_examples_of_the_reference_are_accepted() {
    let reference = fs::read_to_string(project("docs/configuration.md"))
        .expect("the reference is part of the project");
    let blocks = reference.split("\n```").skip(1).step_by(2);
    let mut complete = 0;
    for block in blocks {
        let (kind, text) = block.split_once('\n').unwrap();
        if kind != "toml" {
            assert_eq!(kind, "toml fragment");
            toml::from_str::<toml::Table>(text).unwrap_or_else(|e| panic!("{e}: {text}"));
            continue;
        }
        config::parse("configuration.md", text, &[])
            .unwrap_or_else(|problems| panic!("{problems}"));
        complete += 1;
    }
    assert_eq!(complete, 3);
}

#[test]
fn what_cannot_be_read_is_one_clear_message() {
    let temp = tempfile::tempdir().unwrap();
    let missing = config::load(&temp.path().join("absent.toml"), &[]).unwrap_err();
    assert!(matches!(missing, ConfigError::Unreadable { .. }), "{missing}");

    let binary = temp.path().join("binary.toml");
    fs::write(&binary, b"[riskstream]\nname = \"a\xff\"\n").unwrap();
    let not_text = config::load(&binary, &[]).unwrap_err().to_string();
    assert!(
        not_text.contains("binary.toml:2:10: the configuration isn't UTF-8 text"),
        "{not_text}"
    );

    let large = temp.path().join("large.toml");
    fs::File::create(&large).unwrap().set_len(config::FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(config::load(&large, &[]), Err(ConfigError::TooLarge { .. })));

    let folder = config::load(temp.path(), &[]).unwrap_err();
    assert!(matches!(folder, ConfigError::Unreadable { .. }), "{folder}");
}

#[test]
fn a_value_set_on_the_command_line_replaces_the_files() {
    let text = fs::read_to_string(folder("good/card-fraud.toml")).unwrap();
    let sets = [
        "sources.payments.path=other file.json",
        "riskstream.epoch.max=100ms",
        "riskstream.workers=3",
        "pipelines.card-fraud.steps.terminal-risk.delay=\"3d\"",
        "pipelines.card-fraud.steps.0.over=[\"2d\"]",
        "pipelines.card-fraud.to.scored.table=elsewhere",
    ];
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let spec = config::parse("card-fraud.toml", &text, &sets)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .spec;
    let drawn = graph(&spec, &[]).text();
    for expected in [
        "other file.json",
        "ending 3d before",
        "+ customer_nb_tx_2d, customer_avg_amount_2d\n",
        "table elsewhere",
    ] {
        assert!(drawn.contains(expected), "no {expected:?} in\n{drawn}");
    }
    assert_eq!(spec.riskstream.epoch.max, std::time::Duration::from_millis(100));
    assert_eq!(spec.riskstream.workers.map(|workers| workers.value), Some(3));
}

#[test]
fn columns_of_an_inferred_schema_are_checked_with_carets() {
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    let text = fs::read_to_string(folder("good/inferred.toml")).unwrap();
    let config =
        config::parse("inferred.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let schema = |amount: &str| {
        let string = |name| Field::new(name, DataType::Utf8, true);
        let time = Field::new(
            "tx_datetime",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        );
        Schema::new(vec![time, string("customer_id"), Field::new(amount, DataType::Float64, true)])
    };
    assert_eq!(
        config::check_columns(&config.spec.pipelines[0], "tx_datetime", &schema("tx_amount")),
        []
    );
    assert_eq!(config::check_source_columns(&config.spec.sources[0], &schema("tx_amount")), []);
    let problems =
        config::check_columns(&config.spec.pipelines[0], "tx_datetime", &schema("amount"));
    let drawn = config.problems(problems).render(false);
    assert!(
        drawn.contains("there is no column `tx_amount` here")
            && drawn.contains("did you mean `amount`?"),
        "{drawn}"
    );
    assert!(drawn.contains("^^^^^^^^^\n"), "{drawn}");
}
