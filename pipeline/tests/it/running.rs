//! A run of the program that is under way, and waiting for what it does.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program under way, which ends with the test, also where that fails.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// A run of two workers under way, its log in the file `log` of its folder.
pub(crate) struct Service {
    run: Running,
    log: PathBuf,
}

impl Service {
    /// Runs `riskstream run ARGS` in a folder.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let log = folder.join("log");
        let run = Command::new(env!("CARGO_BIN_EXE_riskstream"))
            .args(["run", "--log-format", "json", "--workers", "2"])
            .args(args)
            .current_dir(folder)
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { run: Running(run), log }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.run.0.id()
    }

    /// The lines of the log, each of which must be JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
            .collect()
    }

    /// Waits for a line whose message holds a text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> Value {
        eventually(&format!("{text:?} in the log"), || {
            self.lines()
                .into_iter()
                .find(|line| message(line).contains(text))
                .ok_or_else(|| fs::read_to_string(&self.log).unwrap())
        })
    }

    /// Where the endpoint is.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        let said = self.says("metrics: http://");
        let url = message(&said).strip_prefix("metrics: http://").unwrap().to_owned();
        url.strip_suffix("/metrics").unwrap().parse().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> ExitStatus {
        eventually("the program's end", || self.run.0.try_wait().unwrap().ok_or_else(String::new))
    }

    /// Asks it to end, as a supervisor does.
    pub(crate) fn terminate(&self) {
        let pid = self.run.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }
}

/// What a line of the log says.
pub(crate) fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// Looks again and again, until what is looked for is there; else says what was seen last.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > until => panic!("{what} does not come: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
