//! PostgreSQL's types, with its own numbers, and which of them a column has.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow::datatypes::{DataType, Field};

/// The key in a field's metadata under which the name of its PostgreSQL type stands.
pub(crate) const TYPE_KEY: &str = "postgres.type";
/// The key of a column's metadata that is there if its `numeric` has no precision of its own.
pub(crate) const UNBOUND_KEY: &str = "postgres.unbound";

/// A type that PostgreSQL brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeRow {
    /// Its number.
    pub(crate) oid: u32,
    /// Its name in `pg_type`: `int4`, `_text`.
    pub(crate) name: &'static str,
    /// The bytes of a value; -1: they differ.
    pub(crate) length: i16,
    /// Whether it is passed by value.
    pub(crate) by_value: bool,
    /// `b`, `d`, `r`, `m` or `p`: plain, domain, range, multirange, pseudo.
    pub(crate) kind: &'static str,
    /// The letter of its category.
    pub(crate) category: &'static str,
    /// Whether it is preferred in its category.
    pub(crate) preferred: bool,
    /// What stands between the elements of its arrays.
    pub(crate) delimiter: &'static str,
    /// The type of its elements, or 0.
    pub(crate) element: u32,
    /// The type of its arrays, or 0.
    pub(crate) array: u32,
    /// The functions that read and write it: in, out, receive, send, modifier in, modifier out.
    pub(crate) functions: [&'static str; 6],
    /// Its alignment.
    pub(crate) align: &'static str,
    /// How it is stored.
    pub(crate) storage: &'static str,
    /// What a domain is made of, or 0.
    pub(crate) base: u32,
    /// Its collation, or 0.
    pub(crate) collation: u32,
    /// Its schema.
    pub(crate) schema: &'static str,
    /// Its name as `format_type` gives it.
    pub(crate) display: &'static str,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Types {
    /// By number.
    pub(crate) rows: Vec<TypeRow>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<&'static str, usize>,
}

/// Other names of types, which `'…'::regtype` takes.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("int", "int4"),
    ("decimal", "numeric"),
    ("float", "float8"),
    ("character", "bpchar"),
    ("timestamp with time zone", "timestamptz"),
    ("timestamp without time zone", "timestamp"),
    ("time with time zone", "timetz"),
    ("time without time zone", "time"),
    ("serial", "int4"),
    ("bigserial", "int8"),
    ("string", "text"),
];

impl Types {
    /// The type with a number.
    pub(crate) fn by_oid(&self, oid: u32) -> Option<&TypeRow> {
        self.by_oid.get(&oid).and_then(|at| self.rows.get(*at))
    }

    /// The type with a name of `pg_type`.
    pub(crate) fn by_name(&self, name: &str) -> Option<&TypeRow> {
        self.by_name.get(name).and_then(|at| self.rows.get(*at))
    }

    /// The type that a text means, as `'…'::regtype` reads it: `integer`, `pg_catalog.int4[]`.
    pub(crate) fn by_text(&self, text: &str) -> Option<&TypeRow> {
        let text = text.trim();
        if let Some(element) = text.strip_suffix("[]") {
            return self.by_text(element).and_then(|row| self.by_oid(row.array));
        }
        let text = text.strip_prefix("pg_catalog.").unwrap_or(text);
        if let Some(quoted) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            return self.by_name(quoted);
        }
        let lower = text.to_ascii_lowercase();
        let bare = without_modifier(&lower);
        let bare = bare.as_str();
        // `char` without quotes is `character(1)`, which is another type than `"char"`.
        let name = match bare {
            "char" => "bpchar",
            _ => OTHER_NAMES.iter().find(|(other, _)| *other == bare).map_or(bare, |(_, n)| *n),
        };
        self.by_name(name).or_else(|| self.rows.iter().find(|row| row.display == bare))
    }
}

/// `numeric(10,2)` as `numeric`; `timestamp(3) with time zone` as `timestamp with time zone`.
fn without_modifier(text: &str) -> String {
    match (text.find('('), text.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            let mut bare = text[..open].trim_end().to_owned();
            bare.push_str(&text[close + 1..]);
            bare
        }
        _ => text.to_owned(),
    }
}

/// PostgreSQL's types.
pub(crate) fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let rows: Vec<_> = include_str!("types.txt").lines().filter_map(parse).collect();
        let by_oid = rows.iter().enumerate().map(|(at, row)| (row.oid, at)).collect();
        let by_name = rows.iter().enumerate().map(|(at, row)| (row.name, at)).collect();
        Types { rows, by_oid, by_name }
    })
}

fn parse(line: &'static str) -> Option<TypeRow> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    Some(TypeRow {
        oid: next()?.parse().ok()?,
        name: next()?,
        length: next()?.parse().ok()?,
        by_value: next()? == "1",
        kind: next()?,
        category: next()?,
        preferred: next()? == "1",
        delimiter: next()?,
        element: next()?.parse().ok()?,
        array: next()?.parse().ok()?,
        functions: [next()?, next()?, next()?, next()?, next()?, next()?],
        align: next()?,
        storage: next()?,
        base: next()?.parse().ok()?,
        collation: next()?.parse().ok()?,
        schema: next()?,
        display: display(next()?),
    })
}

/// Spaces stand as `~` in the file, which has one word for each column.
fn display(word: &'static str) -> &'static str {
    if word.contains('~') { Box::leak(word.replace('~', " ").into_boxed_str()) } else { word }
}

/// The number of `json`, as which structs and maps are shown.
const JSON: u32 = 114;

/// The number of `uuid`.
const UUID: u32 = 2950;

/// The number of `text`, which stands in for what is not known.
pub(crate) const TEXT: u32 = 25;

/// The PostgreSQL type of a column and its modifier (-1: none).
pub(crate) fn type_of(field: &Field) -> (u32, i32) {
    let named = field.metadata().get(TYPE_KEY);
    if let Some(row) = named.and_then(|name| types().by_name(name.trim_matches('"'))) {
        let oid = match field.data_type() {
            DataType::List(_) if row.category != "A" && row.array != 0 => row.array,
            _ => row.oid,
        };
        return (oid, -1);
    }
    match field.extension_type_name() {
        Some("arrow.uuid") => return (UUID, -1),
        Some("arrow.json") => return (JSON, -1),
        _ => {}
    }
    type_of_data(field.data_type())
}

/// The same of an Arrow type, where there is no field to say more.
pub(crate) fn type_of_data(data: &DataType) -> (u32, i32) {
    let oid = match data {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 21,
        DataType::UInt16 | DataType::Int32 => 23,
        DataType::Int64 => 20,
        // The one type of PostgreSQL with these values; those of its catalog have it.
        DataType::UInt32 => 26,
        DataType::UInt64 => return (1700, modifier(20, 0)),
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return (1700, modifier(*precision, *scale)),
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        // What Parquet and parameters have of this length.
        DataType::FixedSizeBinary(16) => UUID,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => 17,
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => JSON,
        DataType::Dictionary(_, values) => return type_of_data(values),
        DataType::RunEndEncoded(_, values) => return type_of(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            let (element, modifier) = type_of(item);
            // Lists of lists may be ragged, which PostgreSQL's arrays can't be.
            return match types().by_oid(element) {
                Some(row) if row.array != 0 => (row.array, modifier),
                _ => (JSON, -1),
            };
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TEXT,
    };
    (oid, -1)
}

/// How PostgreSQL writes precision and scale into one number.
fn modifier(precision: u8, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// A type's name with its modifier, as `format_type` gives it.
pub(crate) fn format_type(row: &TypeRow, modifier: i32) -> String {
    if modifier < 0 {
        return row.display.to_owned();
    }
    if let Some(element) = types().by_oid(row.element).filter(|_| row.category == "A") {
        return format!("{}[]", format_type(element, modifier));
    }
    match row.oid {
        1700 if modifier >= 4 => {
            let packed = modifier - 4;
            // The scale has eleven bits, the highest of which is its sign.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            format!("numeric({},{scale})", (packed >> 16) & 0xffff)
        }
        1042 | 1043 if modifier >= 4 => format!("{}({})", row.display, modifier - 4),
        1560 | 1562 => format!("{}({modifier})", row.display),
        1083 | 1114 | 1184 | 1266 => match row.display.split_once(' ') {
            Some((first, rest)) => format!("{first}({modifier}) {rest}"),
            None => row.display.to_owned(),
        },
        _ => row.display.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_file_is_read_and_refers_to_others_of_it() {
        assert_eq!(types().rows.len(), include_str!("types.txt").lines().count());
        for row in &types().rows {
            assert!(row.element == 0 || types().by_oid(row.element).is_some(), "{}", row.name);
            assert!(row.array == 0 || types().by_oid(row.array).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn types_are_found_by_what_people_call_them() {
        for (text, name) in [
            ("integer", "int4"),
            ("INT", "int4"),
            ("pg_catalog.int8", "int8"),
            ("character varying(10)", "varchar"),
            ("numeric(10, 2)[]", "_numeric"),
            ("timestamp(3) with time zone", "timestamptz"),
            ("\"char\"", "char"),
            ("char", "bpchar"),
        ] {
            assert_eq!(types().by_text(text).map(|row| row.name), Some(name), "{text}");
        }
        assert!(types().by_text("no such type").is_none());
    }

    #[test]
    fn a_type_is_shown_with_its_modifier() {
        let shown = |data| {
            let (oid, modifier) = type_of(&Field::new("a", data, true));
            types().by_oid(oid).map(|row| format_type(row, modifier)).unwrap()
        };
        assert_eq!(shown(DataType::Decimal128(10, 2)), "numeric(10,2)");
        assert_eq!(shown(DataType::Decimal128(5, -3)), "numeric(5,-3)");
        assert_eq!(shown(DataType::UInt64), "numeric(20,0)");
        assert_eq!(shown(DataType::new_list(DataType::Utf8, true)), "text[]");
        assert_eq!(shown(DataType::Boolean), "boolean");
    }
}
