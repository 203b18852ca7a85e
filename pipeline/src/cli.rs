//! The command line: one `Args` struct per command, with examples in its `--help`.

mod config;
mod query;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::config::{CONFIG_FILE, ConfigArgs, ConfigOption};
pub use self::query::{ChartChoice, QueryArgs, QueryForm};
use crate::config::spec::{LogFormat, LogLevel};

/// Turns bank data into scores, fraud decisions and tables while it happens.
#[derive(Debug, Parser)]
#[command(
    name = "riskstream",
    version,
    max_term_width = 100,
    after_help = "Without a command, runs pipelines.toml.\n\n\
                  Exit codes: 0 done, 1 the command failed, 2 the configuration or the command \
                  line is wrong (nothing was started), 3 a pipeline of a run failed, 130 \
                  interrupted twice."
)]
pub struct Cli {
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run pipelines until their sources end, or until Ctrl-C.
    Run(RunArgs),
    /// Check a configuration and report all that is wrong with it, without starting anything.
    Check(CheckArgs),
    /// Show the dataflow of a configuration.
    Explain(ExplainArgs),
    /// Say what running a configuration on its data folder would do, without changing anything.
    Plan(PlanArgs),
    /// Look at a file, and print the `[sources.NAME]` block that reads it.
    Sniff(SniffArgs),
    /// Write simulated card payments, or the changes of a loan book, to a file.
    Generate(GenerateArgs),
    /// Train a model on the features that a pipeline serves, and put it into the registry.
    Train(TrainArgs),
    /// Ask the tables questions in SQL: one, those of a file, or one after the other in a shell.
    Query(QueryArgs),
    /// Answer SQL on the ports of `[query]`, without running pipelines.
    Serve(ServeArgs),
    /// Check that the record of what users have asked is as it was written.
    Audit(AuditArgs),
    /// Read a password from standard input and print what the file of users keeps of it.
    #[command(after_help = "Examples:\n  pass show lender | riskstream password")]
    Password,
    /// Show what a data folder holds: epochs, positions, tables, models, dead letters.
    Status(StatusArgs),
    /// Watch a running program: pipelines, rates, lag, steps, destinations.
    Top(TopArgs),
    /// Compact the small files of the tables, and delete old ones.
    Maintain(MaintainArgs),
    /// Put dead-letter rows through their pipeline again, after what rejected them is fixed.
    Replay(ReplayArgs),
    /// Accept other names or destinations than a pipeline had, or rows that are missing for good,
    /// where a run refuses them.
    Accept(AcceptArgs),
    /// List, drop or rename what pipelines have stored, between two runs.
    State(StateArgs),
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For a person.
    #[default]
    Text,
    /// For a script.
    Json,
}

/// `--format text|json`, for commands whose answer a script would read.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}

/// How events are written to standard error.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LogArgs {
    /// Writes what happens as lines of this form, with their time [default: as the configuration
    /// says, else text; on a terminal bars of the progress].
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// The least important events that are written [default: as the configuration says, else info].
    #[arg(long, value_enum)]
    pub log_level: Option<LogLevel>,
}

/// Run pipelines until their sources end, or until Ctrl-C.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream run                                            # pipelines.toml
  riskstream run examples/card-fraud-file.toml --set sources.payments.path=payments.csv
  riskstream run --only card-fraud --workers 2
  riskstream run --fresh card-fraud --tables empty          # from the source's beginning, into \
      emptied tables
  riskstream run --set riskstream.epoch.max=100ms --set \
      pipelines.card-fraud.steps.terminal-risk.delay=3d

Ctrl-C (or SIGTERM) finishes the open epoch, commits it and leaves; the next run goes on from there.
Exit codes: 0 the input ended or the run was stopped, 1 it could not begin, 2 the configuration is \
    wrong (nothing was started),
3 a pipeline failed, 130 interrupted twice.")]
pub struct RunArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Runs this pipeline only; repeatable.
    #[arg(long, value_name = "PIPELINE")]
    pub only: Vec<String>,
    /// Begins this pipeline anew: without its state, from its source's beginning; repeatable. Says
    /// what is lost, and asks. A store that can't be read is set aside, under another name.
    #[arg(long, value_name = "PIPELINE")]
    pub fresh: Vec<String>,
    /// With --fresh: what becomes of the rows that the pipeline's tables hold.
    #[arg(long, value_enum, requires = "fresh")]
    pub tables: Option<TablesChoice>,
    /// With --fresh: goes on without asking.
    #[arg(long, requires = "fresh")]
    pub yes: bool,
    /// Worker threads; another number than last time is fine [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// How what happens is written.
    #[command(flatten)]
    pub log: LogArgs,
    /// How the summary is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Check a configuration and report all that is wrong with it, without starting anything.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream check
  riskstream check my.toml --set sources.payments.path=payments.csv
  riskstream check my.toml --format json | jq '.problems[] | {line, column, message, help}'
  riskstream check my.toml --against-source                 # what the files' columns are, and \
      what is left out

Exit code 0: it can be run; 2: it can't.")]
pub struct CheckArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Looks at the sources too: the beginning of files, the catalog of databases. Says what a
    /// schema was inferred to be and what is left out, and checks the pipelines' columns against
    /// it.
    #[arg(long)]
    pub against_source: bool,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Say what running a configuration on its data folder would do, without changing anything.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream plan
  riskstream plan my.toml --only card-fraud
  riskstream plan --format json | jq '.pipelines[].items[] | \
      select(.fate == \"needs_decision\") | {name, detail, ways_out}'

For each pipeline, source, step with state and destination: goes on (after which epoch, from \
    where), begins empty, begins at the
beginning, is gone, needs a decision (with the ways out) or is refused (why, and where in the \
    file). Works beside a running program.
Exit code 0: a run would start; 2: it would be refused.")]
pub struct PlanArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Plans this pipeline only; repeatable.
    #[arg(long, value_name = "PIPELINE")]
    pub only: Vec<String>,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Show the dataflow of a configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream explain
  riskstream explain --format mermaid > dataflow.mmd        # for Markdown pages and \
      https://mermaid.live
  riskstream explain --only card-fraud --format json")]
pub struct ExplainArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Shows this pipeline only; repeatable.
    #[arg(long, value_name = "PIPELINE")]
    pub only: Vec<String>,
    /// How the dataflow is drawn.
    #[arg(long, value_enum, default_value_t)]
    pub format: ExplainFormat,
}

/// How a dataflow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExplainFormat {
    /// An indented list.
    #[default]
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Nodes and edges.
    Json,
}

/// Look at a file, and print the `[sources.NAME]` block that reads it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  riskstream sniff statement.csv >> pipelines.toml
  riskstream sniff transactions.jsonl.gz --name transactions --format json

What was guessed, and what is not sure, stands above the block as comments. Exit status: 2 when the
file can't be read as it is, with what would help.")]
pub struct SniffArgs {
    /// The file: CSV, JSON lines or Parquet, compressed or not.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The NAME of the source [default: that of the file].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Write simulated card payments, or the changes of a loan book, to a file.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  riskstream generate --out payments.csv --format csv --rows 100000
  riskstream generate --out payments.parquet --customers 50000 --terminals 100000 --days 183
  riskstream generate --rows 10 --format json               # to the terminal
  riskstream generate --of loans --out loans.parquet --loans 100000 --months 36

Payments are made from --customers, --terminals, --radius and --days; loans from --loans, \
    --lenders and --months. Changes of loans have the
form of those that are captured from a database: the row after the change, and columns such as _op \
    and _committed_at.")]
pub struct GenerateArgs {
    /// The file [default: standard output, for json and csv].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The file's format [default: by the extension of FILE, else json].
    #[arg(long, value_enum)]
    pub format: Option<GenerateFormat>,
    /// What is simulated.
    #[arg(long, value_enum, default_value_t)]
    pub of: GenerateOf,
    /// Ends after this many rows [default: all of the simulated time].
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
    /// The same seed gives the same rows.
    #[arg(long, value_name = "N", default_value_t = crate::config::defaults::GENERATOR_SEED)]
    pub seed: u64,
    /// Customers [default: 5000].
    #[arg(long, value_name = "N")]
    pub customers: Option<u64>,
    /// Terminals [default: 10000].
    #[arg(long, value_name = "N")]
    pub terminals: Option<u64>,
    /// Distance within which a customer uses terminals, on a square of 100 by 100 [default: 5].
    #[arg(long, value_name = "DISTANCE")]
    pub radius: Option<f64>,
    /// Simulated days [default: 183].
    #[arg(long, value_name = "N")]
    pub days: Option<u32>,
    /// Loans, those included that are there at the start [default: 20000].
    #[arg(long, value_name = "N")]
    pub loans: Option<u64>,
    /// Lenders, each with its currency [default: 8].
    #[arg(long, value_name = "N")]
    pub lenders: Option<u32>,
    /// Simulated months [default: 24].
    #[arg(long, value_name = "N")]
    pub months: Option<u32>,
    /// The first simulated day, of loans the first of a month [default: 2018-04-01, of loans
    /// 2023-01-01].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub start: Option<chrono::NaiveDate>,
    /// Share (0 to 1) of rows made undecodable, to try dead letters (json and csv).
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = crate::config::defaults::GENERATOR_BROKEN_SHARE
    )]
    pub broken_share: f64,
}

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GenerateOf {
    /// Card payments with known fraud.
    #[default]
    Payments,
    /// Changes of a loan book.
    Loans,
}

/// The format of a generated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GenerateFormat {
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet, zstd.
    Parquet,
}

/// Train a model on the features that a pipeline serves, and put it into the registry.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  riskstream train fraud-card --table payments_scored --label tx_fraud --algorithm logistic \\
      --train 2018-07-25..2018-07-31 --test 2018-08-08..2018-08-14
  riskstream train fraud-card --from payments_scored.parquet --label tx_fraud --algorithm forest \
      --format json

A running pipeline picks the new version up at an epoch boundary.")]
pub struct TrainArgs {
    /// The model's name in the registry.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
    /// Trains on this Delta table of the data folder.
    #[arg(long, value_name = "TABLE", conflicts_with = "from", required_unless_present = "from")]
    pub table: Option<String>,
    /// Trains on Parquet, CSV or JSON files (path or pattern).
    #[arg(long, value_name = "FILES")]
    pub from: Option<String>,
    /// The column that is 1 for fraud.
    #[arg(long, value_name = "COLUMN", default_value = "tx_fraud")]
    pub label: String,
    /// The column that says whose card or account it is.
    #[arg(long, value_name = "COLUMN", default_value = "customer_id")]
    pub key: String,
    /// The column that says when a row happened [default: the source's event time, or the only
    /// timestamp].
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// The features, in order [default: every numeric column but label, ids, times, scores and the
    /// program's own].
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub features: Vec<String>,
    /// What is fitted.
    #[arg(long, value_enum, default_value_t)]
    pub algorithm: Algorithm,
    /// Days to train on, both included [default: the last week that leaves room for the delay and a
    /// test week].
    #[arg(long, value_name = "FIRST..LAST")]
    pub train: Option<String>,
    /// Days to test on, both included; labels of the delay before them are unknown to the model
    /// [default: the last week].
    #[arg(long, value_name = "FIRST..LAST")]
    pub test: Option<String>,
    /// Days until a fraud is known.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub delay: u32,
    /// The same seed gives the same forest.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How the table of metrics is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Algorithm {
    /// Logistic regression on standardized features.
    #[default]
    Logistic,
    /// A random forest.
    Forest,
    /// Both; the one with the better average precision is registered.
    All,
}

/// Check that the record of what users have asked is as it was written.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream audit
  riskstream audit && riskstream query \"select * from system.audit order by time desc limit 10\"

Each line holds the hash of the one before, so that a line that was changed, removed or put in \
    shows. Exit code 1: it was changed.")]
pub struct AuditArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
}

/// Answer SQL on the ports of `[query]`, without running pipelines.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream serve
  riskstream serve --set 'query.postgres=127.0.0.1:5433' & psql -h 127.0.0.1 -p 5433 riskstream

Works over a data folder whose run has ended, and beside one that goes on in another process: rows \
    that are committed there are seen at once. Ends with Ctrl-C.")]
pub struct ServeArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
}

/// Show what a data folder holds: epochs, positions, tables, models, dead letters.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream status
  riskstream status --format json | jq '.pipelines[].committed_epoch'

Works beside a running program.")]
pub struct StatusArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Watch a running program: pipelines, rates, lag, steps, destinations.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream top                                            # of what pipelines.toml runs
  riskstream top my.toml --once                             # one look, as text
  riskstream top my.toml --format json | \
      jq '.pipelines[].now.steps[] | {step, busy, rows_in_per_second}'

Reads what the running program writes into its data folder each second; needs no endpoint, and \
    works beside it.
Rates are those of the last 5 seconds. Keys: q quit, p pause, s sort the steps, up and down \
    another pipeline.
Exit code 1: no program runs.")]
pub struct TopArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Looks once, prints what it sees of every pipeline, and ends; json does so always.
    #[arg(long)]
    pub once: bool,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Compact the small files of the tables, and delete old ones.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream maintain
  riskstream maintain --table payments_scored --retain 1d
  riskstream maintain --dry-run

Works beside a running program. Files that a table needed within the retention stay, so that \
    readers aren't cut off.")]
pub struct MaintainArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Maintains this table only; repeatable.
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// Keeps files that a table needed within this time, at most 7 days [default: as `[maintain]`
    /// says, else 7d].
    #[arg(long, value_name = "DURATION")]
    pub retain: Option<String>,
    /// Says what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Put dead-letter rows through their pipeline again, after what rejected them is fixed.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream replay                                         # all of them
  riskstream replay --source payments --reason type
  riskstream replay --dry-run                               # how many, by source and reason

A row that fails again is a dead letter again; one that passes isn't replayed twice.")]
pub struct ReplayArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Replays rows of this source only; repeatable.
    #[arg(long, value_name = "SOURCE")]
    pub source: Vec<String>,
    /// Replays rows that were rejected for this reason only; repeatable.
    #[arg(long, value_name = "REASON")]
    pub reason: Vec<String>,
    /// Says what would be replayed.
    #[arg(long)]
    pub dry_run: bool,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Accept other names or destinations than a pipeline had, or rows that are missing for good, where
/// a run refuses them.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream accept card-fraud                              # what it would mean
  riskstream accept card-fraud --yes

A run is refused where the program, a pipeline or a destination's table or topic has another name \
    than before, where a table or topic lacks
rows that the data folder has no more, and where a pipeline that is new would write where one has \
    rows that the configuration does not have.
Accepted, the rows of later epochs go where the configuration says; what waits for an old \
    destination must be delivered first. Exit code 2,
with what it would mean, without --yes.")]
pub struct AcceptArgs {
    /// The pipeline.
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,
    /// Accepts it.
    #[arg(long)]
    pub yes: bool,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
}

/// What becomes of the rows that a pipeline's tables hold when it begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TablesChoice {
    /// They stay, and what is read again comes a second time.
    Keep,
    /// They go, in one commit before the first new row; readers of older versions of the table
    /// still see them until `maintain` removes the files.
    Empty,
}

/// List, drop or rename what pipelines have stored, between two runs.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  riskstream state list
  riskstream state drop card-fraud terminal-risk            # a step's state
  riskstream state rename card-fraud terminal-risk terminal # it goes on under another id

No program may run the pipeline meanwhile. Each change says first what it loses, and asks, or \
    takes --yes; it is there as a whole or not at all.")]
pub struct StateArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What is done to stored state.
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// List what every pipeline has stored: each step's state, and rows that wait for a
    /// destination.
    List(StateListArgs),
    /// Drop a step's state, or all that a pipeline has stored.
    Drop(StateDropArgs),
    /// Let a step's state, or a pipeline, go on under another name.
    Rename(StateRenameArgs),
}

/// List what every pipeline has stored: each step's state, and rows that wait for a destination.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream state list
  riskstream state list --format json | jq '.pipelines[].steps[] | {step, kind, bytes}'

Works beside a running program.")]
pub struct StateListArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Drop a step's state, or all that a pipeline has stored.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream state drop card-fraud terminal-risk            # one step: it begins empty, or has \
      left the pipeline
  riskstream state drop card-fraud --tables keep --yes      # all: the pipeline begins at its \
      source's beginning
  riskstream state drop old-pipeline                        # of a pipeline that the configuration \
      no longer has

Exit code 2, with what would be lost, where there is no terminal to ask on and no --yes.")]
pub struct StateDropArgs {
    /// The pipeline.
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,
    /// The step [default: all of the pipeline].
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
    /// Of a whole pipeline: what becomes of the rows that its tables hold.
    #[arg(long, value_enum, conflicts_with = "step")]
    pub tables: Option<TablesChoice>,
    /// Goes on without asking.
    #[arg(long)]
    pub yes: bool,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
}

/// Let a step's state, or a pipeline, go on under another name.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream state rename card-fraud terminal-risk terminal # the step's id is `terminal` in the \
      configuration now
  riskstream state rename card-fraud cards                  # the pipeline is `[pipelines.cards]` \
      now

Tables and topics go on knowing a pipeline by its first name, so that nothing is delivered twice \
    and alerts keep their ids.")]
pub struct StateRenameArgs {
    /// The pipeline.
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,
    /// The step and its new id, or the pipeline's new name.
    #[arg(value_name = "NAMES", num_args = 1..=2, required = true, value_names = ["STEP", "NEW"])]
    pub names: Vec<String>,
    /// Goes on without asking.
    #[arg(long)]
    pub yes: bool,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_a_consistent_definition_and_examples() {
        Cli::command().debug_assert();
        let commands = [
            RunArgs::augment_args(clap::Command::new("run")),
            CheckArgs::augment_args(clap::Command::new("check")),
            ExplainArgs::augment_args(clap::Command::new("explain")),
            PlanArgs::augment_args(clap::Command::new("plan")),
            SniffArgs::augment_args(clap::Command::new("sniff")),
            GenerateArgs::augment_args(clap::Command::new("generate")),
            TrainArgs::augment_args(clap::Command::new("train")),
            QueryArgs::augment_args(clap::Command::new("query")),
            StatusArgs::augment_args(clap::Command::new("status")),
            TopArgs::augment_args(clap::Command::new("top")),
            MaintainArgs::augment_args(clap::Command::new("maintain")),
            ReplayArgs::augment_args(clap::Command::new("replay")),
            AcceptArgs::augment_args(clap::Command::new("accept")),
            StateArgs::augment_args(clap::Command::new("state")),
            StateListArgs::augment_args(clap::Command::new("list")),
            StateDropArgs::augment_args(clap::Command::new("drop")),
            StateRenameArgs::augment_args(clap::Command::new("rename")),
        ];
        for mut command in commands {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:\n  riskstream "), "{help}");
            command.debug_assert();
        }
    }

    #[test]
    fn no_command_means_none_and_sets_repeat() {
        assert!(Cli::parse_from(["riskstream"]).command.is_none());
        let cli = Cli::parse_from([
            "riskstream",
            "check",
            "a.toml",
            "--set",
            "a=1",
            "--set",
            "b=2",
            "--format",
            "json",
        ]);
        let Some(Command::Check(args)) = cli.command else { panic!("not check") };
        assert_eq!(args.config.set, ["a=1", "b=2"]);
        assert_eq!(
            (args.config.file(), args.output.format),
            (Path::new("a.toml"), OutputFormat::Json)
        );
    }
}
