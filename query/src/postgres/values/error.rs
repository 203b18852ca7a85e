//! Why a value has no form on the other side.

use arrow::datatypes::DataType;

/// Why a column or a value can't be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    /// No PostgreSQL type shows such columns.
    #[error("column \"{column}\" of type {data_type} can't be sent as {postgres}")]
    Unsupported {
        /// The column's name.
        column: String,
        /// Its type here.
        data_type: DataType,
        /// The type that it would have.
        postgres: String,
    },
    /// An array is not of the type that its column has.
    #[error("an array of {data_type} came in a column of {postgres}")]
    Mismatch {
        /// The array's type.
        data_type: DataType,
        /// The type that was announced.
        postgres: &'static str,
    },
    /// PostgreSQL's type ends before the value.
    #[error("{postgres} out of range")]
    OutOfRange {
        /// The type.
        postgres: &'static str,
    },
    /// A value's text is not a value of its column's type.
    #[error("\"{text}\" has no binary form as {postgres}")]
    NoBinary {
        /// The value.
        text: String,
        /// The type.
        postgres: &'static str,
    },
    /// A value is longer than a message may be.
    #[error("a value of more than 2 GB can't be sent")]
    TooLong,
    /// A choice in COPY is impossible.
    #[error("{message}")]
    CopyOption {
        /// What is wrong.
        message: &'static str,
    },
}

impl EncodeError {
    /// The SQLSTATE that tells clients of it.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } | Self::NoBinary { .. } => "0A000",
            Self::Mismatch { .. } => "XX000",
            Self::OutOfRange { postgres: "date" | "time" | "interval" } => "22008",
            Self::OutOfRange { postgres: "timestamp" | "timestamp with time zone" } => "22008",
            Self::OutOfRange { .. } => "22003",
            Self::TooLong => "54000",
            Self::CopyOption { .. } => "22023",
        }
    }
}

/// Why the value of a parameter was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ParameterError {
    /// A text that is not of the type's form.
    #[error("invalid input syntax for type {postgres}: \"{text}\"")]
    Syntax {
        /// The type's name in SQL.
        postgres: String,
        /// The value.
        text: String,
    },
    /// A text that is no date or time.
    #[error("invalid input syntax for type {postgres}: \"{text}\"")]
    DateSyntax {
        /// The type's name in SQL.
        postgres: &'static str,
        /// The value.
        text: String,
    },
    /// A date or time that no calendar or no column has.
    #[error("{what} out of range: \"{text}\"")]
    DateRange {
        /// What is out of range.
        what: &'static str,
        /// The value.
        text: String,
    },
    /// A zone that nobody knows.
    #[error("time zone \"{zone}\" not recognized")]
    Zone {
        /// The zone's name.
        zone: String,
    },
    /// A number beyond its type.
    #[error("value \"{text}\" is out of range for type {postgres}")]
    OutOfRange {
        /// The type's name in SQL.
        postgres: String,
        /// The value.
        text: String,
    },
    /// A text that is no array.
    #[error("malformed array literal: \"{text}\"")]
    Array {
        /// The value.
        text: String,
    },
    /// A bytea whose digits are not hexadecimal.
    #[error("invalid hexadecimal data")]
    Hexadecimal,
    /// Fewer bytes than the type's binary form has.
    #[error("insufficient data left in message")]
    Short,
    /// Bytes that are not the type's binary form.
    #[error("incorrect binary data format for type {postgres}")]
    Binary {
        /// The type's name in SQL.
        postgres: String,
    },
    /// Elements of another type than the array's.
    #[error("binary data has array element type {found} instead of expected {expected}")]
    ElementType {
        /// The OID in the data.
        found: u32,
        /// The OID that the parameter's type has.
        expected: u32,
    },
    /// Bytes that are not text in UTF-8, or hold a zero.
    #[error("invalid byte sequence for encoding \"UTF8\"")]
    Encoding,
    /// Values that this port takes in no form.
    #[error("parameters of type {postgres} for {data_type} are not supported")]
    Unsupported {
        /// The type's name in SQL, or its OID.
        postgres: String,
        /// The type that the statement needs.
        data_type: DataType,
    },
}

impl ParameterError {
    /// The SQLSTATE that tells clients of it.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Array { .. } => "22P02",
            Self::DateSyntax { .. } => "22007",
            Self::DateRange { what: "interval field value", .. } => "22015",
            Self::DateRange { what: "time zone displacement", .. } => "22009",
            Self::DateRange { .. } => "22008",
            Self::Zone { .. } | Self::Hexadecimal => "22023",
            Self::OutOfRange { .. } => "22003",
            Self::Short => "08P01",
            Self::Binary { .. } => "22P03",
            Self::ElementType { .. } => "42804",
            Self::Encoding => "22021",
            Self::Unsupported { .. } => "0A000",
        }
    }
}
