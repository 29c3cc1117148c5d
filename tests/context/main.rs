//! The context through every hop, in one binary. Every test captures its own spans, so all of them run in parallel.

mod opentelemetry; // the bridges to the OpenTelemetry API and SDK
mod opentelemetry_sdk; // its SDK at either end of the pipeline
