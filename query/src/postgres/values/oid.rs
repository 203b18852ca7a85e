//! OIDs that the code names.

pub(crate) const TEXT: u32 = 25;
pub(crate) const JSON: u32 = 114;
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const BPCHAR: u32 = 1_042;
pub(crate) const VARCHAR: u32 = 1_043;
pub(crate) const NUMERIC: u32 = 1_700;
pub(crate) const UUID: u32 = 2_950;

#[cfg(test)]
pub(crate) use in_tests::*;

/// Those that only tests name.
#[cfg(test)]
mod in_tests {
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const DATE: u32 = 1_082;
    pub(crate) const TIMESTAMP: u32 = 1_114;
    pub(crate) const TIMESTAMPTZ: u32 = 1_184;
}
