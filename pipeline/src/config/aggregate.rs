//! The calls of a `features` step, such as `avg(tx_amount)`: a tiny grammar of its own, since they
//! aren't SQL expressions over one row. `call = name "(" [ "*" | ["distinct"] column ] ")"`; names
//! and `distinct` in any case; a column in double quotes may hold anything.

use std::ops::Range;

use super::problem::Problem;
use super::span::Spanned;
use super::spec::{Aggregate, Sql};
use super::suggest;

/// The functions as messages show them.
const FUNCTIONS: &str = "count(*), count(col), count(distinct col), sum(col), avg(col), min(col), \
                         max(col), stddev(col), last(col), seconds_since_last()";
const NAMES: [&str; 9] =
    ["count", "sum", "avg", "mean", "min", "max", "stddev", "last", "seconds_since_last"];

/// Parses a call.
///
/// # Errors
/// The problem, pointing into the call where the TOML string has no escapes.
pub(crate) fn parse(call: &Sql) -> Result<Aggregate, Problem> {
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
    use super::super::span::{Origin, Span};
    use super::*;

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
