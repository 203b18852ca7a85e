//! The riskstream program: parses the command line, runs one command, prints its error and gives
//! the exit code.

mod heaps;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use riskstream_pipeline::cli::{Cli, Command, OutputFormat, RunArgs};
use riskstream_pipeline::commands::{self, CommandError};
use riskstream_pipeline::config::spec::LogFormat;
use riskstream_pipeline::service::logs;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, None | Some(Command::Run(_) | Command::Replay(_) | Command::Train(_)))
    {
        heaps::set_up();
    }
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe, such as `head`, has what it wants.
        Err(Failure { error: CommandError::Output(error), .. })
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(Failure { error, is_printed }) => {
            if !is_printed && !error.is_told() {
                tell(&error);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Says what is wrong: for a person, or where all lines are JSON as one of them.
fn tell(error: &CommandError) {
    match logs::format() {
        Some(LogFormat::Json) => tracing::error!("{}", error.render(false)),
        Some(LogFormat::Text) | None => {
            let color = commands::takes_color(&std::io::stderr());
            // Nothing is left to tell it to if standard error is closed.
            let _closed = writeln!(std::io::stderr(), "{}", error.render(color));
        }
    }
}

/// A command's error, and whether the command's own answer on standard output has said it already.
struct Failure {
    error: CommandError,
    is_printed: bool,
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self { error, is_printed: false }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match cli.command {
        Some(Command::Check(args)) => {
            let is_printed = args.output.format == OutputFormat::Json;
            commands::check::check(&args, &mut out)
                .map_err(|error| Failure { error, is_printed })?;
        }
        Some(Command::Accept(args)) => commands::accept::accept(&args, &mut out)?,
        Some(Command::Explain(args)) => commands::explain::explain(&args, &mut out)?,
        Some(Command::Run(args)) => commands::run::run(&args, &mut out)?,
        Some(Command::Sniff(args)) => commands::sniff::sniff(&args, &mut out)?,
        Some(Command::Generate(args)) => commands::generate::generate(&args, &mut out)?,
        Some(Command::Train(args)) => commands::train::train(&args, &mut out)?,
        Some(Command::Status(args)) => commands::status::status(&args, &mut out)?,
        Some(Command::Audit(args)) => commands::audit::audit(&args, &mut out)?,
        Some(Command::Password) => commands::password::password(&mut out)?,
        Some(Command::Serve(args)) => commands::serve::serve(&args, &mut out)?,
        Some(Command::Top(args)) => commands::top::top(&args, &mut out)?,
        Some(Command::Maintain(args)) => commands::maintain::maintain(&args, &mut out)?,
        Some(Command::Replay(args)) => commands::replay::replay(&args, &mut out)?,
        Some(Command::Plan(args)) => {
            if !commands::plan::plan(&args, &mut out)? {
                let error =
                    CommandError::Usage { message: "a run would be refused".into(), help: None };
                return Err(Failure { error, is_printed: true });
            }
        }
        Some(Command::State(args)) => commands::state::state(&args, &mut out)?,
        Some(Command::Query(args)) => commands::query::query(&args, &mut out)?,
        None => commands::run::run(&RunArgs::default(), &mut out)?,
    }
    Ok(())
}
