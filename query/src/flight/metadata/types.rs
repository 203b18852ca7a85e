//! GetXdbcTypeInfo: the types of columns, under PostgreSQL's names.

use arrow::array::RecordBatch;
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
};

/// A type: its name, its number, how many digits or characters it has.
type Row = (&'static str, XdbcDataType, i32);

const NUMBERS: [Row; 6] = [
    ("smallint", XdbcDataType::XdbcSmallint, 5),
    ("integer", XdbcDataType::XdbcInteger, 10),
    ("bigint", XdbcDataType::XdbcBigint, 19),
    ("real", XdbcDataType::XdbcReal, 7),
    ("double precision", XdbcDataType::XdbcDouble, 15),
    ("numeric", XdbcDataType::XdbcDecimal, 38),
];
const TIMES: [(&str, XdbcDataType, i32, XdbcDatetimeSubcode); 4] = [
    ("date", XdbcDataType::XdbcDate, 10, XdbcDatetimeSubcode::XdbcSubcodeYear),
    ("time", XdbcDataType::XdbcTime, 15, XdbcDatetimeSubcode::XdbcSubcodeTime),
    ("timestamp", XdbcDataType::XdbcTimestamp, 26, XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
    (
        "timestamptz",
        XdbcDataType::XdbcTimestamp,
        32,
        XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
    ),
];

/// The types; those of one number where it is named.
pub(super) fn rows(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    let mut all = XdbcTypeInfoDataBuilder::new();
    for (name, of, digits) in NUMBERS {
        let is_decimal = of == XdbcDataType::XdbcDecimal;
        all.append(XdbcTypeInfo {
            unsigned_attribute: Some(false),
            auto_increment: Some(false),
            create_params: is_decimal.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
            minimum_scale: Some(0),
            maximum_scale: Some(if is_decimal { 38 } else { 0 }),
            num_prec_radix: Some(10),
            ..one((name, of, digits), None)
        });
    }
    for (name, of, digits, part) in TIMES {
        let kind = if of == XdbcDataType::XdbcTimestamp { Some(6) } else { None };
        all.append(XdbcTypeInfo {
            sql_data_type: XdbcDataType::XdbcDatetime,
            datetime_subcode: Some(part),
            minimum_scale: kind.map(|_| 0),
            maximum_scale: kind,
            ..one((name, of, digits), Some("'"))
        });
    }
    all.append(one(("boolean", XdbcDataType::XdbcBit, 1), None));
    all.append(XdbcTypeInfo {
        case_sensitive: true,
        ..one(("text", XdbcDataType::XdbcVarchar, i32::MAX), Some("'"))
    });
    all.append(one(("bytea", XdbcDataType::XdbcVarbinary, i32::MAX), Some("'")));
    command.into_builder(&all.build()?).build()
}

fn one((name, of, digits): Row, quote: Option<&str>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: of,
        column_size: Some(digits),
        literal_prefix: quote.map(str::to_owned),
        literal_suffix: quote.map(str::to_owned),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: of,
        ..XdbcTypeInfo::default()
    }
}
