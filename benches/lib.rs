//! Benchmarks of riskstream, some of them with the same work in other systems, side by side.
