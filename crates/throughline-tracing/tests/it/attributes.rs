use std::error::Error;
use std::fmt;

use throughline_core::{RecorderConfig, SpanLimits};
use throughline_testing::{Capture, TreeOptions};
use tracing::{field, info_span};

use crate::support::{captured, picture};

#[test]
fn values_keep_their_types() {
    let tree = picture(|| {
        let optional: Option<i64> = None;
        let span = info_span!(
            "typed",
            text = "a",
            owned = String::from("b"),
            yes = true,
            signed = -1_i64,
            unsigned = 7_u64,
            huge = u64::MAX,
            wide = 1_i128,
            widest = u128::MAX,
            float = 1.5,
            shown = %"plain",
            debugged = ?Some("quoted"),
            bytes = &b"\x00\xff"[..],
            present = Some(3),
            absent = optional,
            never = field::Empty,
            r#type = "raw",
            dotted.name = 1,
        );
        drop(span);
    });
    insta::assert_snapshot!(tree, @r#"typed {text="a", owned="b", yes=true, signed=-1, unsigned=7, huge="18446744073709551615", wide=1, widest="340282366920938463463374607431768211455", float=1.5, shown="plain", debugged="Some(\"quoted\")", bytes=0x00ff, present=3, type="raw", dotted.name=1}"#);
}

#[test]
fn a_span_says_where_it_is_written_and_which_crate_it_belongs_to() {
    let capture = Capture::start();
    captured(&capture, || {
        drop(info_span!(target: "some_crate::module", "work"));
    });
    let spans = capture.spans();
    let [span] = spans.as_slice() else {
        panic!("one span: {spans:?}");
    };
    assert_eq!(span.scope.name, "some_crate");
    assert!(
        span.attribute("code.file.path")
            .and_then(|file| file.as_str())
            .is_some_and(|file| file.ends_with("attributes.rs"))
    );
    assert!(
        span.attribute("code.line.number")
            .and_then(|line| line.as_i64())
            .is_some_and(|line| line > 0)
    );
}

#[test]
fn late_values_replace_earlier_ones() {
    let tree = picture(|| {
        let span = info_span!(
            "late",
            count = 1,
            state = field::Empty,
            result = field::Empty
        );
        span.record("state", "open");
        let _entered = span.enter();
        span.record("count", 2);
        span.record("state", field::debug(Some("closed")));
        span.record("result", field::display("done"));
        span.record("undeclared", 5);
    });
    insta::assert_snapshot!(tree, @r#"late {count=2, state="Some(\"closed\")", result="done"}"#);
}

#[test]
fn errors_are_described_with_their_sources() {
    let tree = picture(|| {
        let error = Outer(Inner);
        let first: &(dyn Error + 'static) = &error;
        let second: &(dyn Error + 'static) = &Inner;
        let span = info_span!("failed", error = first, also = second, later = field::Empty);
        span.record("later", first);
    });
    insta::assert_snapshot!(tree, @r#"failed {error="outer failed", error.chain=["inner failed"], also="inner failed", later="outer failed", later.chain=["inner failed"], exception.message="outer failed"}"#);
}

#[test]
fn limits_hold_and_what_they_cost_is_counted() {
    let mut config = RecorderConfig::default();
    config.limits = SpanLimits::default();
    config.limits.attribute_count = 2;
    config.limits.attribute_value_length = 4;
    config.limits.event_count = 1;
    config.limits.event_attribute_count = 3;
    let capture = Capture::with_config(config);
    captured(&capture, || {
        let span = info_span!("bounded", a = "äöüßxyz", b = %"1234567", c = 3, d = 4);
        let _entered = span.enter();
        tracing::info!(one = 1, two = 2, "kept");
        tracing::info!("dropped");
    });
    let tree = capture.tree_with(&TreeOptions::new().hide("target"));
    insta::assert_snapshot!(tree, @r#"
    bounded {a="äöüß", b="1234", +2 dropped}
       • kept {level="INFO", one=1, +1 dropped}
       • +1 dropped
    "#);
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer failed")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inner failed")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}
