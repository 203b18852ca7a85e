//! PostgreSQL's names of types in casts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, TimezoneInfo};

use super::super::settings::SettingsShown;
use super::super::tables::columns::arrow_type;
use super::super::types::{TYPE_KEY, TypeRow, types};

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
            let field = Field::new("", list, true);
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
        let row = types().by_text(&data_type.to_string())?;
        let data = match row.name {
            "timestamptz" => {
                let zone = self.settings.time_zone();
                DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))
            }
            "time" => DataType::Time64(TimeUnit::Microsecond),
            _ if own(row) => arrow_type(row),
            _ => return None,
        };
        Some(named(data, row.name))
    }
}

/// A type, with PostgreSQL's name where Arrow's does not say it. Where it does, a name would make
/// two branches of a query differ.
fn named(data: DataType, name: &str) -> FieldRef {
    let field = Field::new("", data, true);
    Arc::new(match name {
        "timestamp" | "timestamptz" | "time" | "int2" | "int4" | "int8" | "float4" | "float8"
        | "bool" | "text" => field,
        name => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())])),
    })
}

/// Whether a type is planned here: `numeric` has a precision that only DataFusion reads.
fn own(row: &TypeRow) -> bool {
    !matches!(row.name, "numeric" | "_numeric" | "date" | "bytea" | "interval" | "time" | "timetz")
}
