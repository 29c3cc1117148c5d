//! Formatting and closures of the caller that fail, panic, never stop or come back. Whatever
//! they do, the buffer is valid and what stood in it before is untouched.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message as _;
use throughline_wire::{
    AttributeField, Buffer, Limits, ValueWriter, put_attribute, put_event, put_link,
};

use crate::walk::{Message, walk};

fn put(body: &mut Buffer, limits: Limits, write: impl FnOnce(ValueWriter<'_>)) {
    put_attribute(body, AttributeField::Span, &"k", limits, write);
}

fn decode(body: &[u8]) -> otlp::Span {
    walk(body, Message::Span);
    otlp::Span::decode(body).unwrap()
}

fn texts(span: &otlp::Span) -> Vec<&str> {
    span.attributes
        .iter()
        .map(|attribute| match &attribute.value.as_ref().unwrap().value {
            Some(any_value::Value::StringValue(text)) => text.as_str(),
            other => panic!("not a string: {other:?}"),
        })
        .collect()
}

/// A value whose formatting is the closure.
struct Shown<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Shown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Debug for Shown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// Runs what is expected to panic, with `body` at hand, and asserts that `body` is as before.
fn unwinds(body: &mut Buffer, f: impl FnOnce(&mut Buffer)) {
    let before = body.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| f(body)));
    assert!(outcome.is_err());
    assert_eq!(*body, before);
}

#[test]
fn a_formatting_error_keeps_what_was_written() {
    let failing = Shown(|f: &mut fmt::Formatter<'_>| {
        f.write_str("half")?;
        Err(fmt::Error)
    });
    let mut body = Buffer::new();
    put(&mut body, Limits::default(), |v| v.display(&failing));
    put(&mut body, Limits::default(), |v| v.debug(&failing));
    put(&mut body, Limits::default(), |v| v.str("next"));
    assert_eq!(texts(&decode(&body)), ["half", "half", "next"]);
}

#[test]
fn a_panic_takes_the_attribute_back() {
    let panicking = Shown(|f: &mut fmt::Formatter<'_>| {
        f.write_str(&"long enough to move ".repeat(20))?;
        panic!("by the user");
    });
    let mut body = Buffer::new();
    put(&mut body, Limits::default(), |v| v.str("before"));
    unwinds(&mut body, |body| {
        put(body, Limits::default(), |v| v.display(&panicking));
    });
    unwinds(&mut body, |body| {
        put(body, Limits::default(), |_| panic!("by the user"));
    });
    unwinds(&mut body, |body| {
        put(body, Limits::default(), |v| {
            v.array(|array| {
                array.value(|v| v.str("kept until the panic"));
                array.value(|v| v.map(|map| map.entry(&"m", |v| v.debug(&panicking))));
            });
        });
    });
    put(&mut body, Limits::default(), |v| v.str("after"));
    assert_eq!(texts(&decode(&body)), ["before", "after"]);
}

#[test]
fn a_panic_takes_the_event_or_link_back() {
    let mut body = Buffer::new();
    put_event(&mut body, 1, "before", |_| {});
    unwinds(&mut body, |body| {
        put_event(body, 2, "event", |event| {
            event.attribute(&"k", Limits::default(), |v| v.bool(true));
            panic!("by the user");
        });
    });
    unwinds(&mut body, |body| {
        put_link(body, [1; 16], [1; 8], "", 0, |link| {
            link.attribute(&"k", Limits::default(), |_| panic!("by the user"));
        });
    });
    let span = decode(&body);
    assert_eq!((span.events.len(), span.links.len()), (1, 0));
}

#[test]
fn a_panic_that_is_caught_inside_loses_only_its_own_element() {
    let mut body = Buffer::new();
    put(&mut body, Limits::default(), |v| {
        v.array(|array| {
            for number in 0..3 {
                let element = AssertUnwindSafe(|| {
                    array.value(|v| {
                        v.map(|map| {
                            map.entry(&"n", |v| v.i64(number));
                            assert_ne!(number, 1, "by the user");
                        });
                    });
                });
                assert_eq!(catch_unwind(element).is_err(), number == 1);
            }
        });
    });
    let span = decode(&body);
    let Some(any_value::Value::ArrayValue(array)) =
        &span.attributes[0].value.as_ref().unwrap().value
    else {
        panic!("not an array");
    };
    assert_eq!(array.values.len(), 2);
}

#[test]
fn a_huge_value_is_whole_without_a_limit() {
    let huge =
        Shown(|f: &mut fmt::Formatter<'_>| (0..1_000_000).try_for_each(|_| f.write_str("🦀")));
    let mut body = Buffer::new();
    put(&mut body, Limits::default(), |v| v.display(&huge));
    assert_eq!(texts(&decode(&body))[0].chars().count(), 1_000_000);
}

#[test]
fn an_endless_value_stops_at_the_limit() {
    let endless = Shown(|f: &mut fmt::Formatter<'_>| {
        loop {
            f.write_str("é🦀")?;
        }
    });
    let limits = Limits {
        value_chars: 5,
        ..Limits::default()
    };
    let mut body = Buffer::new();
    put(&mut body, limits, |v| v.display(&endless));
    assert_eq!(texts(&decode(&body)), ["é🦀é🦀é"]);
}

#[test]
fn errors_ignored_at_the_limit_add_nothing() {
    let stubborn = Shown(|f: &mut fmt::Formatter<'_>| {
        for _ in 0..1_000 {
            // What a careless implementation does.
            let _ = f.write_str("🦀é");
            let _ = f.write_str("x");
        }
        Ok(())
    });
    for limit in 0..10 {
        let limits = Limits {
            value_chars: limit,
            ..Limits::default()
        };
        let mut body = Buffer::new();
        put(&mut body, limits, |v| v.display(&stubborn));
        let expected: String = "🦀éx".chars().cycle().take(limit as usize).collect();
        assert_eq!(texts(&decode(&body)), [expected]);
    }
}

#[test]
fn formatting_may_encode_other_attributes() {
    let reentrant = Shown(|f: &mut fmt::Formatter<'_>| {
        let mut inner = Buffer::new();
        let deeper = Shown(|f: &mut fmt::Formatter<'_>| write!(f, "{:>200}", "deep"));
        put(&mut inner, Limits::default(), |v| v.display(&deeper));
        write!(f, "{}", texts(&decode(&inner))[0])
    });
    let mut body = Buffer::new();
    put(&mut body, Limits::default(), |v| v.display(&reentrant));
    assert_eq!(texts(&decode(&body)), [format!("{:>200}", "deep")]);
}
