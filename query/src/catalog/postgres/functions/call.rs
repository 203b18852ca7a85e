//! A row of a table of functions as a function of DataFusion.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::tables::columns::arrow_type;
use super::context::FunctionContext;
use crate::builtins::types::{TYPE_KEY, types};

/// A function of PostgreSQL.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its name.
    pub(super) name: &'static str,
    /// What it takes, one string for each number of arguments, one letter for each argument: `T`
    /// text, `I` integer, `O` integer or the text of a name, `B` boolean, `F` float, `A` anything.
    /// A last `*` stands for any number of anything.
    pub(super) takes: &'static [&'static str],
    /// The PostgreSQL type that it gives.
    pub(super) gives: &'static str,
    /// How far its answer depends on more than its arguments.
    pub(super) volatility: Volatility,
    /// What it does with one row.
    pub(super) body: Body,
}

type Answer<T> = Result<Option<T>>;

/// What a function does with one row, by what it gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Text(fn(&FunctionContext, Row<'_>) -> Answer<String>),
    Bool(fn(&FunctionContext, Row<'_>) -> Answer<bool>),
    Int(fn(&FunctionContext, Row<'_>) -> Answer<i64>),
    Texts(fn(&FunctionContext, Row<'_>) -> Answer<Vec<Option<String>>>),
}

/// The arguments of one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a [ArrayRef],
    fields: &'a [FieldRef],
    at: usize,
}

impl<'a> Row<'a> {
    /// An argument that is a text, unless it is null or not there.
    pub(super) fn text(&self, argument: usize) -> Option<&'a str> {
        let array = self.columns.get(argument)?.as_string_opt::<i32>()?;
        array.is_valid(self.at).then(|| array.value(self.at))
    }

    /// An argument that is an integer, likewise.
    pub(super) fn int(&self, argument: usize) -> Option<i64> {
        let array = self.columns.get(argument)?.as_primitive_opt::<Int64Type>()?;
        array.is_valid(self.at).then(|| array.value(self.at))
    }

    /// An argument that is a number of something, likewise.
    pub(super) fn oid(&self, argument: usize) -> Option<u32> {
        u32::try_from(self.int(argument)?).ok()
    }

    /// An argument that is a float, likewise.
    pub(super) fn float(&self, argument: usize) -> Option<f64> {
        let array = self.columns.get(argument)?.as_primitive_opt::<Float64Type>()?;
        array.is_valid(self.at).then(|| array.value(self.at))
    }

    /// An argument that is a boolean, likewise.
    pub(super) fn bool(&self, argument: usize) -> Option<bool> {
        let array = self.columns.get(argument)?.as_boolean_opt()?;
        array.is_valid(self.at).then(|| array.value(self.at))
    }

    /// An argument of any type; null where it is not there.
    pub(super) fn any(&self, argument: usize) -> Result<ScalarValue> {
        match self.columns.get(argument) {
            Some(array) => ScalarValue::try_from_array(array, self.at),
            None => Ok(ScalarValue::Null),
        }
    }

    /// The type of an argument, with what is known of it.
    pub(super) fn field(&self, argument: usize) -> Option<&'a Field> {
        self.fields.get(argument).map(AsRef::as_ref)
    }

    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.fields.len()
    }
}

/// A function of DataFusion for a row of a table.
pub(super) fn function(
    definition: &'static Definition,
    context: &FunctionContext,
) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(definition.volatility);
    let context = context.clone();
    Arc::new(ScalarUDF::new_from_impl(Call { definition, signature, context }))
}

#[derive(Debug)]
struct Call {
    definition: &'static Definition,
    signature: Signature,
    context: FunctionContext,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.definition, other.definition)
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl Call {
    fn data_type(&self) -> DataType {
        match types().by_name(self.definition.gives) {
            Some(row) => arrow_type(row),
            None => DataType::Utf8,
        }
    }

    fn run(&self, columns: &[ArrayRef], fields: &[FieldRef], rows: usize) -> Result<ArrayRef> {
        let context = &self.context;
        let each = (0..rows).map(|at| Row { columns, fields, at });
        Ok(match self.definition.body {
            Body::Text(body) => {
                let texts = each.map(|row| body(context, row));
                Arc::new(texts.collect::<Result<StringArray>>()?)
            }
            Body::Bool(body) => {
                let values = each.map(|row| body(context, row));
                Arc::new(values.collect::<Result<BooleanArray>>()?)
            }
            Body::Int(body) => {
                let values = each.map(|row| body(context, row));
                Arc::new(values.collect::<Result<Int64Array>>()?)
            }
            Body::Texts(body) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for row in each {
                    let list = body(context, row)?;
                    let there = list.is_some();
                    for text in list.into_iter().flatten() {
                        lists.values().append_option(text);
                    }
                    lists.append(there);
                }
                Arc::new(lists.finish())
            }
        })
    }
}

impl ScalarUDFImpl for Call {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.definition.name, self.data_type(), true);
        let gives = self.definition.gives;
        Ok(Arc::new(match gives {
            "text" | "bool" | "int2" | "int4" | "int8" | "float8" | "_text" => field,
            _ => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), gives.to_owned())])),
        }))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let taken = self.definition.takes.iter().find(|letters| match letters.strip_suffix('*') {
            Some(first) => first.len() <= arguments.len(),
            None => letters.len() == arguments.len(),
        });
        let Some(letters) = taken else {
            return plan_err!(
                "function {} does not exist with {} arguments",
                self.definition.name,
                arguments.len()
            );
        };
        let letters = letters.trim_end_matches('*').chars().chain(std::iter::repeat('A'));
        arguments.iter().zip(letters).map(|(data, letter)| coerced(letter, data)).collect()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let volatile = self.definition.volatility == Volatility::Volatile;
        let rows = if scalar && !(volatile && arguments.args.is_empty()) {
            1
        } else {
            arguments.number_rows
        };
        let columns = arguments
            .args
            .into_iter()
            .map(|arg| arg.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let array = self.run(&columns, &arguments.arg_fields, rows)?;
        let array = match array.data_type() == arguments.return_field.data_type() {
            true => array,
            false => arrow::compute::cast(&array, arguments.return_field.data_type())?,
        };
        match scalar && array.len() == 1 {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}

fn coerced(letter: char, data: &DataType) -> Result<DataType> {
    let is_text = matches!(
        data,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _)
    );
    Ok(match letter {
        'T' => DataType::Utf8,
        'I' => DataType::Int64,
        'O' if is_text || data.is_null() => DataType::Utf8,
        'O' => DataType::Int64,
        'B' => DataType::Boolean,
        'F' => DataType::Float64,
        'A' if is_text => DataType::Utf8,
        'A' => data.clone(),
        other => return exec_err!("{other} is no letter of arguments"),
    })
}
