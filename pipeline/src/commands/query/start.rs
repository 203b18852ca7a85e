//! From arguments to statements and where their results go.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::Path;

use riskstream_query::Form;

use super::asker::Asker;
use super::interrupts::Interrupts;
use super::output::{FileForm, OutFile};
use super::screen::Screen;
use super::shell::{Shell, Streams, TextLines, Typed, run};
use super::view::View;
use crate::cli::{ConfigArgs, QueryArgs};
use crate::commands::{CommandError, failed, load};

/// What errors call the argument, and standard input.
const ARGUMENT: &str = "SQL";
const STDIN: &str = "<stdin>";

/// Answers statements: one, those of a file or of standard input, or what is typed.
///
/// # Errors
/// A statement that can't be understood or does not only read, an unknown table or column, a table
/// that can't be read, or an output that can't be written. In a shell only the last.
pub fn query(args: &QueryArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let screen = Screen::of_stdout();
    let form = args.format.map(Form::from);
    let file = file_form(args, form, screen)?;
    let config = load(&ConfigArgs::from(&args.config))?;
    let asker = Asker::open(&config, args.as_user.as_deref())?;
    let interrupts = Interrupts::listen();
    let file = match (&args.output, file) {
        (Some(path), Some(form)) => Some(OutFile::create(path, form, &interrupts)?),
        _ => None,
    };
    let view = View {
        form: form.unwrap_or_default(),
        expanded: args.expanded,
        null: args.null.clone(),
        chart: args.chart.map(Into::into),
        timing: false,
    };
    let mut notes = io::stderr();
    let greeting = greeting(&asker);
    let streams = Streams { out, notes: &mut notes, screen };
    let mut shell = Shell::new(asker, view, streams, interrupts, file);
    match (&args.sql, &args.file) {
        (Some(sql), _) => run(&mut shell, &mut TextLines::new(ARGUMENT, sql.as_bytes()))?,
        (None, Some(path)) if path != Path::new("-") => {
            let file = File::open(path).map_err(|error| CommandError::Usage {
                message: format!("{} can't be read: {error}", path.display()),
                help: None,
            })?;
            run(&mut shell, &mut TextLines::new(path.display().to_string(), BufReader::new(file)))?;
        }
        (None, None) if io::stdin().is_terminal() && screen.is_terminal() => {
            shell.greet(&greeting)?;
            run(&mut shell, &mut Typed::new().map_err(failed)?)?;
        }
        (None, _) => run(&mut shell, &mut TextLines::new(STDIN, io::stdin().lock()))?,
    }
    shell.finish()
}

fn greeting(asker: &Asker) -> String {
    let user = asker.user().map_or(String::new(), |user| format!(", as {user} sees it"));
    format!("riskstream {}{user}: \\? lists commands, \\q leaves", env!("CARGO_PKG_VERSION"))
}

/// What is written to `--output`, if it is named; what is asked for must go together.
fn file_form(
    args: &QueryArgs,
    form: Option<Form>,
    screen: Screen,
) -> Result<Option<FileForm>, CommandError> {
    let refused = |message: &str, help: &str| {
        Err(CommandError::Usage { message: message.to_owned(), help: Some(help.to_owned()) })
    };
    let Some(path) = &args.output else {
        return match (form, args.chart) {
            (Some(_), Some(_)) => refused(
                "a chart is drawn, and rows have a form: these are two things",
                "leave out --format or --chart",
            ),
            (Some(form), None) if !form.is_text() && screen.is_terminal() => refused(
                &format!("{} is nothing for a terminal", form.name()),
                "write it to a file with --output, or to a pipe",
            ),
            _ => Ok(None),
        };
    };
    let file = FileForm::of(path, form)?;
    match (file, args.chart) {
        (FileForm::Rows(_), Some(_)) => refused(
            "a chart is drawn on the terminal, or to a file that ends with .svg",
            "leave out --chart or --output, or end the file's name with .svg",
        ),
        (FileForm::Rows(_) | FileForm::Picture, _) => Ok(Some(file)),
    }
}
