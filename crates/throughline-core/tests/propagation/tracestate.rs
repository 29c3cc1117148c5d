// The names are those of W3C's trace-context harness where it has the case.

use throughline_core::propagate::{Format, TraceState};

use crate::support::{PARENT, Pairs, read};

/// What is kept of these headers beside a valid traceparent, which must never suffer.
fn kept(headers: Pairs<'_>) -> String {
    let headers = [&[("traceparent", PARENT)], headers].concat();
    let context = read(Format::TraceContext, &headers);
    assert_eq!(context.span_context().to_traceparent().as_str(), PARENT);
    context.tracestate().to_string()
}

fn kept_of(value: &str) -> String {
    kept(&[("tracestate", value)])
}

#[test]
fn tracestate_included_traceparent_missing() {
    let context = read(Format::TraceContext, &[("tracestate", "foo=1")]);
    assert!(context.tracestate().is_empty());
    let broken = [("traceparent", "00-broken"), ("tracestate", "foo=1")];
    assert!(read(Format::TraceContext, &broken).tracestate().is_empty());
}

#[test]
fn tracestate_included_traceparent_included() {
    assert_eq!(kept_of("foo=1,bar=2"), "foo=1,bar=2");
}

#[test]
fn tracestate_header_name() {
    assert_eq!(kept(&[("trace-state", "foo=1")]), "");
    assert_eq!(kept(&[("trace.state", "foo=1")]), "");
}

#[test]
fn tracestate_header_name_valid_casing() {
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(kept(&[(name, "foo=1")]), "foo=1");
    }
}

#[test]
fn tracestate_empty_header() {
    assert_eq!(
        kept(&[("tracestate", ""), ("tracestate", "foo=1")]),
        "foo=1"
    );
    assert_eq!(
        kept(&[("tracestate", "foo=1"), ("tracestate", "")]),
        "foo=1"
    );
    assert_eq!(kept_of(""), "");
    assert_eq!(kept_of(" ,\t, "), "");
}

#[test]
fn empty_members_are_allowed() {
    assert_eq!(kept_of("foo=1,,bar=2, ,"), "foo=1,bar=2");
}

#[test]
fn tracestate_multiple_headers_different_keys() {
    let headers = [
        ("tracestate", "foo=1"),
        ("tracestate", "bar=2,rojo=1"),
        ("tracestate", "congo=2,baz=3"),
    ];
    assert_eq!(kept(&headers), "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

#[test]
fn tracestate_duplicated_keys() {
    assert_eq!(kept_of("foo=1,foo=1"), "foo=1");
    assert_eq!(
        kept_of("foo=1,bar=3,foo=2"),
        "foo=1,bar=3",
        "the first is the latest"
    );
    assert_eq!(
        kept(&[("tracestate", "foo=1"), ("tracestate", "foo=2")]),
        "foo=1"
    );
}

#[test]
fn tracestate_all_allowed_characters() {
    let keys = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
    let values: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    let member = format!("{keys}={values}~");
    assert_eq!(kept_of(&member), member);
    assert_eq!(kept_of("0a=leading digit"), "0a=leading digit");
}

#[test]
fn tracestate_ows_handling() {
    assert_eq!(
        kept_of("foo=1 \t , \t bar=2, \t baz=3"),
        "foo=1,bar=2,baz=3"
    );
    assert_eq!(kept_of(" foo=1"), "foo=1");
    assert_eq!(kept_of("\tfoo=1\t"), "foo=1");
}

#[test]
fn leading_spaces_of_a_value_are_kept() {
    assert_eq!(kept_of("foo=  1 2  ,bar=2"), "foo=  1 2,bar=2");
}

#[test]
fn tracestate_key_illegal_characters() {
    for key in [
        "foo ", "FOO", "foo.bar", "", "fo\u{e9}", "foo\t", "_foo", "-foo", "*foo", "/foo",
    ] {
        assert_eq!(kept_of(&format!("{key}=1,bar=2")), "", "{key:?}");
        assert_eq!(kept_of(&format!("bar=2,{key}=1")), "", "{key:?}");
    }
}

#[test]
fn tracestate_key_illegal_vendor_format() {
    assert_eq!(kept_of("@foo=1,bar=2"), "");
    // Level 2 lets the sign stand anywhere else.
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "0@0"] {
        assert_eq!(kept_of(&format!("{key}=1,bar=2")), format!("{key}=1,bar=2"));
    }
}

#[test]
fn tracestate_member_count_limit() {
    let members = |count| {
        (1..=count)
            .map(|n| format!("bar{n:02}={n:02}"))
            .collect::<Vec<_>>()
    };
    let (fits, exceeds) = (members(32).join(","), members(33).join(","));
    assert_eq!(kept_of(&fits), fits);
    assert_eq!(kept_of(&exceeds), "");
    let split = [("tracestate", fits.as_str()), ("tracestate", "one=more")];
    assert_eq!(
        kept(&split),
        "",
        "the limit is that of all headers together"
    );
}

#[test]
fn tracestate_key_length_limit() {
    let (fits, exceeds) = ("z".repeat(256), "z".repeat(257));
    assert_eq!(
        kept_of(&format!("foo=1,{fits}=1")),
        format!("foo=1,{fits}=1")
    );
    assert_eq!(kept_of(&format!("foo=1,{exceeds}=1")), "");
    let vendor = format!("{}@{}", "t".repeat(241), "v".repeat(14));
    assert_eq!(
        kept_of(&format!("foo=1,{vendor}=1")),
        format!("foo=1,{vendor}=1")
    );
}

#[test]
fn tracestate_value_length_limit() {
    let (fits, exceeds) = ("v".repeat(256), "v".repeat(257));
    assert_eq!(kept_of(&format!("foo={fits}")), format!("foo={fits}"));
    assert_eq!(kept_of(&format!("foo={exceeds}")), "");
}

#[test]
fn tracestate_value_illegal_characters() {
    for value in ["bar=baz", "", "\u{e9}", "a\tb", "a\0b", "a\u{7f}"] {
        assert_eq!(kept_of(&format!("foo={value},bar=3")), "", "{value:?}");
    }
    assert_eq!(kept_of("foo,bar=3"), "");
}

#[test]
fn five_hundred_and_twelve_characters_are_passed_on() {
    let first = format!("a={}", "1".repeat(126));
    let members: Vec<_> = (0..4).map(|n| format!("{n}{}", &first[1..])).collect();
    let full = members.join(",");
    assert_eq!(full.len(), 515);
    assert_eq!(kept_of(&full[..512]), &full[..512]);
    assert_eq!(
        kept_of(&full),
        members[..3].join(","),
        "whole members, from the end"
    );
}

#[test]
fn members_of_more_than_128_characters_leave_first() {
    let long = |key: &str| format!("{key}={}", "v".repeat(127));
    let (a, b) = (long("a"), long("b"));
    assert_eq!(a.len(), 129);
    let short: Vec<_> = (0..30)
        .map(|n| format!("k{n:02}={}", "s".repeat(7)))
        .collect();
    let short = short.join(",");
    assert_eq!(short.len(), 359);
    assert_eq!(kept_of(&format!("{a},{short},{b}")), format!("{a},{short}"));
    let (c, short) = (long("c"), &short[..short.len() - 24]);
    assert_eq!(
        kept_of(&format!("{a},{b},{c},{short},x={}", "y".repeat(150))),
        format!("{a},{short}")
    );
}

#[test]
fn a_changed_member_moves_to_the_front() {
    let mut tracestate = TraceState::parse(["a=1,b=2,c=3"]).unwrap();
    tracestate.insert("c", "4").unwrap();
    assert_eq!(tracestate.as_str(), "c=4,a=1,b=2");
    tracestate.insert("new", "5").unwrap();
    assert_eq!(tracestate.as_str(), "new=5,c=4,a=1,b=2");
    assert!(tracestate.remove("c") && !tracestate.remove("c"));
    assert!(tracestate.remove("b"));
    assert_eq!(tracestate.as_str(), "new=5,a=1");
    assert!(tracestate.remove("new") && tracestate.remove("a"));
    assert_eq!((tracestate.as_str(), tracestate.len()), ("", 0));
}

#[test]
fn a_new_member_pushes_out_the_last_one() {
    let members: Vec<_> = (0..32).map(|n| format!("k{n}=v")).collect();
    let mut tracestate = TraceState::parse([members.join(",")]).unwrap();
    tracestate.insert("new", "1").unwrap();
    assert_eq!((tracestate.len(), tracestate.get("k31")), (32, None));
    assert_eq!(tracestate.iter().next(), Some(("new", "1")));
    tracestate.insert("long", &"l".repeat(250)).unwrap();
    assert_eq!(
        tracestate.iter().next().unwrap().0,
        "long",
        "it stays though it is long"
    );
    assert!(tracestate.as_str().len() <= 512);
}

#[test]
fn a_member_that_breaks_the_grammar_is_not_inserted() {
    let mut tracestate = TraceState::parse(["a=1"]).unwrap();
    for (key, value) in [
        ("A", "1"),
        ("", "1"),
        ("b", ""),
        ("b", "1,c=2"),
        ("b", "1 "),
        ("b", "é"),
    ] {
        assert!(tracestate.insert(key, value).is_err(), "{key}={value}");
    }
    assert!(
        tracestate
            .insert(&"k".repeat(256), &"v".repeat(256))
            .is_err()
    );
    assert_eq!(tracestate.as_str(), "a=1");
}
