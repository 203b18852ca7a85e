//! The configuration parser. It never panics; every problem has a place in the text, can be drawn,
//! and has a message.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riskstream_pipeline::config;

use crate::fuzzed::Fuzzed;
use crate::mutate::{WORDS, mutated};

const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Words of TOML and of this program's own keys.
const CONFIG_WORDS: [&[u8]; 41] = [
    b"[riskstream]",
    b"[sources.payments]",
    b"[pipelines.card-fraud]",
    b"[[pipelines.card-fraud.steps]]",
    b"[[pipelines.card-fraud.to]]",
    b"kind = \"file\"",
    b"kind = \"generator\"",
    b"of = \"loans\"",
    b"from",
    b"features",
    b"derive",
    b"filter",
    b"score",
    b"decide",
    b"by",
    b"over",
    b"delay",
    b"empty",
    b"event_time",
    b"schema",
    b"epoch",
    b"\"decimal(99,99)\"",
    b"\"decimal(12,2)\"",
    b"\"99999999999999999999d\"",
    b"\"0s\"",
    b"'''",
    b"\"\"\"",
    b"[[",
    b"]]",
    b"{}",
    b"[]",
    b"1979-05-27T07:32:00Z",
    b"\"avg(\"",
    b"\"count(*)\"",
    b"\"count(distinct x)\"",
    b"= ",
    b"#",
    b".",
    b"\"((((((((((\"",
    b"\"\\u{1F600}\"",
    b"nan",
];

/// Configurations of the project, mutated.
pub(crate) struct Configs {
    corpus: Vec<Vec<u8>>,
    words: Vec<&'static [u8]>,
}

impl Configs {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Cargo gives the path at run time: if two checkouts share a target folder, the path of
        // only one of them is compiled in.
        let manifest = std::env::var("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).join("..");
        let mut corpus = vec![std::fs::read(root.join("pipelines.toml"))?];
        for folder in
            ["examples", "pipeline/tests/it/configs/good", "pipeline/tests/it/configs/bad"]
        {
            let mut files: Vec<_> = std::fs::read_dir(root.join(folder))?
                .map(|e| e.map(|e| e.path()))
                .collect::<Result<_, _>>()?;
            files.sort();
            for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "toml")) {
                corpus.push(std::fs::read(path)?);
            }
        }
        let words = CONFIG_WORDS.into_iter().chain(WORDS).collect();
        Ok(Self { corpus, words })
    }
}

impl Fuzzed for Configs {
    fn input(&mut self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        mutated(&self.corpus, &self.words, rng, INPUT_BYTES_MAX)
    }

    fn try_input(&mut self, input: &[u8], rng: &mut ChaCha8Rng) -> Result<bool, String> {
        let text = String::from_utf8_lossy(input);
        // `--set` arguments are untrusted too: they are made of lines of the text and of words.
        let mut sets = Vec::new();
        for _ in 0..rng.random_range(0..3_u32) {
            let word = String::from_utf8_lossy(self.words[rng.random_range(0..self.words.len())])
                .into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let line =
                lines.get(rng.random_range(0..lines.len().max(1))).copied().unwrap_or_default();
            sets.push(match rng.random_range(0..3_u32) {
                0 => format!("riskstream.{}", line.replace(' ', "")),
                1 => format!("sources.payments.path={word}"),
                _ => line.to_owned(),
            });
        }
        match config::parse("fuzz.toml", &text, &sets) {
            Ok(_) => Ok(true),
            Err(problems) => {
                let report = problems.report();
                if report.ok || report.problems.is_empty() {
                    return Err("refused without a problem".into());
                }
                if let Some(empty) = report
                    .problems
                    .iter()
                    .find(|p| p.message.is_empty() || p.line == 0 || p.column == 0)
                {
                    return Err(format!("a problem without a message or a place: {empty:?}"));
                }
                if problems.render(false).is_empty() {
                    return Err("problems are drawn as nothing".into());
                }
                Ok(false)
            }
        }
    }
}
