//! What a shell tells of itself.

use super::slash::COMMANDS;

/// Which statements there are.
pub(super) const STATEMENTS: &str = "\
select, values, with   rows of tables; `\\d` lists them
explain [analyze]      how a statement is answered, and how long each part takes
begin, commit          statements between them see the moment of the first
set timezone to 'Z'    the zone in which instants are shown; statement_timeout to '30s'
show tables            tables with their rows, files and bytes

Statements end with `;` and only read. The language is PostgreSQL's as far as DataFusion has it.
";

/// The commands, each with what it does.
pub(super) fn commands() -> String {
    let mut text = String::new();
    for (name, takes, does) in COMMANDS {
        let command = format!("{name} {takes}");
        text.push_str(&format!("{command:<22} {does}\n"));
    }
    text.push_str(
        "\nTab completes words, Ctrl-R looks for what was typed, Ctrl-C stops a statement.\n",
    );
    text
}

/// A time as people read it: milliseconds up to a second.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("Time: {:.3} ms", seconds * 1e3)
    } else {
        format!("Time: {seconds:.3} s")
    }
}

/// How many rows there were.
pub(super) fn rows(rows: u64) -> String {
    if rows == 1 { "(1 row)".to_owned() } else { format!("({rows} rows)") }
}
