//! tracing spans, events and log lines in Throughline traces
