//! Tracing for async Rust: one attribute, correlated logs, OTLP out, at the price of two clock reads
