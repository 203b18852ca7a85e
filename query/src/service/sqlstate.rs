//! SQLSTATEs of errors, as PostgreSQL gives them.

/// A code of five characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// All is well.
    pub const SUCCESS: Self = Self("00000");
    /// What is asked for is not built.
    pub const UNSUPPORTED: Self = Self("0A000");
    /// Text is not of the form of its type.
    pub const INVALID_TEXT: Self = Self("22P02");
    /// A number does not fit its type.
    pub const OUT_OF_RANGE: Self = Self("22003");
    /// A division by zero.
    pub const DIVISION_BY_ZERO: Self = Self("22012");
    /// Text is no date or time.
    pub const INVALID_DATETIME: Self = Self("22007");
    /// A change where only reading is allowed.
    pub const READ_ONLY: Self = Self("25006");
    /// Not SQL.
    pub const SYNTAX: Self = Self("42601");
    /// No such table.
    pub const UNKNOWN_TABLE: Self = Self("42P01");
    /// No such column.
    pub const UNKNOWN_COLUMN: Self = Self("42703");
    /// A name that means several columns.
    pub const AMBIGUOUS_COLUMN: Self = Self("42702");
    /// No such function, or none for these types.
    pub const UNKNOWN_FUNCTION: Self = Self("42883");
    /// A column that is neither grouped nor aggregated.
    pub const GROUPING: Self = Self("42803");
    /// Types that do not go together.
    pub const TYPE_MISMATCH: Self = Self("42804");
    /// No memory.
    pub const OUT_OF_MEMORY: Self = Self("53200");
    /// No place.
    pub const TOO_MANY: Self = Self("53300");
    /// More than the user may take.
    pub const LIMIT: Self = Self("53400");
    /// Stopped by its user or by time.
    pub const CANCELLED: Self = Self("57014");
    /// The program ends.
    pub const SHUTDOWN: Self = Self("57P01");
    /// The disk says no.
    pub const IO: Self = Self("58030");
    /// A fault of the program.
    pub const INTERNAL: Self = Self("XX000");
}
