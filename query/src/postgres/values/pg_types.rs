//! PostgreSQL's types as values need them. They are the rows that the catalog shows, so that what a
//! column is said to be and how it is written can't differ.

use crate::builtins::procs::procs;
use crate::builtins::types::types;

pub(crate) use crate::builtins::types::TypeRow as PgType;

impl PgType {
    /// Whether values are arrays of the type `element`: `name` and the vectors have subscripts
    /// too, but forms of their own.
    pub(crate) fn is_array(&self) -> bool {
        let [input, ..] = self.functions;
        input == "array_in"
    }

    /// The name in SQL, which `format_type` and `regtype` show.
    pub(crate) fn sql_name(&self) -> String {
        self.display.to_owned()
    }
}

/// Every type.
#[cfg(test)]
pub(crate) fn all_types() -> &'static [PgType] {
    &types().rows
}

/// The type of an OID.
pub(crate) fn type_by_oid(oid: u32) -> Option<&'static PgType> {
    types().by_oid(oid)
}

/// The type of a name in `pg_type` or in SQL.
pub(crate) fn type_by_name(name: &str) -> Option<&'static PgType> {
    if let Some(element) = name.strip_suffix("[]") {
        return type_by_oid(type_by_name(element)?.array);
    }
    let by_display = || types().rows.iter().find(|row| row.display == name);
    types().by_name(name).or_else(by_display)
}

/// The OID of a function.
pub(crate) fn function_by_name(name: &str) -> Option<u32> {
    procs().by_name(name).map(|function| function.oid)
}

/// The name of the function with an OID.
pub(crate) fn function_by_oid(oid: u32) -> Option<&'static str> {
    procs().by_oid(oid).map(|function| function.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_their_names() {
        assert_eq!(type_by_name("int4").unwrap().oid, 23);
        assert_eq!(type_by_name("timestamp with time zone").unwrap().oid, 1184);
        assert_eq!(type_by_name("bigint[]").unwrap().oid, 1016);
        assert_eq!(type_by_name("int8[]").unwrap().oid, 1016);
        assert!(type_by_name("int8[][]").is_none());
        assert_eq!(type_by_name("char").unwrap().sql_name(), "\"char\"");
        assert_eq!(type_by_name("_numeric").unwrap().sql_name(), "numeric[]");
        assert_eq!(function_by_name("int4recv"), Some(2406));
        assert_eq!(function_by_oid(2407), Some("int4send"));
        assert!(type_by_name("nothing").is_none() && function_by_name("nothing").is_none());
    }

    #[test]
    fn numbers_that_the_code_names_are_of_these_types() {
        use crate::postgres::values::oid;
        for (number, name) in [
            (oid::INT8, "int8"),
            (oid::INT4, "int4"),
            (oid::TEXT, "text"),
            (oid::JSON, "json"),
            (oid::FLOAT8, "float8"),
            (oid::UNKNOWN, "unknown"),
            (oid::BPCHAR, "bpchar"),
            (oid::VARCHAR, "varchar"),
            (oid::DATE, "date"),
            (oid::TIMESTAMP, "timestamp"),
            (oid::TIMESTAMPTZ, "timestamptz"),
            (oid::NUMERIC, "numeric"),
            (oid::UUID, "uuid"),
        ] {
            assert_eq!(type_by_oid(number).map(|row| row.name), Some(name));
        }
    }

    #[test]
    fn arrays_and_their_elements_name_each_other() {
        for row in all_types().iter().filter(|row| row.array != 0) {
            let array = type_by_oid(row.array).unwrap();
            assert_eq!(array.element, row.oid, "{}", row.name);
            assert!(array.is_array(), "{}", row.name);
            // Those of row types begin otherwise.
            assert!(array.name.starts_with('_'), "{}", array.name);
        }
    }
}
