use throughline_core::TraceFlags;
use throughline_core::propagate::{Format, Propagator};

use crate::support::{Pairs, SPAN, TRACE, passed_on, read, span};

const ID: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

fn single(value: &str) -> String {
    passed_on(Format::B3, &[("b3", value)])
}

fn multi(headers: Pairs<'_>) -> String {
    passed_on(Format::B3Multi, headers)
}

#[test]
fn the_single_header_is_passed_on() {
    for state in ["-0", "-1", "-d", ""] {
        assert_eq!(single(&format!("{ID}{state}")), format!("b3: {ID}{state}"));
    }
}

#[test]
fn the_parents_parent_is_not_passed_on() {
    assert_eq!(
        single(&format!("{ID}-1-05e3ac9a4f6e3b90")),
        format!("b3: {ID}-1")
    );
    let headers = [
        ("X-B3-TraceId", TRACE),
        ("X-B3-SpanId", SPAN),
        ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90"),
        ("X-B3-Sampled", "1"),
    ];
    assert!(!multi(&headers).contains("parent"));
}

#[test]
fn short_trace_ids_are_filled_up() {
    let short = &TRACE[16..];
    assert_eq!(
        single(&format!("{short}-{SPAN}-1")),
        format!("b3: {}{short}-{SPAN}-1", "0".repeat(16))
    );
}

#[test]
fn a_decision_alone_is_passed_on() {
    for state in ["0", "1", "d"] {
        let context = read(Format::B3, &[("b3", state)]);
        assert!(!context.span_context().is_valid());
        assert_eq!(single(state), format!("b3: {state}"));
    }
    assert_eq!(multi(&[("x-b3-sampled", "0")]), "x-b3-sampled: 0");
    assert_eq!(multi(&[("x-b3-flags", "1")]), "x-b3-flags: 1");
}

#[test]
fn debug_implies_sampled_and_is_no_bit_of_the_w3c_flags() {
    let context = read(Format::B3, &[("b3", &format!("{ID}-d"))]);
    assert_eq!(context.span_context().trace_flags(), TraceFlags::SAMPLED);
    let mut sent = Vec::<(String, String)>::new();
    Propagator::default().inject(&context, &mut sent);
    assert!(sent[0].1.ends_with("-01"), "{sent:?}");
}

#[test]
fn what_is_not_b3_is_refused() {
    for broken in [
        "".to_owned(),
        "x".to_owned(),
        TRACE.to_owned(),
        format!("{ID}-"),
        format!("{ID}-2"),
        format!("{ID}-true"),
        format!("{ID}-1-"),
        format!("{ID}-1-05e3ac9a4f6e3b9"),
        format!("{ID}-1-05e3ac9a4f6e3b90-1"),
        ID.to_uppercase(),
        format!("{}-{SPAN}-1", &TRACE[1..]),
        format!("{TRACE}-{}-1", &SPAN[1..]),
        format!("{}-{SPAN}-1", "0".repeat(32)),
        format!("{TRACE}-{}-1", "0".repeat(16)),
    ] {
        assert_eq!(single(&broken), "", "{broken:?}");
    }
    assert_eq!(passed_on(Format::B3, &[("b3", ID), ("b3", ID)]), "");
}

#[test]
fn several_headers_are_passed_on() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    let written = |rest: &str| format!("x-b3-traceid: {TRACE}\nx-b3-spanid: {SPAN}{rest}");
    assert_eq!(multi(&ids), written(""));
    for (value, sent) in [
        ("1", "1"),
        ("0", "0"),
        ("true", "1"),
        ("false", "0"),
        ("TRUE", "1"),
    ] {
        let headers = [&ids[..], &[("X-B3-Sampled", value)]].concat();
        assert_eq!(multi(&headers), written(&format!("\nx-b3-sampled: {sent}")));
    }
    let debug = [&ids[..], &[("X-B3-Flags", "1"), ("X-B3-Sampled", "0")]].concat();
    assert_eq!(
        multi(&debug),
        written("\nx-b3-flags: 1"),
        "debug implies sampled"
    );
    let broken = [&ids[..], &[("X-B3-Sampled", "2")]].concat();
    assert_eq!(multi(&broken), "");
    assert_eq!(multi(&ids[..1]), "");
    assert_eq!(multi(&ids[1..]), "");
}

#[test]
fn the_single_header_wins() {
    let other = "11111111111111111111111111111111";
    let b3 = format!("{ID}-1");
    let headers = [
        ("b3", b3.as_str()),
        ("X-B3-TraceId", other),
        ("X-B3-SpanId", SPAN),
    ];
    for format in [Format::B3, Format::B3Multi] {
        assert_eq!(
            span(format, &headers).unwrap().trace_id().to_string(),
            TRACE
        );
    }
    assert!(
        span(Format::B3, &headers[1..]).is_some(),
        "several are read in their absence"
    );
}
