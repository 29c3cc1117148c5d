// The names are those of W3C's trace-context harness where it has the case.

use throughline_core::propagate::Format;

use crate::support::{PARENT, SPAN, TRACE, passed_on, span, written};
use throughline_core::{Context, SpanId, TraceFlags, TraceId};

fn accepted(value: &str) -> bool {
    span(Format::TraceContext, &[("traceparent", value)]).is_some()
}

fn with(version: &str, trace: &str, parent: &str, flags: &str) -> String {
    format!("{version}-{trace}-{parent}-{flags}")
}

#[test]
fn both_traceparent_and_tracestate_missing() {
    assert_eq!(passed_on(Format::TraceContext, &[("other", "1")]), "");
}

#[test]
fn traceparent_included_tracestate_missing() {
    let headers = [("traceparent", PARENT)];
    assert_eq!(
        passed_on(Format::TraceContext, &headers),
        format!("traceparent: {PARENT}")
    );
}

#[test]
fn traceparent_duplicated() {
    let other = with(
        "00",
        "12345678901234567890123456789011",
        "1234567890123456",
        "01",
    );
    let headers = [("traceparent", PARENT), ("traceparent", &other)];
    assert_eq!(span(Format::TraceContext, &headers), None);
    let same = [
        ("traceparent", PARENT),
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
    ];
    assert_eq!(passed_on(Format::TraceContext, &same), "");
}

#[test]
fn traceparent_header_name() {
    for name in ["trace-parent", "trace.parent", "traceparent2"] {
        assert_eq!(span(Format::TraceContext, &[(name, PARENT)]), None);
    }
}

#[test]
fn traceparent_header_name_valid_casing() {
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert!(span(Format::TraceContext, &[(name, PARENT)]).is_some());
    }
}

#[test]
fn traceparent_version_0x00() {
    assert!(!accepted(&format!("{PARENT}.")));
    assert!(!accepted(&format!("{PARENT}-what-the-future-will-be-like")));
}

#[test]
fn traceparent_version_0xcc() {
    for rest in ["", "-what-the-future-will-be-like"] {
        let value = with("cc", TRACE, SPAN, "01") + rest;
        assert_eq!(
            passed_on(Format::TraceContext, &[("traceparent", &value)]),
            format!("traceparent: {PARENT}"),
            "what is passed on has version 00"
        );
    }
    assert!(!accepted(
        &(with("cc", TRACE, SPAN, "01") + ".what-the-future-will-be-like")
    ));
}

#[test]
fn traceparent_version_0xff() {
    assert!(!accepted(&with("ff", TRACE, SPAN, "01")));
}

#[test]
fn traceparent_version_illegal_characters() {
    for version in [".0", "0.", "0G", "+1", "0A"] {
        assert!(!accepted(&with(version, TRACE, SPAN, "01")), "{version}");
    }
}

#[test]
fn traceparent_version_too_long() {
    assert!(!accepted(&with("000", TRACE, SPAN, "01")));
    assert!(!accepted(&with("0000", TRACE, SPAN, "01")));
}

#[test]
fn traceparent_version_too_short() {
    assert!(!accepted(&with("0", TRACE, SPAN, "01")));
    assert!(!accepted(&with("", TRACE, SPAN, "01")));
}

#[test]
fn traceparent_trace_id_all_zero() {
    assert!(!accepted(&with("00", &"0".repeat(32), SPAN, "01")));
}

#[test]
fn traceparent_trace_id_illegal_characters() {
    for at in 0..32 {
        for character in [".", "G", "A", "+", " "] {
            let mut id = TRACE.to_owned();
            id.replace_range(at..=at, character);
            assert!(!accepted(&with("00", &id, SPAN, "01")), "{id}");
        }
    }
}

#[test]
fn traceparent_trace_id_too_long() {
    assert!(!accepted(&with("00", &format!("{TRACE}0"), SPAN, "01")));
}

#[test]
fn traceparent_trace_id_too_short() {
    assert!(!accepted(&with("00", &TRACE[1..], SPAN, "01")));
}

#[test]
fn traceparent_parent_id_all_zero() {
    assert!(!accepted(&with("00", TRACE, &"0".repeat(16), "01")));
}

#[test]
fn traceparent_parent_id_illegal_characters() {
    for at in 0..16 {
        for character in [".", "G", "A", "+", " "] {
            let mut id = SPAN.to_owned();
            id.replace_range(at..=at, character);
            assert!(!accepted(&with("00", TRACE, &id, "01")), "{id}");
        }
    }
}

#[test]
fn traceparent_parent_id_too_long() {
    assert!(!accepted(&with("00", TRACE, &format!("{SPAN}0"), "01")));
}

#[test]
fn traceparent_parent_id_too_short() {
    assert!(!accepted(&with("00", TRACE, &SPAN[1..], "01")));
}

#[test]
fn traceparent_trace_flags_illegal_characters() {
    for flags in [".0", "0.", "G0", "0G", "+1", "0A"] {
        assert!(!accepted(&with("00", TRACE, SPAN, flags)), "{flags}");
    }
}

#[test]
fn traceparent_trace_flags_too_long() {
    assert!(!accepted(&with("00", TRACE, SPAN, "001")));
}

#[test]
fn traceparent_trace_flags_too_short() {
    assert!(!accepted(&with("00", TRACE, SPAN, "1")));
}

#[test]
fn traceparent_ows_handling() {
    for value in [
        format!(" {PARENT}"),
        format!("\t{PARENT}\t"),
        format!(" \t {PARENT} \t "),
    ] {
        assert!(accepted(&value));
    }
}

#[test]
fn propagates_random_flag() {
    for flags in ["00", "01", "02", "03"] {
        let value = with("00", TRACE, SPAN, flags);
        assert_eq!(
            passed_on(Format::TraceContext, &[("traceparent", &value)]),
            format!("traceparent: {value}")
        );
    }
}

#[test]
fn other_flags_are_zero_on_output() {
    for (flags, out) in [("ff", "03"), ("fc", "00"), ("81", "01")] {
        let value = with("00", TRACE, SPAN, flags);
        assert_eq!(
            passed_on(Format::TraceContext, &[("traceparent", &value)]),
            format!("traceparent: {}", with("00", TRACE, SPAN, out))
        );
    }
}

#[test]
fn a_context_without_a_span_is_not_sent() {
    assert_eq!(written(Format::TraceContext, &Context::default()), "");
    let half = throughline_core::SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::INVALID,
        TraceFlags::SAMPLED,
        false,
    );
    assert_eq!(written(Format::TraceContext, &half.into()), "");
}
