//! Values as texts, in the forms that PostgreSQL shows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use bytes::BytesMut;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::field;
use crate::postgres::values::encoder::Encoder;
use crate::postgres::values::error::EncodeError;
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::zone::SessionZone;

/// Bytes in front of a cell's text, which say how many it has.
const LENGTH_BYTES: usize = 4;

/// A cast to a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    from: FieldRef,
    to: FieldRef,
    zone: String,
    signature: Signature,
}

/// Values of a field as texts.
pub(super) fn text(expr: Expr, from: &Field, to: &FieldRef, zone: &str) -> Expr {
    let from =
        Field::new("", from.data_type().clone(), true).with_metadata(from.metadata().clone());
    let signature = Signature::any(1, Volatility::Immutable);
    let (from, to, zone) = (Arc::new(from), Arc::clone(to), zone.to_owned());
    ScalarUDF::new_from_impl(Text { from, to, zone, signature }).call(vec![expr])
}

impl ScalarUDFImpl for Text {
    fn name(&self) -> &'static str {
        "text_of"
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
        field::each_of(&arguments, self.name(), |values| {
            Ok(cast(&self.texts(values)?, self.to.data_type())?)
        })
    }
}

impl Text {
    fn texts(&self, values: &ArrayRef) -> Result<ArrayRef> {
        // In a cast it is a word, in a column a letter.
        if values.data_type() == &DataType::Boolean {
            return Ok(cast(values, &DataType::Utf8)?);
        }
        let zone = SessionZone::parse(&self.zone).unwrap_or(SessionZone::UTC);
        let settings = ValueSettings { time_zone: zone, ..ValueSettings::default() };
        let encoder = Encoder::new(&self.from, Format::Text, &settings).map_err(explained)?;
        let cells = encoder.on(values).map_err(explained)?;
        let mut texts = StringBuilder::with_capacity(values.len(), values.len());
        let mut cell = BytesMut::new();
        let nulls = values.logical_nulls();
        for row in 0..values.len() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                texts.append_null();
                continue;
            }
            cell.clear();
            cells.encode(row, &mut cell).map_err(explained)?;
            let text = cell.get(LENGTH_BYTES..).unwrap_or_default();
            let text = std::str::from_utf8(text)
                .map_err(|_| exec_datafusion_err!("the text of a value is not UTF-8"))?;
            texts.append_value(text);
        }
        Ok(Arc::new(texts.finish()))
    }
}

fn explained(error: EncodeError) -> DataFusionError {
    ValueError::of(error.sqlstate(), error.to_string())
}
