//! Tells the user what a change would take away before it is made, and asks whether to make it.

use std::io::{BufRead, IsTerminal, Write};

use super::CommandError;

/// A change that can't be taken back.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What would be done, such as "dropping the state of step a of pipeline b".
    pub(crate) title: String,
    /// What that means, a sentence each.
    pub(crate) means: Vec<String>,
}

impl Asked {
    /// The change as a person reads it.
    fn told(&self) -> String {
        let means: String = self.means.iter().map(|line| format!("\n  - {line}")).collect();
        format!("{}:{means}", self.title)
    }
}

/// Whether there is a person to ask.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Returns once the user has agreed, by `--yes` or on the terminal.
///
/// # Errors
/// There is nobody to ask, or the user does not agree.
pub(crate) fn confirm(changes: &[Asked], yes: bool) -> Result<(), CommandError> {
    let told: Vec<String> = changes.iter().map(Asked::told).collect();
    let told = told.join("\n");
    if yes {
        // The command's answer goes to standard output. The change is made even if standard error
        // is closed.
        let _closed = writeln!(std::io::stderr(), "{told}");
        return Ok(());
    }
    if !can_ask() {
        return Err(CommandError::Usage {
            message: told,
            help: Some("nothing was changed; say --yes to go on".into()),
        });
    }
    match ask(&format!("{told}\nGo on? [y/N] "))?.as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::Usage { message: "nothing was changed".into(), help: None }),
    }
}

/// Asks on the terminal; the answer in lower case.
///
/// # Errors
/// When the terminal is closed.
pub(crate) fn ask(question: &str) -> Result<String, CommandError> {
    let mut terminal = std::io::stderr();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_lowercase())
}
