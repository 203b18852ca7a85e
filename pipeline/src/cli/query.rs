//! The arguments of `riskstream query`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use riskstream_query::Form;

use super::config::ConfigOption;

/// Ask the tables questions in SQL: one, those of a file, or one after the other in a shell.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  riskstream query \"select decision, count(*) from payments_scored group by decision\"
  riskstream query \"select * from alerts order by fraud_score desc\" --format ndjson | jq .reasons
  riskstream query \"select * from payments_scored\" --output scored.parquet
  riskstream query \"select event_date, count(*) from payments_scored group by 1\" --chart
  riskstream query \"select event_date, count(*) from payments_scored group by 1\" -o days.svg
  riskstream query -f report.sql --format csv > report.csv  # all statements of a file
  riskstream query                                          # a shell: \\? for its commands
  riskstream query --as acme \"select * from portfolio\"      # as the user acme sees it
  riskstream query \"show tables\"

Works beside a running program and after it. Whoever may read the data folder sees everything \
    here; --as shows what a user of
`[query] users` sees. Without SQL, statements are read from standard input; on a terminal it is a \
    shell. The form is that of
--format, else that of the name's ending (.csv .json .ndjson .parquet .arrow .svg), else a table. \
    A file is there when all of it
is, or not at all. Ctrl-C stops a statement. Exit codes: 2 what is asked for can't be understood \
    or is not there, 1 it failed.")]
pub struct QueryArgs {
    /// Statements that read, with `;` between [default: those of standard input].
    #[arg(value_name = "SQL", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigOption,
    /// Runs the statements of a file, in one session; `-` is standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Shows what this user of `[query] users` sees.
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
    /// How rows are written [default: by the ending of --output, else table].
    #[arg(long, value_enum)]
    pub format: Option<QueryForm>,
    /// Writes rows to this file, or as .svg a picture of them.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draws the rows: the first column along the axis, the other columns of numbers as lines or
    /// bars.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "auto", value_enum)]
    pub chart: Option<ChartChoice>,
    /// What stands for NULL in tables and CSV.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub null: String,
    /// Shows a table with a line for each value.
    #[arg(short = 'x', long)]
    pub expanded: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueryForm {
    /// For a person.
    #[value(alias = "text")]
    Table,
    /// As PostgreSQL's COPY with CSV HEADER writes them.
    Csv,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC: a file, or a stream to standard output.
    Arrow,
}

impl From<QueryForm> for Form {
    fn from(form: QueryForm) -> Self {
        match form {
            QueryForm::Table => Self::Table,
            QueryForm::Csv => Self::Csv,
            QueryForm::Json => Self::Json,
            QueryForm::Ndjson => Self::Ndjson,
            QueryForm::Parquet => Self::Parquet,
            QueryForm::Arrow => Self::Arrow,
        }
    }
}

/// How rows are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ChartChoice {
    /// Lines over times and numbers, bars over texts.
    #[default]
    Auto,
    /// A bar for each row.
    Bar,
    /// Lines.
    Line,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        query: QueryArgs,
    }

    fn parsed(args: &[&str]) -> Result<QueryArgs, clap::Error> {
        let command = Command::try_parse_from([&["query"], args].concat())?;
        Ok(command.query)
    }

    #[test]
    fn arguments_are_understood_and_what_makes_no_sense_is_refused() {
        let args = parsed(&["select 1", "--format", "text", "--chart"]).expect("it is right");
        assert_eq!(args.format.map(Form::from), Some(Form::Table));
        assert_eq!((args.chart, args.null.as_str()), (Some(ChartChoice::Auto), ""));
        let args = parsed(&["-f", "-", "--chart", "bar", "-o", "x.svg"]).expect("it is right");
        assert_eq!((args.chart, args.sql), (Some(ChartChoice::Bar), None));
        assert_eq!(args.output, Some(PathBuf::from("x.svg")));
        assert!(parsed(&["select 1", "-f", "x.sql"]).is_err());
        assert!(parsed(&["select 1", "--format", "xml"]).is_err());
        assert!(parsed(&["--chart", "pie"]).is_err());
    }
}
