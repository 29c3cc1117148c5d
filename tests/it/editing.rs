//! What is recorded on a span, and how much.

use std::fmt;
use std::io;
use std::time::Duration;

use throughline::core::{RecorderConfig, SpanKind, SpanLimits, Status, debug, display};
use throughline::testing::Capture;
use throughline::{Context, current, span};

#[test]
fn every_type_of_value() {
    let capture = Capture::start();
    let _here = capture.attach();
    let _ = span!(
        "values",
        bool = true,
        integer = -1_i32,
        fits = u64::MAX >> 1,
        too_large = u64::MAX,
        huge = i128::MIN,
        double = 1.5,
        text = "text",
        owned = String::from("owned"),
        letter = 'ß',
        some = Some(1),
        none = None::<i32>,
        array = [1, 2],
        strings = vec!["a", "b"],
        seconds = Duration::from_millis(1500),
        display = %format_args!("{}", 1),
        debug = ?Some("x"),
        dotted.key = 1,
        "quoted-key" = 2,
    );
    insta::assert_snapshot!(capture.tree(), @r#"values {bool=true, integer=-1, text="text", dotted.key=1, quoted-key=2, fits=9223372036854775807, too_large="18446744073709551615", huge="-170141183460469231731687303715884105728", double=1.5, owned="owned", letter="ß", some=1, array=[1, 2], strings=["a", "b"], seconds=1.5, display="1", debug="Some(\"x\")"}"#);
}

#[test]
fn values_that_are_written_out_can_be_replaced_and_are_bounded() {
    let mut config = RecorderConfig::default();
    config.limits.attribute_count = 3;
    config.limits.attribute_value_length = 4;
    let capture = Capture::with_config(config);
    let _here = capture.attach();
    // What is the callsite's own, as far as the program leaves it alone.
    let _ = span!("as it is", kind = "book", free = false);
    let mut replaced = span!("replaced", kind = "book", free = false);
    replaced.set_attribute("kind", "disc");
    replaced.set_attribute("kind", "tape");
    replaced.end();
    let _ = span!("too long", kind = "magazine", free = false);
    let mut many = span!("too many", a = 1, b = 2, c = 3, d = 4);
    many.set_attribute("e", 5);
    many.set_attribute("a", "one");
    many.end();
    insta::assert_snapshot!(capture.tree(), @r#"
    as it is {kind="book", free=false}
    replaced {free=false, kind="tape"}
    too long {kind="maga", free=false}
    too many {b=2, c=3, a="one", +2 dropped}
    "#);
}

#[test]
fn the_current_span_can_be_edited_from_anywhere() {
    let capture = Capture::start();
    let _here = capture.attach();
    let linked = span!("linked").in_scope(Context::current);
    span!("edited", key = "first").in_scope(|| {
        let span = current();
        span.set_attribute("key", "second");
        span.set_attribute("key", "third");
        span.add_event("happened", |event| event.attribute(&"times", 2));
        span.record_error(&io::Error::other("disk on fire"));
        span.set_status(Status::Error, "first message");
        span.set_status(Status::Error, "second message");
        span.set_status(Status::Unset, "ignored");
        span.add_link(&linked);
        span.update_name("renamed once");
        span.update_name("renamed");
        span.set_kind(SpanKind::Client);
        // A bare context of the same span leads to the span.
        let _same = Context::current().attach();
        current().set_attribute("through.context", true);
    });
    insta::assert_snapshot!(capture.tree(), @r#"
    linked
    renamed [client] {key="third", through.context=true} error: second message
       • happened {times=2}
       • exception {exception.type="std::io::error::Error", exception.message="disk on fire"}
       → linked (another trace)
    "#);
}

#[test]
fn ok_is_final() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut span = span!("ok");
    span.set_status(Status::Error, "for now");
    span.set_status(Status::Ok, "no message");
    span.set_status(Status::Error, "too late");
    span.end();
    insta::assert_snapshot!(capture.tree(), @"ok ok");
}

#[test]
fn limits_count_what_they_leave_out() {
    let mut config = RecorderConfig::default();
    let mut limits = SpanLimits::default();
    limits.attribute_count = 2;
    limits.attribute_value_length = 3;
    limits.event_count = 1;
    limits.event_attribute_count = 1;
    limits.link_count = 1;
    config.limits = limits;
    let capture = Capture::with_config(config);
    let _here = capture.attach();
    let linked = span!("linked").in_scope(Context::current);
    let mut span = span!("limited", a = "ääää", b = 2, c = 3);
    span.set_attribute("d", 4);
    span.set_attribute("b", "replaced");
    span.set_attribute("", "no key");
    for name in ["kept", "dropped", "dropped too"] {
        span.add_event(name, |event| {
            event.attribute(&"x", 1);
            event.attribute(&"y", 2);
        });
    }
    span.add_link(&linked);
    span.add_link(&linked);
    span.end();
    let spans = capture.spans();
    let span = spans
        .iter()
        .find(|span| span.name == "limited")
        .expect("recorded");
    assert_eq!(
        (
            span.dropped_attributes,
            span.dropped_events,
            span.dropped_links
        ),
        (3, 2, 1)
    );
    insta::assert_snapshot!(capture.trace(span.trace_id).tree(), @r#"
    limited {a="äää", b="rep", +3 dropped}
       • kept {x=1, +1 dropped}
       • +2 dropped
       → linked (another trace)
       → +1 dropped
    "#);
}

#[test]
fn a_value_that_records_spans_while_it_is_formatted() {
    struct Traces;
    impl fmt::Display for Traces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            span!("while formatting").in_scope(|| ());
            current().add_event("left out while the span is being edited", |_| ());
            f.write_str("formatted")
        }
    }
    let capture = Capture::start();
    let _here = capture.attach();
    let guard = span!("root", at_start = %Traces).enter();
    current().set_attribute("later", display(&Traces));
    current().set_attribute("debug", debug(&"still editable"));
    drop(guard);
    insta::assert_snapshot!(capture.tree(), @r#"
    root {at_start="formatted", later="formatted", debug="\"still editable\""}
    └─ while formatting
    while formatting
    "#);
}

#[test]
fn text_stays_whole_utf8_at_the_limit() {
    let mut config = RecorderConfig::default();
    config.limits.attribute_value_length = 5;
    let capture = Capture::with_config(config);
    let _here = capture.attach();
    let crab = "🦀".repeat(9);
    let _ = span!("crabs", text = crab.as_str(), formatted = %crab);
    insta::assert_snapshot!(capture.tree(), @r#"crabs {text="🦀🦀🦀🦀🦀", formatted="🦀🦀🦀🦀🦀"}"#);
}
