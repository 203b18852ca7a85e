//! Ctrl-C: it stops the statement that runs, and where none does, the program.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use riskstream_query::service::{Cancel, Stopped};

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// What a signal stops.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupts {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    now: Now,
    /// Files that must not stay when the program ends here.
    unfinished: Vec<PathBuf>,
    terminal: Terminal,
}

#[derive(Debug, Default)]
enum Now {
    /// Text is read.
    #[default]
    Idle,
    /// A statement runs, or its rows are shown.
    Running { cancel: Cancel, asked: bool },
    /// The next run of a repeated statement is waited for.
    Waiting { asked: bool },
    /// Another program has the terminal.
    Away,
}

/// As long as it lives, something other than reading text goes on.
#[derive(Debug)]
pub(super) struct Going(Interrupts);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.state().now = Now::Idle;
    }
}

impl Interrupts {
    /// Listens for Ctrl-C and SIGTERM.
    pub(super) fn listen() -> Self {
        let interrupts = Self::default();
        interrupts.state().terminal = Terminal::look();
        let of_handler = interrupts.clone();
        // If an embedding program has set a handler, that one decides.
        let _set = ctrlc::set_handler(move || of_handler.interrupt());
        interrupts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A signal has come.
    fn interrupt(&self) {
        let mut state = self.state();
        let State { now, unfinished, terminal } = &mut *state;
        match now {
            Now::Running { cancel, asked } if !*asked => {
                *asked = true;
                cancel.stop(Stopped::Cancelled);
            }
            Now::Waiting { asked } => {
                *asked = true;
                self.shared.changed.notify_all();
            }
            Now::Away => {}
            Now::Idle | Now::Running { .. } => {
                for path in unfinished {
                    // Nobody is left to be told.
                    let _gone = std::fs::remove_file(path);
                }
                terminal.restore();
                std::process::exit(INTERRUPTED);
            }
        }
    }

    /// A statement begins, which a signal stops. A second signal ends the program.
    pub(super) fn running(&self, cancel: &Cancel) -> Going {
        self.state().now = Now::Running { cancel: cancel.clone(), asked: false };
        Going(self.clone())
    }

    /// Another program gets the terminal, and the signals.
    pub(super) fn away(&self) -> Going {
        self.state().now = Now::Away;
        Going(self.clone())
    }

    /// Waits, and tells whether a signal came meanwhile.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state();
        state.now = Now::Waiting { asked: false };
        let asked = loop {
            if matches!(state.now, Now::Waiting { asked: true }) {
                break true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.now = Now::Idle;
        asked
    }

    /// A file is there that is not whole.
    pub(super) fn keep_in_mind(&self, path: &Path) {
        self.state().unfinished.push(path.to_owned());
    }

    /// The file is whole, or gone.
    pub(super) fn forget(&self, path: &Path) {
        self.state().unfinished.retain(|unfinished| unfinished != path);
    }
}

/// How the terminal was at the start: a line editor changes it while a line is typed.
#[derive(Debug, Default)]
struct Terminal {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Terminal {
    fn look() -> Self {
        Self {
            #[cfg(unix)]
            before: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    fn restore(&self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            use rustix::termios::{OptionalActions, tcsetattr};
            // Nothing else can be done on the way out.
            let _done = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_stops_the_statement_that_runs_and_no_other() {
        let interrupts = Interrupts::default();
        let (first, second) = (Cancel::default(), Cancel::default());
        drop(interrupts.running(&first));
        let going = interrupts.running(&second);
        interrupts.interrupt();
        assert_eq!((first.why(), second.why()), (None, Some(Stopped::Cancelled)));
        drop(going);
        assert!(matches!(interrupts.state().now, Now::Idle));
        let away = interrupts.away();
        interrupts.interrupt();
        drop(away);
    }

    #[test]
    fn a_wait_ends_with_its_time_or_a_signal() {
        let interrupts = Interrupts::default();
        assert!(!interrupts.wait(Duration::from_millis(1)));
        let other = interrupts.clone();
        let waits = std::thread::spawn(move || other.wait(Duration::from_secs(600)));
        while !matches!(interrupts.state().now, Now::Waiting { .. }) {
            std::thread::yield_now();
        }
        interrupts.interrupt();
        assert!(waits.join().expect("it waited"));
    }
}
