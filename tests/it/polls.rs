//! What polls leave on a span, and what a span adds to a future.

use std::mem::size_of_val;

use throughline::core::RecorderConfig;
use throughline::testing::{Capture, Value};
use throughline::{FutureExt, span, traced};

use crate::support::{poll_once, yield_once};

fn number(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        other => panic!("{other:?} is no integer"),
    }
}

#[test]
fn polls_are_counted_and_timed() {
    #[traced]
    async fn polled() {
        for _ in 0..4 {
            yield_once().await;
        }
    }
    let capture = Capture::start();
    let _here = capture.attach();
    let mut future = Box::pin(polled());
    while poll_once(future.as_mut()).is_pending() {}
    let spans = capture.spans();
    let span = &spans[0];
    assert_eq!(span.attribute("poll_count"), Some(&Value::Int(5)));
    let [busy, idle, longest] =
        ["busy_ns", "idle_ns", "longest_poll_ns"].map(|key| number(span.attribute(key)));
    assert!(
        busy > 0 && longest > 0 && longest <= busy && idle >= 0,
        "{busy} {idle} {longest}"
    );
    let whole = i64::try_from(span.end_unix_nano - span.start_unix_nano).expect("short");
    assert!(
        (busy + idle).abs_diff(whole) <= 2,
        "{busy} + {idle} is {whole}, up to rounding"
    );
}

#[test]
fn poll_statistics_can_be_turned_off() {
    let mut config = RecorderConfig::default();
    config.poll_statistics = false;
    let capture = Capture::with_config(config);
    let _here = capture.attach();
    let mut future = Box::pin(yield_once().in_span(span!("quiet")));
    while poll_once(future.as_mut()).is_pending() {}
    assert_eq!(capture.spans()[0].attribute("poll_count"), None);
}

/// What design.md allows a layer to add to a future.
const LAYER: usize = 64;

#[test]
fn a_layer_adds_a_bounded_number_of_bytes() {
    async fn plain(buffer: [u8; 1000]) -> u8 {
        yield_once().await;
        buffer[0]
    }
    #[traced]
    async fn attributed(buffer: [u8; 1000]) -> u8 {
        yield_once().await;
        buffer[0]
    }
    let bare = size_of_val(&plain([0; 1000]));
    let wrapped = size_of_val(&plain([0; 1000]).in_span(throughline::Span::disabled()));
    assert!(wrapped <= bare + LAYER, "in_span: {bare} became {wrapped}");
    let context = size_of_val(&plain([0; 1000]).in_current_context());
    assert!(
        context <= bare + LAYER,
        "in_current_context: {bare} became {context}"
    );
    // An attribute on the function keeps the arguments twice, as every async block inside of an async function does.
    let block = |buffer| async move { plain(buffer).await };
    let (bare, traced) = (
        size_of_val(&block([0; 1000])),
        size_of_val(&attributed([0; 1000])),
    );
    assert!(traced <= bare + LAYER, "attribute: {bare} became {traced}");
}
