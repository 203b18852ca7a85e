//! Texts as values, in the forms that PostgreSQL reads.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::field;
use crate::builtins::types::{type_of, types};
use crate::postgres::values::parameters::decode_parameter;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::zone::SessionZone;

/// Types whose texts are read; those of others are left to Arrow.
const READ: [&str; 17] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "bytea",
    "uuid",
    "json",
    "jsonb",
    "numeric",
];

/// A cast of texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Read {
    to: FieldRef,
    oid: u32,
    zone: String,
    signature: Signature,
}

/// Texts as values of a type, if it is one whose texts are read here.
pub(super) fn read(expr: Expr, to: &FieldRef, zone: &str) -> Option<Expr> {
    if matches!(to.data_type(), DataType::Struct(_) | DataType::Map(..) | DataType::Union(..)) {
        return None;
    }
    let (oid, _) = type_of(to);
    let row = types().by_oid(oid)?;
    let element = types().by_oid(row.element).filter(|_| row.category == "A");
    if !READ.contains(&element.unwrap_or(row).name) {
        return None;
    }
    let signature = Signature::any(1, Volatility::Immutable);
    let read = Read { to: Arc::clone(to), oid, zone: zone.to_owned(), signature };
    Some(ScalarUDF::new_from_impl(read).call(vec![expr]))
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &'static str {
        "value_of_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.to.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field::of_cast(self.name(), &self.to, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        field::each_of(&arguments, self.name(), |values| self.values(values))
    }
}

impl Read {
    fn values(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let to = self.to.data_type();
        let zone = SessionZone::parse(&self.zone).unwrap_or(SessionZone::UTC);
        let settings = ValueSettings { time_zone: zone, ..ValueSettings::default() };
        let texts = cast(texts, &DataType::Utf8)?;
        let values = texts.as_string::<i32>().iter().map(|text| {
            let bytes = text.map(str::as_bytes);
            let value = decode_parameter(self.oid, Format::Text, bytes, to, &settings)
                .map_err(|error| ValueError::of(error.sqlstate(), error.to_string()))?;
            match value.data_type() == *to {
                true => Ok(value),
                // It has more digits than the type.
                false => value.cast_to(to),
            }
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            return Ok(new_empty_array(to));
        }
        ScalarValue::iter_to_array(values)
    }
}
