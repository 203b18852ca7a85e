//! Files as banks write them: encodings, lines before the header, marks in numbers, words for truth
//! values, times of several columns and of a place, names of columns. Rows, positions and dead
//! letters are the same whatever the blocks were, and wherever a run was stopped.

use crate::support::{Read, read_all, read_from};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use riskstream_engine::contract::{PartitionInfo, PollLimit, Position, SourceError};
use riskstream_ingest::{
    ColumnForm, EncodingChoice, FileSource, FileSourceSpec, NumberMarks, SkipLines, TimeFormat,
    TruthWords, parse_type,
};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// A source of one file of a folder with these columns.
fn spec(folder: &Path, name: &str, time: &str, columns: &[(&str, &str)]) -> FileSourceSpec {
    let mut spec = FileSourceSpec::new("bank", vec![name.to_owned()], time);
    spec.base = folder.to_owned();
    // The clock of these tests is before these days.
    spec.future_skew_max_us = i64::MAX;
    let column = |(name, of): &(&str, &str)| ((*name).to_owned(), parse_type(of).expect("a type"));
    spec.schema = Some(columns.iter().map(column).collect());
    spec
}

fn read(spec: &FileSourceSpec) -> Result<Read, SourceError> {
    read_all(&mut FileSource::new(spec.clone())?)
}

/// Reads a file whose bytes are `content`.
fn read_content(spec: &FileSourceSpec, content: &[u8]) -> Read {
    std::fs::write(spec.base.join(&spec.paths[0]), content).expect("written");
    read(spec).expect("read")
}

/// Rows as text, a line each.
fn shown(rows: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in rows {
        let options = FormatOptions::new().with_null("null");
        // The user's columns and the offset.
        let wanted: Vec<usize> =
            (0..batch.num_columns() - 3).chain([batch.num_columns() - 2]).collect();
        let batch = batch.project(&wanted).expect("columns");
        let of = |column| ArrayFormatter::try_new(column, &options).expect("a formatter");
        let columns: Vec<_> = batch.columns().iter().map(|c| of(c.as_ref())).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
            lines.push(values.join(" | "));
        }
    }
    lines
}

fn details(read: &Read) -> Vec<String> {
    read.dead
        .iter()
        .flat_map(|batch| {
            let details = batch.column_by_name("detail").expect("a column").as_string::<i32>();
            details.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Reads block by block, each in a run of its own.
fn read_in_runs(spec: &FileSourceSpec, limit: PollLimit) -> Read {
    let mut positions: BTreeMap<u32, (PartitionInfo, Position)> = BTreeMap::new();
    let (mut rows, mut dead) = (Vec::new(), Vec::new());
    for _ in 0..10_000 {
        let mut source = FileSource::new(spec.clone()).expect("a source");
        let part = read_from(&mut source, positions, limit, 1).expect("read");
        rows.extend(part.rows);
        dead.extend(part.dead);
        positions = part.positions;
        if positions.values().all(|(_, position)| position.finished) && !positions.is_empty() {
            return Read { rows, dead, positions };
        }
    }
    panic!("it does not end");
}

/// The encodings of these tests: the name, how a text is written, what it begins with.
const ENCODINGS: [(&str, &str, &[u8]); 6] = [
    ("auto", "utf-8", b""),
    ("latin1", "windows-1252", b""),
    ("auto", "utf-16le", b"\xFF\xFE"),
    ("utf-16", "utf-16be", b"\xFE\xFF"),
    ("utf-16le", "utf-16le", b""),
    ("utf-16be", "utf-16be", b""),
];

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "windows-1252" => text
            .chars()
            .map(|c| match c {
                '€' => 0x80,
                c => u8::try_from(u32::from(c)).expect("Latin-1"),
            })
            .collect(),
        _ => text.as_bytes().to_vec(),
    }
}

const COLUMNS: [(&str, &str); 4] =
    [("id", "int64"), ("zeit", "timestamp"), ("größe", "string"), ("betrag", "decimal(12,2)")];

/// Records, and whether each is a row.
fn records(csv: bool, ids: std::ops::Range<u32>) -> Vec<(String, bool)> {
    let record = |id: u32| {
        let name = match id % 4 {
            0 if csv => "\"Müller, \"\"5 €\"\"\r\nzwei\"".to_owned(),
            0 | 1 => "ÄÖÜ ß".to_owned(),
            2 => "plain".to_owned(),
            _ => "ÿ€".to_owned(),
        };
        // Every seventh amount is none.
        let amount = if id % 7 == 3 { "zwölf" } else { "12.50" };
        let text = match csv {
            true => format!("{id},2024-05-01 10:00:{:02},{name},{amount}", id % 60),
            false => format!(
                "{{\"id\":{id},\"zeit\":\"2024-05-01 10:00:{:02}\",\"größe\":\"{name}\",\
                 \"betrag\":\"{amount}\"}}",
                id % 60
            ),
        };
        (text, id % 7 != 3)
    };
    ids.map(record).collect()
}

#[test]
fn text_of_every_encoding_gives_the_same_rows_wherever_a_run_is_stopped() {
    for csv in [true, false] {
        for (choice, encoding, mark) in ENCODINGS {
            let folder = tempfile::tempdir().expect("a folder");
            let name = if csv { "a.csv" } else { "a.ndjson" };
            let mut spec = spec(folder.path(), name, "zeit", &COLUMNS);
            spec.encoding = EncodingChoice::parse(choice).expect("an encoding");
            let end = if csv { "\r\n" } else { "\n" };
            let mut content = mark.to_vec();
            if csv {
                content.extend(encoded(&format!("id,zeit,größe,betrag{end}"), encoding));
            }
            let (mut offsets, mut dead) = (Vec::new(), Vec::new());
            for (text, is_row) in records(csv, 0..40) {
                let bytes = encoded(&text, encoding);
                match is_row {
                    true => offsets.push(content.len() as i64),
                    false => dead.push((content.len() as i64, "type".to_owned(), bytes.clone())),
                }
                content.extend(bytes);
                content.extend(encoded(end, encoding));
            }
            let what = format!("{choice} {encoding} {name}");
            let whole = read_content(&spec, &content);
            let table = whole.table();
            let of = |name: &str| table.column_by_name(name).expect("a column").clone();
            let found = of("_source_offset");
            assert_eq!(found.as_primitive::<Int64Type>().values(), &offsets[..], "{what}");
            let names = of("größe");
            let names: Vec<&str> = names.as_string::<i32>().iter().flatten().collect();
            let first = if csv { "Müller, \"5 €\"\r\nzwei" } else { "ÄÖÜ ß" };
            assert_eq!(&names[..3], [first, "ÄÖÜ ß", "plain"], "{what}");
            assert!(names.contains(&"ÿ€"), "{what}");
            assert_eq!(of("betrag").as_primitive::<Decimal128Type>().value(0), 1250, "{what}");
            assert_eq!(whole.dead_letters(), dead, "{what}");
            assert!(details(&whole).iter().all(|d| d.contains("zwölf")), "{what}");
            for bytes in [1, 37, 256] {
                let parts = read_in_runs(&spec, PollLimit { rows: 1000, bytes });
                assert_eq!(shown(&parts.rows), shown(&whole.rows), "{what} {bytes}");
                assert_eq!(parts.dead_letters(), dead, "{what} {bytes}");
            }
            // Compressed, offsets count what was decompressed.
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&content).expect("compressed");
            let compressed = gzip.finish().expect("compressed");
            spec.paths = vec![format!("{name}.gz")];
            let parts = read_content(&spec, &compressed);
            assert_eq!(shown(&parts.rows), shown(&whole.rows), "{what} gz");
            let parts = read_in_runs(&spec, PollLimit { rows: 1000, bytes: 100 });
            assert_eq!(shown(&parts.rows), shown(&whole.rows), "{what} gz");
        }
    }
}

#[test]
fn a_file_of_every_encoding_is_read_on_when_it_has_grown() {
    for (choice, encoding, mark) in ENCODINGS {
        for end in ["\n", "\r\n"] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut spec = spec(folder.path(), "a.csv", "zeit", &COLUMNS);
            spec.encoding = EncodingChoice::parse(choice).expect("an encoding");
            let line = |id: u32| format!("{id},2024-05-01,Ä{id},1");
            let start = format!("id,zeit,größe,betrag{end}{}{end}{}", line(1), line(2));
            let content = [mark, &encoded(&start, encoding)].concat();
            let what = format!("{choice} {encoding} {end:?}");
            // The last line lacks its end, and is taken as it is.
            let first = read_content(&spec, &content);
            assert_eq!(first.row_count(), 2, "{what}");
            let path = folder.path().join("a.csv");
            let append = |text: &str| {
                OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .and_then(|mut file| file.write_all(&encoded(text, encoding)))
                    .expect("appended");
            };
            append(&format!("{end}{}{end}", line(3)));
            let limit = PollLimit { rows: 1000, bytes: 1 << 20 };
            let again = |positions| {
                let mut source = FileSource::new(spec.clone()).expect("a source");
                read_from(&mut source, positions, limit, usize::MAX)
            };
            let second = again(first.positions.clone()).expect("read");
            let names = second.table().column_by_name("größe").expect("a column").clone();
            let names: Vec<&str> = names.as_string::<i32>().iter().flatten().collect();
            assert_eq!(names, ["Ä3"], "{what}");
            append(&format!("{}{end}", line(4)));
            let third = again(second.positions).expect("read");
            assert_eq!((third.row_count(), third.dead_count()), (1, 0), "{what}");
            // Nothing more.
            assert_eq!(again(third.positions).expect("read").row_count(), 0, "{what}");
            // What was taken without its end goes on as another record.
            std::fs::write(&path, &content).expect("written");
            append(&format!("7{end}"));
            let error = again(first.positions).expect_err("refused").to_string();
            assert!(error.contains("that record goes on now"), "{what}: {error}");
        }
    }
}

#[test]
fn a_followed_file_is_waited_for_in_the_middle_of_a_character() {
    use riskstream_engine::contract::{Poll, Source};
    let folder = tempfile::tempdir().expect("a folder");
    let mut spec = spec(folder.path(), "a.csv", "zeit", &COLUMNS);
    spec.follow = true;
    let text = "id,zeit,größe,betrag\r\n1,2024-05-01,Ä,1\r\n2,2024-05-02,Ö,2\r\n";
    let content = [&b"\xFF\xFE"[..], &encoded(text, "utf-16le")].concat();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, b"").expect("written");
    let mut source = FileSource::new(spec).expect("a source");
    source.open(&BTreeMap::new()).expect("opened");
    let mut decoder = source.decoder();
    let mut rows = Vec::new();
    // One byte after the other.
    for length in 1..=content.len() {
        std::fs::write(&path, &content[..length]).expect("written");
        for _ in 0..4 {
            match source.poll(0, PollLimit { rows: 1000, bytes: 1 << 20 }).expect("polled") {
                Poll::Block(mut block) => {
                    block.read_at = crate::support::READ_AT;
                    let decoded = decoder.decode(block).expect("decoded");
                    assert!(decoded.rejected.is_none());
                    rows.push(decoded.rows);
                }
                Poll::Pending { caught_up: true } => break,
                Poll::Pending { .. } | Poll::Finished(_) => {}
            }
        }
    }
    let shown = shown(&rows);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].contains("| Ä |") && shown[1].contains("| Ö |"), "{shown:?}");
}

#[test]
fn what_is_not_of_the_encoding_is_a_dead_letter_with_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [("id", "int64"), ("at", "timestamp"), ("name", "string")];
    let mut spec = spec(folder.path(), "a.csv", "at", &columns);
    spec.encoding = EncodingChoice::parse("windows-1253").expect("an encoding");
    // 0xD2 is no character of windows-1253.
    let read_ = read_content(&spec, b"id,at,name\n1,2024-05-01,\xE1\n2,2024-05-01,a\xD2\n");
    assert_eq!(read_.row_count(), 1);
    let expected = (26, "malformed".to_owned(), b"2,2024-05-01,a\xD2".to_vec());
    assert_eq!(read_.dead_letters(), [expected]);
    assert!(details(&read_)[0].contains("not windows-1253 from byte 14"), "{:?}", details(&read_));
    // Half of a pair in UTF-16, and half a unit at the end.
    spec.encoding = EncodingChoice::Auto;
    let mut content = b"\xFF\xFE".to_vec();
    content.extend(encoded("id,at,name\n1,2024-05-01,a", "utf-16le"));
    content.extend([0x34, 0xD8]);
    content.extend(encoded("\n2,2024-05-01,b\n3,2024-05-01,c", "utf-16le"));
    content.push(b'x');
    let read_ = read_content(&spec, &content);
    assert_eq!(read_.row_count(), 1, "{:?}", shown(&read_.rows));
    let letters = read_.dead_letters();
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters[0].2.ends_with(&[0x34, 0xD8]) && letters[1].2.ends_with(b"c\0x"));
    // A quote that nothing closes is a mistake of its line alone.
    spec.encoding = EncodingChoice::parse("latin1").expect("an encoding");
    let read_ = read_content(&spec, b"id,at,name\n1,2024-05-01,\"\xE4\n2,2024-05-01,\xF6\n");
    assert_eq!(read_.row_count(), 1);
    assert_eq!(read_.dead_letters()[0].2, b"1,2024-05-01,\"\xE4");
    assert!(details(&read_)[0].contains("a quote is not closed"), "{:?}", details(&read_));
    // A record that is too long is known by the bytes of the file.
    spec.record_bytes_max = 20;
    let content = b"id,at,name\n1,2024-05-01,\xE4\xE4\xE4\xE4\xE4\xE4\xE4\xE4\n2,2024-05-01,\xF6\n";
    for bytes in [1, 1000] {
        std::fs::write(folder.path().join("a.csv"), content).expect("written");
        let parts = read_in_runs(&spec, PollLimit { rows: 1000, bytes });
        assert_eq!((parts.row_count(), parts.reasons()), (1, vec!["too-long".to_owned()]));
        assert_eq!(parts.dead_letters()[0].2, &content[11..32]);
    }
}

#[test]
fn a_mark_that_contradicts_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spec = spec(folder.path(), "a.csv", "at", &[("at", "timestamp")]);
    for (choice, content, said) in [
        ("latin1", &b"\xEF\xBB\xBFat\n2024-05-01\n"[..], "byte-order mark of utf-8"),
        ("utf-16", b"at\n2024-05-01\n", "does not begin with a byte-order mark"),
        ("utf-8", b"\xFF\xFEa\0t\0\n\0", "byte-order mark of utf-16le"),
        ("auto", b"\xE4t,at\n1,2024-05-01\n", "the header is not UTF-8; which `encoding`"),
    ] {
        std::fs::write(folder.path().join("a.csv"), content).expect("written");
        spec.encoding = EncodingChoice::parse(choice).expect("an encoding");
        let error = read(&spec).expect_err("refused").to_string();
        assert!(error.contains(said) && error.contains("a.csv"), "{choice}: {error}");
    }
}

#[test]
fn lines_before_the_header_are_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [("id", "int64"), ("at", "timestamp")];
    let mut spec = spec(folder.path(), "a.csv", "at", &columns);
    let text = "Account;\"of nobody\r\n\r\nid;is here\r\nat,other,id\r\n2024-05-01,x,1\r\n";
    let offset = text.find("2024").expect("there");
    for skip in [SkipLines::Count(3), SkipLines::ToHeader] {
        for encoding in ["utf-8", "utf-16le"] {
            spec.csv.skip_lines = skip;
            let mark = if encoding == "utf-8" { &b"\xEF\xBB\xBF"[..] } else { b"\xFF\xFE" };
            let unit = if encoding == "utf-8" { 1 } else { 2 };
            let content = [mark, &encoded(text, encoding)].concat();
            let first = read_content(&spec, &content);
            let at = mark.len() + offset * unit;
            let expected = format!("1 | 2024-05-01T00:00:00Z | {at}");
            assert_eq!(shown(&first.rows), [expected], "{skip:?} {encoding}");
            assert_eq!(first.dead_count(), 0);
            // It goes on where it was, also when the file has grown.
            let grown = [&content[..], &encoded("2024-05-02,x,2\r\n", encoding)].concat();
            std::fs::write(folder.path().join("a.csv"), grown).expect("written");
            let mut source = FileSource::new(spec.clone()).expect("a source");
            let limit = PollLimit { rows: 10, bytes: 10 };
            let second = read_from(&mut source, first.positions, limit, 9).expect("read");
            assert_eq!(second.row_count(), 1, "{skip:?} {encoding}");
        }
    }
    // Without a header the lines before the first record.
    spec.csv.header = false;
    spec.csv.skip_lines = SkipLines::Count(2);
    let read_ = read_content(&spec, b"a\nb\n1,2024-05-01\n");
    assert_eq!(shown(&read_.rows), ["1 | 2024-05-01T00:00:00Z | 4"]);
    spec.csv.header = true;
    for (skip, content, said) in [
        (SkipLines::Count(5), "a\nb\n", "it has 2 lines, and 5 are to be skipped"),
        (SkipLines::ToHeader, "a,b\n1,2\n", "no line has the columns id, at"),
        (SkipLines::Count(1), "id,at\n1,2\n", "there is no column id"),
    ] {
        spec.csv.skip_lines = skip;
        std::fs::write(folder.path().join("a.csv"), content).expect("written");
        let error = read(&spec).expect_err("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
    spec.csv.skip_lines = SkipLines::ToHeader;
    assert_eq!(read_content(&spec, b"").row_count(), 0);
}

#[test]
fn marks_and_words_and_dates_are_read_or_the_record_is_a_dead_letter() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [
        ("at", "timestamp"),
        ("amount", "decimal(12,2)"),
        ("n", "int64"),
        ("rate", "float64"),
        ("ok", "boolean"),
        ("due", "date"),
    ];
    let mut spec = spec(folder.path(), "a.csv", "at", &columns);
    spec.csv.delimiter = Some(b';');
    spec.forms.numbers = NumberMarks { decimal: ',', thousands: vec!['.'] };
    spec.forms.words = Some(TruthWords { yes: vec!["ja".into()], no: vec!["nein".into()] });
    let format = TimeFormat::pattern("%d.%m.%Y").expect("a pattern");
    spec.forms.columns = vec![("due".into(), ColumnForm { from: None, format: Some(format) })];
    let text = "at;amount;n;rate;ok;due\n\
                2024-05-01;1.234,50;1.000;0,5;ja;31.12.2024\n\
                2024-05-01;\"-12,5\";7;1,5E3;nein;1.1.2025\n\
                2024-05-01;;;;;\n\
                2024-05-01;1.5;1;1;ja;31.12.2024\n\
                2024-05-01;1,505;1;1;ja;31.12.2024\n\
                2024-05-01;1;1.00;1;ja;31.12.2024\n\
                2024-05-01;1;1;1;true;31.12.2024\n\
                2024-05-01;1;1;1;ja;2024-12-31\n\
                2024-05-01;1;1;1;ja;31.02.2024\n";
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(
        shown(&read_.rows),
        [
            "2024-05-01T00:00:00Z | 1234.50 | 1000 | 0.5 | true | 2024-12-31 | 24",
            "2024-05-01T00:00:00Z | -12.50 | 7 | 1500.0 | false | 2025-01-01 | 68",
            "2024-05-01T00:00:00Z | null | null | null | null | null | 109",
        ]
    );
    let expected = [
        ("2024-05-01;1.5;1;1;ja;31.12.2024", "amount: \"1.5\" is not a decimal(12,2)"),
        ("2024-05-01;1,505;1;1;ja;31.12.2024", "amount: \"1,505\" has more than 2 digits"),
        ("2024-05-01;1;1.00;1;ja;31.12.2024", "n: \"1.00\" is not an int64"),
        ("2024-05-01;1;1;1;true;31.12.2024", "ok: \"true\" is not one of the words"),
        ("2024-05-01;1;1;1;ja;2024-12-31", "due: \"2024-12-31\" is not a date of the form"),
        ("2024-05-01;1;1;1;ja;31.02.2024", "due: \"31.02.2024\" is not a date of the form"),
    ];
    let letters = read_.dead_letters();
    assert_eq!(letters.len(), expected.len());
    for (((_, reason, bytes), detail), (record, said)) in
        letters.iter().zip(details(&read_)).zip(expected)
    {
        assert_eq!((reason.as_str(), bytes.as_slice()), ("type", record.as_bytes()));
        assert!(detail.starts_with(said), "{detail}");
    }
    // In JSON a number is one, and a string is written with the marks.
    spec.paths = vec!["a.ndjson".into()];
    let text = "{\"at\":\"2024-05-01\",\"amount\":\"1.234,5\",\"n\":7,\"rate\":1.5,\"ok\":\"ja\"}\n\
                {\"at\":\"2024-05-01\",\"amount\":12.5,\"n\":\"1.000\",\"ok\":true}\n\
                {\"at\":\"2024-05-01\",\"amount\":\"12.5\"}\n";
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(
        shown(&read_.rows),
        [
            "2024-05-01T00:00:00Z | 1234.50 | 7 | 1.5 | true | null | 0",
            "2024-05-01T00:00:00Z | 12.50 | 1000 | null | true | null | 66",
        ]
    );
    assert!(details(&read_)[0].contains("the JSON string \"12.5\" is not a decimal"));
}

#[test]
fn an_escape_character_works_in_blocks_of_any_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spec = spec(folder.path(), "a.csv", "at", &[("at", "timestamp"), ("x", "string")]);
    spec.csv.escape = Some(b'\\');
    let text = "at,x\n2024-05-01,\"a\\\"b\\\\\"\n2024-05-01,\"c\\\"\nd,\"\"e\"\n2024-05-01,f\\g\n";
    let whole = read_content(&spec, text.as_bytes());
    assert_eq!(
        shown(&whole.rows),
        [
            "2024-05-01T00:00:00Z | a\"b\\ | 5",
            "2024-05-01T00:00:00Z | c\"\nd,\"e | 25",
            "2024-05-01T00:00:00Z | f\\g | 48",
        ]
    );
    for bytes in 1..30 {
        let parts = read_in_runs(&spec, PollLimit { rows: 1000, bytes });
        assert_eq!(shown(&parts.rows), shown(&whole.rows), "{bytes}");
    }
}

#[test]
fn an_event_time_of_two_columns_in_the_time_of_a_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let berlin = |pattern: &str| {
        let format = TimeFormat::pattern(pattern).expect("a pattern");
        format.in_zone("Europe/Berlin").expect("a zone")
    };
    let columns = [("id", "int64"), ("Tag", "string")];
    let mut spec = spec(folder.path(), "a.csv", "booked", &columns);
    spec.event_time.parts = vec!["Tag".into(), "Uhrzeit".into()];
    spec.event_time.format = berlin("%d.%m.%Y %H:%M");
    let text = "Uhrzeit,id,Tag\n12:30,1,15.01.2024\n12:30,2,15.07.2024\n02:30,3,27.10.2024\n\
                02:30,4,31.03.2024\n,5,15.01.2024\n25:00,6,15.01.2024\n";
    let expected = [
        "1 | 15.01.2024 | 2024-01-15T11:30:00Z",
        "2 | 15.07.2024 | 2024-07-15T10:30:00Z",
        // The hour that comes twice, the first time.
        "3 | 27.10.2024 | 2024-10-27T00:30:00Z",
    ];
    let without_offset = |rows: &[RecordBatch]| -> Vec<String> {
        shown(rows)
            .iter()
            .map(|line| line.rsplit_once(" | ").expect("an offset").0.to_owned())
            .collect()
    };
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(without_offset(&read_.rows), expected);
    assert_eq!(read_.reasons(), ["type", "null", "type"]);
    let said = details(&read_);
    assert!(said[0].contains("never came in Europe/Berlin"), "{said:?}");
    assert!(said[1].contains("booked: the event time is missing"), "{said:?}");
    assert!(said[2].contains("booked: \"15.01.2024 25:00\" is not a timestamp of"), "{said:?}");
    assert_eq!(read_.dead_letters()[0].2, b"02:30,4,31.03.2024");
    for bytes in [1, 40] {
        let parts = read_in_runs(&spec, PollLimit { rows: 1000, bytes });
        assert_eq!(without_offset(&parts.rows), expected);
        assert_eq!(parts.dead_letters(), read_.dead_letters());
    }
    // The same of JSON, where the made column is not read from a field of its name.
    spec.paths = vec!["a.ndjson".into()];
    let text = "{\"id\":1,\"Tag\":\"15.01.2024\",\"Uhrzeit\":\"12:30\",\"booked\":\"x\"}\n\
                {\"Uhrzeit\":\"12:30\",\"booked\":\"2024-01-01\",\"id\":2,\"Tag\":\"15.07.2024\"}\n\
                {\"id\":3,\"Tag\":\"15.07.2024\"}\n";
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(without_offset(&read_.rows), expected[..2]);
    assert_eq!(read_.reasons(), ["null"]);
    // Inferred, both are the texts that they are.
    spec.paths = vec!["b.csv".into()];
    spec.schema = None;
    spec.event_time.format = TimeFormat::Auto.in_zone("Europe/Berlin").expect("a zone");
    let read_ = read_content(&spec, b"id,Tag,Uhrzeit\n1,2024-07-15,12:30\n");
    assert_eq!(without_offset(&read_.rows), ["1 | 2024-07-15 | 12:30 | 2024-07-15T10:30:00Z"]);
    // One time in one column, with an offset or without.
    spec.event_time.parts.clear();
    spec.event_time.column = "at".into();
    let read_ = read_content(&spec, b"at\n2024-07-15 12:30\n2024-07-15T12:30:00Z\n2024-07-15\n");
    assert_eq!(
        without_offset(&read_.rows),
        ["2024-07-15T10:30:00Z", "2024-07-15T12:30:00Z", "2024-07-14T22:00:00Z"]
    );
}

#[test]
fn wrong_parts_of_an_event_time_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (columns, parts, said) in [
        (&[("day", "date")][..], &["day", "clock"][..], "column day, of which the event time"),
        (&[("id", "int64")], &["day", "id"], "column id, of which the event time is made"),
    ] {
        let mut spec = spec(folder.path(), "a.csv", "at", columns);
        spec.event_time.parts = parts.iter().map(|part| (*part).to_owned()).collect();
        let error = FileSource::new(spec).expect_err("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut spec = spec(folder.path(), "a.parquet", "at", &[("id", "int64")]);
    spec.event_time.parts = vec!["day".into(), "clock".into()];
    let error = FileSource::new(spec).expect_err("refused").to_string();
    assert!(error.contains("of JSON or CSV only"), "{error}");
}

#[test]
fn columns_are_found_under_their_names_in_the_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [("at", "timestamp"), ("amount", "decimal(12,2)"), ("iban", "string")];
    let mut spec = spec(folder.path(), "a.ndjson", "at", &columns);
    let from = |from: &str| ColumnForm { from: Some(from.to_owned()), format: None };
    spec.forms.columns = vec![
        ("at".into(), from("bookingDate")),
        ("amount".into(), from("transactionAmount.amount")),
        ("iban".into(), from("creditorAccount.iban")),
    ];
    let text = "{\"bookingDate\":\"2024-05-01\",\"transactionAmount\":{\"currency\":\"EUR\",\
                \"amount\":\"12.50\"},\"creditorAccount\":{\"iban\":\"DE02\"}}\n\
                {\"transactionAmount\":{\"amount\":7},\"amount\":9,\
                \"bookingDate\":\"2024-05-02\"}\n\
                {\"bookingDate\":\"2024-05-02\",\"transactionAmount\":7}\n\
                {\"bookingDate\":\"2024-05-02\",\"transactionAmount\":{\"amount\":1,\
                \"amount\":2}}\n";
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(
        shown(&read_.rows),
        ["2024-05-01T00:00:00Z | 12.50 | DE02 | 0", "2024-05-02T00:00:00Z | 7.00 | null | 119"]
    );
    assert_eq!(read_.reasons(), ["type", "duplicate-field"]);
    assert!(details(&read_)[0].contains("transactionAmount"), "{:?}", details(&read_));
    // Of CSV: what the header calls them.
    spec.paths = vec!["a.csv".into()];
    let text =
        "amount,transactionAmount.amount,bookingDate,creditorAccount.iban\n1,2,2024-05-01,x\n";
    let read_ = read_content(&spec, text.as_bytes());
    assert_eq!(shown(&read_.rows), ["2024-05-01T00:00:00Z | 2.00 | x | 65"]);
    std::fs::write(folder.path().join("a.csv"), "at,amount,iban\n").expect("written");
    let error = read(&spec).expect_err("refused").to_string();
    assert!(error.contains("there is no column bookingDate"), "{error}");
    spec.forms.columns.push(("iban".into(), ColumnForm::default()));
    spec.forms.columns[0].1 = from("amount");
    spec.forms.columns[1].1 = from("amount");
    let error = FileSource::new(spec).expect_err("refused").to_string();
    assert!(error.contains("two columns are read from amount"), "{error}");
}

/// A Parquet file of texts.
fn parquet(columns: &[(&str, &[&str])]) -> Vec<u8> {
    let arrays = columns.iter().map(|(name, values)| {
        let array = arrow::array::StringArray::from(values.to_vec());
        (*name, std::sync::Arc::new(array) as arrow::array::ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(arrays).expect("a batch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("written")
}

#[test]
fn files_that_lack_a_column_have_nulls_where_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [("at", "timestamp"), ("a", "int64"), ("b", "decimal(12,2)")];
    let mut spec = spec(folder.path(), "a.csv", "at", &columns);
    spec.missing_as_null = true;
    let read_ = read_content(&spec, b"b,at\n1.5,2024-05-01\n");
    assert_eq!(shown(&read_.rows), ["2024-05-01T00:00:00Z | null | 1.50 | 5"]);
    std::fs::write(folder.path().join("a.csv"), "a,b\n1,2\n").expect("written");
    let error = read(&spec).expect_err("refused").to_string();
    assert!(error.contains("there is no column at"), "{error}");
    // The header is the first line that has the event time.
    spec.csv.skip_lines = SkipLines::ToHeader;
    let read_ = read_content(&spec, b"a,b\n1,2\nat,b\n2024-05-01,3\n");
    assert_eq!(shown(&read_.rows), ["2024-05-01T00:00:00Z | null | 3.00 | 13"]);
    // Parquet, with forms of texts too.
    spec.paths = vec!["a.parquet".into()];
    spec.forms.numbers = NumberMarks { decimal: ',', thousands: vec!['.'] };
    spec.event_time.format = TimeFormat::Auto.in_zone("Europe/Berlin").expect("a zone");
    spec.forms.columns =
        vec![("b".into(), ColumnForm { from: Some("Betrag".into()), format: None })];
    let file = parquet(&[
        ("at", &["2024-05-01", "2024-03-31 02:30", "2024-05-02"][..]),
        ("Betrag", &["1.234,5", "1", "1.5"]),
    ]);
    let read_ = read_content(&spec, &file);
    assert_eq!(shown(&read_.rows), ["2024-04-30T22:00:00Z | null | 1234.50 | 0"]);
    assert_eq!(read_.reasons(), ["type", "type"]);
    spec.missing_as_null = false;
    let error = read(&spec).expect_err("refused").to_string();
    assert!(error.contains("there is no column a"), "{error}");
}

#[test]
fn the_settings_do_not_change_files_that_need_none_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = [("at", "timestamp"), ("a", "int64"), ("d", "date")];
    let plain = spec(folder.path(), "a.csv", "at", &columns);
    let text = "at,a,d\n2024-05-01,1,2024-05-01\n2024-05-01,x,2024-05-01\n";
    let expected = read_content(&plain, text.as_bytes());
    let mut set = plain.clone();
    set.encoding = EncodingChoice::parse("latin1").expect("an encoding");
    set.csv.escape = Some(b'\\');
    set.missing_as_null = true;
    set.csv.skip_lines = SkipLines::ToHeader;
    let found = read(&set).expect("read");
    assert_eq!(shown(&found.rows), shown(&expected.rows));
    assert_eq!(found.dead_letters(), expected.dead_letters());
    let days = found.table().column_by_name("d").expect("a column").clone();
    assert_eq!(days.as_primitive::<Date32Type>().value(0), 19_844);
    let at = found.table().column_by_name("at").expect("a column").clone();
    assert_eq!(at.as_primitive::<TimestampMicrosecondType>().value(0), 19_844 * 86_400_000_000);
    assert_eq!(at.null_count(), 0);
}
