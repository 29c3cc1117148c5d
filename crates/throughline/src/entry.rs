//! What `#[throughline::main]` and `#[throughline::test]` expand to.

use std::future::Future;

use throughline_tokio::Runtime;

/// `async fn main`: initialises, runs the body on its runtime, flushes.
///
/// # Panics
///
/// As `#[tokio::main]` does, if the system refuses the runtime its threads or its I/O driver.
pub fn block_on_main<F: Future>(runtime: Runtime, body: F) -> F::Output {
    run_main(|| block_on(runtime, body))
}

/// `fn main`: initialises, runs the body, flushes.
///
/// A program whose telemetry cannot start says so and runs without it.
pub fn run_main<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(feature = "export")]
    let _pipeline = crate::init().inspect_err(|error| {
        let level = throughline_core::Level::Error;
        throughline_core::diagnostics::say(level, format_args!("not started: {error}"));
    });
    body()
}

/// `async fn` test without a parameter.
pub fn block_on_test<F: Future>(runtime: Runtime, body: F) -> F::Output {
    block_on(runtime, body)
}

/// `fn` test without a parameter.
pub fn run_test<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// `async fn` test that takes its capture.
#[cfg(feature = "testing")]
pub fn block_on_test_with<F: Future>(
    runtime: Runtime,
    body: impl FnOnce(throughline_testing::Capture) -> F,
) -> F::Output {
    run_test_with(|capture| block_on(runtime, body(capture)))
}

/// `fn` test that takes its capture.
#[cfg(feature = "testing")]
pub fn run_test_with<R>(body: impl FnOnce(throughline_testing::Capture) -> R) -> R {
    let capture = throughline_testing::Capture::start();
    let _here = capture.attach();
    body(capture)
}

fn block_on<F: Future>(runtime: Runtime, body: F) -> F::Output {
    match runtime.block_on(body) {
        Ok(output) => output,
        Err(error) => panic!("the Tokio runtime could not be built: {error}"),
    }
}
