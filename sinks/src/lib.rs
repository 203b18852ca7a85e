//! riskstream sinks.
