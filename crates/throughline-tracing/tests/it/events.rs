use std::fmt;

use throughline_testing::{Capture, TreeOptions};
use throughline_tracing::TraceLayer;
use tracing::{debug, error, info, info_span, instrument, warn};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{captured, native, picture, under};

#[test]
fn an_event_belongs_to_whatever_span_is_current() {
    let tree = picture(|| {
        info!("outside of any span");
        let outer = native().enter();
        info!(amount = 3, "in a native span");
        let inner = info_span!("tracing").entered();
        warn!(ok = true, ratio = 0.5, text = "x", shown = %"y", debugged = ?Some(1), "in a tracing span");
        let innermost = native().enter();
        debug!("in a native span again");
        drop(innermost);
        drop(inner);
        drop(outer);
    });
    insta::assert_snapshot!(tree, @r#"
    native
    │  • in a native span {level="INFO", target="it::events", amount=3}
    └─ tracing
       │  • in a tracing span {level="WARN", target="it::events", ok=true, ratio=0.5, text="x", shown="y", debugged="Some(1)"}
       └─ native
             • in a native span again {level="DEBUG", target="it::events"}
    "#);
}

#[test]
fn an_explicit_parent_wins() {
    let tree = picture(|| {
        let other = info_span!("other");
        let _current = info_span!("current").entered();
        info!(parent: &other, "to other");
        info!(parent: None, "to nobody");
        info!("to current");
    });
    insta::assert_snapshot!(tree, @r#"
    other
       • to other {level="INFO", target="it::events"}
    current
       • to current {level="INFO", target="it::events"}
    "#);
}

#[test]
fn an_event_is_called_by_its_name_or_by_what_it_says() {
    let tree = picture(|| {
        let _span = info_span!("work").entered();
        info!("{} of {}", 1, 2);
        info!(name: "order.placed", id = 7, "placed an order");
        info!(name: "order.shipped", id = 7);
        info!(message = "as a field");
        info!(message = 5);
        info!(error = 5, "a number");
    });
    insta::assert_snapshot!(tree, @r#"
    work
       • 1 of 2 {level="INFO", target="it::events"}
       • order.placed {level="INFO", target="it::events", message="placed an order", id=7}
       • order.shipped {level="INFO", target="it::events", id=7}
       • as a field {level="INFO", target="it::events"}
       • 5 {level="INFO", target="it::events"}
       • a number {level="INFO", target="it::events", error=5}
    "#);
}

#[test]
fn an_event_without_either_is_called_by_its_place() {
    let tree = picture(|| {
        let _span = info_span!("work").entered();
        info!(id = 7);
    });
    assert!(
        tree.contains("• event crates/throughline-tracing/tests/it/events.rs:"),
        "{tree}"
    );
}

#[test]
fn errors_become_exceptions() {
    let tree = picture(|| {
        assert!(fails().is_err());
        let _span = info_span!("by hand").entered();
        let error = OutOfStock;
        error!(error = &error as &(dyn std::error::Error + 'static));
        error!(
            error = &error as &(dyn std::error::Error + 'static),
            attempts = 2,
            "gave up"
        );
        error!(
            cause = &error as &(dyn std::error::Error + 'static),
            error = "also",
            "both"
        );
        error!(error = %error, "with a message");
        error!(error = "text");
    });
    insta::assert_snapshot!(tree, @r#"
    fails
       • exception {level="ERROR", target="it::events", exception.message="out of stock"}
    by hand
       • exception {level="ERROR", target="it::events", exception.message="out of stock"}
       • gave up {level="ERROR", target="it::events", exception.message="out of stock", error="out of stock", attempts=2}
       • both {level="ERROR", target="it::events", exception.message="out of stock", cause="out of stock", error="also"}
       • with a message {level="ERROR", target="it::events", error="out of stock"}
       • exception {level="ERROR", target="it::events", exception.message="text"}
    "#);
}

#[test]
fn errors_make_the_span_fail_only_on_request() {
    let capture = Capture::start();
    let layer = TraceLayer::new()
        .with_error_events_as_status(true)
        .with_event_locations(true);
    under(tracing_subscriber::registry().with(layer), || {
        let _here = capture.attach();
        assert!(fails().is_err());
        let _native = native().enter();
        error!(code = 5, "{} failed", "it");
        warn!("not that bad");
    });
    let tree = capture.tree_with(
        &TreeOptions::new()
            .hide("target")
            .show("code.file.path")
            .redact("code.file.path"),
    );
    insta::assert_snapshot!(tree, @r#"
    fails {code.file.path=…} error: out of stock
       • exception {level="ERROR", code.file.path=…, exception.message="out of stock"}
    native error: it failed
       • it failed {level="ERROR", code.file.path=…, code=5}
       • not that bad {level="WARN", code.file.path=…}
    "#);
}

#[test]
fn an_event_has_the_time_it_happened_at() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("timed");
        let _entered = span.enter();
        drop(native());
        info!("then this");
        drop(native());
    });
    let spans = capture.spans();
    let timed = spans
        .iter()
        .find(|span| span.name == "timed")
        .expect("it ended");
    let around: Vec<_> = spans.iter().filter(|span| span.name == "native").collect();
    let time = timed.events[0].time_unix_nano;
    assert!(around[0].end_unix_nano <= time && time <= around[1].start_unix_nano);
}

#[test]
fn an_event_of_an_unsampled_trace_formats_nothing() {
    use throughline_core::{RecorderConfig, Sampler};
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    captured(&capture, || {
        let span = info_span!("unsampled", value = ?Unformattable, late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Unformattable));
        info!(value = ?Unformattable, "not recorded");
        info!(parent: &span, value = ?Unformattable, "not recorded either");
        drop(info_span!("child", value = ?Unformattable));
    });
    assert_eq!(
        (capture.tree().as_str(), capture.stats().unsampled),
        ("", 2)
    );
}

struct Unformattable;

impl fmt::Debug for Unformattable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("nobody is interested in the value");
    }
}

#[instrument(err)]
fn fails() -> Result<(), OutOfStock> {
    Err(OutOfStock)
}

#[derive(Debug)]
struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of stock")
    }
}

impl std::error::Error for OutOfStock {}
