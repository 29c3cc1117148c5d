//! Records of the `log` crate as events of `tracing`.
//!
//! Owns nothing but the installation: what comes in that way is handled where all events are.

use tracing_log::LogTracer;

/// Makes records of the `log` crate events of `tracing`: they appear in log output and in spans, with their own
/// target, file and line. Returns `false` if the process has another logger already.
///
/// [`Logging::install`](crate::Logging::install) does this by itself.
pub fn install_log_tracer() -> bool {
    LogTracer::init().is_ok()
}
