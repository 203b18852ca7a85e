//! Runs of the program that a test starts and kills.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::running::Running;

/// What the last run said.
pub(super) const LOG: &str = "run.log";

/// Settings of a run that reads what there is and ends.
pub(super) const TO_THE_END: [&str; 2] = ["--set", "sources.payments.stop=end"];

pub(super) fn spawn(folder: &Path) -> Running {
    spawn_with(folder, &[])
}

pub(super) fn spawn_with(folder: &Path, settings: &[&str]) -> Running {
    let run = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .arg("run")
        .args(settings)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join(LOG)).unwrap())
        .spawn()
        .unwrap();
    Running(run)
}

/// Starts a run and kills it so long after it has said one of these things, unless it has ended
/// without it; gives what it said.
pub(super) fn run_killed(folder: &Path, words: &[&str], millis: u64) -> String {
    let mut run = spawn_with(folder, &TO_THE_END);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let said = std::fs::read_to_string(folder.join(LOG)).unwrap();
        if words.iter().any(|word| said.contains(word)) {
            std::thread::sleep(Duration::from_millis(millis));
            drop(run);
            return std::fs::read_to_string(folder.join(LOG)).unwrap();
        }
        if run.0.try_wait().unwrap().is_some() {
            return said;
        }
        assert!(Instant::now() < until, "neither said nor ended: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn kill(mut run: Running, folder: &Path) {
    let ended = run.0.try_wait().unwrap();
    let said = std::fs::read_to_string(folder.join(LOG)).unwrap();
    assert!(ended.is_none(), "a run that follows a topic does not end by itself: {said}");
}
