//! The way from a client's bytes to a value of DataFusion.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::builtins::types::type_of_data;
use crate::postgres::values::error::ParameterError;
use crate::postgres::values::oid;
use crate::postgres::values::pg_types::{PgType, type_by_oid};
use crate::postgres::values::settings::{Format, ValueSettings};
use crate::postgres::values::types::{Target, arrow_type, element_field, plain};

use super::parsed::{unsupported, utf8};
use super::{binary, scalar, text};

/// Reads the value of a parameter.
///
/// `oid` is the type that the client gave, 0 if it gave none; `expected` is the type that the
/// statement has in its place, `DataType::Null` if that is unknown. Without type from the client,
/// and for text in place of something else, the value is read as `expected`.
///
/// The result has the type `expected`, except that a value which this type can't hold exactly keeps
/// a wider one: 1.005 for a decimal of two digits, 3000000000 for an `Int32`, microseconds for a
/// timestamp in milliseconds. So comparisons with it are as true as in PostgreSQL.
///
/// # Errors
/// The bytes are not a value of the type, or the port takes no such values.
pub(crate) fn decode_parameter(
    oid: u32,
    format: Format,
    bytes: Option<&[u8]>,
    expected: &DataType,
    settings: &ValueSettings,
) -> Result<ScalarValue, ParameterError> {
    let (postgres, format) = read_as(oid, format, expected)?;
    let wanted = match expected {
        DataType::Null => {
            arrow_type(postgres.oid).ok_or_else(|| unsupported(postgres, expected))?
        }
        expected => expected.clone(),
    };
    let Some(bytes) = bytes else {
        return ScalarValue::try_new_null(&wanted).map_err(|_| unsupported(postgres, &wanted));
    };
    let parsed = match format {
        Format::Text => text::parse(postgres, utf8(bytes)?, settings)?,
        Format::Binary => binary::parse(postgres, bytes)?,
    };
    scalar::to_scalar(parsed, &wanted, postgres, settings)
}

/// The type and form in which to read a value.
fn read_as(
    oid: u32,
    format: Format,
    expected: &DataType,
) -> Result<(&'static PgType, Format), ParameterError> {
    let declared = type_by_oid(oid).filter(|postgres| postgres.oid != oid::UNKNOWN);
    let inferred = || {
        expected_type(expected).ok_or_else(|| ParameterError::Unsupported {
            postgres: "unknown".to_owned(),
            data_type: expected.clone(),
        })
    };
    match declared {
        None if oid == 0 || oid == oid::UNKNOWN => Ok((inferred()?, format)),
        None => Err(ParameterError::Unsupported {
            postgres: format!("with OID {oid}"),
            data_type: expected.clone(),
        }),
        // The binary form of text is text.
        Some(postgres) if postgres.target() == Target::Text => Ok((inferred()?, Format::Text)),
        Some(postgres) => Ok((postgres, format)),
    }
}

/// The PostgreSQL type that is read for an Arrow type.
fn expected_type(expected: &DataType) -> Option<&'static PgType> {
    let expected = plain(expected);
    if let Some(element) = element_field(expected) {
        // Elements of lists in lists are those of one array with more dimensions.
        let element = expected_type(element.data_type())?;
        return match element.is_array() {
            true => Some(element),
            false => type_by_oid(element.array),
        };
    }
    let (oid, _) = match expected {
        DataType::FixedSizeBinary(16) => (oid::UUID, -1),
        other => type_of_data(other),
    };
    type_by_oid(oid)
}
