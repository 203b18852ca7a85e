//! `riskstream sniff FILE`: the `[sources.NAME]` block that reads a file, with what was guessed and
//! what is not sure.

use std::fmt::Write as _;
use std::io::Write;

use arrow::datatypes::DataType;
use riskstream_engine::runtime::{Clock, SystemClock};
use riskstream_ingest::{EncodingChoice, FileFormat, Sniffed, type_name};
use serde::Serialize;

use super::CommandError;
use crate::cli::{OutputFormat, SniffArgs};
use crate::config::spec;

/// The answer for a script.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// The file, as it was named.
    file: &'a str,
    /// The NAME of the block.
    source: &'a str,
    /// The block, in TOML.
    block: &'a str,
    /// What was chosen among several readings.
    guesses: &'a [String],
    /// What the file does not tell, or could be read in another way too.
    unsure: &'a [String],
    /// Rows that the file gives when it is read by the block.
    rows: u64,
    /// Records of it that would be dead letters.
    dead: u64,
    /// Whether all of the file was read.
    whole: bool,
}

/// Looks at a file and prints the block that reads it.
///
/// # Errors
/// The file can't be read as it is: what would help.
pub fn sniff(args: &SniffArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let file = args.file.display().to_string();
    let now = SystemClock::default().wall_micros();
    let sniffed = riskstream_ingest::sniff(&args.file, now).map_err(|reason| {
        CommandError::Usage { message: format!("{file}: {reason}"), help: None }
    })?;
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.file));
    let block = block(&name, &file, &sniffed);
    let Sniffed { guesses, unsure, rows, dead, is_whole, .. } = &sniffed;
    match args.output.format {
        OutputFormat::Json => {
            let (rows, dead, whole) = (*rows, *dead, *is_whole);
            let (file, source, block) = (&*file, &*name, &*block);
            super::print_json(
                &Answer { file, source, block, guesses, unsure, rows, dead, whole },
                out,
            )?;
        }
        OutputFormat::Text => {
            let read = rows + dead;
            let part = if *is_whole { "records" } else { "records of its beginning" };
            if !sniffed.event_time.is_empty() || read > 0 {
                writeln!(out, "# {file}: {rows} of {read} {part} are rows with this.")?;
            }
            for guess in guesses {
                writeln!(out, "# guessed: {guess}")?;
            }
            for unsure in unsure {
                writeln!(out, "# unsure: {unsure}")?;
            }
            write!(out, "{block}")?;
        }
    }
    Ok(())
}

/// Makes a source's name from a file's name, of the characters that an id may have.
fn name_of(path: &std::path::Path) -> String {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = file.split('.').find(|part| !part.is_empty()).unwrap_or("file");
    let mut name = String::new();
    for c in stem.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
    }
    let name: String = name.trim_end_matches('-').chars().take(64).collect();
    if name.is_empty() { "file".into() } else { name }
}

/// A text in TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\t' => quoted.push_str("\\t"),
            // Unusual spaces are escaped, so that they can be told from the ordinary one.
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                let _infallible = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key in TOML.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_bare { name.to_owned() } else { quoted(name) }
}

fn array(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(&text)).collect();
    match &texts[..] {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

fn block(name: &str, file: &str, sniffed: &Sniffed) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |key: &str, value: String| lines.push((key.to_owned(), value));
    line("kind", quoted("file"));
    line("path", quoted(&file.replace('[', "[[]")));
    line("format", quoted(format_name(sniffed.format)));
    if let Some(encoding) = sniffed.encoding
        && encoding != EncodingChoice::Auto
    {
        line("encoding", quoted(&encoding.to_string()));
    }
    if let Some(csv) = &sniffed.csv {
        let character = |byte: u8| quoted(&char::from(byte).to_string());
        let said = [
            (csv.delimiter != b',').then(|| format!("delimiter = {}", character(csv.delimiter))),
            (csv.quote != b'"').then(|| format!("quote = {}", character(csv.quote))),
            csv.escape.map(|escape| format!("escape = {}", character(escape))),
            (csv.skip_lines > 0).then(|| format!("skip_lines = {}", csv.skip_lines)),
            (!csv.header).then(|| "header = false".to_owned()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if !said.is_empty() {
            line("csv", format!("{{ {} }}", said.join(", ")));
        }
    }
    if sniffed.numbers.decimal != '.' {
        line("decimal_mark", quoted(&sniffed.numbers.decimal.to_string()));
    }
    if !sniffed.numbers.thousands.is_empty() {
        line("thousands_mark", array(sniffed.numbers.thousands.iter().map(char::to_string)));
    }
    if let Some(words) = &sniffed.words {
        line("true_words", array(words.yes.iter().cloned()));
        line("false_words", array(words.no.iter().cloned()));
    }
    let is_of_changes = matches!(sniffed.format, FileFormat::Debezium(_));
    if sniffed.event_time.is_empty() {
        if !is_of_changes {
            line("# event_time", "{ column = \"NAME\" }".to_owned());
        }
    } else {
        let format = match sniffed.event_time_format.is_auto() {
            true => String::new(),
            false => format!(", format = {}", quoted(&sniffed.event_time_format.0)),
        };
        let column = array(sniffed.event_time.iter().cloned());
        line("event_time", format!("{{ column = {column}{format} }}"));
    }
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut block = format!("[sources.{}]\n", key(name));
    for (key, value) in lines {
        let _infallible = writeln!(block, "{key:width$} = {value}");
    }
    if sniffed.columns.is_empty() {
        return block;
    }
    let _infallible = writeln!(block, "\n[sources.{}.schema]", key(name));
    let names: Vec<String> = sniffed.columns.iter().map(|column| key(&column.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(32);
    for (name, column) in names.iter().zip(&sniffed.columns) {
        let type_name = quoted(&shown_type(&column.data_type));
        let _infallible = match &column.format {
            None => writeln!(block, "{name:width$} = {type_name}"),
            Some(format) => writeln!(
                block,
                "{name:width$} = {{ type = {type_name}, format = {} }}",
                quoted(&format.0)
            ),
        };
    }
    block
}

fn shown_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        other => type_name(other),
    }
}

fn format_name(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => spec::FileFormat::Json,
        FileFormat::Csv => spec::FileFormat::Csv,
        FileFormat::Parquet => spec::FileFormat::Parquet,
        FileFormat::Debezium(_) => spec::FileFormat::DebeziumJson,
    }
    .as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_made_ids() {
        for (path, name) in [
            ("in/payments.csv", "payments"),
            ("Umsätze 2024-05.csv.gz", "ums-tze-2024-05"),
            (".hidden.json", "hidden"),
            ("__", "__"),
            ("--.csv", "file"),
        ] {
            assert_eq!(name_of(std::path::Path::new(path)), name, "{path}");
        }
    }
}
