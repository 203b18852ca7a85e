//! riskstream ingest.
