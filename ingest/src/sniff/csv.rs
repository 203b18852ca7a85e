//! What a CSV file is made of: its delimiter, its quotes, the lines before its header.

use super::values::Values;
use super::{SAMPLE_RECORDS, Said, SniffedCsv, listed};
use crate::decode::{CsvMarks, RecordEnd, record_end, split_record, trim_line_end};
use memchr::memchr;

const DELIMITERS: [u8; 4] = [b';', b',', b'\t', b'|'];
/// A record is not looked at beyond this.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Among so many records the header is looked for.
const HEADER_RECORDS: usize = 50;

/// A record, and the line that it begins at, from 0.
struct Record {
    line: usize,
    fields: Vec<String>,
}

/// One way to read a file.
struct Reading {
    marks: CsvMarks,
    records: Vec<Record>,
    /// Fields that most records have.
    fields: usize,
    /// Records with so many.
    fitting: usize,
}

/// Looks at a text; how it is made, and the values of its columns.
pub(super) fn look(
    text: &str,
    is_whole: bool,
    said: &mut Said,
) -> Result<(SniffedCsv, Values), String> {
    let mut readings: Vec<Reading> = Vec::new();
    let quotes: &[u8] = if text.contains('"') || !text.contains('\'') { b"\"" } else { b"\"'" };
    let escapes: &[Option<u8>] = if text.contains("\\\"") { &[None, Some(b'\\')] } else { &[None] };
    for delimiter in DELIMITERS {
        for quote in quotes {
            for escape in escapes {
                let marks = CsvMarks { delimiter, quote: *quote, escape: *escape };
                readings.extend(read(text, marks, is_whole));
            }
        }
    }
    let score = |reading: &Reading| {
        let share = reading.fitting * 1000 / reading.records.len().max(1);
        // A delimiter that fits nearly all records with more fields beats one with fewer.
        share * (reading.fields - 1).min(60)
    };
    readings.sort_by_key(|reading| std::cmp::Reverse(score(reading)));
    let Some(best) = readings.first() else {
        return Err("no delimiter (`;`, `,`, a tab or `|`) parts its lines into columns".into());
    };
    let character = |byte: u8| match byte {
        b'\t' => "a tab".to_owned(),
        other => format!("`{}`", char::from(other)),
    };
    if let Some(other) = readings.iter().skip(1).find(|other| {
        other.marks.delimiter != best.marks.delimiter && score(other) * 10 > score(best) * 8
    }) {
        said.unsure(format!(
            "the delimiter: {} gives {} columns, {} gives {}",
            character(best.marks.delimiter),
            best.fields,
            character(other.marks.delimiter),
            other.fields
        ));
    }
    if best.marks.escape.is_some() {
        said.guess("a backslash within quotes makes text of what is behind it");
    }
    let fitting: Vec<&Record> =
        best.records.iter().filter(|record| record.fields.len() == best.fields).collect();
    let header = header_of(&fitting);
    let repeated = header.is_some_and(|place| {
        let fields = &fitting[place].fields;
        fields.iter().enumerate().any(|(i, name)| {
            !name.trim().is_empty() && fields[..i].iter().any(|n| n.trim() == name.trim())
        })
    });
    let numbered = |n: usize| format!("column_{n}");
    let (first, names) = match header {
        Some(place) => {
            let mut names = names_of(&fitting[place].fields);
            // Without a header all fields have to be named.
            for (i, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
                *name = if repeated { numbered(i + 1) } else { String::new() };
            }
            (fitting[place].line, names)
        }
        None => {
            let line = fitting.first().map_or(0, |record| record.line);
            said.unsure(
                "whether there is a header: no line looks like one, so that columns are numbered",
            );
            (line, (1..=best.fields).map(numbered).collect())
        }
    };
    if repeated {
        said.guess(format!(
            "the header names a column twice, so that it is skipped and the columns are named by \
             `schema`: {}",
            listed(&names)
        ));
    }
    let unnamed = header.is_some_and(|place| {
        !repeated && fitting[place].fields.iter().any(|name| name.trim().is_empty())
    });
    if unnamed {
        said.guess("columns without a name in the header are left out");
    }
    let has_header = header.is_some() && !repeated;
    let skip_lines = if repeated { first + 1 } else { first };
    if first > 0 {
        said.guess(format!("{first} line{} before the header", if first == 1 { "" } else { "s" }));
    }
    let after = header.map_or(0, |place| fitting[place].line + 1);
    let odd = best
        .records
        .iter()
        .filter(|record| record.line >= after.max(first) && record.fields.len() != best.fields)
        .count();
    if odd > 0 {
        said.unsure(format!(
            "{odd} record{} after the header ha{} not {} fields, and would be dead letters",
            if odd == 1 { "" } else { "s" },
            if odd == 1 { "s" } else { "ve" },
            best.fields
        ));
    }
    let body = fitting.iter().filter(|record| record.line >= after.max(first));
    let mut values = Values::new(names);
    for record in body {
        values.add_fields(&record.fields);
    }
    if values.records == 0 {
        return Err("it has a header and no records; types can't be told".into());
    }
    let csv = SniffedCsv {
        delimiter: best.marks.delimiter,
        quote: best.marks.quote,
        escape: best.marks.escape,
        skip_lines,
        header: has_header,
    };
    Ok((csv, values))
}

/// The names of a header; the second of a name gets a number.
fn names_of(fields: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in fields {
        let name = field.trim();
        let mut unique = name.to_owned();
        let mut number = 1;
        while !unique.is_empty() && names.contains(&unique) {
            number += 1;
            unique = format!("{name}_{number}");
        }
        names.push(unique);
    }
    names
}

/// Reads a text in one way; none if it has one column.
fn read(text: &str, marks: CsvMarks, is_whole: bool) -> Option<Reading> {
    let bytes = text.as_bytes();
    let (mut records, mut start, mut line) = (Vec::new(), 0, 0);
    let (mut fields, mut unquoted) = (Vec::new(), Vec::new());
    while start < bytes.len() && records.len() < SAMPLE_RECORDS {
        let line_end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at + 1);
        let end = match record_end(bytes, start, marks, RECORD_BYTES_MAX, is_whole) {
            RecordEnd::At(end) => end,
            RecordEnd::Open => break,
            RecordEnd::Quoted | RecordEnd::TooLong => line_end,
        };
        let record = trim_line_end(&bytes[start..end]);
        if !record.is_empty() {
            let is_sound = split_record(record, marks, &mut fields, &mut unquoted);
            let text = |field: &crate::decode::CsvField| {
                let from = if field.quoted { &unquoted[..] } else { record };
                String::from_utf8_lossy(&from[field.start..field.end]).into_owned()
            };
            let fields = if is_sound { fields.iter().map(text).collect() } else { Vec::new() };
            records.push(Record { line, fields });
        }
        line += bytes[start..end].iter().filter(|b| **b == b'\n').count();
        start = end;
    }
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for record in records.iter().filter(|record| record.fields.len() > 1) {
        match counts.iter_mut().find(|(fields, _)| *fields == record.fields.len()) {
            Some((_, count)) => *count += 1,
            None => counts.push((record.fields.len(), 1)),
        }
    }
    // A file of one header and one record still has two of a kind; more fields break a tie.
    let (fields, fitting) = counts.into_iter().max_by_key(|(fields, count)| (*count, *fields))?;
    Some(Reading { marks, records, fields, fitting })
}

/// The place of the header among records that have as many fields as most: names, all of them
/// different texts, before values that are none.
fn header_of(records: &[&Record]) -> Option<usize> {
    let is_value = |text: &str| {
        let text = text.trim();
        text.bytes().any(|b| b.is_ascii_digit())
            && text.bytes().filter(u8::is_ascii_alphabetic).count() * 2 <= text.len()
            || text.parse::<f64>().is_ok()
    };
    let looks_like_names = |record: &Record| {
        let named = record.fields.iter().filter(|name| !name.trim().is_empty()).count();
        named * 2 > record.fields.len()
            && record.fields.iter().all(|name| {
                let digits = name.bytes().filter(u8::is_ascii_digit).count();
                let letters = name.chars().filter(|c| c.is_alphabetic()).count();
                name.trim().is_empty() || (letters > 0 && letters > digits && name.len() < 100)
            })
    };
    let place = records.iter().take(HEADER_RECORDS).position(|record| looks_like_names(record))?;
    let after = &records[place + 1..];
    // Names stand above values: a column of which the values below look otherwise than its name.
    let tells = (0..records[place].fields.len()).any(|column| {
        after.iter().take(20).any(|record| is_value(&record.fields[column]))
            && !is_value(&records[place].fields[column])
    });
    (tells || after.is_empty()).then_some(place)
}
