//! riskstream operators.
