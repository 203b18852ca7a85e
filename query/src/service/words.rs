//! What DataFusion and Arrow say of a fault in words only, as PostgreSQL says it: its SQLSTATE, and
//! its text where that is another.

use super::sqlstate::SqlState;

/// A fault, with PostgreSQL's text for it if ours is another.
pub(super) type Said = (SqlState, Option<String>);

/// What DataFusion's planner says, its SQLSTATE, and PostgreSQL's text. The first that fits counts.
const PLANNER: [(&str, &str, &str); 23] = [
    ("LIMIT must be >= 0", "2201W", "LIMIT must not be negative"),
    ("OFFSET must be >=0", "2201X", "OFFSET must not be negative"),
    ("not allowed in the WHERE", "42803", "aggregate functions are not allowed in WHERE"),
    ("must appear in the GROUP BY", "42803", ""),
    ("must be in GROUP BY", "42803", ""),
    ("GROUP BY clause", "42803", ""),
    ("Order by column out of bounds", "42P10", ""),
    ("Cannot find column with position", "42P10", ""),
    ("The window ", "42704", ""),
    ("Invalid qualifier", "42P01", ""),
    ("Invalid function", "42883", ""),
    ("No function matches", "42883", ""),
    ("There is no window function", "42883", ""),
    ("Failed to coerce arguments to satisfy", "42883", ""),
    ("unction '", "42883", ""),
    ("logical boolean operation", "42804", ""),
    ("Cannot coerce arithmetic expression", "42883", ""),
    ("Cannot infer common", "42883", ""),
    ("Cannot get result type for", "42883", ""),
    ("Unary operator '-'", "42883", ""),
    ("annot coerce", "42804", ""),
    ("annot cast", "42804", ""),
    ("type_coercion", "42804", ""),
];

/// What is said while rows are made, its SQLSTATE, and PostgreSQL's text.
const WORK: [(&str, &str, &str); 8] = [
    ("ivide by zero", "22012", "division by zero"),
    (
        "returned more than one row",
        "21000",
        "more than one row returned by a subquery used as an expression",
    ),
    ("egular expression did not compile", "2201B", "invalid regular expression"),
    ("regex parse error", "2201B", "invalid regular expression"),
    ("exceeds size limit", "2201B", "invalid regular expression: it is too complex"),
    ("verflow", "22003", ""),
    ("out of range", "22003", ""),
    ("too large to store in", "22003", "numeric field overflow"),
];

/// Beginnings of PostgreSQL's own texts, which our functions say.
const POSTGRES: [(&str, &str); 34] = [
    ("invalid input syntax for type date", "22007"),
    ("invalid input syntax for type time", "22007"),
    ("invalid input syntax for type interval", "22007"),
    ("invalid input syntax", "22P02"),
    ("invalid value \"", "22007"),
    ("malformed ", "22P02"),
    ("date/time field value out of range", "22008"),
    ("date out of range", "22008"),
    ("timestamp out of range", "22008"),
    ("interval out of range", "22008"),
    ("time zone displacement out of range", "22009"),
    ("interval field value out of range", "22015"),
    ("invalid regular expression", "2201B"),
    ("cannot take square root", "2201F"),
    ("a negative number raised to", "2201F"),
    ("zero raised to a negative power", "2201F"),
    ("cannot take logarithm", "2201E"),
    ("count must be greater than zero", "2201G"),
    ("lower bound cannot equal upper bound", "2201G"),
    ("invalid escape string", "22025"),
    ("invalid hexadecimal", "22023"),
    ("negative substring length", "22011"),
    ("requested length too large", "54000"),
    ("null character not permitted", "54000"),
    ("null values cannot be formatted", "22004"),
    ("null value not allowed for object key", "22004"),
    ("operator does not exist", "42883"),
    ("cannot cast type", "42846"),
    ("missing FROM-clause entry", "42P01"),
    ("argument of ", "42804"),
    ("each UNION query", "42601"),
    ("function ", "42883"),
    ("LIMIT must not be negative", "2201W"),
    ("OFFSET must not be negative", "2201X"),
];

/// What `X "name" does not exist` is about.
const MISSING: [(&str, &str); 7] = [
    ("relation ", "42P01"),
    ("column ", "42703"),
    ("function ", "42883"),
    ("operator ", "42883"),
    ("schema ", "3F000"),
    ("database ", "3D000"),
    ("window ", "42704"),
];

/// Types of Arrow as they stand in its texts, and their names in SQL. `Timestamp(µs, "UTC")` has a
/// zone.
const TYPES: [(&str, &str); 22] = [
    ("Null", "unknown"),
    ("Boolean", "boolean"),
    ("Int8", "smallint"),
    ("UInt8", "smallint"),
    ("Int16", "smallint"),
    ("UInt16", "integer"),
    ("Int32", "integer"),
    ("UInt32", "oid"),
    ("Int64", "bigint"),
    ("UInt64", "numeric"),
    ("Decimal128", "numeric"),
    ("Decimal256", "numeric"),
    ("Float32", "real"),
    ("Float64", "double precision"),
    ("Utf8", "text"),
    ("Utf8View", "text"),
    ("LargeUtf8", "text"),
    ("Binary", "bytea"),
    ("Date32", "date"),
    ("Time64", "time"),
    ("Timestamp", "timestamp"),
    ("Interval", "interval"),
];

/// A type in a text of Arrow's, as SQL names it.
fn named(arrow: &str) -> Option<&'static str> {
    let bare = arrow.split('(').next().unwrap_or_default().trim();
    match TYPES.iter().find(|(name, _)| *name == bare)?.1 {
        "timestamp" if arrow.contains(", ") => Some("timestamp with time zone"),
        name => Some(name),
    }
}

fn found(said: &str, all: &[(&'static str, &'static str, &'static str)]) -> Option<Said> {
    let (_, code, text) = all.iter().find(|(words, ..)| said.contains(words))?;
    Some((SqlState(code), (!text.is_empty()).then(|| (*text).to_owned())))
}

/// A text that is PostgreSQL's already.
fn of_postgres(said: &str) -> Option<SqlState> {
    if said.ends_with(" does not exist") {
        let about = MISSING.iter().find(|(beginning, _)| said.starts_with(beginning));
        return Some(SqlState(about.map_or("42704", |(_, code)| code)));
    }
    if said.starts_with("value \"") && said.contains("\" is out of range for type ") {
        return Some(SqlState::OUT_OF_RANGE);
    }
    let found = POSTGRES.iter().find(|(beginning, _)| said.starts_with(beginning));
    found.map(|(_, code)| SqlState(code))
}

/// What the planner says.
pub(super) fn of_plan(said: &str) -> Said {
    if said.starts_with("table '") && said.ends_with("not found") || said.contains("No table named")
    {
        return (SqlState::UNKNOWN_TABLE, None);
    }
    if let Some(code) = of_postgres(said) {
        return (code, None);
    }
    if let Some((_, result)) = said.rsplit_once(" returning ")
        && said.starts_with("Cannot create filter with non-boolean predicate")
    {
        let name = named(result).unwrap_or("another");
        let text = format!("argument of WHERE must be type boolean, not type {name}");
        return (SqlState::TYPE_MISMATCH, Some(text));
    }
    if said.contains("queries have different number of columns") {
        let text = "each UNION query must have the same number of columns".to_owned();
        return (SqlState::SYNTAX, Some(text));
    }
    if said.starts_with("Unary operator 'NOT'") {
        let name = said.rsplit("got ").next().and_then(named).unwrap_or("another");
        let text = format!("argument of NOT must be type boolean, not type {name}");
        return (SqlState::TYPE_MISMATCH, Some(text));
    }
    match found(said, &PLANNER) {
        Some((SqlState::UNKNOWN_FUNCTION, None)) => (SqlState::UNKNOWN_FUNCTION, operator(said)),
        Some((SqlState::GROUPING, None)) => (SqlState::GROUPING, ungrouped(said)),
        Some(said) => said,
        None => (SqlState::SYNTAX, None),
    }
}

/// `… operation Int64 = Boolean`: an operator between types that have none.
fn operator(said: &str) -> Option<String> {
    let said = said.strip_suffix(" to valid types").unwrap_or(said);
    let behind = ["expression ", " operation "].iter().find_map(|word| said.split_once(word))?.1;
    let mut words = behind.split(' ');
    let (left, operator, right) = (words.next()?, words.next()?, words.next()?);
    let (left, right) = (named(left)?, named(right.trim_end_matches(':'))?);
    Some(format!("operator does not exist: {left} {operator} {right}"))
}

/// A column that is neither grouped nor aggregated.
fn ungrouped(said: &str) -> Option<String> {
    let (_, behind) = said.split_once("column \"")?;
    let (name, _) = behind.split_once('"')?;
    let rest = "must appear in the GROUP BY clause or be used in an aggregate function";
    Some(format!("column \"{name}\" {rest}"))
}

/// What is said while rows are made, or of arguments of functions.
pub(super) fn of_work(said: &str) -> Said {
    if let Some(code) = of_postgres(said) {
        return (code, None);
    }
    // Functions say of their arguments what is neither.
    found(said, &WORK).unwrap_or((SqlState("22023"), None))
}

/// What is not built; a type that nobody knows is none of that.
pub(super) fn of_unsupported(said: &str) -> Said {
    let unknown = said.strip_prefix("Unsupported SQL type ").filter(|name| {
        let is_known = crate::builtins::types::types().by_text(name).is_some();
        !is_known && name.chars().all(|c| c.is_ascii_alphanumeric() || "_\"".contains(c))
    });
    match unknown {
        Some(name) => {
            let text = format!("type \"{}\" does not exist", name.trim_matches('"'));
            (SqlState("42704"), Some(text))
        }
        None => (SqlState::UNSUPPORTED, None),
    }
}

/// An internal error, or another crate's, that is none: of patterns and of arguments.
pub(super) fn of_internal(said: &str) -> Option<Said> {
    if said.contains("egular expression did not compile") || said.contains("regex parse error") {
        return Some((SqlState("2201B"), Some("invalid regular expression".to_owned())));
    }
    let (name, _) = said.strip_prefix("Function '")?.split_once("' failed to match")?;
    Some((SqlState::UNKNOWN_FUNCTION, Some(format!("function {name} does not exist"))))
}

/// A value that does not become one of another type.
pub(super) fn of_cast(said: &str) -> Said {
    if let Some((text, to)) = uncast(said) {
        return of_text(text, to);
    }
    if let Some(rest) = said.strip_prefix("Can't cast value ")
        && let Some((_, to)) = rest.rsplit_once(" to type ")
    {
        let text = named(to).map(|name| format!("{name} out of range"));
        return (SqlState::OUT_OF_RANGE, text);
    }
    if said.contains("interval field value out of range") {
        return (SqlState("22015"), Some("interval field value out of range".to_owned()));
    }
    if said.contains("too large") || said.contains("verflow") || said.contains("out of range") {
        return (SqlState::OUT_OF_RANGE, None);
    }
    let is_time = ["imestamp", "nterval", "Date32", "Date64", "Time32", "Time64"];
    match is_time.iter().any(|word| said.contains(word)) {
        true => (SqlState::INVALID_DATETIME, None),
        false => (SqlState::INVALID_TEXT, None),
    }
}

/// The text of which Arrow says that it is none of a type, and that type.
fn uncast(said: &str) -> Option<(&str, &str)> {
    if let Some(rest) = said.strip_prefix("Cannot cast string '") {
        let (text, to) = rest.rsplit_once("' to value of ")?;
        return Some((text, to.strip_suffix(" type").unwrap_or(to)));
    }
    if let Some(rest) = said.strip_prefix("Error parsing timestamp from '") {
        return Some((rest.rsplit_once("': ")?.0, "Timestamp"));
    }
    let rest = said.strip_prefix("Invalid input syntax for type interval: \"")?;
    Some((rest.strip_suffix('"')?, "Interval"))
}

fn of_text(text: &str, to: &str) -> Said {
    let Some(name) = named(to) else { return (SqlState::INVALID_TEXT, None) };
    let wrong = format!("invalid input syntax for type {name}: \"{text}\"");
    match name {
        "date" | "time" | "timestamp" | "timestamp with time zone" if is_like_time(text) => {
            let text = format!("date/time field value out of range: \"{text}\"");
            (SqlState("22008"), Some(text))
        }
        "date" | "time" | "timestamp" | "timestamp with time zone" | "interval" => {
            (SqlState::INVALID_DATETIME, Some(wrong))
        }
        "smallint" | "integer" | "bigint" if is_whole_number(text) => {
            let text = format!("value \"{text}\" is out of range for type {name}");
            (SqlState::OUT_OF_RANGE, Some(text))
        }
        "numeric" if is_whole_number(text) => {
            (SqlState::OUT_OF_RANGE, Some("numeric field overflow".to_owned()))
        }
        _ => (SqlState::INVALID_TEXT, Some(wrong)),
    }
}

/// Whether a text has the form of a date or time, so that only its numbers can be wrong.
fn is_like_time(text: &str) -> bool {
    let text = text.trim();
    text.matches(['-', ':']).count() >= 2
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || "-:. T+Z".contains(c))
}

fn is_whole_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
