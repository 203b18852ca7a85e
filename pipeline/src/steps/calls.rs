//! The calls of a `features` step, such as `avg(tx_amount)`: a tiny grammar of its own, since they
//! aren't SQL expressions over one row. `call = name "(" [ "*" | ["distinct"] column ] ")"`; names
//! and `distinct` in any case; a column in double quotes may hold anything.

use std::fmt;
use std::ops::Range;

use arrow::datatypes::DataType;

use super::columns::{Flow, type_name};
use crate::config::document::{Entry, Value};
use crate::config::problem::Problem;
use crate::config::reader;
use crate::config::span::Spanned;
use crate::config::spec::Sql;
use crate::config::suggest;

/// One `NAME = "function(column)"`.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    /// The column's name, before `_<window>` where there are windows.
    pub(crate) name: Spanned<String>,
    /// What is computed.
    pub(crate) aggregate: Aggregate,
    /// The place of the call.
    pub(crate) call: Sql,
}

/// An aggregate over a window, with its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Aggregate {
    /// `count(*)`: rows.
    CountAll,
    /// `count(col)`: rows in which the column isn't null.
    Count(Spanned<String>),
    /// `sum(col)`.
    Sum(Spanned<String>),
    /// `avg(col)` or `mean(col)`.
    Mean(Spanned<String>),
    /// `min(col)`.
    Min(Spanned<String>),
    /// `max(col)`.
    Max(Spanned<String>),
    /// `stddev(col)`: the sample standard deviation, as in SQL; null for fewer than two values.
    StdDev(Spanned<String>),
    /// `count(distinct col)`.
    CountDistinct(Spanned<String>),
    /// `last(col)`: the newest value that isn't null.
    Last(Spanned<String>),
    /// `seconds_since_last()`: seconds since the key's previous row, null for its first; it has no
    /// window.
    SecondsSinceLast,
}

impl Aggregate {
    /// The column that it reads.
    pub(crate) fn input(&self) -> Option<&Spanned<String>> {
        match self {
            Self::CountAll | Self::SecondsSinceLast => None,
            Self::Count(column)
            | Self::Sum(column)
            | Self::Mean(column)
            | Self::Min(column)
            | Self::Max(column)
            | Self::StdDev(column)
            | Self::CountDistinct(column)
            | Self::Last(column) => Some(column),
        }
    }

    /// Whether there is one value per window; otherwise one per row.
    pub(crate) fn is_windowed(&self) -> bool {
        !matches!(self, Self::SecondsSinceLast)
    }

    /// Whether the column must hold numbers.
    pub(crate) fn needs_number(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Mean(_) | Self::StdDev(_))
    }

    /// Whether the column must hold numbers, times or booleans.
    pub(crate) fn needs_value(&self) -> bool {
        matches!(self, Self::Min(_) | Self::Max(_) | Self::Last(_))
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountAll => f.write_str("count(*)"),
            Self::Count(column) => write!(f, "count({column})"),
            Self::Sum(column) => write!(f, "sum({column})"),
            Self::Mean(column) => write!(f, "avg({column})"),
            Self::Min(column) => write!(f, "min({column})"),
            Self::Max(column) => write!(f, "max({column})"),
            Self::StdDev(column) => write!(f, "stddev({column})"),
            Self::CountDistinct(column) => write!(f, "count(distinct {column})"),
            Self::Last(column) => write!(f, "last({column})"),
            Self::SecondsSinceLast => f.write_str("seconds_since_last()"),
        }
    }
}

pub(crate) fn feature(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Feature> {
    let text = reader::string(&entry.node, &format!("the feature `{}`", entry.key), problems)?;
    let Value::String { verbatim_at, .. } = entry.node.value else { return None };
    let call = Sql { text, verbatim_at };
    match parse(&call) {
        Ok(aggregate) => Some(Feature { name: entry.key.clone(), aggregate, call }),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// Checks the column that an aggregate reads.
pub(crate) fn check_input(flow: &Flow, feature: &Feature, problems: &mut Vec<Problem>) {
    let Some(input) = feature.aggregate.input() else { return };
    let Some(column) = flow.find(input, problems) else { return };
    let Some(data_type) = &column.data_type else { return };
    let is_number = data_type.is_numeric() || *data_type == DataType::Boolean;
    let needs = if feature.aggregate.needs_number() && !is_number {
        "a number"
    } else if feature.aggregate.needs_value() && (data_type.is_string() || data_type.is_binary()) {
        "a number, a time or a boolean"
    } else {
        return;
    };
    problems.push(
        Problem::new(
            input.span,
            format!(
                "`{}` needs {needs}; `{input}` is of type {}",
                feature.aggregate,
                type_name(data_type)
            ),
        )
        .help(
            "`count(col)` and `count(distinct col)` take any type; `min`, `max` and `last` \
             numbers, times and booleans",
        ),
    );
}

/// The type of a feature's column, where it does not depend on the type of its input.
pub(crate) fn feature_type(aggregate: &Aggregate) -> Option<DataType> {
    match aggregate {
        Aggregate::CountAll | Aggregate::Count(_) | Aggregate::CountDistinct(_) => {
            Some(DataType::Int64)
        }
        Aggregate::Mean(_) | Aggregate::StdDev(_) | Aggregate::SecondsSinceLast => {
            Some(DataType::Float64)
        }
        Aggregate::Sum(_) | Aggregate::Min(_) | Aggregate::Max(_) | Aggregate::Last(_) => None,
    }
}

/// The functions as messages show them.
const FUNCTIONS: &str = "count(*), count(col), count(distinct col), sum(col), avg(col), min(col), \
                         max(col), stddev(col), last(col), seconds_since_last()";
const NAMES: [&str; 9] =
    ["count", "sum", "avg", "mean", "min", "max", "stddev", "last", "seconds_since_last"];

/// Parses a call.
///
/// # Errors
/// The problem, pointing into the call where the TOML string has no escapes.
fn parse(call: &Sql) -> Result<Aggregate, Problem> {
    let text = call.as_str();
    let name = trimmed(text, 0..text.find('(').unwrap_or(text.len()));
    let wrong =
        |range: Range<usize>, message: String| Problem::new(call.span_within(range), message);
    let function = text[name.clone()].to_ascii_lowercase();
    if !NAMES.contains(&function.as_str()) {
        let help = match (suggest::closest(&function, NAMES), function.as_str()) {
            (Some(near), _) => format!("did you mean `{near}`? the functions are {FUNCTIONS}"),
            (None, "std" | "stdev" | "stddev_samp") => "did you mean `stddev`?".into(),
            (None, "average") => "did you mean `avg`?".into(),
            (None, "nunique" | "count_distinct" | "approx_distinct") => {
                "did you mean `count(distinct col)`?".into()
            }
            (None, _) => format!("the functions are {FUNCTIONS}"),
        };
        return Err(
            wrong(name.clone(), format!("`{}` isn't a feature function", &text[name])).help(help)
        );
    }
    let Some(inner) = text.find('(').map(|open| open + 1) else {
        return Err(wrong(name, format!("`{function}` has no parentheses"))
            .help(format!("write {}", example(&function))));
    };
    let Some(close) = text.rfind(')').filter(|close| *close >= inner) else {
        return Err(wrong(text.len()..text.len(), "the closing `)` is missing".into())
            .help(format!("write {}", example(&function))));
    };
    let after = trimmed(text, close + 1..text.len());
    if !after.is_empty() {
        return Err(wrong(
            after.clone(),
            format!("`{}` doesn't belong after the call", &text[after]),
        )
        .help("a feature is one call; compute with its column in a `derive` step after this one"));
    }
    let argument = trimmed(text, inner..close);
    let distinct = distinct(text, &argument);
    let column = || column(call, distinct.clone().unwrap_or_else(|| argument.clone()), &function);
    match function.as_str() {
        "seconds_since_last" if argument.is_empty() => Ok(Aggregate::SecondsSinceLast),
        "seconds_since_last" => {
            Err(wrong(argument, "`seconds_since_last` takes no argument".into())
                .help("write seconds_since_last()"))
        }
        "count" if &text[argument.clone()] == "*" => Ok(Aggregate::CountAll),
        "count" if distinct.is_some() => Ok(Aggregate::CountDistinct(column()?)),
        _ if distinct.is_some() => {
            Err(wrong(argument, format!("`{function}` doesn't take `distinct`"))
                .help("`count(distinct col)` does"))
        }
        "count" => Ok(Aggregate::Count(column()?)),
        "sum" => Ok(Aggregate::Sum(column()?)),
        "avg" | "mean" => Ok(Aggregate::Mean(column()?)),
        "min" => Ok(Aggregate::Min(column()?)),
        "max" => Ok(Aggregate::Max(column()?)),
        "stddev" => Ok(Aggregate::StdDev(column()?)),
        _ => Ok(Aggregate::Last(column()?)),
    }
}

fn example(function: &str) -> String {
    match function {
        "count" => "count(*)".into(),
        "seconds_since_last" => "seconds_since_last()".into(),
        _ => format!("{function}(col)"),
    }
}

/// The range of what follows `distinct`, if the argument starts with it.
fn distinct(text: &str, argument: &Range<usize>) -> Option<Range<usize>> {
    let inner = &text[argument.clone()];
    let word = inner.get(..8)?;
    let rest = &inner[8..];
    let is_keyword = word.eq_ignore_ascii_case("distinct")
        && rest.starts_with(|c: char| c.is_whitespace() || c == '"');
    is_keyword.then(|| trimmed(text, argument.start + 8..argument.end))
}

fn column(call: &Sql, range: Range<usize>, function: &str) -> Result<Spanned<String>, Problem> {
    let text = &call.as_str()[range.clone()];
    let span = call.span_within(range);
    let wrong =
        |message: String| Problem::new(span, message).help(format!("write {}", example(function)));
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(quoted) = quoted.filter(|quoted| !quoted.is_empty() && !quoted.contains('"')) {
        return Ok(Spanned::new(quoted.to_owned(), span));
    }
    if text.is_empty() {
        return Err(wrong(format!("`{function}` needs a column")));
    }
    if text == "*" {
        return Err(wrong(format!("`{function}` needs a column; only `count` takes `*`")));
    }
    let plain = text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit());
    if !plain {
        return Err(wrong(format!("`{text}` isn't a column")).help(
            "a feature reads one column; compute it in a `derive` step before this one (a name \
             with other characters goes in double quotes)",
        ));
    }
    Ok(Spanned::new(text.to_owned(), span))
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::span::{Origin, Span};

    fn call(text: &str) -> Result<Aggregate, Problem> {
        let span = Span::new(Origin::File, 0..text.len() + 2);
        parse(&Sql { text: Spanned::new(text.to_owned(), span), verbatim_at: Some(1) })
    }

    fn col(name: &str) -> Spanned<String> {
        Spanned::new(name.to_owned(), Span::default())
    }

    #[test]
    fn every_function_is_parsed_in_any_case_and_spacing() {
        assert_eq!(call("count(*)"), Ok(Aggregate::CountAll));
        assert_eq!(
            call(" COUNT ( distinct  terminal_id ) "),
            Ok(Aggregate::CountDistinct(col("terminal_id")))
        );
        assert_eq!(call("count(distinct_id)"), Ok(Aggregate::Count(col("distinct_id"))));
        assert_eq!(call("mean(a)"), Ok(Aggregate::Mean(col("a"))));
        assert_eq!(call("max(\"Amount (EUR)\")"), Ok(Aggregate::Max(col("Amount (EUR)"))));
        assert_eq!(call("seconds_since_last()"), Ok(Aggregate::SecondsSinceLast));
        for name in ["sum", "avg", "min", "max", "stddev", "last"] {
            assert!(call(&format!("{name}(x)")).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_column_keeps_its_place() {
        let Ok(Aggregate::Mean(column)) = call("avg( tx_amount )") else { panic!("not a mean") };
        assert_eq!((column.span.start, column.span.end), (6, 15));
    }

    #[test]
    fn what_is_no_call_is_refused_with_its_place() {
        for wrong in [
            "",
            "avg",
            "avg(",
            "avg()",
            "avg(*)",
            "avg(a) + 1",
            "avg(a",
            "median(a)",
            "sum(distinct a)",
            "avg(a*b)",
            "((",
            ")(",
            "sum(é é)",
        ] {
            assert!(call(wrong).is_err(), "{wrong}");
        }
        let problem = call("agv(x)").unwrap_err();
        assert!(problem.help.unwrap_or_default().starts_with("did you mean `avg`?"));
        assert_eq!((problem.span.start, problem.span.end), (1, 4));
    }
}
