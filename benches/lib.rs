//! Benchmarks: the same work in riskstream and in other systems, side by side.
