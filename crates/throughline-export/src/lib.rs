//! The Throughline pipeline: drain, batch, retry and OTLP transport
