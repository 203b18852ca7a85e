//! PostgreSQL's names of types in casts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, ExactNumberInfo, TimezoneInfo};

use super::super::super::arithmetic::free_numeric;
use super::super::settings::SettingsShown;
use super::super::tables::columns::arrow_type;
use crate::builtins::types::{TYPE_KEY, types};

/// Types that DataFusion does not know by these names, and those that it reads otherwise.
#[derive(Debug)]
pub(super) struct PostgresTypes {
    pub(super) settings: SettingsShown,
}

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, data_type: &ast::DataType) -> Result<Option<FieldRef>> {
        Ok(self.field(data_type))
    }
}

impl PostgresTypes {
    fn field(&self, data_type: &ast::DataType) -> Option<FieldRef> {
        if let ast::DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
            let element = self.field(element)?;
            let list = DataType::new_list(element.data_type().clone(), true);
            let name = element.metadata().get(TYPE_KEY).map(|name| format!("_{name}"));
            let field = Field::new(CAST, list, true);
            return Some(Arc::new(match name {
                Some(name) => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name)])),
                None => field,
            }));
        }
        if let ast::DataType::Timestamp(_, zone) = data_type {
            let zoned = matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
            let zone = zoned.then(|| self.settings.time_zone().into());
            let data = DataType::Timestamp(TimeUnit::Microsecond, zone);
            return Some(named(data, if zoned { "timestamptz" } else { "timestamp" }));
        }
        let digits = match data_type {
            ast::DataType::Numeric(digits)
            | ast::DataType::Decimal(digits)
            | ast::DataType::Dec(digits) => Some(digits),
            _ => None,
        };
        if let Some(digits) = digits.filter(|digits| **digits != ExactNumberInfo::None) {
            return numeric(*digits).map(|data| Arc::new(Field::new(CAST, data, true)));
        }
        if matches!(data_type, ast::DataType::Interval { .. }) {
            return Some(named(DataType::Interval(IntervalUnit::MonthDayNano), "interval"));
        }
        let row = types().by_text(&data_type.to_string())?;
        let data = match row.name {
            "timestamptz" => {
                let zone = self.settings.time_zone();
                DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))
            }
            "time" => DataType::Time64(TimeUnit::Microsecond),
            "numeric" => return Some(Arc::new(free_numeric())),
            "_numeric" | "timetz" => return None,
            _ => arrow_type(row),
        };
        Some(named(data, row.name))
    }
}

/// The name of the type's field: one without a name keeps what is known of the value that is cast.
const CAST: &str = "cast";

/// A decimal of a precision and a scale; none for more digits than there are.
fn numeric(digits: ExactNumberInfo) -> Option<DataType> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => return None,
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let scale = i8::try_from(scale).ok()?;
    let precision = u8::try_from(precision).ok()?.max(scale.unsigned_abs()).max(1);
    match precision {
        ..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// A type, with PostgreSQL's name where Arrow's does not say it. Where it does, a name would make
/// two branches of a query differ.
fn named(data: DataType, name: &str) -> FieldRef {
    let field = Field::new(CAST, data, true);
    Arc::new(match name {
        "timestamp" | "timestamptz" | "time" | "int2" | "int4" | "int8" | "float4" | "float8"
        | "bool" | "text" | "date" | "bytea" | "interval" => field,
        name => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())])),
    })
}
