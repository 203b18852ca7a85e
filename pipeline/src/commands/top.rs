//! `riskstream top`: a running program in a terminal, drawn anew each second. Read only; works
//! beside it.
//!
//! ```text
//!   data/samples/*  ──▶ model (what is read)  ──▶ page (pure: model to lines)  ──▶ screen, or text
//!   data/store/*/lock                               ▲ view (what keys have chosen)
//! ```

mod model;
mod page;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io::{IsTerminal, Write};

use super::{CommandError, load, print_json};
use crate::cli::{CONFIG_FILE, ConfigArgs, OutputFormat, TopArgs};
use model::Model;

/// Columns of a page that goes to no terminal.
const COLUMNS: u16 = 100;

/// Watches the program until the user has seen enough, or looks once.
///
/// # Errors
/// No program runs; or the terminal can't be drawn on.
pub fn top(args: &TopArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&args.config)?;
    let model = Model::read(&config);
    if !model.runs() {
        return Err(nobody_runs(&model, &args.config));
    }
    match args.output.format {
        OutputFormat::Json => print_json(&model, out),
        OutputFormat::Text if args.once => {
            let is_terminal = std::io::stdout().is_terminal();
            let columns = if is_terminal { screen::columns() } else { None };
            Ok(out.write_all(page::text(&model, columns.unwrap_or(COLUMNS)).as_bytes())?)
        }
        OutputFormat::Text if std::io::stdout().is_terminal() => {
            Ok(screen::watch(model, || Model::read(&config))?)
        }
        OutputFormat::Text => Err(CommandError::Usage {
            message: "there is no terminal to draw on".into(),
            help: Some("--once prints one look as text, --format json as JSON".into()),
        }),
    }
}

fn nobody_runs(model: &Model, config: &ConfigArgs) -> CommandError {
    let file = match config.file() {
        file if file.as_os_str() == CONFIG_FILE => String::new(),
        file => format!(" {}", file.display()),
    };
    let data = model.data.display();
    CommandError::Failed {
        message: format!(
            "no program runs on the data folder {data}\n  help: `riskstream run{file}` in another \
             terminal starts one; `riskstream status{file}` shows what the folder holds"
        ),
    }
}
