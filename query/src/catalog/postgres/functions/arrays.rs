//! Arrays, as PostgreSQL counts and writes them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::datatypes::{ArrowNativeType, DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::Volatility::Immutable;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Body, Definition, Row};
use super::context::FunctionContext;

pub(super) const DEFINITIONS: &[Definition] = &[
    int("array_lower", &["AI"], |_, row| Ok(length(row)?.filter(|length| *length > 0).map(|_| 1))),
    int("array_upper", &["AI"], |_, row| Ok(length(row)?.filter(|length| *length > 0))),
    int("array_length", &["AI"], |_, row| Ok(length(row)?.filter(|length| *length > 0))),
    int("cardinality", &["A"], |_, row| count(&row.any(0)?)),
    Definition {
        name: "array_dims",
        takes: &["A"],
        gives: "text",
        volatility: Immutable,
        body: Body::Text(|_, row| {
            let count = count(&row.any(0)?)?.filter(|count| *count > 0);
            Ok(count.map(|count| format!("[1:{count}]")))
        }),
    },
    // What `'{a,b}'::text[]` becomes where it is not a literal.
    Definition {
        name: "_text_array",
        takes: &["T"],
        gives: "_text",
        volatility: Immutable,
        body: Body::Texts(|_, row| match row.text(0) {
            None => Ok(None),
            Some(text) => match elements(text) {
                Some(elements) => Ok(Some(elements)),
                None => exec_err!("malformed array literal: \"{text}\""),
            },
        }),
    },
];

const fn int(
    name: &'static str,
    takes: &'static [&'static str],
    body: fn(&FunctionContext, Row<'_>) -> Result<Option<i64>>,
) -> Definition {
    Definition { name, takes, gives: "int4", volatility: Immutable, body: Body::Int(body) }
}

/// The elements of a list, of its first dimension or of the first list in it.
fn length(row: Row<'_>) -> Result<Option<i64>> {
    let array = row.any(0)?;
    match row.int(1) {
        Some(1) => count(&array),
        Some(2) => match first(&array) {
            Some(inner) => count(&inner?),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn values(array: &ScalarValue) -> Option<ArrayRef> {
    match array {
        ScalarValue::List(list) if list.is_valid(0) => Some(list.value(0)),
        ScalarValue::LargeList(list) if list.is_valid(0) => Some(list.value(0)),
        ScalarValue::FixedSizeList(list) if list.is_valid(0) => Some(list.value(0)),
        _ => None,
    }
}

fn first(array: &ScalarValue) -> Option<Result<ScalarValue>> {
    let values = values(array)?;
    (!values.is_empty()).then(|| ScalarValue::try_from_array(&values, 0))
}

fn count(array: &ScalarValue) -> Result<Option<i64>> {
    Ok(values(array).and_then(|values| i64::try_from(values.len()).ok()))
}

/// The elements of an array's text: `{a,"b c",NULL}`. Arrays in arrays are left as they are.
pub(in crate::catalog::postgres) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut all = Vec::new();
    let mut element = String::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut depth = 0_usize;
    let mut characters = inner.chars();
    let mut push = |element: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(element);
        all.push(match text.trim() {
            null if null.eq_ignore_ascii_case("null") && !*was_quoted => None,
            trimmed if !*was_quoted => Some(trimmed.to_owned()),
            _ => Some(text),
        });
        *was_quoted = false;
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => element.push(characters.next()?),
            '"' => {
                if !quoted {
                    element = element.trim_start().to_owned();
                }
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted && depth == 0 => push(&mut element, &mut was_quoted),
            ' ' if was_quoted && !quoted => {}
            other => {
                match other {
                    '{' if !quoted => depth += 1,
                    '}' if !quoted => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                element.push(other);
            }
        }
    }
    if quoted || depth > 0 {
        return None;
    }
    if !inner.trim().is_empty() {
        push(&mut element, &mut was_quoted);
    }
    Some(all)
}

/// The functions that give lists of what they are given.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let signature = Signature::any(1, Volatility::Immutable);
    let any = signature.clone();
    vec![
        Arc::new(ScalarUDF::new_from_impl(ExpandArray { signature })),
        Arc::new(ScalarUDF::new_from_impl(OrEmpty { signature: any })),
    ]
}

/// `_pg_expandarray`: each element with its place, as a list of pairs that `unnest` makes rows of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExpandArray {
    signature: Signature,
}

fn pair(element: &Field) -> Fields {
    Fields::from(vec![
        Field::new("x", element.data_type().clone(), true),
        Field::new("n", DataType::Int32, true),
    ])
}

impl ScalarUDFImpl for ExpandArray {
    fn name(&self) -> &'static str {
        "_pg_expandarray"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::List(element)] => {
                Ok(DataType::new_list(DataType::Struct(pair(element)), true))
            }
            _ => plan_err!("function _pg_expandarray takes an array"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [lists] = arguments.args.as_slice() else {
            return exec_err!("function _pg_expandarray takes one argument");
        };
        let lists = lists.to_array(rows)?;
        let lists = lists.as_list::<i32>();
        let values = lists.values();
        let DataType::List(element) = lists.data_type() else {
            return exec_err!("function _pg_expandarray takes an array");
        };
        let mut places = vec![0; values.len()];
        for window in lists.value_offsets().windows(2) {
            let (start, end) = (window[0].as_usize(), window[1].as_usize());
            for (place, number) in places[start..end].iter_mut().zip(1..) {
                *place = number;
            }
        }
        let fields = pair(element);
        let places: ArrayRef = Arc::new(Int32Array::from(places));
        let pairs = StructArray::new(fields.clone(), vec![Arc::clone(values), places], None);
        let field = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
        let list = ListArray::try_new(
            field,
            lists.offsets().clone(),
            Arc::new(pairs),
            lists.nulls().cloned(),
        )?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

/// `_or_empty`: a list, an empty one where there is none.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrEmpty {
    signature: Signature,
}

impl ScalarUDFImpl for OrEmpty {
    fn name(&self) -> &'static str {
        "_or_empty"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [data] => Ok(data.clone()),
            _ => plan_err!("function _or_empty takes one argument"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values] = arguments.args.as_slice() else {
            return exec_err!("function _or_empty takes one argument");
        };
        let values = values.to_array(arguments.number_rows)?;
        if values.null_count() == 0 {
            return Ok(ColumnarValue::Array(values));
        }
        let empty = match values.data_type() {
            // A text that stands for an array.
            DataType::Utf8 => ScalarValue::from("{}"),
            list => ScalarValue::new_default(list)?,
        };
        let empty = empty.to_array_of_size(values.len())?;
        let there = arrow::compute::is_not_null(&values)?;
        Ok(ColumnarValue::Array(arrow::compute::kernels::zip::zip(&there, &values, &empty)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_read_from_its_text() {
        let some = |texts: &[&str]| Some(texts.iter().map(|t| Some((*t).to_owned())).collect());
        assert_eq!(elements("{r,p, f}"), some(&["r", "p", "f"]));
        assert_eq!(elements("{}"), some(&[]));
        assert_eq!(elements(r#"{"a, b","c\"d",""}"#), some(&["a, b", "c\"d", ""]));
        assert_eq!(elements("{NULL,\"NULL\"}"), Some(vec![None, Some("NULL".to_owned())]));
        assert_eq!(elements("r,p"), None);
        assert_eq!(elements("{\"a}"), None);
    }
}
