//! Which PostgreSQL type shows a column, and which Arrow type holds a parameter.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use super::error::EncodeError;
use super::oid;
use super::pg_types::{PgType, function_by_name, type_by_name, type_by_oid};
use super::text::json_key;
use crate::builtins::types::{type_of, type_of_data};

pub(crate) use crate::builtins::types::TYPE_KEY as POSTGRES_TYPE;
use crate::builtins::types::UNBOUND_KEY;

/// How PostgreSQL shows values, apart from their type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Bool,
    Int2,
    Int4,
    Int8,
    /// `oid` and other numbers of the system, 4 bytes without a sign.
    Oid,
    /// An OID that is shown as a name.
    Reg(Reg),
    Numeric,
    Float4,
    Float8,
    Text,
    Char,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Json,
    Jsonb,
    Array,
    /// `int2vector` and `oidvector`.
    Vector,
    /// A type that is none of these: strings hold its text form.
    Literal,
}

/// Which names an OID may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reg {
    Procedure,
    Type,
    /// Names that this module doesn't know.
    Other,
}

impl Reg {
    /// The OID of a name, if it is a number, nothing's `-`, or known here.
    pub(super) fn oid(self, name: &str) -> Option<u32> {
        if name == "-" {
            return Some(0);
        }
        if let Ok(oid) = name.parse() {
            return Some(oid);
        }
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        match self {
            Self::Procedure => function_by_name(name),
            Self::Type => type_by_name(name).map(|postgres| postgres.oid),
            Self::Other => None,
        }
    }
}

impl Target {
    fn of(postgres: &PgType) -> Self {
        match postgres.name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "oid" | "xid" | "cid" => Self::Oid,
            "regproc" | "regprocedure" => Self::Reg(Reg::Procedure),
            "regtype" => Self::Reg(Reg::Type),
            name if name.starts_with("reg") => Self::Reg(Reg::Other),
            "numeric" => Self::Numeric,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "text" | "varchar" | "bpchar" | "name" | "unknown" | "xml" | "cstring" | "aclitem"
            | "refcursor" => Self::Text,
            "char" => Self::Char,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::Timestamptz,
            "interval" => Self::Interval,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "int2vector" | "oidvector" => Self::Vector,
            _ if postgres.is_array() => Self::Array,
            _ => Self::Literal,
        }
    }

    /// Whether values of an Arrow type, dictionaries and runs aside, can be shown so.
    pub(super) fn fits(self, data_type: &DataType) -> bool {
        use DataType as D;
        match data_type {
            D::Null => true,
            D::Boolean => self == Self::Bool,
            D::Int8 | D::UInt8 if self == Self::Char => true,
            D::Int8
            | D::Int16
            | D::Int32
            | D::Int64
            | D::UInt8
            | D::UInt16
            | D::UInt32
            | D::UInt64 => {
                matches!(self, Self::Int2 | Self::Int4 | Self::Int8 | Self::Numeric)
                    || matches!(self, Self::Oid | Self::Reg(_))
            }
            D::Float16 | D::Float32 => matches!(self, Self::Float4 | Self::Float8),
            D::Float64 => self == Self::Float8,
            D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => {
                self == Self::Numeric
            }
            D::Utf8 | D::LargeUtf8 | D::Utf8View => {
                matches!(self, Self::Text | Self::Char | Self::Json | Self::Jsonb | Self::Reg(_))
                    || matches!(self, Self::Array | Self::Vector | Self::Literal)
                    || matches!(self, Self::Oid | Self::Numeric | Self::Uuid)
            }
            D::FixedSizeBinary(16) if self == Self::Uuid => true,
            D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
                self == Self::Bytea
            }
            D::Date32 | D::Date64 => self == Self::Date,
            D::Time32(_) | D::Time64(_) => self == Self::Time,
            D::Timestamp(..) => matches!(self, Self::Timestamp | Self::Timestamptz),
            D::Interval(_) | D::Duration(_) => self == Self::Interval,
            D::List(_)
            | D::LargeList(_)
            | D::FixedSizeList(..)
            | D::ListView(_)
            | D::LargeListView(_) => {
                matches!(self, Self::Array | Self::Vector | Self::Json | Self::Jsonb)
            }
            D::Struct(_) | D::Map(..) => matches!(self, Self::Json | Self::Jsonb),
            _ => false,
        }
    }
}

/// How the values of a column are shown, and those within them.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) postgres: &'static PgType,
    pub(super) target: Target,
    pub(super) typmod: i32,
    /// The elements of a list, the key and value of a map, or the fields of a struct.
    pub(super) children: Vec<Shape>,
    /// The fields of a struct as JSON keys with quotes and colon.
    pub(super) keys: Vec<String>,
}

impl Shape {
    /// How a field's values are shown.
    pub(super) fn of(field: &Field) -> Result<Self, EncodeError> {
        let shape = match field.metadata().get(POSTGRES_TYPE).map(|name| name.trim_matches('"')) {
            None => Self::natural(field),
            Some(name) => match type_by_name(name) {
                Some(postgres) => Self::forced(field, postgres),
                None => Err(unsupported(field, name)),
            },
        };
        shape.map(|shape| shape.unbound(field))
    }

    fn natural(field: &Field) -> Result<Self, EncodeError> {
        let data_type = plain(field.data_type());
        if let Some(element) = element_field(data_type) {
            let element = Self::of(element)?;
            // Lists of lists may be ragged, which PostgreSQL's arrays can't be.
            let array = match type_by_oid(element.postgres.array) {
                Some(array) if element.target != Target::Array => array,
                _ => known(oid::JSON),
            };
            let typmod = if array.oid == oid::JSON { -1 } else { element.typmod };
            let children = vec![element];
            return Ok(Self { typmod, children, ..Self::leaf(array) });
        }
        let (oid, _) = type_of(field);
        Self::forced(field, known(oid))
    }

    /// Without the precision that a column's values have by chance.
    fn unbound(self, field: &Field) -> Self {
        match field.metadata().contains_key(UNBOUND_KEY) {
            true => Self { typmod: -1, ..self },
            false => self,
        }
    }

    fn forced(field: &Field, postgres: &'static PgType) -> Result<Self, EncodeError> {
        let data_type = plain(field.data_type());
        let mut shape = Self::leaf(postgres);
        if !shape.target.fits(data_type) {
            return Err(unsupported(field, postgres.name));
        }
        shape.typmod = match shape.target == Target::Numeric {
            true => numeric_typmod(data_type),
            false => -1,
        };
        match data_type {
            DataType::Struct(fields) => {
                shape.children =
                    fields.iter().map(|field| Self::of(field)).collect::<Result<_, _>>()?;
                shape.keys = fields.iter().map(|field| json_key(field.name())).collect();
            }
            DataType::Map(entries, _) => {
                if let DataType::Struct(fields) = entries.data_type() {
                    shape.children =
                        fields.iter().map(|field| Self::of(field)).collect::<Result<_, _>>()?;
                }
            }
            other => {
                if let Some(element) = element_field(other) {
                    let child = match type_by_oid(postgres.element) {
                        Some(wanted) => Self::forced(element, wanted)?,
                        None => Self::of(element)?,
                    };
                    if shape.target == Target::Array {
                        shape.typmod = child.typmod;
                    }
                    shape.children = vec![child];
                }
            }
        }
        Ok(shape)
    }

    fn leaf(postgres: &'static PgType) -> Self {
        let target = Target::of(postgres);
        Self { postgres, target, typmod: -1, children: Vec::new(), keys: Vec::new() }
    }
}

fn unsupported(field: &Field, postgres: &str) -> EncodeError {
    EncodeError::Unsupported {
        column: field.name().clone(),
        data_type: field.data_type().clone(),
        postgres: postgres.to_owned(),
    }
}

/// The row of an OID that this module names itself. All of them are there, which a test checks.
pub(super) fn known(oid: u32) -> &'static PgType {
    static NONE: PgType = PgType {
        oid: 0,
        name: "-",
        length: -1,
        by_value: false,
        kind: "p",
        category: "X",
        preferred: false,
        delimiter: ",",
        element: 0,
        array: 0,
        functions: ["-"; 6],
        align: "i",
        storage: "x",
        base: 0,
        collation: 0,
        schema: "pg_catalog",
        display: "-",
    };
    type_by_oid(oid).unwrap_or(&NONE)
}

/// The type of the values, however they are packed.
pub(super) fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        other => other,
    }
}

/// The field of a list's elements.
pub(super) fn element_field(data_type: &DataType) -> Option<&Arc<Field>> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field),
        _ => None,
    }
}

/// Precision and scale as `numeric(p,s)` keeps them.
fn numeric_typmod(data_type: &DataType) -> i32 {
    match type_of_data(data_type) {
        (oid::NUMERIC, typmod) => typmod,
        _ => -1,
    }
}

/// A column as RowDescription tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgColumn {
    /// The type's row in `pg_type`.
    pub(crate) postgres: &'static PgType,
    /// The type of the elements of an array.
    pub(crate) element: Option<&'static PgType>,
    /// Precision and scale of a numeric, -1 for other types.
    pub(crate) typmod: i32,
}

/// The PostgreSQL type that shows a field.
///
/// # Errors
/// No type shows it, or the one that its metadata names can't.
pub(crate) fn pg_column(field: &Field) -> Result<PgColumn, EncodeError> {
    Shape::of(field).map(|shape| shape.column())
}

impl Shape {
    /// What RowDescription tells of the column.
    pub(super) fn column(&self) -> PgColumn {
        let is_list = matches!(self.target, Target::Array | Target::Vector);
        let element = type_by_oid(self.postgres.element).filter(|_| is_list);
        PgColumn { postgres: self.postgres, element, typmod: self.typmod }
    }
}

/// The Arrow type in which a parameter of a PostgreSQL type is held, if the port takes such.
pub(crate) fn arrow_type(oid: u32) -> Option<DataType> {
    let postgres = type_by_oid(oid)?;
    Some(match Target::of(postgres) {
        Target::Bool => DataType::Boolean,
        Target::Int2 => DataType::Int16,
        Target::Int4 => DataType::Int32,
        Target::Int8 => DataType::Int64,
        Target::Oid | Target::Reg(_) => DataType::UInt32,
        Target::Numeric => DataType::Decimal128(38, 10),
        Target::Float4 => DataType::Float32,
        Target::Float8 => DataType::Float64,
        Target::Text | Target::Char | Target::Json | Target::Jsonb => DataType::Utf8,
        Target::Bytea => DataType::Binary,
        Target::Date => DataType::Date32,
        Target::Time => DataType::Time64(TimeUnit::Microsecond),
        Target::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Target::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Target::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        Target::Uuid => DataType::FixedSizeBinary(16),
        Target::Array | Target::Vector => {
            let element = type_by_oid(postgres.element).filter(|element| !element.is_array())?;
            if Target::of(element) == Target::Vector {
                return None;
            }
            DataType::new_list(arrow_type(element.oid)?, true)
        }
        Target::Literal => return None,
    })
}

impl PgType {
    /// How values of the type are shown.
    pub(super) fn target(&self) -> Target {
        Target::of(self)
    }
}
