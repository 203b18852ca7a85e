//! riskstream query.
