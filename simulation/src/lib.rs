//! riskstream simulation.
