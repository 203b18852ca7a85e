//! A folder as a clone has it, and pages' commands in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::blocks::{Block, blocks, is_as_shown};
use crate::program::project;

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A clone in which blocks are run.
pub(super) struct Clone {
    folder: TempDir,
}

/// What the blocks of a page have said.
pub(super) struct Run<'a> {
    page: &'a str,
    blocks: &'a [Block],
    /// What each has printed, and said on standard error.
    said: Vec<(String, String)>,
    /// None where they took too long.
    ended: Option<ExitStatus>,
}

/// A page of the project's folder `docs`.
pub(super) fn page(name: &str, elsewhere: &[&str]) -> Vec<Block> {
    blocks(&fs::read_to_string(project("docs").join(name)).unwrap(), elsewhere)
}

/// The tutorial's blocks up to the default run, which other pages begin with, and those after it.
pub(super) fn tutorial() -> (Vec<Block>, Vec<Block>) {
    let mut first = page("tutorial.md", &[]);
    let run = first.iter().position(|block| block.commands == "riskstream run\n").unwrap();
    let rest = first.split_off(run + 1);
    (first, rest)
}

/// A clone in which the default run has ended as the tutorial shows it. Tests that run at the same
/// time have one, and the last of them takes it away.
pub(super) fn after_the_default_run() -> Arc<Clone> {
    static CLONE: Mutex<Weak<Clone>> = Mutex::new(Weak::new());
    let mut known = CLONE.lock().unwrap();
    if let Some(clone) = known.upgrade() {
        return clone;
    }
    let clone = Arc::new(Clone::new());
    clone.run("tutorial.md", &tutorial().0).check();
    *known = Arc::downgrade(&clone);
    clone
}

impl Clone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let link = |from: &Path, to: &str| symlink(from, here.join(to)).unwrap();
        for name in ["pipelines.toml", "registry"] {
            fs::create_dir_all(here.join("clone")).unwrap();
            link(&fs::canonicalize(project(name)).unwrap(), &format!("clone/{name}"));
        }
        for folder in ["bin", "home"] {
            fs::create_dir(here.join(folder)).unwrap();
        }
        let cargo = here.join("bin/cargo");
        let built = env!("CARGO_BIN_EXE_riskstream");
        let stand_in = format!(
            "#!/bin/sh\n[ \"$*\" = 'build --release' ] || {{ echo \"cargo $*\" >&2; exit 1; }}\n\
             mkdir -p target/release && ln -s '{built}' target/release/riskstream\n"
        );
        fs::write(&cargo, stand_in).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Runs blocks, in order, by one bash that ends with the first that fails.
    pub(super) fn run<'a>(&self, page: &'a str, blocks: &'a [Block]) -> Run<'a> {
        let here = self.folder.path();
        let said = tempfile::tempdir().unwrap();
        let script = said.path().join("script");
        fs::write(&script, text_of(blocks)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let of_here = here.join("bin").display().to_string();
        let built = here.join("clone/target/release");
        let mut bash = Command::new("bash")
            .arg(&script)
            .current_dir(here.join("clone"))
            .env("PATH", format!("{of_here}:{}:{path}", built.display()))
            .env("HOME", here.join("home"))
            .env("SAID", said.path())
            .stdin(Stdio::null())
            // What it has started in the background ends with it, whatever happens.
            .process_group(0)
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        let ended = loop {
            match bash.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > until => break None,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let group = format!("-{}", bash.id());
        // They may all have ended by themselves.
        let _ended =
            Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ended = bash.wait();
        let read = |number: usize, stream: &str| {
            fs::read_to_string(said.path().join(format!("{number}.{stream}"))).unwrap_or_default()
        };
        let said = (0..blocks.len()).map(|number| (read(number, "out"), read(number, "err")));
        Run { page, blocks, said: said.collect(), ended }
    }
}

impl Run<'_> {
    /// Every block must have printed what the page shows, and none failed.
    #[track_caller]
    pub(super) fn check(&self) {
        let page = self.page;
        for (block, (out, err)) in self.blocks.iter().zip(&self.said) {
            let Block { line, commands, prints, varies } = block;
            assert!(
                is_as_shown(prints, out, *varies),
                "docs/{page}, line {line}: the block\n{commands}prints\n{out}and not\n{prints}on \
                 standard error it said\n{err}"
            );
        }
        let last = self.said.iter().rfind(|(out, err)| !out.is_empty() || !err.is_empty());
        assert!(
            self.ended.is_some_and(|status| status.success()),
            "docs/{page}: a block failed, or took too long: {last:?}"
        );
    }
}

/// A bash script that runs each block, puts what it prints into the folder `SAID`, and ends with
/// the first that fails.
fn text_of(blocks: &[Block]) -> String {
    let mut script = String::from("trap 'kill $(jobs -p) 2>/dev/null' EXIT\n");
    for (number, block) in blocks.iter().enumerate() {
        let said = format!("\"$SAID/{number}\"");
        script.push_str(&format!(
            "{{\n{}}} >{said}.out 2>{said}.err </dev/null || exit\n",
            block.commands
        ));
    }
    script
}
