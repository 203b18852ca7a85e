//! The riskstream program.
