//! riskstream models.
