//! Panics in, around and underneath spans.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use throughline::testing::Oracle;
use throughline::{span, traced};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, size, to};

/// Unwinds without the message of the hook.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("a panic of a test"))
}

struct PanicsOnDisplay;

impl fmt::Display for PanicsOnDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        quiet_panic()
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        quiet_panic();
    }
}

#[traced]
fn falls() {
    quiet_panic();
}

#[traced(attrs(value = %PanicsOnDisplay))]
fn formats() {}

#[traced]
fn drops(_argument: PanicsOnDrop) {}

#[traced]
fn deep(levels: u32) {
    match levels {
        0 => quiet_panic(),
        levels => deep(levels - 1),
    }
}

#[test]
fn row_20_unwinding_leaves_everything_whole() {
    let row = Row::start(
        20,
        "panic in a span, a formatter, the Drop of an argument, 50 spans deep",
        "span ends with an error; no lock poisoned; the next 10 000 spans are exported",
    );
    let rounds = size(20, 100, 10_000);
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
    let mut panics = 0;
    {
        let _here = pipeline.context().attach();
        for _ in 0..rounds {
            let ways: [&dyn Fn(); 4] = [&falls, &formats, &|| drops(PanicsOnDrop), &|| deep(50)];
            for way in ways {
                assert!(catch_unwind(AssertUnwindSafe(way)).is_err());
                assert!(!throughline::Context::current().span_context().is_valid());
                panics += 1;
            }
        }
    }
    let open = span!(parent: pipeline.context(), "after all");
    open.end();
    assert!(pipeline.flush(LONG).is_complete());
    let spans = receiver.spans();
    let errors = spans
        .iter()
        .filter(|span| span.attribute("error.type").is_some())
        .count();
    // One each, and the deep ones 51; what formats its own attribute may fail before it is a span.
    assert!(errors as u64 >= rounds * 53, "{errors} spans with errors");

    let after = Oracle::new();
    let before = receiver.span_count();
    after.issue(load::record_in(&pipeline, 10_000));
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(receiver.span_count() - before, 10_000);
    let all = Oracle::new();
    all.issue(receiver.spans().iter().map(|span| span.span_id));
    inv::hold(&all, &receiver, &pipeline.stats());
    row.holds(format!(
        "{panics} panics: {errors} spans ended with an error, 0 unaccounted, then 10000 of 10000 spans exported"
    ));
}
