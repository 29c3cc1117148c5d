//! `#[throughline::test]`, in each of its forms.

use throughline::testing::Capture;
use throughline::{span, traced};

#[traced]
async fn work() -> u32 {
    tokio::task::yield_now().await;
    1
}

#[throughline::test]
async fn with_a_runtime() {
    assert_eq!(work().await, 1);
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    assert_eq!(flavor, tokio::runtime::RuntimeFlavor::CurrentThread);
}

#[throughline::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_several_threads(capture: Capture) -> Result<(), Box<dyn std::error::Error>> {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    assert_eq!(flavor, tokio::runtime::RuntimeFlavor::MultiThread);
    assert_eq!("1".parse::<u32>()?, work().await);
    insta::assert_snapshot!(capture.tree(), @"work");
    Ok(())
}

#[throughline::test]
fn without_a_runtime(capture: Capture) {
    span!("block", answer = 42).end();
    assert!(tokio::runtime::Handle::try_current().is_err());
    insta::assert_snapshot!(capture.tree(), @"block {answer=42}");
}

#[throughline::test]
fn without_anything() -> Result<(), std::num::ParseIntError> {
    "1".parse::<u32>()?;
    Ok(())
}

#[throughline::test]
#[should_panic(expected = "as intended")]
async fn panics_reach_the_harness() {
    panic!("as intended");
}
