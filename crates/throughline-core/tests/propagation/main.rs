//! The formats of propagation, rule by rule, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

mod b3;
mod baggage;
mod carriers;
mod datadog;
mod hostile;
mod jaeger;
mod propagators;
mod roundtrips;
mod sentry;
mod support;
mod traceparent;
mod tracestate;
mod xray;
